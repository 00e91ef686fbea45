/** Tabs: one panel at a time, with arrow keys between their names. */

import { element } from "./dom";

export interface Tab {
  key: string;
  name: string;
  content: HTMLElement;
}

export function tabs(all: Tab[]): { root: HTMLElement; open: (key: string) => void } {
  const bar = element("div", { role: "tablist", "aria-label": "Panels", class: "tabs" });
  const root = element("div", { class: "tabbed" }, bar);
  const handles = all.map(({ key, name, content }) => {
    const handle = element("button", { type: "button", role: "tab", id: `tab-${key}`, "aria-controls": `panel-${key}`, "data-testid": `tab-${key}` }, name);
    handle.addEventListener("click", () => open(key));
    bar.append(handle);
    root.append(element("div", { role: "tabpanel", id: `panel-${key}`, "aria-labelledby": `tab-${key}`, class: "panel", tabindex: 0 }, content));
    return handle;
  });
  const open = (key: string): void => {
    all.forEach((tab, i) => {
      const chosen = tab.key === key;
      handles[i]?.setAttribute("aria-selected", String(chosen));
      handles[i]?.setAttribute("tabindex", chosen ? "0" : "-1");
      const panel = root.querySelector<HTMLElement>(`#panel-${tab.key}`);
      if (panel) panel.hidden = !chosen;
    });
  };
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const now = handles.indexOf(document.activeElement as HTMLButtonElement);
    const next = handles[(now + step + handles.length) % handles.length];
    next?.focus();
    next?.click();
  });
  open(all[0]?.key ?? "");
  return { root, open };
}
