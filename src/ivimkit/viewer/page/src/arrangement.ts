/** Arrangement: one picture, two results side by side, or four maps of one result. */

import type { ImageInfo } from "./images";
import { statusKey } from "./images";
import type { ResultInfo } from "./scene";

export type Arrangement = "one" | "sides" | "maps";

/** As a reader hangs them: the ADC first, then what it is made of. */
const HUNG = ["ADC", "D", "f", "D_star"];
const MOST_MAPS = 4;
/** Maps that say little next to each other. */
const NOT_HUNG = new Set(["S0", "cost", "n_iter"]);

/** The maps of a result to show at once: ADC, D, f and D*, or what it has instead. */
export function hungMaps({ id, maps }: Pick<ResultInfo, "id" | "maps">): string[] {
  const names = maps.filter(({ about_another, name }) => !about_another && !NOT_HUNG.has(name)).map(({ name }) => name);
  const first = HUNG.filter((name) => names.includes(name));
  const others = names.filter((name) => !first.includes(name));
  return [...first, ...others].slice(0, MOST_MAPS).map((name) => `${id}/${name}`);
}

/** The overlay of another result that shows the same as one of the first. */
export function sameOf(image: ImageInfo | null, second: ResultInfo, favourite: string): string {
  if (image?.grades) return statusKey(second);
  const name = image?.map?.name;
  return second.maps.some((map) => map.name === name) ? `${second.id}/${name}` : favourite;
}
