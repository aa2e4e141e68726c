/** XML as a tree that can be changed and written again. */

import { SaxesParser } from "saxes";

export interface XmlAttribute {
  owner: XmlElement;
  name: string;
  prefix: string;
  uri: string;
  local: string;
  value: string;
}

export interface XmlElement {
  kind: "element";
  parent: XmlElement | undefined;
  name: string;
  uri: string;
  local: string;
  attributes: XmlAttribute[];
  children: XmlNode[];
}

interface Text {
  kind: "text" | "cdata" | "comment";
  text: string;
}

export type XmlNode = XmlElement | Text | { kind: "instruction"; target: string; text: string };

/** Return the nodes of a document. Throws where it is not well formed. */
export function parseXml(text: string): XmlNode[] {
  const parser = new SaxesParser({ xmlns: true });
  const nodes: XmlNode[] = [];
  let open: XmlElement | undefined;
  const add = (node: XmlNode) => (open ? open.children : nodes).push(node);
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name, uri, local, attributes }) => {
    const element: XmlElement = { kind: "element", parent: open, name, uri, local, attributes: [], children: [] };
    element.attributes = Object.values(attributes).map((each) => ({ owner: element, name: each.name, prefix: each.prefix, uri: each.uri, local: each.local, value: each.value }));
    add(element);
    open = element;
  });
  parser.on("closetag", () => (open = open?.parent));
  parser.on("text", (each) => open && add({ kind: "text", text: each }));
  parser.on("cdata", (each) => add({ kind: "cdata", text: each }));
  parser.on("comment", (each) => add({ kind: "comment", text: each }));
  parser.on("processinginstruction", ({ target, body }) => add({ kind: "instruction", target, text: body }));
  parser.write(text).close();
  return nodes;
}

/** Return the text right in an element, without that of the elements in it. */
export function textOf({ children }: XmlElement): string {
  return children.map((child) => (child.kind === "text" || child.kind === "cdata" ? child.text : "")).join("");
}

/** Return a node as text. */
export function toXml(node: XmlNode): string {
  if (node.kind === "instruction") return `<?${node.target} ${node.text}?>`;
  if (node.kind === "cdata") return `<![CDATA[${node.text}]]>`;
  if (node.kind === "comment") return `<!--${node.text}-->`;
  if (node.kind !== "element") return escaped(node.text);
  const attributes = node.attributes.map(({ name, value }) => ` ${name}="${escaped(value)}"`).join("");
  return node.children.length ? `<${node.name}${attributes}>${node.children.map(toXml).join("")}</${node.name}>` : `<${node.name}${attributes}/>`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;").replaceAll(">", "&gt;");
}
