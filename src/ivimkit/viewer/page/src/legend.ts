/** Legend: which image, its colours from low to high with units, and the value at the crosshair. */

import { stops } from "./colours";
import { element } from "./dom";
import { NONE, short } from "./numbers";
import type { Viewer } from "./viewer";

const WIDTH = 150;
const HEIGHT = 10;

export function legend(viewer: Viewer, key: string, role: string): HTMLElement {
  const image = viewer.image(key);
  const { limits, shown, colormap } = viewer.look(key);
  const canvas = element("canvas", { width: WIDTH, height: HEIGHT, class: "bar", "aria-hidden": "true" });
  paintBar(canvas.getContext("2d"), stops(viewer.lut(colormap), 32), 0, 0, WIDTH, HEIGHT);
  const value = viewer.valueOf(key);
  const numbers = [limits[0], (limits[0] + limits[1]) / 2, limits[1]].map((end) => short(end * image.factor));
  const hidden = hiddenText(shown, image.factor);
  return element(
    "div",
    { class: "legend", "data-testid": `legend-${role}` },
    element("div", { class: "legend-name" }, element("span", {}, image.label), element("output", { "data-value": value ?? false }, shownValue(value))),
    canvas,
    element("div", { class: "legend-ends" }, ...numbers.map((text) => element("span", {}, text))),
    hidden ? element("div", { class: "note" }, hidden) : null,
  );
}

function shownValue(value: number | undefined): string {
  if (value === undefined) return NONE; // not yet here
  return Number.isFinite(value) ? short(value, 4) : "no value";
}

function hiddenText([least, most]: [number, number], factor: number): string {
  const parts = [];
  if (Number.isFinite(least)) parts.push(`below ${short(least * factor)}`);
  if (Number.isFinite(most)) parts.push(`above ${short(most * factor)}`);
  return parts.length ? `hidden: ${parts.join(" and ")}` : "";
}

export function paintBar(context: CanvasRenderingContext2D | null, colours: string[], x: number, y: number, width: number, height: number): void {
  if (!context) return;
  const gradient = context.createLinearGradient(x, 0, x + width, 0);
  colours.forEach((colour, i) => gradient.addColorStop(i / (colours.length - 1), colour));
  context.fillStyle = gradient;
  context.fillRect(x, y, width, height);
}
