/** Colours of maps, regions and curves. */

import { cmapper } from "@niivue/niivue";
import type { Grade, Lut } from "./scene";
import { FIRST_FADED, GRADE_STEP, LAST_TRUSTED } from "./volume";

export const FIT_COLOURS = ["#6cb6ff", "#ffa94d", "#c792ea", "#63e6be"];
export const REFIT_COLOUR = "#7ee787";
/** Of values and curves of one setting of further variables, such as an echo time. */
export const SERIES_COLOURS = ["#6cb6ff", "#ffa94d", "#63e6be", "#e08fc0", "#f0e442", "#9db4ff"];

/**
 * Register a colour map with NiiVue with entry 0 transparent, and return its name there.
 * Registering it again does nothing.
 */
export function withTransparentZero(name: string, lut: Lut): string {
  const key = `${name}, no value transparent`;
  if (!cmapper.colormaps().includes(key)) {
    cmapper.addColormap(key, { ...lut, A: lut.A.map((alpha, i) => (i ? alpha : 0)) });
  }
  return key;
}

const GREY = 140;
const GREY_SHARE = 0.75;
const FADED_ALPHA = 110;

/**
 * The same with the upper entries faded: greyer, and half transparent, so that the image below
 * shows through. See `scaledAndFaded` for the bytes.
 */
export function withFaded(name: string, lut: Lut): string {
  const key = `${name}, not reliable faded`;
  if (cmapper.colormaps().includes(key)) return key;
  const middle = (LAST_TRUSTED + FIRST_FADED) / 2;
  const entries = lut.I.map((i) => {
    const faded = i > middle;
    const [first, last] = faded ? [FIRST_FADED, 255] : [1, LAST_TRUSTED];
    const share = Math.min(1, Math.max(0, (i - first) / (last - first)));
    return { at: Math.round(1 + 254 * share), faded, alpha: i === 0 ? 0 : faded ? FADED_ALPHA : 255 };
  });
  const channel = (from: number[]): number[] =>
    entries.map(({ at, faded }) => {
      const colour = from[at] as number;
      return faded ? Math.round((1 - GREY_SHARE) * colour + GREY_SHARE * GREY) : colour;
    });
  cmapper.addColormap(key, { R: channel(lut.R), G: channel(lut.G), B: channel(lut.B), A: entries.map(({ alpha }) => alpha), I: lut.I });
  return key;
}

/** The colours of a status: around each of the bytes of `gradedBytes`, that of its grade. */
export function gradesLut(grades: Grade[]): Lut {
  const entries = Array.from({ length: 256 }, (_, i) => i);
  const channel = (start: number): number[] =>
    entries.map((i) => {
      const colour = grades[Math.round(i / GRADE_STEP) - 1]?.colour;
      return colour ? parseInt(colour.slice(start, start + 2), 16) : 0;
    });
  return { R: channel(1), G: channel(3), B: channel(5), A: entries.map(() => 255), I: entries };
}

/** A CSS gradient of the colours, from the first to the last. */
export function stops(lut: Lut, n: number): string[] {
  return Array.from({ length: n }, (_, i) => {
    const at = Math.round((i * (lut.R.length - 1)) / (n - 1));
    return `rgb(${lut.R[at]} ${lut.G[at]} ${lut.B[at]})`;
  });
}
