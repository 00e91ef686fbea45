/** By value: regions of voxels whose value is in a range. */

import type { Range, Triple } from "./scene";

export type Values = ArrayLike<number>;

/** Whether a value is in a range; none is "not a number". */
function isIn(value: number | undefined, [low, high]: Range): boolean {
  return value !== undefined && value >= low && value <= high;
}

/**
 * Set all voxels with a value in a range, among those that may be changed, which are those of no
 * region. Returns how many.
 */
export function fillByValue(bitmap: Uint8Array, values: Values, range: Range, number: number, where: (offset: number) => boolean): number {
  let n = 0;
  for (let i = 0; i < bitmap.length; i++) {
    if (bitmap[i] || !isIn(values[i], range) || !where(i)) continue;
    bitmap[i] = number;
    n++;
  }
  return n;
}

/** Take the voxels of a region away whose value is not in a range. Returns how many are left. */
export function keepByValue(bitmap: Uint8Array, values: Values, range: Range, number: number): number {
  let n = 0;
  for (let i = 0; i < bitmap.length; i++) {
    if (bitmap[i] !== number) continue;
    if (isIn(values[i], range)) n++;
    else bitmap[i] = 0;
  }
  return n;
}

/**
 * Set the voxels with a value in a range that are connected with one voxel by their faces; along
 * all axes, or in the plane across one. Returns how many.
 */
export function growByValue(bitmap: Uint8Array, size: Triple, values: Values, range: Range, number: number, start: Triple, across: 0 | 1 | 2 | null): number {
  const strides: Triple = [1, size[0], size[0] * size[1]];
  const first = start[0] + start[1] * strides[1] + start[2] * strides[2];
  const isFree = (i: number): boolean => (!bitmap[i] || bitmap[i] === number) && isIn(values[i], range);
  if (!isFree(first)) return 0;
  const seen = new Uint8Array(bitmap.length);
  const waiting = [first];
  seen[first] = 1;
  let n = 0;
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    bitmap[at] = number;
    n++;
    for (const axis of [0, 1, 2] as const) {
      if (axis === across) continue;
      const index = Math.floor(at / strides[axis]) % size[axis];
      for (const step of [-1, 1]) {
        const next = at + step * strides[axis];
        if (index + step < 0 || index + step >= size[axis] || seen[next] || !isFree(next)) continue;
        seen[next] = 1;
        waiting.push(next);
      }
    }
  }
  return n;
}
