/** Polygon: the voxels inside a closed line through voxels. */

import type { SlicePlane } from "./slice-plane";

export type Point = [number, number];

/** Set the voxels whose middle is inside the polygon, and those on its edges. */
export function fillPolygon(bitmap: Uint8Array, plane: SlicePlane, points: Point[], number: number): void {
  const put = (u: number, v: number): void => {
    if (plane.has(u, v)) bitmap[plane.at(u, v)] = number;
  };
  for (let v = 0; v < plane.height; v++) {
    const crossings = edges(points)
      .filter(([[, v0], [, v1]]) => v0 <= v !== v1 <= v)
      .map(([[u0, v0], [u1, v1]]) => u0 + ((v - v0) / (v1 - v0)) * (u1 - u0))
      .sort((a, b) => a - b);
    for (let k = 0; k + 1 < crossings.length; k += 2) {
      for (let u = Math.ceil(crossings[k] as number); u <= (crossings[k + 1] as number); u++) put(u, v);
    }
  }
  for (const [from, to] of edges(points)) {
    const steps = Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]), 1);
    for (let k = 0; k <= steps; k++) put(Math.round(from[0] + ((to[0] - from[0]) * k) / steps), Math.round(from[1] + ((to[1] - from[1]) * k) / steps));
  }
}

function edges(points: Point[]): [Point, Point][] {
  return points.map((point, k) => [point, points[(k + 1) % points.length] as Point]);
}
