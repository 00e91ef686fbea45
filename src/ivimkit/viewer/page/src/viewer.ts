/** Viewer: the state of the display. Panels change it by its methods and listen for changes. */

import { blockCounts, isThinned } from "./blocks";
import { gradesLut, withFaded, withTransparentZero } from "./colours";
import type { Field, Layout, Picture } from "./picture";
import { type ImageInfo, type Look, imagesOf, isOpened, windowed } from "./images";
import type { Lut, ResultInfo, Scene, Triple } from "./scene";
import type { SavedView } from "./session";
import { ExactValues } from "./exact";
import { HEADER, type Values, type Volume, Volumes, gradedBytes, scaled, scaledAndFaded } from "./volume";

export type Topic = "voxel" | "images" | "layout" | "looks" | "values" | "field" | "list";

export interface View {
  picture: Picture;
  overlay: string | null;
  visible: boolean;
}

/**
 * Memory of volumes: of most scans all of them, of 256 x 256 x 54 voxels, 14 MB each, 37. No image
 * has more than 67 MB, see shown_grid.py: those of two pictures always have room.
 */
const MOST_BYTES = 2 ** 29;
const OPACITY = 0.75;

export class Viewer {
  readonly images: Map<string, ImageInfo>;
  readonly views: View[] = [];
  base: string;
  voxel: Triple;
  layout: Layout = "planes";
  opacity = OPACITY;
  radiological = true;
  smooth = false;
  /** Whether the crosshair is drawn. */
  crosshair = true;
  /** Whether values that the data do not determine are faded. */
  fading = true;
  private readonly looks = new Map<string, Look>();
  /** Ranges from a drag that are not drawn yet. */
  private readonly dragged = new Map<string, Partial<Look>>();
  private readonly volumes: Volumes;
  private readonly listeners: [Topic, () => void][] = [];
  private readonly values = new Map<string, Volume>();
  private readonly doubtful = new Map<string, Values>();
  /** Of a large scan, whose images do not have every voxel. */
  private readonly exact: ExactValues | null;

  constructor(
    readonly scene: Scene,
    readonly fail: (error: unknown) => void,
  ) {
    const largest = HEADER + 4 * blockCounts(scene).reduce((product, n) => product * n, 1);
    this.volumes = new Volumes(MOST_BYTES, largest);
    this.exact = isThinned(scene) ? new ExactValues(() => this.tell("values"), fail) : null;
    this.images = imagesOf(scene);
    const keys = [...this.images.keys()];
    this.base = keys.find((key) => this.image(key).colormap === "gray") ?? (keys[0] as string);
    this.voxel = scene.tissue.start;
  }

  on(topics: Topic[], listener: () => void): void {
    for (const topic of topics) this.listeners.push([topic, listener]);
  }

  image(key: string): ImageInfo {
    const found = this.images.get(key);
    if (!found) throw new Error(`there is no image ${key}`);
    return found;
  }

  look(key: string): Look {
    const { limits, colormap } = this.image(key);
    return this.looks.get(key) ?? { colormap, limits, shown: [-Infinity, Infinity] };
  }

  lut(name: string): Lut {
    const grades = this.images.get(name)?.grades;
    if (grades) return gradesLut(grades);
    const found = this.scene.colormaps[name] ?? this.scene.colormaps.gray;
    if (!found) throw new Error(`there are no colours ${name}`);
    return found;
  }

  /** The map to look at first: that of the tissue, or what there is. */
  favourite(result: ResultInfo): string {
    const map = result.maps.find(({ name }) => name === result.favourite) ?? result.maps[0];
    return `${result.id}/${map?.name}`;
  }

  async add(picture: Picture, overlay: string | null): Promise<void> {
    const view: View = { picture, overlay, visible: true };
    this.views.push(view);
    picture.setVoxel(this.voxel);
    const key = this.base;
    const [first] = this.views;
    // The overlay is fetched while the base image is drawn.
    const volumes = [this.volume(key), ...(overlay ? [this.volume(overlay)] : [])];
    await picture.start();
    picture.setLayout(this.layout);
    picture.setRadiological(this.radiological);
    picture.setSmooth(this.smooth);
    picture.setCrosshair(this.crosshair);
    await Promise.all(volumes);
    // Another one may have been chosen while this one was being fetched.
    while (!picture.grid) await this.showBase(view);
    if (first && first !== view) picture.field = first.picture.field;
    await this.showOverlay(view);
    this.tell("images");
  }

  remove(view: View): void {
    this.views.splice(this.views.indexOf(view), 1);
    view.picture.end();
    this.tell("images");
  }

  async setBase(key: string): Promise<void> {
    this.base = key;
    this.tell("images");
    await this.attempt(() => Promise.all(this.views.map((view) => this.showBase(view))));
    this.tell("images");
  }

  async setOverlay(view: View, key: string | null): Promise<void> {
    view.overlay = key;
    if (key) view.visible = true;
    this.tell("images");
    await this.attempt(() => this.showOverlay(view));
    this.tell("images");
  }

  async setLook(key: string, look: Partial<Look>): Promise<void> {
    // One quantity has one scale, whichever result it is from: otherwise the eye compares scales.
    const name = this.image(key).map?.name;
    const alike = [...this.images.values()].filter((image) => image.key === key || (name && image.map?.name === name));
    for (const image of alike) this.looks.set(image.key, { ...this.look(image.key), ...look });
    await this.attempt(async () => {
      for (const view of this.views) {
        if (alike.some((image) => image.key === this.base)) await this.showBase(view);
        if (alike.some((image) => image.key === view.overlay)) await this.showOverlay(view);
      }
    });
    this.tell("looks");
  }

  resetLook(key: string): Promise<void> {
    const { limits, colormap } = this.image(key);
    return this.setLook(key, { limits, colormap, shown: [-Infinity, Infinity] });
  }

  setOpacity(opacity: number): void {
    this.opacity = Math.min(1, Math.max(0, opacity));
    for (const view of this.views) view.picture.setOpacity(view.visible ? this.opacity : 0);
    this.tell("looks");
  }

  setVisible(view: View, visible: boolean): void {
    view.visible = visible;
    view.picture.setOpacity(visible ? this.opacity : 0);
    this.tell("images");
  }

  setRadiological(on: boolean): void {
    this.radiological = on;
    for (const { picture } of this.views) picture.setRadiological(on);
    this.tell("layout");
  }

  setSmooth(on: boolean): void {
    this.smooth = on;
    for (const { picture } of this.views) picture.setSmooth(on);
    this.tell("looks");
  }

  async setFading(on: boolean): Promise<void> {
    this.fading = on;
    await this.attempt(async () => {
      await Promise.all(this.views.flatMap((view) => [this.showBase(view), this.showOverlay(view)]));
    });
    this.tell("looks");
  }

  setCrosshair(on: boolean): void {
    this.crosshair = on;
    for (const { picture } of this.views) picture.setCrosshair(on);
    this.tell("looks");
  }

  /** Show what a session holds, before there is a picture. */
  adopt(saved: SavedView): void {
    const { voxel, layout, base, looks, opacity, radiological, smooth, fading, crosshair } = saved;
    Object.assign(this, { voxel, layout, opacity, radiological, smooth, fading, crosshair });
    if (this.images.has(base)) this.base = base;
    for (const [key, look] of looks) if (this.images.has(key) && look.colormap in this.scene.colormaps) this.looks.set(key, look);
  }

  saved(): Omit<SavedView, "arrangement"> {
    const { voxel, layout, base, opacity, radiological, smooth, fading, crosshair } = this;
    const overlays = this.views.map(({ overlay, visible }) => ({ key: overlay, visible }));
    const field: Field = this.views[0]?.picture.field ?? [0, 0, 0, 1];
    return { voxel, layout, base, overlays, looks: [...this.looks], opacity, radiological, smooth, fading, crosshair, field };
  }

  setLayout(layout: Layout): void {
    this.layout = layout;
    for (const { picture } of this.views) picture.setLayout(layout);
    this.tell("layout");
  }

  /** Zoom all pictures alike, at the crosshair; 0 shows the whole field of view. */
  zoom(factor: number): void {
    this.views[0]?.picture.zoom(factor);
    this.share(this.views[0]?.picture);
  }

  /** Zoom to the voxels with a fit. */
  zoomToTissue(): void {
    const [view] = this.views;
    const { low, high } = this.scene.tissue;
    const grid = view?.picture.grid;
    if (!grid) return;
    const ends = [grid.toTurned(low), grid.toTurned(high)] as const;
    const [first, last] = [Math.min, Math.max].map((pick) => [0, 1, 2].map((k) => pick(ends[0][k] as number, ends[1][k] as number)) as Triple) as [Triple, Triple];
    view.picture.zoomTo(first, last);
    this.share(view.picture);
  }

  /** Move what is shown, from one position on the page to another, in all pictures alike. */
  pan(picture: Picture, from: [number, number], to: [number, number]): void {
    picture.pan(from, to);
    this.share(picture);
  }

  /** Give the zoom of a picture to all others. */
  share(picture: Picture | undefined): void {
    if (!picture) return;
    for (const view of this.views) if (view.picture !== picture) view.picture.field = picture.field;
    this.tell("field");
  }

  /** The images whose range a drag sets: the overlays, or the base where none is seen. */
  windowedNow(): string[] {
    const seen = this.views.flatMap(({ overlay, visible }) => (overlay && visible && !this.image(overlay).grades ? [overlay] : []));
    return seen.length ? seen : [this.base];
  }

  /**
   * Set the range of an image to that before a drag, changed by the pixels of the drag. Drawn once
   * for each frame, however fast the pointer is.
   */
  window(key: string, before: Look, right: number, up: number): void {
    if (!this.dragged.size) requestAnimationFrame(() => void this.drawDragged());
    this.dragged.set(key, { limits: windowed(before.limits, right, up) });
  }

  private async drawDragged(): Promise<void> {
    const all = [...this.dragged];
    this.dragged.clear();
    for (const [key, look] of all) await this.setLook(key, look);
  }

  setVoxel(voxel: Triple): void {
    const inside = voxel.map((i, k) => Math.min((this.scene.shape[k] as number) - 1, Math.max(0, i))) as Triple;
    if (inside.every((i, k) => i === this.voxel[k])) return;
    this.voxel = inside;
    for (const { picture } of this.views) picture.setVoxel(inside);
    this.tell("voxel");
  }

  /** Move along the turned axes: right, anterior, superior. */
  move(steps: Triple): void {
    const grid = this.views[0]?.picture.grid;
    if (!grid) return;
    this.setVoxel(grid.further(this.voxel, steps));
  }

  /** The shown value of an image at the crosshair, if it has been fetched. */
  valueOf(key: string): number | undefined {
    const grid = this.views[0]?.picture.grid;
    const value = this.exact && !isOpened(this.image(key)) ? this.exact.value(key) : grid ? this.values.get(key)?.values[grid.offset(this.voxel)] : undefined;
    return value === undefined ? undefined : value * this.image(key).factor;
  }

  /** Whether the value of an image at the crosshair is one that the data do not determine. */
  doubts(key: string): boolean {
    if (this.exact) return this.exact.doubts(key);
    const grid = this.views[0]?.picture.grid;
    const where = this.doubtful.get(key);
    return Boolean(grid && where?.[grid.offset(this.voxel)]);
  }

  /** Add an image that was opened in the page, on the grid of the scan. */
  open(image: ImageInfo, volume: Volume): void {
    this.images.set(image.key, image);
    this.volumes.put(image.url, volume);
    this.tell("list");
  }

  async volume(key: string): Promise<Volume> {
    const { url, map } = this.image(key);
    const [volume, doubtful] = await Promise.all([this.volumes.get(url), map?.doubtful ? this.volumes.get(map.doubtful.url) : null]);
    this.values.set(key, volume);
    if (doubtful) this.doubtful.set(key, doubtful.values);
    return volume;
  }

  private async showBase(view: View): Promise<void> {
    const key = this.base;
    const volume = await this.volume(key);
    // A picture that is still being set up shows what is chosen then: see add().
    if (key !== this.base || !view.picture.started) return;
    const { bytes, name } = this.coloured(key, volume);
    await view.picture.setBase(volume, bytes, name, this.scene);
  }

  private async showOverlay(view: View): Promise<void> {
    const key = view.overlay;
    if (!key) {
      view.picture.setOpacity(0);
      return;
    }
    const volume = await this.volume(key);
    // Something else may have been chosen while this one was being fetched.
    if (key !== view.overlay || !view.picture.grid) return;
    const { bytes, name } = this.coloured(key, volume);
    await view.picture.setOverlay(volume, bytes, name, view.visible ? this.opacity : 0);
  }

  /** The bytes of an image and the colours they represent. */
  private coloured(key: string, { values }: Volume): { bytes: Uint8Array; name: string } {
    const { limits, shown, colormap } = this.look(key);
    const lut = this.lut(colormap);
    if (this.image(key).grades) return { bytes: gradedBytes(values), name: withTransparentZero(colormap, lut) };
    const doubtful = this.fading ? this.doubtful.get(key) : undefined;
    if (doubtful) return { bytes: scaledAndFaded(values, doubtful, limits, shown), name: withFaded(colormap, lut) };
    return { bytes: scaled(values, limits, shown), name: withTransparentZero(colormap, lut) };
  }

  /** Keep the values of the images shown; the others remain in the cache, which may drop them. */
  private forget(): void {
    const shown = new Set([this.base, ...this.views.map((view) => view.overlay)]);
    for (const kept of [this.values, this.doubtful]) for (const key of kept.keys()) if (!shown.has(key)) kept.delete(key);
    for (const key of this.values.keys()) {
      const { url, map } = this.image(key);
      for (const used of [url, map?.doubtful?.url]) if (used) this.volumes.use(used);
    }
  }

  private async attempt(what: () => Promise<unknown>): Promise<void> {
    try {
      await what();
    } catch (error) {
      this.fail(error);
    }
  }

  private tell(topic: Topic): void {
    if (topic === "images") this.forget();
    if (topic === "images" || topic === "voxel") this.exact?.ask(this.voxel, [this.base, ...this.views.map((view) => view.overlay)].flatMap((key) => (key && !isOpened(this.image(key)) ? [this.image(key)] : [])));
    for (const [about, listener] of this.listeners) if (about === topic) listener();
  }
}
