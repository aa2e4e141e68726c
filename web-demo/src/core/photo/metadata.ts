/**
 * What travels with a photo's pixels: what is always written back, what only on request, and what never.
 *
 * The colour profile and the resolution belong to the picture and stay. EXIF, XMP and comments tell where, when and by
 * whom the photo was taken: by default they are removed. Pictures among them are removed even when the rest is kept,
 * because they show the face before protection, and so is what says that other pictures follow, which no longer do.
 */

import type { Bytes } from "./bytes";
import { holdsPicture } from "./embedded";
import { type Exif, exifFacts, hasThumbnail, isAdobeRgb, readExif, resolution } from "./exif";
import { cleanExif, exifBlock } from "./exifKept";
import type { Comment, Format, Parts } from "./parts";
import { adobeRgb, validProfile } from "./profiles";
import { Packet } from "./xmp";

/** "strip" removes EXIF, XMP and comments from the written file, "keep" keeps them. */
export type MetadataPolicy = "strip" | "keep";

/** What is written beside the pixels. */
export interface Beside {
  profile?: Uint8Array;
  /** Dots per inch. */
  dpi?: [x: number, y: number];
  /** PNG chunks that say what the numbers mean as colours. */
  colour: [name: string, body: Uint8Array][];
  /** A TIFF file, without "Exif" ahead of it. */
  exif?: Bytes;
  xmp?: Bytes;
  comments: Comment[];
}

/** What the metadata are written beside. */
export interface Picture {
  format: Format;
  /** Width and height of the upright photo. */
  size: readonly [width: number, height: number];
  /** It was not stored upright. */
  turned: boolean;
  /** It is stored with three colours. */
  inColour: boolean;
  /** Its resolution, where it is told outside of EXIF. */
  dpi: [x: number, y: number] | undefined;
}

/** A JPEG segment has a length of 16 bits, part of which the segment's own header takes. */
const MAX_SEGMENT = 65_000;
const MAX_RESOLUTION = 65_535;

/** Decide on what is written beside the pixels. Returns it, and notes for the user, a line each. */
export function decideMetadata(parts: Parts, picture: Picture, policy: MetadataPolicy): { beside: Beside; notes: string[] } {
  const chosen = new Choice(parts, picture);
  if (policy === "keep") chosen.keep();
  else chosen.strip();
  return { beside: chosen.beside, notes: chosen.notes() };
}

class Choice {
  readonly beside: Beside;
  readonly #lost: string[] = [];
  readonly #kept: string[] = [];
  readonly #exif: Exif | undefined;
  readonly #packet: Packet | undefined;

  constructor(
    private readonly parts: Parts,
    private readonly picture: Picture,
  ) {
    this.beside = { colour: parts.colour, comments: [] };
    this.#exif = readExif(parts.exif);
    this.#packet = Packet.read(parts.xmp);
    this.#keepProfile();
    const told = picture.dpi ?? (this.#exif && resolution(this.#exif));
    if (told?.every((value) => Number.isFinite(value) && value >= 1 && value < MAX_RESOLUTION)) this.beside.dpi = told;
  }

  notes(): string[] {
    const lost = [...this.#lost, ...(hasThumbnail(this.#exif) ? ["thumbnail"] : []), ...this.parts.others];
    const line = (what: string, facts: string[]) => (facts.length ? [`${what}: ${[...new Set(facts)].join(", ")}`] : []);
    return [...line("removed from the file", lost), ...line("still in the file", this.#kept)];
  }

  strip(): void {
    const { parts } = this;
    const [exif, packet] = [this.#exif, this.#packet];
    this.#lost.push(...(parts.exif.length ? ["EXIF"] : []), ...(exif ? exifFacts(exif) : []));
    this.#lost.push(...(parts.xmp.length ? ["XMP"] : []), ...(packet?.facts() ?? []), ...(parts.comments.length ? ["comments"] : []));
    const hidden = [...(exif ? cleanExif(exif, this.picture.size, false) : []), ...(packet?.clean(this.picture.size, false) ?? [])];
    if (hidden.includes("preview")) this.#lost.push("preview");
  }

  keep(): void {
    this.#keepExif();
    this.#keepXmp();
    this.#keepComments();
  }

  #keepProfile(): void {
    const { parts, beside } = this;
    const profile = validProfile(parts.profile);
    if (profile.length) {
      beside.profile = profile;
      if (parts.profile.subarray(profile.length).some((byte) => byte !== 0)) this.#lost.push("data behind the colour profile");
      return;
    }
    if (parts.profile.length) this.#lost.push("colour profile, which is damaged");
    if (this.picture.inColour && !parts.colour.length && this.#exif && isAdobeRgb(this.#exif)) beside.profile = adobeRgb();
  }

  #keepExif(): void {
    if (!this.parts.exif.length) return;
    const exif = this.#exif;
    const lost = exif ? cleanExif(exif, this.picture.size, this.picture.turned) : [];
    const block = exif ? exifBlock(exif) : new Uint8Array(0);
    if (!exif || !block.length || block.length > MAX_SEGMENT - 6) {
      this.#lost.push("EXIF, which is damaged or too large");
      return;
    }
    this.beside.exif = block;
    this.#kept.push("EXIF", ...exifFacts(exif));
    this.#lost.push(...lost);
  }

  #keepXmp(): void {
    if (!this.parts.xmp.length) return;
    const packet = this.#packet;
    const lost = packet?.clean(this.picture.size, this.picture.turned) ?? [];
    const bytes = packet?.toBytes() ?? new Uint8Array(0);
    if (!packet || !bytes.length || bytes.length > MAX_SEGMENT) {
      this.#lost.push("XMP, which is damaged or too large");
      return;
    }
    this.beside.xmp = bytes;
    this.#kept.push("XMP", ...packet.facts());
    this.#lost.push(...lost);
  }

  #keepComments(): void {
    const { comments } = this.parts;
    const plain = comments.filter(({ name, text }) => !holdsPicture(new TextEncoder().encode(name + text)) && !holdsPicture(latin1Bytes(name + text)));
    if (plain.length < comments.length) this.#lost.push("preview");
    if (!plain.length) return;
    if (this.picture.format === "PNG") {
      this.beside.comments = plain.filter(({ name }) => name.length > 0 && name.length < 80); // as PNG has it
    } else {
      const text = plain.map((each) => each.text).join("\n"); // as Pillow, which writes one
      if (text.length > MAX_SEGMENT) {
        this.#lost.push("comments, which are too large");
        return;
      }
      this.beside.comments = [{ name: "comment", text }];
    }
    this.#kept.push("comments");
  }
}

/** Latin letters as bytes; others as question marks. */
function latin1Bytes(text: string): Bytes {
  return Uint8Array.from(text, (character) => (character.charCodeAt(0) < 256 ? character.charCodeAt(0) : 63));
}
