/** Elements: `element("p", {class: "note"}, "text")`. Text is text, never markup. */

type Value = string | number | boolean | null | undefined | ((event: never) => void);
type Child = Node | string | null | undefined | false;

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  assign(made, attributes);
  made.append(...present(children));
  return made;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  assign(made, attributes);
  made.append(...present(children));
  return made;
}

function present(children: Child[]): (Node | string)[] {
  return children.filter((child): child is Node | string => child instanceof Node || !!child);
}

function assign(made: Element, attributes: Record<string, Value>): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style" && made instanceof HTMLElement) {
      // Not as an attribute: the page's security policy forbids styles in markup.
      made.style.cssText = String(value);
    } else if (typeof value === "function") {
      made.addEventListener(name.slice(2), value as EventListener);
    } else if (value === true) {
      made.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, String(value));
    }
  }
}

let count = 0;

/** A label and its control. */
export function field(text: string, control: HTMLElement, attributes: Record<string, Value> = {}): HTMLElement {
  control.id ||= `control-${++count}`;
  return element("div", { class: "field", ...attributes }, element("label", { for: control.id }, text), control);
}

/** A labelled tick box. */
export function tick(text: string, checked: boolean, changed: (on: boolean) => void, key = ""): HTMLElement {
  const box = element("input", { type: "checkbox", checked, "data-testid": key || false });
  box.addEventListener("change", () => changed(box.checked));
  return element("label", { class: "tick" }, box, element("span", {}, text));
}

export function button(text: string, pressed: () => void, attributes: Record<string, Value> = {}): HTMLButtonElement {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", pressed);
  return made;
}

/** A choice of one of several buttons in a row. */
export function choices<T extends string>(
  legend: string,
  names: Record<T, string>,
  chosen: T,
  changed: (name: T) => void,
): { root: HTMLElement; show: (name: T) => void } {
  const group = `choice-${++count}`;
  const boxes = new Map<T, HTMLInputElement>();
  const root = element("fieldset", { class: "choices" }, element("legend", { class: "unseen" }, legend));
  for (const [name, text] of Object.entries(names) as [T, string][]) {
    const box = element("input", { type: "radio", name: group, value: name, checked: name === chosen });
    box.addEventListener("change", () => changed(name));
    boxes.set(name, box);
    root.append(element("label", {}, box, element("span", {}, text)));
  }
  const show = (name: T): void => {
    const box = boxes.get(name);
    if (box) box.checked = true;
  };
  return { root, show };
}
