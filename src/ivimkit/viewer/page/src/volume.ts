/** Volumes: NIfTI files from the server as arrays, and as bytes for NiiVue. */

import { isNIFTI, readHeader } from "nifti-reader-js";
import { ServerError, getBytes } from "./server";
import type { Range } from "./scene";

export type Values = Float32Array | Float64Array | Int32Array | Int16Array | Uint8Array;

export interface Volume {
  /** The bytes before the voxels. */
  header: Uint8Array;
  values: Values;
}

const ARRAYS: Record<number, new (bytes: ArrayBuffer, offset: number, length: number) => Values> = {
  2: Uint8Array,
  4: Int16Array,
  8: Int32Array,
  16: Float32Array,
  64: Float64Array,
};
export const HEADER = 352;

export function parse(bytes: ArrayBuffer, name: string): Volume {
  const header = isNIFTI(bytes) ? readHeader(bytes) : null;
  const array = header && ARRAYS[header.datatypeCode];
  if (!header || !array) throw new ServerError(`${name} is not an image that can be shown.`);
  const count = header.dims.slice(1, 1 + (header.dims[0] as number)).reduce((product, n) => product * n, 1);
  // No copy: the header is part of the same bytes.
  return { header: new Uint8Array(bytes, 0, HEADER), values: new array(bytes, header.vox_offset, count) };
}

/** Fetches volumes and keeps the most recently used. */
export class Volumes {
  private readonly own = new Map<string, Promise<Volume>>();
  private readonly kept = new Map<string, { volume: Promise<Volume>; bytes: number }>();

  constructor(
    /** Bytes of all volumes that are kept, those that are being fetched among them. */
    private readonly most: number,
    /** Bytes of the largest of them. */
    private readonly largest: number,
  ) {}

  get(url: string): Promise<Volume> {
    const own = this.own.get(url);
    if (own) return own;
    const found = this.kept.get(url) ?? this.fetched(url);
    this.kept.delete(url);
    this.kept.set(url, found);
    this.drop();
    return found.volume;
  }

  /** Keep one that the server does not have. */
  put(url: string, volume: Volume): void {
    this.own.set(url, Promise.resolve(volume));
  }

  /** Drop this one last, if it is kept. */
  use(url: string): void {
    const found = this.kept.get(url);
    if (!found) return;
    this.kept.delete(url);
    this.kept.set(url, found);
  }

  private fetched(url: string): { volume: Promise<Volume>; bytes: number } {
    const entry = { volume: getBytes(url).then((bytes) => parse(bytes, url)), bytes: this.largest };
    entry.volume.then(
      ({ values }) => (entry.bytes = values.buffer.byteLength),
      () => this.kept.get(url) === entry && this.kept.delete(url),
    );
    return entry;
  }

  private drop(): void {
    let bytes = 0;
    for (const entry of this.kept.values()) bytes += entry.bytes;
    for (const [url, entry] of this.kept) {
      // The one that is wanted now is the last.
      if (bytes <= this.most || this.kept.size === 1) return;
      this.kept.delete(url);
      bytes -= entry.bytes;
    }
  }
}

/** A NIfTI file of bytes on the grid of another volume. */
export function bytesOnGrid(grid: Volume, bytes: Uint8Array): ArrayBuffer {
  const file = new Uint8Array(HEADER + bytes.length);
  file.set(grid.header);
  file.set(bytes, HEADER);
  const view = new DataView(file.buffer);
  const little = view.getInt32(0, true) === 348;
  view.setInt16(70, 2, little); // datatype: unsigned bytes
  view.setInt16(72, 8, little); // bits per voxel
  view.setFloat32(108, HEADER, little); // where the voxels begin
  view.setFloat32(112, 1, little); // slope
  view.setFloat32(116, 0, little); // intercept
  view.setFloat32(124, 255, little); // largest value shown
  view.setFloat32(128, 0, little); // smallest value shown
  return file.buffer;
}

/**
 * Map every value to a scale of 1 to 255; 0, which is transparent, is "no value" or "hidden".
 * NiiVue itself has no colour for "not a number", and a quarter of the bytes is faster to draw.
 */
export function scaled(values: Values, limits: Range, shown: Range, first = 1, last = 255): Uint8Array {
  const [low, high] = limits;
  const [least, most] = shown;
  const steps = last - first;
  const factor = steps / (high > low ? high - low : 1);
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    // False for "not a number", too.
    if (value >= least && value <= most) {
      const step = (value - low) * factor;
      bytes[i] = step <= 0 ? first : step >= steps ? last : step + first + 0.5;
    }
  }
  return bytes;
}

/**
 * Of 1 to 255: the last byte for reliable values, where others are faded, and the first for those.
 * Between them is a gap, because NiiVue blends neighbouring colours of a table.
 */
export const LAST_TRUSTED = 187;
export const FIRST_FADED = 196;
/** Bytes from one grade of a status to the next, for the same reason. */
export const GRADE_STEP = 8;

/** Map every grade to the middle of its bytes. */
export function gradedBytes(values: Values): Uint8Array {
  return Uint8Array.from(values, (value: number) => (value ? value * GRADE_STEP : 0));
}

/** The same, with the upper bytes for values that the data do not determine. */
export function scaledAndFaded(values: Values, doubtful: Values, limits: Range, shown: Range): Uint8Array {
  const bytes = scaled(values, limits, shown, 1, LAST_TRUSTED);
  const faded = scaled(values, limits, shown, FIRST_FADED, 255);
  for (let i = 0; i < bytes.length; i++) if (doubtful[i]) bytes[i] = faded[i] as number;
  return bytes;
}
