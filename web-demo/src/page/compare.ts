/** The photo before and after, with a line between them that can be moved, and at full size. */

import type { Box } from "../core/faces";
import { element, style } from "./dom";
import type { Item } from "./item";

export function compareView(item: Item): HTMLElement {
  const { width, height } = item.detection!;
  const picture = (src: string, alt: string, className: string) => element("img", { src, alt, className, width, height, decoding: "async", draggable: false });
  const layers = element("div", { className: "layers" }, picture(item.preview, "Before", "before"), picture(item.resultPreview, "After, protected", "after"));
  const show = (full: boolean) => {
    const [before, after] = layers.querySelectorAll("img");
    before!.src = full ? item.url : item.preview;
    after!.src = full ? item.resultUrl : item.resultPreview;
  };
  const tag = (text: string, className: string) => element("span", { className: `tag ${className}`, attributes: { "aria-hidden": "true" } }, text);
  const viewport = element("div", { className: "viewport", attributes: { "data-key": "viewport" } }, layers);
  const line = element("div", { className: "line", attributes: { "aria-hidden": "true" } });
  const window_ = element("div", { className: "compare" }, viewport, line, tag("before", "left"), tag("after", "right"));
  const slider = element("input", {
    type: "range",
    min: "0",
    max: "100",
    value: "50",
    attributes: { "aria-label": "Line between before, on its left, and after, on its right", "data-key": "slider" },
  });
  const update = () => {
    const at = (Number(slider.value) / 100) * viewport.clientWidth;
    style(window_, { "--line": `${at}px`, "--cut": `${viewport.scrollLeft + at}px` });
  };
  slider.addEventListener("input", update);
  viewport.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(viewport);
  dragLine(window_, viewport, slider, update);
  const zoom = element("button", { type: "button", className: "quiet", attributes: { "aria-pressed": "false", "data-key": "zoom" } }, "100 %");
  zoom.title = "One pixel of the photo as one pixel of the screen";
  zoom.addEventListener("click", () => {
    const zoomed = window_.classList.toggle("zoomed");
    zoom.setAttribute("aria-pressed", String(zoomed));
    show(zoomed);
    viewport.tabIndex = zoomed ? 0 : -1;
    style(layers, { "--natural": `${width / window.devicePixelRatio}px` });
    if (zoomed) scrollTo(viewport, item.result!.faces[0]!.box, viewport.scrollWidth / width);
    update();
  });
  return element("div", {}, window_, element("div", { className: "row" }, slider, zoom));
}

function scrollTo(viewport: HTMLElement, [x0, y0, x1, y1]: Box, scale: number): void {
  viewport.scrollLeft = ((x0 + x1) / 2) * scale - viewport.clientWidth / 2;
  viewport.scrollTop = ((y0 + y1) / 2) * scale - viewport.clientHeight / 2;
}

/** Move the line with a finger or a mouse; at full size these move the photo. */
function dragLine(window_: HTMLElement, viewport: HTMLElement, slider: HTMLInputElement, update: () => void): void {
  const move = (event: PointerEvent) => {
    if (window_.classList.contains("zoomed") || event.buttons === 0) return;
    const bounds = viewport.getBoundingClientRect();
    slider.value = String((100 * (event.clientX - bounds.left)) / bounds.width);
    update();
  };
  viewport.addEventListener("pointerdown", (event) => {
    if (!window_.classList.contains("zoomed")) viewport.setPointerCapture(event.pointerId);
    move(event);
  });
  viewport.addEventListener("pointermove", move);
}
