/** Volumes: NIfTI files from the server as arrays, and as bytes for NiiVue. */

import { isNIFTI, readHeader, readImage } from "nifti-reader-js";
import { ServerError, getBytes } from "./server";
import type { Range } from "./scene";

export type Values = Float32Array | Float64Array | Int32Array | Int16Array | Uint8Array;

export interface Volume {
  /** The bytes before the voxels. */
  header: Uint8Array;
  values: Values;
}

const ARRAYS: Record<number, new (bytes: ArrayBuffer) => Values> = {
  2: Uint8Array,
  4: Int16Array,
  8: Int32Array,
  16: Float32Array,
  64: Float64Array,
};
const HEADER = 352;

export function parse(bytes: ArrayBuffer, name: string): Volume {
  const header = isNIFTI(bytes) ? readHeader(bytes) : null;
  const array = header && ARRAYS[header.datatypeCode];
  if (!header || !array) throw new ServerError(`${name} is not an image that can be shown.`);
  return { header: new Uint8Array(bytes, 0, HEADER), values: new array(readImage(header, bytes)) };
}

/** Fetches volumes and keeps the most recently used. */
export class Volumes {
  private readonly kept = new Map<string, Promise<Volume>>();

  constructor(private readonly most: number) {}

  get(url: string): Promise<Volume> {
    const found = this.kept.get(url) ?? getBytes(url).then((bytes) => parse(bytes, url));
    this.kept.delete(url);
    this.kept.set(url, found);
    found.catch(() => this.kept.delete(url));
    const oldest = this.kept.keys().next();
    if (this.kept.size > this.most && !oldest.done) this.kept.delete(oldest.value);
    return found;
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
