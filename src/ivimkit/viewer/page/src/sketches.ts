/** Sketches: the corners of a polygon while it is drawn, and a ruler. */

import { rounded } from "./numbers";
import type { Hit, Picture } from "./picture";
import type { Regions } from "./regions";
import type { Triple } from "./scene";
import type { Sketch } from "./sketch";
import { type Axis, inPlane } from "./slice-plane";
import type { Viewer } from "./viewer";

export class Sketches {
  private polygon: { axis: Axis; corners: Triple[]; next: Triple } | null = null;
  private ruler: { axis: Axis; slice: number; from: Triple; to: Triple } | null = null;

  constructor(
    private readonly viewer: Viewer,
    private readonly regions: Regions,
    /** The length of the ruler has changed. */
    private readonly measured: (text: string) => void,
  ) {}

  /** A corner of the polygon; the first or the last one again closes it. */
  corner(picture: Picture, { voxel, axis }: Hit): void {
    const { polygon } = this;
    const fits = polygon?.axis === axis && polygon.corners[0]?.[axis] === voxel[axis];
    if (!polygon || !fits) {
      this.polygon = { axis, corners: [voxel], next: voxel };
    } else {
      const { corners } = polygon;
      const again = [corners[0], corners[corners.length - 1]].some((corner) => corner?.join() === voxel.join());
      if (again) {
        this.close(picture);
        return;
      }
      polygon.corners.push(voxel);
    }
    this.paint();
  }

  /** Where the next corner would be. */
  hover({ voxel, axis }: Hit): void {
    if (this.polygon?.axis !== axis) return;
    this.polygon.next = voxel;
    this.paint();
  }

  /** Fill the polygon. */
  close(picture: Picture): void {
    const { polygon } = this;
    if (!polygon || polygon.corners.length < 3) return;
    this.polygon = null;
    this.regions.polygon(picture, polygon.axis, polygon.corners);
    this.paint();
  }

  /** Take the last corner back. */
  back(): void {
    this.polygon?.corners.pop();
    if (this.polygon?.corners.length === 0) this.polygon = null;
    this.paint();
  }

  /** Whether there was a polygon or a ruler to remove. */
  cancel(): boolean {
    const any = Boolean(this.polygon ?? this.ruler);
    this.polygon = this.ruler = null;
    if (any) {
      this.measured("");
      this.paint();
    }
    return any;
  }

  measureFrom({ at, axis, voxel }: Hit): void {
    this.ruler = { axis, slice: voxel[axis], from: at, to: at };
    this.measureTo(at);
  }

  measureTo(at: Triple): void {
    if (!this.ruler) return;
    this.ruler.to = at;
    this.measured(`Ruler: ${this.length}`);
    this.paint();
  }

  paint(): void {
    const sketches: Sketch[] = [];
    if (this.polygon) {
      const { axis, corners, next } = this.polygon;
      const middle = (at: Triple): [number, number] => inPlane(axis).map((k) => at[k] + 0.5) as [number, number];
      sketches.push({ axis, slice: (corners[0] as Triple)[axis], points: [...corners, next].map(middle), text: "" });
    }
    if (this.ruler) {
      const { axis, slice, from, to } = this.ruler;
      sketches.push({ axis, slice, points: [from, to].map((at) => inPlane(axis).map((k) => at[k]) as [number, number]), text: this.length });
    }
    for (const { picture } of this.viewer.views) picture.setSketches(sketches);
  }

  private get length(): string {
    const { ruler, viewer } = this;
    const sides = viewer.views[0]?.picture.grid?.sides(viewer.scene.voxel_size);
    if (!ruler || !sides) return "";
    // The pointer is in one slice.
    const length = Math.hypot(...inPlane(ruler.axis).map((k) => (ruler.to[k] - ruler.from[k]) * sides[k]));
    return `${rounded(length, Math.min(...sides) / 2)} ${viewer.scene.voxel_units}`;
  }
}
