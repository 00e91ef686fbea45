/** Slice plane: the voxels of one slice of a volume, as a picture of two axes. */

import type { Triple } from "./scene";

export type Axis = 0 | 1 | 2;

/** The two axes in the plane of a slice. */
export function inPlane(axis: Axis): [Axis, Axis] {
  return axis === 0 ? [1, 2] : axis === 1 ? [0, 2] : [0, 1];
}

export class SlicePlane {
  readonly width: number;
  readonly height: number;
  private readonly start: number;
  private readonly steps: [number, number];

  constructor(size: Triple, axis: Axis, slice: number) {
    const strides: Triple = [1, size[0], size[0] * size[1]];
    const [u, v] = inPlane(axis);
    [this.width, this.height] = [size[u], size[v]];
    this.steps = [strides[u], strides[v]];
    this.start = slice * strides[axis];
  }

  /** Offset of a voxel in the volume. */
  at(u: number, v: number): number {
    return this.start + u * this.steps[0] + v * this.steps[1];
  }

  has(u: number, v: number): boolean {
    return u >= 0 && v >= 0 && u < this.width && v < this.height;
  }

  /** Call for every voxel, with its two indices. */
  each(what: (offset: number, u: number, v: number) => void): void {
    for (let v = 0; v < this.height; v++) for (let u = 0; u < this.width; u++) what(this.at(u, v), u, v);
  }
}
