/** XMP: what a packet tells. */

import { SaxesParser } from "saxes";

import { holdsPicture } from "./embedded";

const MAX_READ = 2 ** 18;
const REGIONS = ["http://www.metadataworkinggroup.com/schemas/regions/", "http://ns.microsoft.com/photo/1.2/"];
const PEOPLE = ["PersonInImage", "PersonInImageWDetails", "ImageRegion", "PersonDisplayName"];
const PLACES = ["Location", "LocationCreated", "LocationShown", "City", "State", "CountryName", "Country", "Sublocation"];
const AUTHORS = ["creator", "rights", "CreatorContactInfo", "AuthorsPosition"];

/**
 * Return what a packet tells, in the user's words; nothing where it is not well formed, very long, or makes use of
 * entities, which XMP has none of.
 */
export function xmpFacts(packet: Uint8Array): string[] {
  const text = new TextDecoder().decode(packet).replace(/^[\0 \r\n\t]+|[\0 \r\n\t]+$/g, "");
  const strange = text.replaceAll("<!--", "").replaceAll("<![CDATA[", "").includes("<!") || text.includes("\0");
  if (packet.length > MAX_READ || strange) return [];
  const found = { "GPS position": false, places: false, "names of people": false, author: false, preview: false };
  const meet = (space: string, name: string, content: string) => {
    found["GPS position"] ||= name.toLowerCase().startsWith("gps");
    found.places ||= PLACES.includes(name);
    found["names of people"] ||= REGIONS.some((start) => space.startsWith(start)) || PEOPLE.includes(name);
    found.author ||= AUTHORS.includes(name);
    found.preview ||= name === "Thumbnails" || (content.length > 3 && holdsPicture(new TextEncoder().encode(content)));
  };
  try {
    walk(text, meet);
  } catch {
    return [];
  }
  return Object.entries(found).flatMap(([what, isTold]) => (isTold ? [what] : []));
}

/** Call for each element and attribute with its namespace, its name and its text. */
function walk(text: string, meet: (space: string, name: string, content: string) => void): void {
  const parser = new SaxesParser({ xmlns: true });
  const open: { uri: string; local: string; text: string }[] = [];
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", (tag) => {
    open.push({ uri: tag.uri, local: tag.local, text: "" });
    for (const each of Object.values(tag.attributes)) {
      if (each.prefix !== "xmlns" && each.name !== "xmlns") meet(each.uri, each.local, each.value);
    }
  });
  const add = (content: string) => {
    const last = open.at(-1);
    if (last) last.text += content;
  };
  parser.on("text", add);
  parser.on("cdata", add);
  parser.on("closetag", () => {
    const { uri, local, text: content } = open.pop()!;
    meet(uri, local, content);
  });
  parser.write(text).close();
}
