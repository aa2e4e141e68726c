/** What few people need, behind "More": keep the metadata, and other photos of the people. */

import { element } from "./dom";
import type { Gallery } from "./gallery";
import type { Choice } from "./stage";

export class More {
  #isOpen = false;

  constructor(
    private readonly choice: Choice,
    private readonly gallery: Gallery,
  ) {}

  view(): HTMLElement {
    const summary = element("summary", { attributes: { "data-key": "more" } }, "More");
    const details = element("details", { className: "more", open: this.#isOpen }, summary, this.#metadata(), this.#photos());
    details.addEventListener("toggle", () => (this.#isOpen = details.open));
    return details;
  }

  #metadata(): HTMLElement {
    const keep = element("input", { type: "checkbox", checked: this.choice.metadata === "keep", attributes: { "data-key": "metadata" } });
    keep.addEventListener("change", () => (this.choice.metadata = keep.checked ? "keep" : "strip"));
    const hint = "Time, place, camera, author: EXIF, XMP and comments. Pictures among them are removed all the same.";
    return element("label", { className: "check" }, keep, element("span", {}, "Keep what the file tells", element("small", {}, hint)));
  }

  #photos(): HTMLElement {
    const { gallery } = this;
    const input = element("input", { id: "gallery", type: "file", multiple: true, accept: "image/jpeg,image/png,image/webp", className: "visually-hidden", attributes: { "data-key": "gallery" } });
    input.addEventListener("change", () => void gallery.add(input.files ?? []));
    const row = element("div", { className: "row" }, input, element("label", { htmlFor: "gallery", className: "button quiet" }, "Add photos of these people"));
    if (gallery.photos) {
      const clear = element("button", { type: "button", className: "quiet", attributes: { "data-key": "gallery-clear" } }, "Clear");
      clear.addEventListener("click", () => gallery.clear());
      row.append(clear);
    }
    const hint = element("p", { className: "hint" }, "Other photos in which they are known, such as on a profile, make the protection better. They are only looked at.");
    return element("div", {}, hint, row, element("p", { className: "hint", attributes: { role: "status" } }, gallery.summary));
  }
}
