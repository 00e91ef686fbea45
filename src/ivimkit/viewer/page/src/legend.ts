/** Legend: the name of an image, its colours from low to high with units, and the value at the
 * crosshair. */

import { stops } from "./colours";
import { element } from "./dom";
import { NONE, short } from "./numbers";
import type { Grade } from "./scene";
import type { ImageInfo } from "./images";
import type { Viewer } from "./viewer";

const WIDTH = 150;
const HEIGHT = 10;
const ABOUT = "The data do not determine the value there: too little signal from its compartment, or the fit stopped at a bound. See the status.";

export function legend(viewer: Viewer, key: string, role: string): HTMLElement {
  const image = viewer.image(key);
  if (image.grades) return gradesLegend(viewer, image.grades, key, role);
  const { limits, shown, colormap } = viewer.look(key);
  const canvas = element("canvas", { width: WIDTH, height: HEIGHT, class: "bar", "aria-hidden": "true" });
  paintBar(canvas.getContext("2d"), stops(viewer.lut(colormap), 32), 0, 0, WIDTH, HEIGHT);
  const value = viewer.valueOf(key);
  const numbers = [limits[0], (limits[0] + limits[1]) / 2, limits[1]].map((end) => short(end * image.factor));
  const hidden = hiddenText(shown, image.factor);
  const doubtful = doubtfulText(viewer, image);
  return element(
    "div",
    { class: "legend", "data-testid": `legend-${role}` },
    element("div", { class: "legend-name" }, element("span", {}, image.label), element("output", { "data-value": value ?? false }, shownValue(value), viewer.doubts(key) ? element("small", {}, ` ${image.map?.doubtful?.why}`) : null)),
    canvas,
    element("div", { class: "legend-ends" }, ...numbers.map((text) => element("span", {}, text))),
    hidden ? element("div", { class: "note" }, hidden) : null,
    doubtful ? element("div", { class: "note one-line", title: ABOUT, "data-testid": `doubtful-${role}` }, doubtful) : null,
  );
}

/** The meaning of fading, with the number of voxels. */
function doubtfulText(viewer: Viewer, { map, result }: ImageInfo): string {
  if (!map?.doubtful) return "";
  const seen = viewer.fading ? "faded" : "not faded";
  return `${seen}: ${map.doubtful.why} (${count(map.doubtful.n)}${result ? ` of ${count(result.voxels)}` : " voxels"})`;
}

/** Colours of the status in words; the one at the crosshair is marked. */
function gradesLegend(viewer: Viewer, grades: Grade[], key: string, role: string): HTMLElement {
  const here = viewer.valueOf(key);
  const entries = grades.map(({ name, colour, words, sentence, advice, shown, total }, i) => {
    const more = total > shown ? ` of ${count(total)}` : "";
    const about = `${name}: ${sentence} ${advice}${more ? ` ${count(total)} voxels have it, ${count(shown)} of them no more serious one.` : ""}`;
    return element(
      "li",
      { title: about, "aria-current": here === i + 1 ? "true" : false, "data-grade": name, "data-shown": shown },
      element("span", { class: "swatch", style: `background:${colour}` }),
      element("span", { class: "words" }, words),
      element("span", { class: "count" }, `${count(shown)}${more}`),
    );
  });
  return element(
    "div",
    { class: "legend grades", "data-testid": `legend-${role}` },
    element("div", { class: "legend-name" }, element("span", {}, viewer.image(key).label), element("output", {}, here === 0 ? "no value" : "")),
    element("ul", {}, ...entries),
  );
}

function count(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
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
