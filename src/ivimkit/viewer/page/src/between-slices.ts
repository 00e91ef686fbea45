/** Between slices: a region copied to another slice, or interpolated between slices, or smoothed. */

import type { Triple } from "./scene";
import { type Axis, SlicePlane } from "./slice-plane";

/** Add the region of one slice to another one; other regions there stay. Returns how many voxels. */
export function copySlice(bitmap: Uint8Array, size: Triple, axis: Axis, from: number, to: number, number: number): number {
  const target = new SlicePlane(size, axis, to);
  let n = 0;
  new SlicePlane(size, axis, from).each((offset, u, v) => {
    if (bitmap[offset] !== number) return;
    n++;
    const there = target.at(u, v);
    if (!bitmap[there]) bitmap[there] = number;
  });
  return n;
}

/**
 * Fill the slices between those that have the region: the signed distances to its edges change
 * linearly from slice to slice (Herman, Zheng and Bucholtz, 1992, doi:10.1109/38.135915).
 * Returns how many slices were filled.
 */
export function interpolate(bitmap: Uint8Array, size: Triple, axis: Axis, number: number, sides: [number, number]): number {
  const filled: number[] = [];
  for (let slice = 0; slice < size[axis]; slice++) {
    let any = false;
    new SlicePlane(size, axis, slice).each((offset) => (any ||= bitmap[offset] === number));
    if (any) filled.push(slice);
  }
  let n = 0;
  filled.forEach((low, k) => {
    const high = filled[k + 1];
    if (high === undefined || high === low + 1) return;
    const [below, above] = [low, high].map((slice) => signedDistances(bitmap, new SlicePlane(size, axis, slice), number, sides)) as [Float64Array, Float64Array];
    for (let slice = low + 1; slice < high; slice++, n++) {
      const share = (slice - low) / (high - low);
      const plane = new SlicePlane(size, axis, slice);
      plane.each((offset, u, v) => {
        const at = u + v * plane.width;
        const distance = (1 - share) * (below[at] as number) + share * (above[at] as number);
        if (distance > 0 && !bitmap[offset]) bitmap[offset] = number;
      });
    }
  });
  return n;
}

/** Smooth the edges of a region, slice by slice: each voxel becomes what most of the nine around it are. */
export function smooth(bitmap: Uint8Array, size: Triple, axis: Axis, number: number): void {
  const before = bitmap.slice();
  for (let slice = 0; slice < size[axis]; slice++) {
    const plane = new SlicePlane(size, axis, slice);
    plane.each((offset, u, v) => {
      const own = before[offset];
      if (own && own !== number) return;
      let n = 0;
      for (let dv = -1; dv <= 1; dv++) for (let du = -1; du <= 1; du++) if (plane.has(u + du, v + dv) && before[plane.at(u + du, v + dv)] === number) n++;
      bitmap[offset] = n >= 5 ? number : own === number ? 0 : (own ?? 0);
    });
  }
}

/** Distances of the middles of voxels to the edge of a region in a plane: positive inside. */
function signedDistances(bitmap: Uint8Array, plane: SlicePlane, number: number, sides: [number, number]): Float64Array {
  const inside = new Uint8Array(plane.width * plane.height);
  plane.each((offset, u, v) => (inside[u + v * plane.width] = bitmap[offset] === number ? 1 : 0));
  const [out, within] = [0, 1].map((wanted) => distances(inside, wanted, plane, sides)) as [Float64Array, Float64Array];
  return out.map((distance, i) => (inside[i] ? distance : -(within[i] as number)));
}

/**
 * Distance of each pixel to the nearest one of a value, in two passes, one along each axis. Beyond
 * the picture there is no region.
 */
function distances(values: Uint8Array, wanted: number, { width, height }: SlicePlane, [wide, high]: [number, number]): Float64Array {
  const most = (width * wide) ** 2 + (height * high) ** 2;
  const edge = (i: number, n: number, side: number): number => (wanted ? most : (Math.min(i + 1, n - i) * side) ** 2);
  const along = new Float64Array(width * height);
  for (let v = 0; v < height; v++) {
    for (let u = 0; u < width; u++) {
      let best = edge(u, width, wide);
      for (let other = 0; other < width; other++) {
        if (values[other + v * width] === wanted) best = Math.min(best, ((other - u) * wide) ** 2);
      }
      along[u + v * width] = best;
    }
  }
  const found = new Float64Array(width * height);
  for (let u = 0; u < width; u++) {
    for (let v = 0; v < height; v++) {
      let best = edge(v, height, high);
      for (let other = 0; other < height; other++) {
        best = Math.min(best, (along[u + other * width] as number) + ((other - v) * high) ** 2);
      }
      found[u + v * width] = Math.sqrt(best);
    }
  }
  return found;
}
