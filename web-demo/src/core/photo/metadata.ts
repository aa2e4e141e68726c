/**
 * What travels with a photo's pixels, and what the user is told of the rest.
 *
 * The colour profile and the resolution belong to the picture and stay. EXIF, XMP and comments tell where, when and by
 * whom the photo was taken, and are removed, as are pictures that hide among them.
 */

import { type Exif, exifFacts, hasThumbnail, holdsPreview, isAdobeRgb, readExif, resolution } from "./exif";
import type { Parts } from "./parts";
import { adobeRgb, validProfile } from "./profiles";
import { xmpFacts } from "./xmp";

/** What is written beside the pixels. */
export interface Beside {
  profile?: Uint8Array;
  /** Dots per inch. */
  dpi?: [x: number, y: number];
  /** PNG chunks that say what the numbers mean as colours. */
  colour: [name: string, body: Uint8Array][];
}

/**
 * Decide on what is written beside the pixels.
 *
 * @param inColour the photo is stored with three colours.
 * @param dpi its resolution, where it is told outside of EXIF.
 * @returns it, and notes for the user, a line each.
 */
export function decideMetadata(parts: Parts, inColour: boolean, dpi: [number, number] | undefined): { beside: Beside; notes: string[] } {
  const exif = readExif(parts.exif);
  const beside: Beside = { colour: parts.colour };
  const lost = decideProfile(parts, exif, inColour, beside);
  const told = dpi ?? (exif && resolution(exif));
  if (told?.every((value) => Number.isFinite(value) && value >= 1 && value < 65535)) beside.dpi = told;
  lost.push(...whatItTells(parts, exif), ...(hasThumbnail(exif) ? ["thumbnail"] : []), ...parts.others);
  return { beside, notes: lost.length ? [`removed from the file: ${[...new Set(lost)].join(", ")}`] : [] };
}

function decideProfile(parts: Parts, exif: Exif | undefined, inColour: boolean, beside: Beside): string[] {
  const profile = validProfile(parts.profile);
  if (profile.length) {
    beside.profile = profile;
    return parts.profile.subarray(profile.length).some((byte) => byte !== 0) ? ["data behind the colour profile"] : [];
  }
  if (inColour && !parts.colour.length && exif && isAdobeRgb(exif)) beside.profile = adobeRgb();
  return parts.profile.length ? ["colour profile, which is damaged"] : [];
}

function whatItTells(parts: Parts, exif: Exif | undefined): string[] {
  const xmp = xmpFacts(parts.xmp);
  const preview = (exif && holdsPreview(exif)) || xmp.includes("preview");
  return [
    ...(parts.exif.length ? ["EXIF"] : []),
    ...(exif ? exifFacts(exif) : []),
    ...(parts.xmp.length ? ["XMP"] : []),
    ...xmp.filter((fact) => fact !== "preview"),
    ...(parts.comments ? ["comments"] : []),
    ...(preview ? ["preview"] : []),
  ];
}
