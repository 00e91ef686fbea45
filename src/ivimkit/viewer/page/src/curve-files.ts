/** Curve files: a plot of signals as a table (CSV) and as a drawing for paper (SVG). */

import { button, element, svg } from "./dom";
import type { PlotContent } from "./plot";
import { download } from "./server";

/** Inks of the dark page and what they are on paper. */
const INKS: Record<string, string> = { "#f2f5f9": "#000000", "#aab4c2": "#777777" };
const STYLES: [string, Record<string, string>][] = [
  ["text", { fill: "#222222", "font-size": "12", "font-family": "sans-serif" }],
  ["line.grid", { stroke: "#dddddd" }],
  ["line.zero, line.tick", { stroke: "#666666" }],
  ["line.mark", { stroke: "#1a7f37", "stroke-dasharray": "3 3" }],
  ["text.mark", { fill: "#1a7f37" }],
];
const LINE_HEIGHT = 16;
const LEFT = 52;

/** One row for each point, each residual, and each step of a curve. */
export function curveCsv({ points, curves, residuals }: Pick<PlotContent, "points" | "curves" | "residuals">): string {
  const rows = ["kind,name,b (s/mm^2),value"];
  const add = (kind: string, { name, b, values }: { name: string; b: number[]; values: (number | null)[] }): void =>
    b.forEach((at, i) => rows.push([kind, quoted(name), at, values[i] ?? ""].join(",")));
  for (const one of points) add(one.kind === "repeats" ? "volume" : "signal", one);
  for (const one of curves) add("curve", one);
  for (const one of residuals) add("residual", one);
  return `${rows.join("\n")}\n`;
}

function quoted(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A copy of a plot in dark ink on white, with its legend below. */
export function paperSvg(plot: SVGSVGElement, { points, curves }: PlotContent): string {
  const copy = plot.cloneNode(true) as SVGSVGElement;
  const [width, height] = [plot.viewBox.baseVal.width, plot.viewBox.baseVal.height];
  for (const [selector, style] of STYLES) {
    for (const one of copy.querySelectorAll(selector)) for (const [key, value] of Object.entries(style)) one.setAttribute(key, value);
  }
  for (const one of copy.querySelectorAll("[fill], [stroke]")) {
    for (const key of ["fill", "stroke"]) one.setAttribute(key, INKS[one.getAttribute(key) ?? ""] ?? one.getAttribute(key) ?? "none");
  }
  const names = [...points.map(({ name, colour }) => ({ name, colour, dash: null })), ...curves.map(({ name, colour, dash }) => ({ name, colour, dash }))];
  names.forEach(({ name, colour, dash }, k) => {
    const [y, ink] = [height + k * LINE_HEIGHT + 12, INKS[colour] ?? colour];
    const sign = dash === null ? svg("circle", { cx: LEFT + 13, cy: y - 4, r: 3.5, fill: ink }) : svg("line", { x1: LEFT, x2: LEFT + 26, y1: y - 4, y2: y - 4, stroke: ink, "stroke-width": 2, "stroke-dasharray": dash || false });
    copy.append(sign, svg("text", { x: LEFT + 34, y, fill: "#222222", "font-size": 12, "font-family": "sans-serif" }, name));
  });
  const whole = height + names.length * LINE_HEIGHT + 8;
  for (const [key, value] of Object.entries({ xmlns: "http://www.w3.org/2000/svg", width, height: whole, viewBox: `0 0 ${width} ${whole}` })) copy.setAttribute(key, String(value));
  copy.prepend(svg("rect", { width, height: whole, fill: "#ffffff" }));
  return new XMLSerializer().serializeToString(copy);
}

/** Buttons that save what a plot shows. */
export function curveButtons(place: HTMLElement, content: () => PlotContent | null, name: () => string): HTMLElement {
  const save = (ending: string, type: string, made: (shown: PlotContent) => string | null): void => {
    const shown = content();
    const text = shown && made(shown);
    if (text) download(new Blob([text], { type }), `${name()}.${ending}`);
  };
  const drawing = (shown: PlotContent): string | null => {
    const plot = place.querySelector<SVGSVGElement>("svg.plot");
    return plot && paperSvg(plot, shown);
  };
  return element(
    "div",
    { class: "buttons" },
    button("Curve as CSV", () => save("csv", "text/csv", curveCsv), { class: "small", "data-testid": "curve-csv" }),
    button("Curve as SVG", () => save("svg", "image/svg+xml", drawing), { class: "small", "data-testid": "curve-svg" }),
  );
}
