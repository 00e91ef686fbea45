/** Picture: the slices of one base image and one overlay, drawn by NiiVue, with regions on top. */

import { DRAG_MODE, NVImage, Niivue, SHOW_RENDER, SLICE_TYPE } from "@niivue/niivue";

import type { Blocks } from "./blocks";
import { element } from "./dom";
import { Grid } from "./grid";
import { drawCrosshair, drawLetters } from "./marks";
import { type Sheet, mosaic, planes } from "./slice-layout";
import { type Layer, type Tile, drawOutlines } from "./outlines";
import { type Axis, inPlane } from "./slice-plane";
import type { Triple } from "./scene";
import { type Sketch, drawSketch } from "./sketch";
import { type Volume, bytesOnGrid } from "./volume";

export type Layout = "planes" | "axial" | "coronal" | "sagittal" | "mosaic";

const AXES = [2, 1, 0] as const; // across axial, coronal, sagittal slices
const KINDS = [SLICE_TYPE.SAGITTAL, SLICE_TYPE.CORONAL, SLICE_TYPE.AXIAL] as const; // of slices across x, y, z
const SINGLE = { axial: SLICE_TYPE.AXIAL, coronal: SLICE_TYPE.CORONAL, sagittal: SLICE_TYPE.SAGITTAL } as const;

const MOST_ZOOM = 12;
/** How much of the picture a box fills that is zoomed to. */
const BOX_SHARE = 0.92;

/** What is seen of the slices: x, y, z of a shift in mm, and the zoom. */
export type Field = [number, number, number, number];

export interface Hit {
  voxel: Triple; // turned
  /** The same, between voxels: 2.5 is the middle of voxel 2. */
  at: Triple;
  axis: Axis;
}

export class Picture {
  readonly root: HTMLElement;
  readonly canvas = element("canvas", { tabindex: 0 });
  readonly niivue: Niivue;
  /** Whether it can show something. */
  started = false;
  grid: Grid | null = null;
  private readonly above = element("canvas", { class: "above", "aria-hidden": "true" });
  private base: NVImage | null = null;
  private overlay: NVImage | null = null;
  /** The first image of each kind, from when it is begun: a second one may come before it is made. */
  private making: { base?: Promise<NVImage>; overlay?: Promise<NVImage> } = {};
  private layers: Layer[] = [];
  private sketches: Sketch[] = [];
  /** Whether the crosshair is drawn. */
  private crossed = true;
  private waiting = false;
  private layout: Layout = "planes";
  /** Whether slices have moved since they were drawn. */
  private moved = false;
  private voxel: Triple = [0, 0, 0];
  private radiological = true;
  /** Whether the patient's left and right are known. */
  private lettered = true;

  constructor(label: string) {
    this.canvas.setAttribute("aria-label", label);
    // It handles arrow keys, which screen readers must pass on.
    this.canvas.setAttribute("role", "application");
    this.root = element("div", { class: "slices" }, this.canvas, this.above);
    this.niivue = new Niivue({
      // Pointers and keys are handled in pointer.ts and keyboard.ts, the same way for all pictures.
      interactive: false,
      isRadiologicalConvention: true,
      multiplanarShowRender: SHOW_RENDER.NEVER,
      dragMode: DRAG_MODE.none,
      isNearestInterpolation: true,
      backColor: [0, 0, 0, 1],
      // Crosshair and letters are drawn above it, one screen pixel wide and sharp: see marks.ts.
      crosshairWidth: 0,
      isOrientationTextVisible: false,
      loadingText: "",
      dragAndDropEnabled: false,
      logLevel: "error",
      tileMargin: 4,
    });
  }

  async start(): Promise<void> {
    const { niivue } = this;
    // There are no meshes, so nothing to compile for them.
    niivue.meshShaders = [];
    await niivue.attachToCanvas(this.canvas, false);
    this.canvas.style.touchAction = "none";
    this.skipGradients();
    // NiiVue resizes itself; its overlays and the layout follow here.
    new ResizeObserver(() => this.arrange()).observe(this.root);
    this.started = true;
  }

  /** Remove it from the page and free its memory. */
  end(): void {
    this.root.remove();
    this.niivue.cleanup();
    this.niivue.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  /** Show bytes as the base image; the first ones determine the grid. */
  async setBase(volume: Volume, bytes: Uint8Array, colormap: string, blocks: Blocks): Promise<void> {
    const base = await (this.making.base ??= this.image(volume, bytes, colormap));
    if (!this.base) {
      this.base = base;
      this.grid = new Grid(this.base, blocks);
      this.lettered = isPlaced(this.base);
      this.setRadiological(this.radiological);
      this.niivue.volumes = [this.base];
      this.niivue.setVolume(this.base, 0);
      this.setVoxel(this.voxel);
      this.arrange();
      return;
    }
    base.img = bytes;
    base.colormap = colormap;
    this.niivue.refreshLayers(base, 0);
    this.draw();
  }

  async setOverlay(volume: Volume, bytes: Uint8Array, colormap: string, opacity: number): Promise<void> {
    const overlay = await (this.making.overlay ??= this.image(volume, bytes, colormap));
    if (!this.overlay) {
      this.overlay = overlay;
      this.overlay.opacity = opacity;
      this.niivue.volumes = this.base ? [this.base, this.overlay] : [this.overlay];
      this.niivue.overlays = this.base ? [this.overlay] : [];
    }
    overlay.img = bytes;
    overlay.colormap = colormap;
    overlay.opacity = opacity;
    this.niivue.refreshLayers(overlay, 1);
    this.draw();
  }

  setOpacity(opacity: number): void {
    if (!this.overlay || this.overlay.opacity === opacity) return;
    this.overlay.opacity = opacity;
    this.niivue.refreshLayers(this.overlay, 1);
    this.draw();
  }

  get mirrored(): boolean {
    return this.radiological && this.lettered;
  }

  setSmooth(on: boolean): void {
    this.niivue.setInterpolation(!on);
  }

  /** An image without a position is never mirrored: it is shown as stored, as in the figures. */
  setRadiological(on: boolean): void {
    this.radiological = on;
    this.niivue.opts.isRadiologicalConvention = this.mirrored;
    this.moved = true;
    this.draw();
  }

  setLayers(layers: Layer[]): void {
    this.layers = layers;
    this.draw();
  }

  setSketches(sketches: Sketch[]): void {
    this.sketches = sketches;
    this.draw();
  }

  setCrosshair(on: boolean): void {
    this.crossed = on;
    this.draw();
  }

  setVoxel(stored: Triple): void {
    this.voxel = stored;
    if (!this.grid) return;
    const { crosshairPos } = this.niivue.scene;
    this.grid.position(stored).forEach((index, axis) => (crosshairPos[axis] = (index + 0.5) / (this.grid?.size[axis] ?? 1)));
    this.draw();
  }

  setLayout(layout: Layout): void {
    this.layout = layout;
    this.arrange();
  }

  /** Draw before the next frame, once however many changes there are. */
  draw(): void {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => this.drawNow());
  }

  drawNow(): void {
    this.waiting = false;
    this.moved = false;
    if (!this.base) return;
    this.niivue.drawScene();
    this.drawAbove();
  }

  /** Both canvases, drawn now. */
  drawings(): HTMLCanvasElement[] {
    this.drawNow();
    return [this.canvas, this.above];
  }

  /** Both canvases in one, drawn with more pixels. */
  enlarged(times: number): HTMLCanvasElement {
    const { niivue } = this;
    const copy = document.createElement("canvas");
    try {
      niivue.opts.forceDevicePixelRatio = times * (devicePixelRatio || 1);
      niivue.resizeListener();
      const layers = this.drawings();
      [copy.width, copy.height] = [this.canvas.width, this.canvas.height];
      // In the same turn of the event loop: later the browser has discarded the pixels.
      for (const layer of layers) copy.getContext("2d")?.drawImage(layer, 0, 0);
    } finally {
      niivue.opts.forceDevicePixelRatio = 0;
      niivue.resizeListener();
      this.draw();
    }
    return copy;
  }

  /** The voxel at a position on the page, if any. */
  hit(clientX: number, clientY: number, only?: Axis): Hit | null {
    const { grid, niivue } = this;
    if (!grid) return null;
    if (this.moved) this.drawNow();
    const [x, y] = this.onCanvas(clientX, clientY);
    for (let i = 0; i < niivue.screenSlices.length; i++) {
      const kind = niivue.screenSlices[i]?.axCorSag ?? SLICE_TYPE.RENDER;
      const axis = AXES[kind as Axis];
      if (axis === undefined || (only !== undefined && axis !== only)) continue;
      const at = niivue.screenXY2TextureFrac(x, y, i, true);
      if ((at[0] as number) < 0) continue;
      const voxel = grid.size.map((n, k) => Math.min(n - 1, Math.floor((at[k] as number) * n))) as Triple;
      return { voxel, axis, at: grid.size.map((n, k) => (at[k] as number) * n) as Triple };
    }
    return null;
  }

  zoom(factor: number): void {
    const pan = this.niivue.scene.pan2Dxyzmm;
    const before = pan[3] as number;
    const after = Math.min(MOST_ZOOM, Math.max(1, before * factor));
    const centre = this.niivue.frac2mm(this.niivue.scene.crosshairPos);
    // Keeps the crosshair in place; at full view the picture is centred again.
    for (let k = 0; k < 3; k++) pan[k] = after === 1 ? 0 : (pan[k] as number) + (before - after) * (centre[k] as number);
    pan[3] = after;
    this.moved = true;
    this.draw();
  }

  /** What is seen of the slices: a shift in mm, and the zoom. */
  get field(): Field {
    return [...this.niivue.scene.pan2Dxyzmm] as Field;
  }

  set field(field: Field) {
    field.forEach((part, k) => (this.niivue.scene.pan2Dxyzmm[k] = part));
    this.moved = true;
    this.draw();
  }

  /** Zoom so that a box of turned indices, ends included, fills the picture. */
  zoomTo(low: Triple, high: Triple): void {
    const { grid } = this;
    if (!grid) return;
    const shares = grid.size.map((n, k) => ((high[k] as number) - (low[k] as number) + 1) / n);
    // There are few slices, and all of them may have tissue: the plane of a slice counts.
    const zoom = Math.min(MOST_ZOOM, Math.max(1, BOX_SHARE / Math.max(shares[0] as number, shares[1] as number)));
    const at = grid.size.map((n, k) => ((low[k] as number) + (high[k] as number) + 1) / 2 / n) as Triple;
    const [middle, centre] = [this.niivue.frac2mm([0.5, 0.5, 0.5]), this.niivue.frac2mm(at)];
    const shift = [0, 1, 2].map((k) => (zoom === 1 ? 0 : (middle[k] as number) - zoom * (centre[k] as number))) as Triple;
    this.field = [...shift, zoom];
  }

  pan(from: [number, number], to: [number, number]): void {
    this.niivue.uiData.pan2DxyzmmAtMouseDown = this.field;
    this.niivue.dragForPanZoom([...this.onCanvas(...from), ...this.onCanvas(...to)]);
    this.moved = true;
    this.draw();
  }

  /**
   * NiiVue computes gradients of every base image, for lighting in 3-D rendering. Nothing is
   * rendered here, and without a graphics card they take most of the time: keep them tiny.
   */
  private skipGradients(): void {
    const { niivue } = this;
    const { gl } = niivue;
    const make = niivue.rgbaTex.bind(niivue);
    niivue.rgbaTex = (texture, unit, size, start) => {
      const gradient = unit === gl.TEXTURE6 || unit === gl.TEXTURE8;
      return make(texture, unit, gradient ? [3, 2, 2, size[3] ?? 1] : size, start);
    };
  }

  private image(volume: Volume, bytes: Uint8Array, colormap: string): Promise<NVImage> {
    const url = bytesOnGrid(volume, bytes);
    return NVImage.loadFromUrl({ url, name: "volume.nii", colormap, cal_min: 0, cal_max: 255, colorbarVisible: false });
  }

  private onCanvas(clientX: number, clientY: number): [number, number] {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / Math.max(1, box.width);
    return [(clientX - box.left) * scale, (clientY - box.top) * scale];
  }

  private arrange(): void {
    const { niivue, grid } = this;
    if (!grid) return;
    const { clientWidth: width, clientHeight: height } = this.root;
    const sheet: Sheet = { width, height, extent: this.extent() };
    niivue.opts.sliceMosaicString = this.layout === "mosaic" ? this.mosaicText(sheet) : "";
    niivue.customLayout = [];
    if (this.layout === "planes") {
      niivue.customLayout = planes(sheet).map(({ axis, position }) => ({ sliceType: KINDS[axis], position }));
    } else if (this.layout !== "mosaic") {
      niivue.opts.sliceType = SINGLE[this.layout];
    }
    this.moved = true;
    this.draw();
  }

  /** Sides of the whole grid, in mm. */
  private extent(): Triple {
    const low = this.niivue.frac2mm([0, 0, 0]);
    const high = this.niivue.frac2mm([1, 1, 1]);
    return [0, 1, 2].map((k) => Math.abs((high[k] as number) - (low[k] as number))) as Triple;
  }

  /** What NiiVue calls a mosaic: where axial slices are in mm, with a semicolon before each further row. */
  private mosaicText(sheet: Sheet): string {
    const { grid, niivue } = this;
    if (!grid) return "";
    const n = grid.size[2];
    const { slices, columns } = mosaic(sheet, n);
    const places = slices.map((slice, i) => {
      const mm = niivue.frac2mm([0.5, 0.5, (slice + 0.5) / n])[2] as number;
      return `${i && i % columns === 0 ? "; " : ""}${mm.toFixed(3)}`;
    });
    return `A ${places.join(" ")}`;
  }

  private tiles(): Tile[] {
    const { niivue, grid } = this;
    if (!grid) return [];
    return niivue.screenSlices.flatMap((screen, i): Tile[] => {
      const axis = AXES[screen.axCorSag as Axis];
      const [left = 0, top = 0, wide = 0, high = 0] = screen.leftTopWidthHeight;
      if (axis === undefined || !wide || !high) return [];
      // NiiVue's own mapping at two positions inside; it is linear. At the very edge, rounding may
      // put a position outside.
      const left0 = Math.min(left, left + wide);
      const width = Math.abs(wide);
      const [x0, x1] = [left0 + width / 4, left0 + (3 * width) / 4];
      const [y0, y1] = [top + high / 4, top + (3 * high) / 4];
      const from = niivue.screenXY2TextureFrac(x0, y0, i, false);
      const to = niivue.screenXY2TextureFrac(x1, y1, i, false);
      const [u, v] = inPlane(axis);
      const line = (k: number, start: number, end: number): ((index: number) => number) => {
        const [a, b] = [from[k] as number, to[k] as number];
        const n = grid.size[k] as number;
        return (index) => start + ((index / n - a) / (b - a)) * (end - start);
      };
      const [placeU, placeV] = [line(u, x0, x1), line(v, y0, y1)];
      return [{
        axis,
        slice: Math.min((grid.size[axis] as number) - 1, Math.floor(screen.sliceFrac * (grid.size[axis] as number))),
        place: (a, b) => [placeU(a), placeV(b)],
        box: [left0, top, width, high],
      }]; // prettier-ignore
    });
  }

  private drawAbove(): void {
    const { above, canvas, grid } = this;
    if (above.width !== canvas.width || above.height !== canvas.height) {
      above.width = canvas.width;
      above.height = canvas.height;
    }
    const context = above.getContext("2d");
    if (!context || !grid) return;
    context.clearRect(0, 0, above.width, above.height);
    const scale = canvas.width / Math.max(1, canvas.clientWidth);
    const tiles = this.tiles();
    for (const layer of this.layers) {
      for (const tile of tiles) drawOutlines(context, tile, grid.size, layer, 1.5 * scale);
    }
    const [voxel, here] = [grid.toTurned(this.voxel), grid.position(this.voxel)];
    const mosaic = this.layout === "mosaic";
    for (const tile of tiles) {
      for (const sketch of this.sketches) drawSketch(context, tile, sketch, scale);
      if (this.crossed && (tile.slice === voxel[tile.axis] || !mosaic)) drawCrosshair(context, tile, here, scale, mosaic);
    }
    if (this.lettered) for (const tile of mosaic ? tiles.slice(0, 1) : tiles) drawLetters(context, tile, grid.size, scale);
  }
}

/** An array without a position has the identity as its affine: left and right are unknown. */
function isPlaced({ hdr }: NVImage): boolean {
  return hdr?.affine.some((row, i) => row.some((value, k) => value !== (i === k ? 1 : 0))) ?? false;
}
