/** Fits of one signal as plot, legend and tables, for a voxel or for the mean of a region. */

import { FIT_COLOURS, REFIT_COLOUR, SERIES_COLOURS } from "./colours";
import { element } from "./dom";
import { NONE, short } from "./numbers";
import { type PlotContent, type Points, drawPlot } from "./plot";
import type { Fit, Signal } from "./scene";
import { drawSpectra } from "./spectrum";

export interface Shown {
  fit: Fit;
  colour: string;
  dash: string;
  /** Colour and dashes of its curve of a setting of the other variables; those of any fit by default. */
  setting?: (k: number, n: number) => { colour: string; dash: string };
}

export interface FitOptions {
  logarithmic: boolean;
  components: boolean;
  repeats: boolean;
  marks: PlotContent["marks"];
}

const POINT = "#f2f5f9";
const FAINT = "#aab4c2";
const PLOT_HEIGHT = 320;

/** Give every fit its colour and dashes: either distinguishes it. */
export function styled(fits: Fit[]): Shown[] {
  return fits.map((fit, k) =>
    fit.id === "refit"
      ? { fit, colour: REFIT_COLOUR, dash: "7 4" }
      : { fit, colour: FIT_COLOURS[k % FIT_COLOURS.length] as string, dash: k === 0 ? "" : "2 3" },
  );
}

/** Colour of a setting of the other variables, such as an echo time. */
function seriesColour(k: number): string {
  return SERIES_COLOURS[k % SERIES_COLOURS.length] as string;
}

/** Points of one signal: one set for each setting of the other variables, if there are several. */
export function pointsOf(name: string, { b, signal, series = [] }: Signal, colour: string, settingName: (setting: string) => string, settingColour: (k: number, n: number) => string): Points[] {
  if (series.length < 2) return [{ name, b, values: signal, colour, kind: "averages" }];
  return series.map(({ name: setting, members }, k) => {
    const pick = <T>(values: T[]): T[] => members.map((place) => values[place] as T);
    return { name: settingName(setting), b: pick(b), values: pick(signal), colour: settingColour(k, series.length), kind: "averages" };
  });
}

export function fitsContent(title: string, measured: Signal | null, averaged: Signal | null, shown: Shown[], options: FitOptions): PlotContent {
  const repeated = measured && averaged && measured.b.length > averaged.b.length;
  const content: PlotContent = {
    title,
    points: [],
    curves: [],
    residuals: [],
    logarithmic: options.logarithmic,
    marks: options.marks,
    empty: "No signal here.",
  };
  if (measured && repeated && options.repeats) {
    content.points.push({ name: "measured volumes", b: measured.b, values: measured.signal, colour: FAINT, kind: "repeats" });
  }
  const main = averaged ?? measured;
  if (main) content.points.push(...pointsOf(repeated ? "average" : "measured", main, POINT, (setting) => setting, seriesColour));
  for (const { fit, colour, dash, setting = (k: number) => ({ colour: seriesColour(k), dash }) } of shown) {
    if (options.components) {
      for (const [k, part] of fit.curve.components.entries()) {
        const name = `${fit.name}: ${part.name}`;
        content.curves.push({ name, b: fit.curve.b, values: part.signal, colour, dash: k === 0 ? "1 3" : "5 3 1 3", width: 1.2 });
      }
    }
    for (const [k, part] of fit.curve.settings.entries()) {
      content.curves.push({ name: `${fit.name}, ${part.name}`, b: fit.curve.b, values: part.signal, ...setting(k, fit.curve.settings.length), width: 2.2 });
    }
    if (fit.curve.settings.length === 0) content.curves.push({ name: fit.name, b: fit.curve.b, values: fit.curve.signal, colour, dash, width: 2.2 });
    if (fit.residuals?.residual.some((value) => value !== null)) content.residuals.push({ name: fit.name, b: fit.residuals.b, values: fit.residuals.residual, colour });
  }
  return content;
}

export function showPlot(place: HTMLElement, content: PlotContent, shown: Shown[]): void {
  const width = Math.max(260, place.clientWidth);
  const spectra = drawSpectra(shown, width);
  place.replaceChildren(drawPlot(content, width, PLOT_HEIGHT), legend(content), ...(spectra ? [spectra] : []));
}

function legend(content: PlotContent): HTMLElement {
  const list = element("ul", { class: "key" });
  for (const { name, colour, kind } of content.points) {
    list.append(element("li", {}, element("span", { class: `dot ${kind}`, style: `background:${colour}` }), name));
  }
  for (const { name, colour, dash, width } of content.curves) {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    line.setAttribute("width", "26");
    line.setAttribute("height", "8");
    line.setAttribute("aria-hidden", "true");
    const stroke = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [key, value] of Object.entries({ x1: 1, x2: 25, y1: 4, y2: 4, stroke: colour, "stroke-width": width, "stroke-dasharray": dash })) {
      stroke.setAttribute(key, String(value));
    }
    line.append(stroke);
    list.append(element("li", {}, line, name));
  }
  return list;
}

/** Estimates with standard deviations: one row per quantity, one column per fit. */
export function estimatesTable(shown: Shown[], title: string): HTMLTableElement {
  const names = new Map<string, string[]>();
  for (const { fit } of shown) {
    for (const { name, symbol, unit_shown } of fit.estimates) {
      if (!names.has(name)) names.set(name, [symbol, unit_shown ? `(${unit_shown})` : ""]);
    }
  }
  const refit = shown.find(({ fit }) => fit.id === "refit");
  const stored = shown[0];
  const change = refit && stored && refit !== stored ? [stored, refit] as const : null;
  const head = element("tr", {}, element("th", { scope: "col" }, "estimate"));
  for (const { fit, colour } of shown) head.append(element("th", { scope: "col", style: `color:${colour}` }, fit.name));
  const body = element("tbody");
  // With three fits side by side, a unit gets a separate line.
  const narrow = shown.length > 2;
  for (const [name, [symbol = "", unit = ""]] of names) {
    const label = narrow ? [symbol, element("div", { class: "note" }, unit)] : [`${symbol} ${unit}`];
    const row = element("tr", { "data-estimate": name }, element("th", { scope: "row" }, ...label));
    for (const { fit } of shown) {
      const found = fit.estimates.find((estimate) => estimate.name === name);
      const missing = !found || found.value === null;
      const text = !found ? NONE : missing ? "no value" : found.text;
      const why = missing ? `no value: ${fit.status.sentence}` : interval(found);
      const cell = element("td", { "data-fit": fit.id, "data-value": found?.value ?? false, title: why || false }, text);
      if (change && fit === refit?.fit) cell.append(element("div", { class: "note" }, changed(name, change[0].fit, change[1].fit)));
      row.append(cell);
    }
    body.append(row);
  }
  return element("table", { class: "numbers", "data-testid": "estimates" }, element("caption", { class: "unseen" }, title), element("thead", {}, head), body);
}

function interval({ limits }: { limits: string }): string {
  return limits === NONE ? "" : `95 % interval ${limits}`;
}

function changed(name: string, before: Fit, after: Fit): string {
  const [a, b] = [before, after].map((fit) => fit.estimates.find((estimate) => estimate.name === name)?.value);
  if (a === null || b === null || a === undefined || b === undefined || a === 0) return NONE;
  const percent = (100 * (b - a)) / Math.abs(a);
  return Math.abs(percent) < 0.05 ? "0 %" : `${percent > 0 ? "+" : "−"}${short(Math.abs(percent), 2)} %`;
}

/** The numbers of the plot as a table, for those who cannot see it. */
export function signalTable(averaged: Signal | null, shown: Shown[], title: string): HTMLTableElement {
  const head = element("tr", {}, element("th", { scope: "col" }, "b (s/mm²)"), averaged ? element("th", { scope: "col" }, "signal (a.u.)") : null);
  for (const { fit } of shown) if (fit.residuals) head.append(element("th", { scope: "col" }, `residual, ${fit.name}`));
  const body = element("tbody");
  averaged?.b.forEach((b, i) => {
    const setting = averaged.series?.filter(({ members }) => members.includes(i)).map(({ name }) => name) ?? [];
    const name = setting.length === 1 ? `${short(b, 4)} (${setting[0]})` : short(b, 4);
    const row = element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, short(averaged.signal[i], 4)));
    for (const { fit } of shown) {
      if (!fit.residuals) continue;
      // Settings may share a b-value: they are in one order, unless a refit has averaged otherwise.
      const place = fit.residuals.b[i] === b ? i : fit.residuals.b.indexOf(b);
      row.append(element("td", {}, short(fit.residuals.residual[place])));
    }
    body.append(row);
  });
  return element("table", { class: "numbers" }, element("caption", { class: "unseen" }, title), element("thead", {}, head), body);
}
