/** Regions: the drawing, on the reoriented grid, with undo and redo. */

import { freeColour } from "./region-colours";
import { History } from "./history";
import type { Picture } from "./picture";
import { type Point, fillPolygon } from "./polygon";
import { decodeRuns, encodeRuns } from "./run-lengths";
import type { Triple } from "./scene";
import type { SavedRegions } from "./session";
import { type Axis, SlicePlane, inPlane } from "./slice-plane";

export type Tool = "navigate" | "rectangle" | "ellipse" | "polygon" | "freehand" | "brush" | "eraser" | "ruler";

export interface Region {
  number: number;
  name: string;
  colour: string;
}

/** Labels of all voxels of a large scan that a drawing began with: a compressed image, also as text. */
export interface Loaded {
  blob: Blob;
  base64: string;
}

interface Drawing {
  bitmap: Uint8Array | null;
  list: Region[];
  loaded: Loaded | null;
}

const MOST_STEPS = 20;
/** Memory of the drawings before the last ones; at least one is kept. */
const MOST_STEP_BYTES = 2 ** 27;
const MOST_REGIONS = 255;

export class Regions {
  list: Region[];
  active = 1;
  tool: Tool = "navigate";
  brush = 3;
  /** One number for each voxel, or block of a large scan. */
  bitmap: Uint8Array | null = null;
  loaded: Loaded | null = null;
  private readonly history = new History<Drawing>(({ bitmap }) => Math.max(1, Math.min(MOST_STEPS, Math.floor(MOST_STEP_BYTES / (bitmap?.length || 1)))));
  private start: Triple | null = null;
  private last: Triple | null = null;
  private stroke: Uint8Array | null = null;

  private readonly changed: () => void;
  /** The drawing as text, until it changes: a crosshair that moves does not change it. */
  private encoded: string | null | undefined;

  constructor(
    changed: () => void,
    private readonly drawn: () => void,
    /** Colours that others have. */
    private readonly taken: string[] = [],
  ) {
    this.changed = () => {
      this.encoded = undefined;
      changed();
    };
    this.list = [this.made(1)];
  }

  get empty(): boolean {
    return !this.bitmap?.some((number) => number > 0);
  }

  get canUndo(): boolean {
    return this.history.canUndo;
  }

  get canRedo(): boolean {
    return this.history.canRedo;
  }

  colour(number: number): string {
    return this.list.find((region) => region.number === number)?.colour ?? freeColour([], number);
  }

  add(): void {
    const used = new Set(this.list.map(({ number }) => number));
    let number = 1;
    while (used.has(number)) number++;
    if (number > MOST_REGIONS) return;
    this.list = [...this.list, this.made(number)];
    this.active = number;
    this.changed();
  }

  rename(number: number, name: string): void {
    const taken = this.list.some((region) => region.number !== number && region.name === name);
    const unique = taken || !name ? `${name || "region"} ${number}` : name;
    this.list = this.list.map((region) => (region.number === number ? { ...region, name: unique } : region));
    this.changed();
  }

  recolour(number: number, colour: string): void {
    this.list = this.list.map((region) => (region.number === number ? { ...region, colour } : region));
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
    if (!this.list.length) this.list = [this.made(1)];
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
    this.restore(this.history.undo(this.now));
  }

  redo(): void {
    this.restore(this.history.redo(this.now));
  }

  /** Take the numbers of another image, on the reoriented grid; with colours of their own, unless some are given. */
  load(bitmap: Uint8Array, numbers: number[], names: Record<number, string>, loaded: Loaded | null, colour?: (number: number) => string): void {
    this.remember();
    this.bitmap = bitmap;
    this.loaded = loaded;
    this.list = [];
    for (const number of numbers) this.list.push({ ...this.made(number), name: names[number] ?? `region ${number}`, ...(colour && { colour: colour(number) }) });
    this.active = numbers[0] ?? 1;
    this.changed();
  }

  saved(): SavedRegions {
    if (this.encoded === undefined) this.encoded = this.bitmap && !this.empty ? encodeRuns(this.bitmap) : null;
    return { list: this.list, active: this.active, runs: this.encoded, loaded: this.loaded?.base64 ?? null };
  }

  /** Take a drawing of a session. Returns whether it is one of this grid. */
  take({ list, active, runs, loaded }: SavedRegions, count: number): boolean {
    const bitmap = runs === null ? null : decodeRuns(runs, count);
    if (runs !== null && !bitmap) return false;
    this.bitmap = bitmap;
    if (list.length) this.list = list;
    this.active = active;
    this.loaded = loaded ? { base64: loaded, blob: new Blob([Uint8Array.from(atob(loaded), (letter) => letter.charCodeAt(0))]) } : null;
    this.changed();
    return true;
  }

  /** Change the drawing in a way that can be undone; it is undone if the answer is 0. */
  edit(picture: Picture, change: (bitmap: Uint8Array, size: Triple) => number): number {
    const { grid } = picture;
    if (!grid) return 0;
    const bitmap = this.ready(picture);
    const kept = bitmap.slice();
    const n = change(bitmap, grid.size);
    if (n) {
      this.history.remember({ ...this.now, bitmap: kept });
      this.changed();
    }
    return n;
  }

  polygon(picture: Picture, axis: Axis, corners: Triple[]): void {
    const [u, v] = inPlane(axis);
    const points = corners.map((at): Point => [at[u], at[v]]);
    this.edit(picture, (bitmap, size) => {
      fillPolygon(bitmap, new SlicePlane(size, axis, (corners[0] as Triple)[axis]), points, this.active);
      return 1;
    });
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
    this.fetch(picture);
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
    this.fetch(picture);
    this.changed();
  }

  private shape(picture: Picture, shape: "rectangle" | "ellipse", from: Triple, to: Triple): void {
    const { niivue } = picture;
    niivue.opts.penSize = 1;
    if (shape === "rectangle") niivue.drawRectangleMask(from, to, this.active);
    else niivue.drawEllipseMask(from, to, this.active);
  }

  /** NiiVue draws into an array: make it use this one. */
  private ready(picture: Picture): Uint8Array {
    const { niivue, grid } = picture;
    if (!niivue.drawBitmap) {
      // NiiVue's own drawing is hidden: see outlines.ts.
      niivue.drawOpacity = 0;
      niivue.createEmptyDrawing();
    }
    this.bitmap ??= new Uint8Array(grid?.count ?? 0);
    niivue.drawBitmap = this.bitmap;
    return this.bitmap;
  }

  private fetch(picture: Picture): void {
    this.bitmap = picture.niivue.drawBitmap;
  }

  private made(number: number): Region {
    const used = [...this.taken, ...(this.list ?? []).map(({ colour }) => colour)];
    return { number, name: `region ${number}`, colour: freeColour(used, number) };
  }

  private get now(): Drawing {
    const { bitmap, list, loaded } = this;
    return { bitmap, list, loaded };
  }

  private restore(drawing: Drawing | undefined): void {
    if (!drawing) return;
    ({ bitmap: this.bitmap, list: this.list, loaded: this.loaded } = drawing);
    if (!this.list.some(({ number }) => number === this.active)) this.active = this.list[0]?.number ?? 1;
    this.changed();
  }

  /** Keep the drawing as it is, before it is changed. */
  private remember(): void {
    this.history.remember({ ...this.now, bitmap: this.bitmap?.slice() ?? null });
  }
}
