/** Volumes: NIfTI files of the server as arrays, and as bytes that NiiVue shows. */

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

/** Fetches volumes and keeps those used last. */
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
 * Place every value on a scale of 1 to 255; 0, which is transparent, is "no value" or "hidden".
 * NiiVue itself has no colour for "not a number", and a quarter of the bytes are faster to draw.
 */
export function scaled(values: Values, limits: Range, shown: Range): Uint8Array {
  const [low, high] = limits;
  const [least, most] = shown;
  const factor = 254 / (high > low ? high - low : 1);
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    // False for "not a number", too.
    if (value >= least && value <= most) {
      const step = (value - low) * factor;
      bytes[i] = step <= 0 ? 1 : step >= 254 ? 255 : step + 1.5;
    }
  }
  return bytes;
}
