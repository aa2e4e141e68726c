/** How photos come into the page: chosen, dropped or pasted; and what is said to those who come first. */

import { find } from "./dom";

/** Call for each batch of photos that arrives. */
export function listen(add: (files: Iterable<File>) => void): void {
  const input = find<HTMLInputElement>("#files");
  input.addEventListener("change", () => {
    add(input.files ?? []);
    input.value = ""; // so that the same photo can be chosen again
  });
  const over = (isOver: boolean) => document.body.classList.toggle("dragging", isOver);
  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    over(true);
  });
  window.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) over(false);
  });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    add(event.dataTransfer?.files ?? []);
  });
  window.addEventListener("paste", (event) => add(event.clipboardData?.files ?? []));
}

/** Say what the page does, until it has been read. */
export function welcome(): void {
  const [text, key] = [find("#welcome"), "face-encryption-welcomed"];
  const seen = () => {
    try {
      return localStorage.getItem(key) !== null;
    } catch {
      return false;
    }
  };
  text.hidden = seen();
  find("#welcome-close").addEventListener("click", () => {
    text.hidden = true;
    find("#files").focus();
    try {
      localStorage.setItem(key, "yes");
    } catch {
      // a browser that keeps nothing
    }
  });
}
