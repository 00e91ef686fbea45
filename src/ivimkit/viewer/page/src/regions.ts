/** Regions: the drawing, on the reoriented grid, with undo. */

import type { Picture } from "./picture";
import type { Triple } from "./scene";

export type Tool = "navigate" | "rectangle" | "ellipse" | "brush" | "freehand" | "eraser";

export interface Region {
  number: number;
  name: string;
}

const MOST_STEPS = 20;
/** Memory of the drawings before the last ones; at least one is kept. */
const MOST_STEP_BYTES = 2 ** 27;
const MOST_REGIONS = 255;

export class Regions {
  list: Region[] = [{ number: 1, name: "region 1" }];
  active = 1;
  tool: Tool = "navigate";
  brush = 3;
  /** One number for each voxel, or block of a large scan. */
  bitmap: Uint8Array | null = null;
  /** Labels of all voxels of a large scan that the drawing began with, as a compressed image. */
  loaded: Blob | null = null;
  private readonly before: { bitmap: Uint8Array; list: Region[]; loaded: Blob | null }[] = [];
  private start: Triple | null = null;
  private last: Triple | null = null;
  private stroke: Uint8Array | null = null;

  constructor(
    private readonly changed: () => void,
    private readonly drawn: () => void,
  ) {}

  get empty(): boolean {
    return !this.bitmap?.some((number) => number > 0);
  }

  get canUndo(): boolean {
    return this.before.length > 0;
  }

  add(): void {
    const used = new Set(this.list.map(({ number }) => number));
    let number = 1;
    while (used.has(number)) number++;
    if (number > MOST_REGIONS) return;
    this.list = [...this.list, { number, name: `region ${number}` }];
    this.active = number;
    this.changed();
  }

  rename(number: number, name: string): void {
    const taken = this.list.some((region) => region.number !== number && region.name === name);
    const unique = taken || !name ? `${name || "region"} ${number}` : name;
    this.list = this.list.map((region) => (region.number === number ? { number, name: unique } : region));
    this.changed();
  }

  choose(number: number): void {
    this.active = number;
    this.changed();
  }

  remove(number: number): void {
    this.remember();
    this.bitmap?.forEach((value, i, bitmap) => {
      if (value === number) bitmap[i] = 0;
    });
    this.list = this.list.filter((region) => region.number !== number);
    if (!this.list.length) this.list = [{ number: 1, name: "region 1" }];
    if (!this.list.some((region) => region.number === this.active)) this.active = this.list[0]?.number ?? 1;
    this.changed();
  }

  clear(): void {
    this.remember();
    this.bitmap?.fill(0);
    this.loaded = null;
    this.changed();
  }

  undo(): void {
    const last = this.before.pop();
    if (!last) return;
    this.bitmap = last.bitmap;
    this.list = last.list;
    this.loaded = last.loaded;
    if (!this.list.some(({ number }) => number === this.active)) this.active = this.list[0]?.number ?? 1;
    this.changed();
  }

  /** Take the numbers of another image, on the reoriented grid. */
  load(bitmap: Uint8Array, numbers: number[], names: Record<number, string>, loaded: Blob | null): void {
    this.remember();
    this.bitmap = bitmap;
    this.loaded = loaded;
    this.list = numbers.map((number) => ({ number, name: names[number] ?? `region ${number}` }));
    this.active = numbers[0] ?? 1;
    this.changed();
  }

  /** A box or an ellipsoid of a size in voxels around a voxel: drawing without a pointer. */
  place(picture: Picture, shape: "rectangle" | "ellipse", centre: Triple, size: Triple): void {
    this.ready(picture);
    this.remember();
    const low = centre.map((c, k) => c - Math.floor((size[k] as number) / 2)) as Triple;
    const high = low.map((l, k) => l + (size[k] as number) - 1) as Triple;
    const limits = picture.grid?.size ?? [1, 1, 1];
    const clip = (at: Triple): Triple => at.map((i, k) => Math.min((limits[k] as number) - 1, Math.max(0, i))) as Triple;
    this.shape(picture, shape, clip(low), clip(high));
    this.take(picture);
    this.changed();
  }

  begin(picture: Picture, at: Triple, axis: 0 | 1 | 2): void {
    this.ready(picture);
    this.remember();
    this.start = this.last = at;
    const { niivue } = picture;
    niivue.drawPenAxCorSag = 2 - axis;
    niivue.drawPenFillPts = [];
    this.stroke = this.bitmap?.slice() ?? null;
    this.extend(picture, at);
  }

  extend(picture: Picture, at: Triple): void {
    const { niivue } = picture;
    if (!this.start || !this.last || !niivue.drawBitmap) return;
    if (this.tool === "rectangle" || this.tool === "ellipse") {
      if (this.stroke) niivue.drawBitmap.set(this.stroke);
      this.shape(picture, this.tool, this.start, at);
    } else {
      const thin = this.tool === "freehand";
      niivue.opts.penSize = thin ? 1 : this.brush;
      const value = this.tool === "eraser" ? 0 : this.active;
      niivue.drawPt(...at, value);
      niivue.drawPenLine(at, this.last, value);
      if (thin) niivue.drawPenFillPts.push(at);
    }
    this.last = at;
    this.drawn();
  }

  end(picture: Picture): void {
    if (!this.start) return;
    const { niivue } = picture;
    niivue.opts.penValue = this.active;
    if (this.tool === "freehand" && niivue.drawPenFillPts.length > 2) niivue.drawPenFilled();
    niivue.drawPenFillPts = [];
    this.start = this.last = this.stroke = null;
    this.take(picture);
    this.changed();
  }

  private shape(picture: Picture, shape: "rectangle" | "ellipse", from: Triple, to: Triple): void {
    const { niivue } = picture;
    niivue.opts.penSize = 1;
    if (shape === "rectangle") niivue.drawRectangleMask(from, to, this.active);
    else niivue.drawEllipseMask(from, to, this.active);
  }

  /** NiiVue draws into an array: make it use this one. */
  private ready(picture: Picture): void {
    const { niivue, grid } = picture;
    if (!niivue.drawBitmap) {
      // NiiVue's own drawing is hidden: see outlines.ts.
      niivue.drawOpacity = 0;
      niivue.createEmptyDrawing();
    }
    this.bitmap ??= new Uint8Array(grid?.count ?? 0);
    niivue.drawBitmap = this.bitmap;
  }

  private take(picture: Picture): void {
    this.bitmap = picture.niivue.drawBitmap;
  }

  private remember(): void {
    if (!this.bitmap) return;
    this.before.push({ bitmap: this.bitmap.slice(), list: this.list, loaded: this.loaded });
    const most = Math.max(1, Math.min(MOST_STEPS, Math.floor(MOST_STEP_BYTES / this.bitmap.length)));
    if (this.before.length > most) this.before.shift();
  }
}
