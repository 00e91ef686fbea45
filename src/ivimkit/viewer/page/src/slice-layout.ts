/** Slice layout: where three planes, or a mosaic of axial slices, are on a picture. */

import type { Triple } from "./scene";

/** What there is to fill. */
export interface Sheet {
  width: number;
  height: number;
  /** Sides of the whole grid, in mm. */
  extent: Triple;
}

export interface Plane {
  /** The axis across the slice. */
  axis: 0 | 1 | 2;
  /** Left, top, width and height, as shares of the picture. */
  position: [number, number, number, number];
}

const MOST_TILES = 24;
const LEAST_AXIAL = 0.5;
const MOST_AXIAL = 0.72;
/** Pixels between slices. */
const GAP = 12;

/** The axial slice is the one read, so it is large; the others show its position. */
export function planes({ width, height, extent: [x, y, z] }: Sheet): Plane[] {
  const plane = (axis: Plane["axis"], left: number, top: number, wide: number, high: number): Plane => ({
    axis,
    // While the page is laid out, a picture may be smaller than the gap.
    position: [left / width, top / height, Math.max(1, wide) / width, Math.max(1, high) / height],
  });
  if (width > height) {
    const own = Math.min(width * MOST_AXIAL, Math.max(width * LEAST_AXIAL, (height * x) / y));
    const rest = width - own - GAP;
    const coronal = Math.min((rest * z) / x, (height - GAP) / 2);
    const sagittal = Math.min((rest * z) / y, (height - GAP) / 2);
    const top = (height - coronal - sagittal - GAP) / 2;
    return [plane(2, 0, 0, own, height), plane(1, own + GAP, top, rest, coronal), plane(0, own + GAP, top + coronal + GAP, rest, sagittal)];
  }
  const own = Math.min(height * MOST_AXIAL, Math.max(height * LEAST_AXIAL, (width * y) / x));
  const coronal = ((width - GAP) * x) / (x + y);
  const sagittal = width - GAP - coronal;
  const strip = Math.min(height - own - GAP, (coronal * z) / x);
  // Close to each other, for easy comparison.
  const shown = Math.min(own, (width * y) / x);
  const top = (height - shown - strip - GAP) / 2;
  return [plane(2, 0, top, width, shown), plane(1, 0, top + shown + GAP, coronal, strip), plane(0, coronal + GAP, top + shown + GAP, sagittal, strip)];
}

/** Axial slices out of `n`, evenly spaced, in the rows and columns that make them largest. */
export function mosaic({ width, height, extent: [x, y] }: Sheet, n: number): { slices: number[]; columns: number } {
  const shown = Math.min(n, MOST_TILES);
  const ratio = x / y;
  let best = { columns: 1, size: 0 };
  for (let columns = 1; columns <= shown; columns++) {
    const size = Math.min(width / columns, (height / Math.ceil(shown / columns)) * ratio);
    if (size > best.size) best = { columns, size };
  }
  const slices = Array.from({ length: shown }, (_, i) => Math.floor(((i + 0.5) * n) / shown));
  return { slices, columns: best.columns };
}
