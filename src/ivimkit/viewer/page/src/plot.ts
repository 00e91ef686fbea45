/** Plot: signals and curves against b, with residuals below. */

import { scaleLinear, scaleLog } from "d3-scale";
import { line } from "d3-shape";
import { svg } from "./dom";
import { short } from "./numbers";

type Values = (number | null)[];

export interface Points {
  name: string;
  b: number[];
  values: Values;
  colour: string;
  /** Faint and small: single volumes; bold: what was fitted. */
  kind: "repeats" | "averages";
}

export interface Curve {
  name: string;
  b: number[];
  values: Values;
  colour: string;
  dash: string;
  width: number;
}

export interface Residuals {
  name: string;
  b: number[];
  values: Values;
  colour: string;
}

export interface PlotContent {
  title: string;
  points: Points[];
  curves: Curve[];
  residuals: Residuals[];
  logarithmic: boolean;
  /** b-values from which a method fits, with their names. */
  marks: { b: number; text: string }[];
  empty: string;
}

const LEFT = 52;
const RIGHT = 12;
const TOP = 10;
const GAP = 26;
const RESIDUALS = 64;
const BOTTOM = 34;

const isNumber = (value: number | null | undefined): value is number => value !== null && value !== undefined && Number.isFinite(value);

export function drawPlot(content: PlotContent, width: number, height: number): SVGSVGElement {
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", class: "plot", "data-testid": "plot" });
  root.append(svg("title", {}, content.title));
  const below = content.residuals.length > 0;
  const floor = height - BOTTOM - (below ? RESIDUALS + GAP : 0);
  const signals = [...content.points, ...content.curves];
  const bMost = Math.max(1, ...signals.flatMap(({ b }) => b));
  const x = scaleLinear([0, bMost * 1.02], [LEFT, width - RIGHT]);
  const all = signals.flatMap(({ values }) => values).filter(isNumber);
  const usable = content.logarithmic ? all.filter((value) => value > 0) : all;
  const measured = content.points.flatMap(({ values }) => values).filter(isNumber);
  if (usable.length === 0) {
    root.append(svg("text", { x: width / 2, y: floor / 2, class: "none", "text-anchor": "middle" }, content.empty));
    return root;
  }
  const y = content.logarithmic
    ? scaleLog(logarithmicRange(usable, measured), [floor, TOP])
    : scaleLinear([Math.min(0, ...usable), Math.max(...usable) * 1.04 || 1], [floor, TOP]).nice(5);
  const ticks = content.logarithmic ? logarithmicTicks(y.ticks()) : y.ticks(5);
  for (const tick of ticks) root.append(...horizontal(y(tick), short(tick), width));
  for (const tick of x.ticks(6)) {
    root.append(
      svg("line", { x1: x(tick), x2: x(tick), y1: floor, y2: floor + 4, class: "tick" }),
      svg("text", { x: x(tick), y: height - BOTTOM + 17, class: "tick", "text-anchor": "middle" }, String(tick)),
    );
  }
  for (const { b, text } of content.marks) {
    if (b > bMost) continue;
    const right = x(b) < width - 110;
    root.append(
      svg("line", { x1: x(b), x2: x(b), y1: TOP, y2: floor, class: "mark" }),
      svg("text", { x: x(b) + (right ? 4 : -4), y: TOP + 9, class: "mark", "text-anchor": right ? "start" : "end" }, text),
    );
  }
  const clip = `clip-${Math.random().toString(36).slice(2)}`;
  root.append(svg("clipPath", { id: clip }, svg("rect", { x: LEFT, y: TOP - 4, width: width - LEFT - RIGHT, height: floor - TOP + 5 })));
  const inside = svg("g", { "clip-path": `url(#${clip})` });
  for (const { name, b, values, colour, dash, width: thickness } of content.curves) {
    const path = line<number>()
      .defined((i) => isNumber(values[i]) && (!content.logarithmic || values[i] > 0))
      .x((i) => x(b[i] as number))
      .y((i) => y(values[i] as number))(b.map((_, i) => i));
    inside.append(svg("path", { d: path ?? "", fill: "none", stroke: colour, "stroke-width": thickness, "stroke-dasharray": dash || false, "data-curve": name }));
  }
  for (const { name, b, values, colour, kind } of content.points) {
    values.forEach((value, i) => {
      if (!isNumber(value) || (content.logarithmic && value <= 0)) return;
      const small = kind === "repeats";
      inside.append(
        svg("circle", { cx: x(b[i] as number), cy: y(value), r: small ? 2 : 3.5, fill: colour, "fill-opacity": small ? 0.55 : 1, "data-points": name },
          svg("title", {}, `b = ${short(b[i] as number, 4)}: ${short(value, 4)}`)), // prettier-ignore
      );
    });
  }
  root.append(inside);
  root.append(svg("text", { x: 0, y: 0, class: "axis", "text-anchor": "middle", transform: `translate(12 ${(TOP + floor) / 2}) rotate(-90)` }, "signal (a.u.)"));
  if (below) drawResiduals(root, content.residuals, x, floor + GAP, width);
  root.append(svg("text", { x: (LEFT + width - RIGHT) / 2, y: height - 3, class: "axis", "text-anchor": "middle" }, "b (s/mm²)"));
  return root;
}

function drawResiduals(root: SVGSVGElement, residuals: Residuals[], x: (b: number) => number, top: number, width: number): void {
  const values = residuals.flatMap((one) => one.values).filter(isNumber);
  const most = Math.max(...values.map(Math.abs), 1e-12) * 1.15;
  const y = scaleLinear([-most, most], [top + RESIDUALS, top]);
  const ticks = y.ticks(3);
  for (const tick of ticks) root.append(...horizontal(y(tick), short(tick, 2), width, tick === 0 ? "zero" : "grid"));
  residuals.forEach(({ name, b, values: own, colour }, k) => {
    const shift = (k - (residuals.length - 1) / 2) * 4;
    own.forEach((value, i) => {
      if (!isNumber(value)) return;
      const at = x(b[i] as number) + shift;
      root.append(
        svg("line", { x1: at, x2: at, y1: y(0), y2: y(value), stroke: colour, "stroke-width": 1.5 }),
        svg("circle", { cx: at, cy: y(value), r: 2.2, fill: colour, "data-residual": name }),
      );
    });
  });
  root.append(svg("text", { x: 0, y: 0, class: "axis", "text-anchor": "middle", transform: `translate(12 ${top + RESIDUALS / 2}) rotate(-90)` }, "residual"));
}

/** From somewhat below the smallest measured value: curves of fast compartments decay to 0. */
function logarithmicRange(usable: number[], measured: number[]): [number, number] {
  const floor = measured.filter((value) => value > 0);
  const low = Math.min(...(floor.length ? floor : usable));
  const high = Math.max(...usable);
  return [low * 0.6, (high > low ? high : low * 2) * 1.15];
}

/** 1, 2 and 5 of every decade; all digits within less than one. */
function logarithmicTicks(all: number[]): number[] {
  const few = all.filter((tick) => /^[125](\.0*)?e/.test(tick.toExponential()));
  return few.length < 4 ? all : few;
}

function horizontal(y: number, text: string, width: number, kind = "grid"): SVGElement[] {
  return [
    svg("line", { x1: LEFT, x2: width - RIGHT, y1: y, y2: y, class: kind }),
    svg("text", { x: LEFT - 6, y: y + 4, class: "tick", "text-anchor": "end" }, text),
  ];
}
