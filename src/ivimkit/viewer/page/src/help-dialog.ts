/** Help dialog: what the pointer does, and the keys. */

import { button, element } from "./dom";
import type { Key } from "./keyboard";

const POINTER = [
  "Click or drag in a picture to move the crosshair; the panel shows the signal and the fits of that voxel. The wheel steps through slices, with Ctrl it zooms. Drag with the right button, or with Shift, to move a zoomed picture; on a touch screen, pinch to zoom.",
  "Drag with the middle button, or with Ctrl, to set the range of colours: to the right it widens, up it rises. It is that of the overlay, or of the base image while the overlay is hidden.",
  "Voxels without a value are transparent; values that the data do not determine are faded.",
];

export function helpDialog(keys: Key[]): { root: HTMLDialogElement; open: () => void } {
  const rows = keys.map(({ shown, does }) => element("tr", {}, element("th", { scope: "row" }, element("kbd", {}, shown)), element("td", {}, does)));
  const root: HTMLDialogElement = element(
    "dialog",
    { "aria-label": "Help" },
    element("div", { class: "dialog-head" }, element("h2", {}, "Help"), button("Close", () => root.close(), { class: "main" })),
    ...POINTER.map((text) => element("p", {}, text)),
    element("p", {}, "These keys work while a picture has the focus (Tab reaches it, and so does a click on any button):"),
    element("table", { class: "numbers keys" }, element("tbody", {}, ...rows)),
  );
  return { root, open: () => root.showModal() };
}
