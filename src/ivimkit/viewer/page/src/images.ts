/** Images: all that can be a base or an overlay, with its range and colours. */

import type { Grade, MapInfo, Range, ResultInfo, ScanVolume, Scene } from "./scene";

/** A scan to flip through: the one that was fitted, or that before the steps. */
export type Flipped = "fitted" | "acquired";

/** An image that can be a base or an overlay. */
export interface ImageInfo {
  key: string;
  label: string;
  factor: number;
  unit: string;
  limits: Range;
  colormap: string;
  url: string;
  /** For one volume of a scan, which scan that is: there are many, and they are only bases. */
  single: Flipped | null;
  result: ResultInfo | null;
  map: MapInfo | null;
  /** What it is listed under, if it is neither of the scan nor of a result. */
  group?: string;
  /** For a status: the meaning of its numbers, from 1. */
  grades: Grade[] | null;
}

/** How an image is shown, in its stored unit. */
export interface Look {
  colormap: string;
  limits: Range;
  /** Values outside are transparent. */
  shown: Range;
}

export function statusKey(result: ResultInfo): string {
  return `${result.id}/status`;
}

/** Those of a study by their keys. */
export function imagesOf(scene: Scene): Map<string, ImageInfo> {
  const list = [
    ...scene.images.map((image) => ofScan(`scan/${image.id}`, image, null)),
    ...scene.volumes.map((volume) => ofScan(`volume/${volume.id}`, volume, "fitted")),
    ...scene.acquired.map((volume) => ofScan(`acquired/${volume.id}`, volume, "acquired")),
    ...scene.results.flatMap((result) => [...result.maps.map((map) => ofMap(`${result.id}/${map.name}`, map, result)), statusOf(result)]),
    ...scene.differences.flatMap(({ name, maps }) => maps.map((map) => ({ ...ofMap(map.url, map, null), group: `Difference: ${name}` }))),
  ];
  return new Map(list.map((image) => [image.key, image]));
}

function ofScan(key: string, { label, limits, url }: ScanVolume, single: Flipped | null): ImageInfo {
  return { key, label, factor: 1, unit: "a.u.", limits, colormap: "gray", url, single, result: null, map: null, grades: null };
}

function ofMap(key: string, map: MapInfo, result: ResultInfo | null): ImageInfo {
  const { label, factor, unit_shown, limits, colormap, url } = map;
  return { key, label, factor, unit: unit_shown, limits, colormap, url, single: null, result, map, grades: null };
}

function statusOf(result: ResultInfo): ImageInfo {
  const { grades, grades_url } = result;
  const key = statusKey(result);
  return { key, label: "status", factor: 1, unit: "", limits: [0, grades.length], colormap: key, url: grades_url, single: null, result, map: null, grades };
}

/** A range after a drag in a picture, in pixels: to the right it widens, up it rises. */
export function windowed([low, high]: Range, right: number, up: number): Range {
  const width = high - low;
  const middle = (low + high) / 2 + (width * up) / PIXELS_PER_WIDTH;
  const half = (width / 2) * 2 ** (right / PIXELS_PER_DOUBLING);
  return [middle - half, middle + half];
}

const PIXELS_PER_WIDTH = 300;
const PIXELS_PER_DOUBLING = 150;

/** An image that was opened in the page. */
export function openedImage(name: string, group: string, limits: Range): ImageInfo {
  const key = `opened/${group}/${name}`;
  return { key, label: name, factor: 1, unit: "", limits, colormap: "gray", url: key, single: null, result: null, map: null, grades: null, group };
}

export function isOpened({ url }: ImageInfo): boolean {
  return url.startsWith("opened/");
}

const SAMPLE = 50_000;
const OUTLIERS = 0.005;

/** A range that holds nearly all values. */
export function rangeOf(values: ArrayLike<number>): Range {
  const step = Math.max(1, Math.floor(values.length / SAMPLE));
  const known: number[] = [];
  for (let i = 0; i < values.length; i += step) if (Number.isFinite(values[i])) known.push(values[i] as number);
  known.sort((a, b) => a - b);
  const at = (share: number): number => known[Math.round(share * (known.length - 1))] ?? 0;
  const [low, high] = [Math.min(0, at(OUTLIERS)), at(1 - OUTLIERS)];
  return high > low ? [low, high] : [low, low + 1];
}
