/** The boxes over a photo: each switched on or off, moved by hand, or drawn anew. */

import type { Box } from "../core/faces";
import { element, style } from "./dom";
import type { Item, Mark } from "./item";

/** A box that is drawn has to be at least so large, in pixels of the screen. */
const MIN_DRAWN = 12;
const STEP = 0.02;

/** Build the photo with a box for each face. `onChange` is called after each change. */
export function marksView(item: Item, drawing: boolean, onChange: (drawing: boolean) => void): HTMLElement {
  if (!item.preview) return element("div", { className: "marks empty" }); // the photo itself would be held decoded
  const image = element("img", { src: item.preview, alt: `The photo ${item.file.name}`, decoding: "async", draggable: false });
  const frame = element("div", { className: drawing ? "marks drawing" : "marks" }, image);
  const chosen = item.chosen;
  if (!chosen) return frame;
  const { width, height } = chosen.detection;
  image.width = width;
  image.height = height;
  for (const [i, mark] of item.marks.entries()) {
    const button = element("button", { className: `mark ${mark.kind}`, type: "button", attributes: labelsOf(mark, chosen.numberOf(mark), i) });
    button.append(element("span", { attributes: { "aria-hidden": "true" } }, mark.kind === "unsure" && !mark.on ? "?" : String(chosen.numberOf(mark) || "·")));
    place(button, mark.box, width, height);
    button.addEventListener("click", () => {
      mark.on = !mark.on;
      onChange(drawing);
    });
    if (mark.kind === "hand") button.addEventListener("keydown", (event) => adjust(event, item, mark, onChange));
    frame.append(button);
  }
  if (drawing) drawBy(frame, (rect) => add(item, rect, onChange));
  return frame;
}

function labelsOf(mark: Mark, number: number, index: number): Record<string, string> {
  const what = mark.kind === "unsure" ? "Perhaps a face" : `Face ${number || ""}`.trim();
  const how = mark.kind === "hand" ? "; arrow keys move it, with Shift they resize it, Delete removes it" : "";
  return { "aria-pressed": String(mark.on), "aria-label": `${what}, ${mark.on ? "will be protected" : "left as it is"}${how}`, "data-key": `mark-${index}` };
}

export function place(target: HTMLElement, [x0, y0, x1, y1]: Box, width: number, height: number): void {
  const percent = (part: number, whole: number) => `${(100 * part) / whole}%`;
  const [left, top] = [Math.max(x0, 0), Math.max(y0, 0)];
  style(target, {
    "--left": percent(left, width),
    "--top": percent(top, height),
    "--width": percent(Math.min(x1, width) - left, width),
    "--height": percent(Math.min(y1, height) - top, height),
  });
}

/** Put a box into the middle of the photo, to be moved by the keyboard. */
export function addInTheMiddle(item: Item, onChange: (drawing: boolean) => void): void {
  const { width, height } = item.detection!;
  const side = Math.min(width, height) / 4;
  add(item, [(width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2], onChange);
}

function add(item: Item, box: Box, onChange: (drawing: boolean) => void): void {
  item.marks.push({ box, kind: "hand", on: true });
  onChange(false);
  document.querySelector<HTMLElement>(`[data-key="mark-${item.marks.length - 1}"]`)?.focus();
}

function adjust(event: KeyboardEvent, item: Item, mark: Mark, onChange: (drawing: boolean) => void): void {
  const { width, height } = item.detection!;
  const step = STEP * Math.min(width, height);
  const [x0, y0, x1, y1] = mark.box;
  const moves: Record<string, [x: number, y: number]> = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const move = moves[event.key];
  if (event.key === "Delete" || event.key === "Backspace") {
    item.marks = item.marks.filter((each) => each !== mark);
  } else if (move) {
    const [dx, dy] = move;
    const [left, top] = event.shiftKey ? [x0, y0] : [clamp(x0 + dx, step - (x1 - x0), width - step), clamp(y0 + dy, step - (y1 - y0), height - step)];
    mark.box = event.shiftKey ? [x0, y0, Math.max(x1 + dx, x0 + step), Math.max(y1 + dy, y0 + step)] : [left, top, left + x1 - x0, top + y1 - y0];
  } else {
    return;
  }
  event.preventDefault();
  onChange(false);
}

const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);

/** Let a rectangle be drawn with a finger or a mouse; it is given in pixels of the photo. */
function drawBy(frame: HTMLElement, onDrawn: (box: Box) => void): void {
  const image = frame.querySelector("img")!;
  frame.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    frame.setPointerCapture(event.pointerId);
    const bounds = image.getBoundingClientRect();
    const at = ({ clientX, clientY }: PointerEvent) => [clamp(clientX - bounds.left, 0, bounds.width), clamp(clientY - bounds.top, 0, bounds.height)] as const;
    const [startX, startY] = at(event);
    const sketch = element("div", { className: "mark sketch" });
    frame.append(sketch);
    let box: Box = [startX, startY, startX, startY];
    const move = (each: PointerEvent) => {
      const [x, y] = at(each);
      box = [Math.min(x, startX), Math.min(y, startY), Math.max(x, startX), Math.max(y, startY)];
      place(sketch, box, bounds.width, bounds.height);
    };
    const end = () => {
      frame.removeEventListener("pointermove", move);
      sketch.remove();
      if (box[2] - box[0] < MIN_DRAWN || box[3] - box[1] < MIN_DRAWN) return;
      const [scaleX, scaleY] = [Number(image.getAttribute("width")) / bounds.width, Number(image.getAttribute("height")) / bounds.height];
      onDrawn([box[0] * scaleX, box[1] * scaleY, box[2] * scaleX, box[3] * scaleY]);
    };
    frame.addEventListener("pointermove", move);
    frame.addEventListener("pointerup", end, { once: true });
    frame.addEventListener("pointercancel", end, { once: true });
  });
}
