/** Region extent: how large a region is in one slice. */

import { type Axis, SlicePlane } from "./slice-plane";
import type { Triple } from "./scene";

export interface Extent {
  voxels: number;
  area: number;
  width: number;
  height: number;
}

/** Area, and width and height of the box around it, in the unit of the sides of a voxel, squared or not; null if it is not there. */
export function extentIn(bitmap: Uint8Array, size: Triple, axis: Axis, slice: number, number: number, [wide, high]: [number, number]): Extent | null {
  let [voxels, left, right, low, top] = [0, Infinity, -Infinity, Infinity, -Infinity];
  new SlicePlane(size, axis, slice).each((offset, u, v) => {
    if (bitmap[offset] !== number) return;
    voxels++;
    [left, right, low, top] = [Math.min(left, u), Math.max(right, u), Math.min(low, v), Math.max(top, v)];
  });
  return voxels ? { voxels, area: voxels * wide * high, width: (right - left + 1) * wide, height: (top - low + 1) * high } : null;
}
