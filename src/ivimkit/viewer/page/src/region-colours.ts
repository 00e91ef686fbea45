/** Region colours: those of labels and of drawn regions, which differ. */

/** Okabe and Ito's colour-blind-safe colours, on black. */
const REGIONS = ["#e69f00", "#56b4e9", "#00b386", "#e08fc0", "#f0e442", "#ff7f50", "#9db4ff", "#b9e08a", "#c9a0ff", "#ffd2a1", "#7fe0e0", "#d0d0d0"];

/** The colour of a label that came with the study; the first eight are for telling labels apart. */
export function regionColour(number: number): string {
  return REGIONS[(number - 1) % 8] as string;
}

/** The first colour that is not taken; when all are, that of the number. */
export function freeColour(taken: string[], number: number): string {
  return REGIONS.find((colour) => !taken.includes(colour)) ?? regionColour(number);
}

const SETTING_DASHES = ["", "7 3", "2 3", "7 3 2 3"];
const MOST_WHITE = 0.7;

/** Lighter shades of the colour of a region, and dashes, for setting `k` of `n` of further variables. */
export function settingStyle(colour: string, k: number, n: number): { colour: string; dash: string } {
  const white = n > 1 ? (MOST_WHITE * k) / (n - 1) : 0;
  const parts = [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));
  const mixed = parts.map((part) => Math.round(part + white * (255 - part)).toString(16).padStart(2, "0"));
  return { colour: `#${mixed.join("")}`, dash: SETTING_DASHES[k % SETTING_DASHES.length] as string };
}
