/** Colours of maps, regions and curves. */

import { cmapper } from "@niivue/niivue";
import type { Lut } from "./scene";

/** Okabe and Ito's colours, which colour-blind readers can tell apart, on black. */
const REGIONS = ["#e69f00", "#56b4e9", "#00b386", "#e08fc0", "#f0e442", "#ff7f50", "#9db4ff", "#b9e08a"];

export const FIT_COLOURS = ["#6cb6ff", "#ffa94d", "#c792ea", "#63e6be"];
export const REFIT_COLOUR = "#7ee787";

export function regionColour(number: number): string {
  return REGIONS[(number - 1) % REGIONS.length] as string;
}

/**
 * Hand a colour map to NiiVue with entry 0 transparent, and return its name there.
 * A second hand-over does nothing.
 */
export function withTransparentZero(name: string, lut: Lut): string {
  const key = `${name}, no value transparent`;
  if (!cmapper.colormaps().includes(key)) {
    cmapper.addColormap(key, { ...lut, A: lut.A.map((alpha, i) => (i ? alpha : 0)) });
  }
  return key;
}

/** Colours as CSS writes them, from the first to the last. */
export function stops(lut: Lut, n: number): string[] {
  return Array.from({ length: n }, (_, i) => {
    const at = Math.round((i * (lut.R.length - 1)) / (n - 1));
    return `rgb(${lut.R[at]} ${lut.G[at]} ${lut.B[at]})`;
  });
}
