/** Spectrum: shares of S0 against the decay rate, with windows and peaks, below the plot of a signal. */

import { scaleLinear, scaleLog } from "d3-scale";
import { element, svg } from "./dom";
import type { Shown } from "./fits";
import { short } from "./numbers";
import type { Spectrum } from "./scene";

const LEFT = 52;
const RIGHT = 12;
const TOP = 18;
const BOTTOM = 34;
const HEIGHT = 150;

/** Draw the spectra of the fits that have one; null if none has. */
export function drawSpectra(shown: Shown[], width: number): HTMLElement | null {
  const drawn = shown.flatMap(({ fit, colour, dash }) => (fit.spectrum ? [{ name: fit.name, spectrum: fit.spectrum, colour, dash }] : []));
  const [first] = drawn;
  if (!first) return null;
  const { windows, unit } = first.spectrum;
  const title = `Spectrum of decay rates. ${drawn.map(({ name, spectrum }) => sentence(name, spectrum)).join(" ")}`;
  const root = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", class: "plot", "data-testid": "spectrum" });
  root.append(svg("title", {}, title));
  const ends = windows.flatMap(({ low, high }) => [low, high]);
  const x = scaleLog([Math.min(...ends), Math.max(...ends)], [LEFT, width - RIGHT]);
  const highest = Math.max(...drawn.flatMap(({ spectrum }) => spectrum.shares));
  const floor = HEIGHT - BOTTOM;
  const y = scaleLinear([0, highest * 1.1 || 1], [floor, TOP]);
  windows.forEach(({ symbol, low, high }, k) => {
    root.append(
      svg("rect", { x: x(low), y: TOP, width: x(high) - x(low), height: floor - TOP, class: k % 2 ? "window odd" : "window" }),
      svg("text", { x: (x(low) + x(high)) / 2, y: TOP - 6, class: "tick", "text-anchor": "middle" }, symbol),
    );
  });
  for (const tick of y.ticks(3)) {
    root.append(
      svg("line", { x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick), class: "grid" }),
      svg("text", { x: LEFT - 6, y: y(tick) + 4, class: "tick", "text-anchor": "end" }, short(100 * tick, 2)),
    );
  }
  for (const tick of x.ticks().filter((value) => /^1(\.0*)?e/.test(value.toExponential()))) {
    root.append(
      svg("line", { x1: x(tick), x2: x(tick), y1: floor, y2: floor + 4, class: "tick" }),
      svg("text", { x: x(tick), y: HEIGHT - BOTTOM + 17, class: "tick", "text-anchor": "middle" }, short(tick, 3)),
    );
  }
  for (const { name, spectrum, colour, dash } of drawn) {
    const points = spectrum.rates.map((rate, i) => `${x(rate)},${y(spectrum.shares[i] ?? 0)}`);
    root.append(svg("polyline", { points: points.join(" "), fill: "none", stroke: colour, "stroke-width": 1.8, "stroke-dasharray": dash || false, "data-spectrum": name }));
    for (const { rate, fraction } of spectrum.peaks) {
      const top = Math.max(...spectrum.shares.filter((_, i) => Math.abs(Math.log((spectrum.rates[i] as number) / rate)) < 0.3), 0);
      root.append(svg("text", { x: x(rate), y: Math.max(y(top) - 5, TOP + 9), class: "tick", "text-anchor": "middle" }, `${Math.round(100 * fraction)} %`));
    }
  }
  root.append(
    svg("text", { x: 0, y: 0, class: "axis", "text-anchor": "middle", transform: `translate(12 ${(TOP + floor) / 2}) rotate(-90)` }, "share (%)"),
    svg("text", { x: (LEFT + width - RIGHT) / 2, y: HEIGHT - 3, class: "axis", "text-anchor": "middle" }, `rate (${unit})`),
  );
  return element("div", { class: "spectrum" }, root);
}

function sentence(name: string, { peaks, unit }: Spectrum): string {
  const parts = peaks.map(({ rate, fraction }) => `${Math.round(100 * fraction)} % at ${short(rate, 3)} ${unit}`);
  return `${name}: ${parts.length ? parts.join(", ") : "no peak"}.`;
}
