/** Small helpers for the document. */

type Child = Node | string | undefined | false;
type Properties<K extends keyof HTMLElementTagNameMap> = Partial<Omit<HTMLElementTagNameMap[K], "style" | "dataset" | "attributes">> & {
  /** Attributes that are no properties, such as those of accessibility. */
  attributes?: Record<string, string>;
};

export function element<K extends keyof HTMLElementTagNameMap>(tag: K, properties: Properties<K> = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const { attributes = {}, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== undefined && child !== false));
  return made as HTMLElementTagNameMap[K];
}

export function find<T extends HTMLElement>(selector: string): T {
  const found = document.querySelector<T>(selector);
  if (!found) throw new Error(`no ${selector} in the page`);
  return found;
}

/** Put a value into a custom property of CSS, which a strict policy allows where it forbids `style` attributes. */
export function style(target: HTMLElement, values: Record<string, string>): void {
  for (const [name, value] of Object.entries(values)) target.style.setProperty(name, value);
}

/** Replace what is in an element; what had the focus keeps it where its `data-key` is there again. */
export function replaceKeepingFocus(parent: HTMLElement, ...children: Node[]): void {
  const focused = document.activeElement;
  const key = focused instanceof HTMLElement && parent.contains(focused) ? (focused.dataset["key"] ?? "") : undefined;
  parent.replaceChildren(...children);
  if (key === undefined) return;
  const again = key ? parent.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`) : null;
  (again ?? parent.querySelector<HTMLElement>("[data-main]") ?? parent).focus({ preventScroll: true });
}
