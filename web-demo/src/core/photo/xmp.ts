/** XMP: what a packet tells, and the packet without pictures and without what no longer holds. */

import type { Bytes } from "./bytes";
import { holdsPicture } from "./embedded";
import { type XmlAttribute, type XmlElement, type XmlNode, parseXml, textOf, toXml } from "./xml";

export const MAX_XMP = 2 ** 18;
// Namespaces that hold pictures, or say where in the file pictures, videos and gain maps are.
const GOOGLE = "http://ns.google.com/photos/";
const PICTURES = [
  ...["http://ns.adobe.com/xap/1.0/g/img/", GOOGLE, "http://ns.adobe.com/hdr-gain-map/", "http://ns.apple.com/HDRGainMap/"],
  ...["http://ns.apple.com/pixeldatainfo/", "http://ns.xiaomi.com/photos/", "http://ns.oplus.com/photos/"],
  ...["http://ns.samsung.com/", "http://ns.adobe.com/xmp/note/"],
];
const PANORAMA = `${GOOGLE}1.0/panorama/`;
const THUMBNAILS = "Thumbnails";
const SIZED = ["http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"];
const REGIONS = ["http://www.metadataworkinggroup.com/schemas/regions/", "http://ns.microsoft.com/photo/1.2/"];
const PEOPLE = ["PersonInImage", "PersonInImageWDetails", "ImageRegion", "PersonDisplayName"];
const PLACES = ["Location", "LocationCreated", "LocationShown", "City", "State", "CountryName", "Country", "Sublocation"];
const AUTHORS = ["creator", "rights", "CreatorContactInfo", "AuthorsPosition"];
// What is said in coordinates of the picture as it was stored.
const IN_COORDINATES = ["ImageRegion", "SubjectArea", "SubjectLocation"];
const [WIDTHS, HEIGHTS] = [["ImageWidth", "PixelXDimension"], ["ImageLength", "PixelYDimension"]];

export class Packet {
  readonly #nodes: XmlNode[];
  #changed = false;

  private constructor(private readonly original: Uint8Array) {
    const text = new TextDecoder().decode(original).replace(/^[\0 \r\n\t]+|[\0 \r\n\t]+$/g, "");
    const strange = text.replaceAll("<!--", "").replaceAll("<![CDATA[", "").includes("<!") || text.includes("\0");
    if (strange) throw new Error("a document type or an unusual encoding");
    this.#nodes = parseXml(text);
  }

  /** Read a packet; undefined where it is not well formed, very long, or makes use of entities, which XMP has none of. */
  static read(packet: Uint8Array): Packet | undefined {
    if (!packet.length || packet.length > MAX_XMP) return undefined;
    try {
      return new Packet(packet);
    } catch {
      return undefined;
    }
  }

  /** Return what the packet tells, in the user's words. */
  facts(): string[] {
    const found = { "GPS position": false, places: false, "names of people": false, author: false };
    for (const { uri, local } of this.#all()) {
      found["GPS position"] ||= local.toLowerCase().startsWith("gps");
      found.places ||= PLACES.includes(local);
      found["names of people"] ||= startsWithAny(uri, REGIONS) || PEOPLE.includes(local);
      found.author ||= AUTHORS.includes(local);
    }
    return Object.entries(found).flatMap(([what, isTold]) => (isTold ? [what] : []));
  }

  /**
   * Remove what must not be written back, and make the rest true of the picture as it is written.
   *
   * @param size width and height of the upright photo.
   * @param turned the photo was not stored upright.
   * @returns what was removed, in the user's words.
   */
  clean(size: readonly [width: number, height: number], turned: boolean): string[] {
    const removed: string[] = [];
    for (const node of [...this.#all()]) {
      const { uri, local } = node;
      const isRegion = startsWithAny(uri, REGIONS) || uri === PANORAMA || IN_COORDINATES.includes(local);
      const isPreview = local === THUMBNAILS || holdsPicture(new TextEncoder().encode("owner" in node ? node.value : textOf(node)));
      if (isPreview || (startsWithAny(uri, PICTURES) && uri !== PANORAMA)) {
        if (isPreview) removed.push("preview");
        this.#remove(node);
      } else if (turned && isRegion) {
        removed.push("regions of the picture as it lay");
        this.#remove(node);
      } else if (SIZED.includes(uri)) {
        if (turned && local === "Orientation") this.#set(node, "1");
        else if (WIDTHS!.includes(local)) this.#set(node, String(size[0]));
        else if (HEIGHTS!.includes(local)) this.#set(node, String(size[1]));
      }
    }
    return removed;
  }

  /** Return the packet to write; empty where a picture is left in it. */
  toBytes(): Bytes {
    const packet = this.#changed ? new TextEncoder().encode(this.#nodes.map(toXml).join("")) : this.original.slice();
    return holdsPicture(packet) ? new Uint8Array(0) : packet;
  }

  /** All elements and attributes, in the order of the document. */
  *#all(): Generator<XmlElement | XmlAttribute> {
    const waiting = [...this.#nodes].reverse();
    for (let node = waiting.pop(); node; node = waiting.pop()) {
      if (node.kind !== "element") continue;
      yield node;
      yield* node.attributes.filter(({ prefix, name }) => prefix !== "xmlns" && name !== "xmlns");
      waiting.push(...[...node.children].reverse());
    }
  }

  #remove(node: XmlElement | XmlAttribute): void {
    this.#changed = true;
    if ("owner" in node) node.owner.attributes = node.owner.attributes.filter((each) => each !== node);
    else if (node.parent) node.parent.children = node.parent.children.filter((each) => each !== node);
  }

  #set(node: XmlElement | XmlAttribute, value: string): void {
    this.#changed = true;
    if ("owner" in node) node.value = value;
    else node.children = [{ kind: "text", text: value }];
  }
}

function startsWithAny(text: string, starts: readonly string[]): boolean {
  return starts.some((start) => text.startsWith(start));
}
