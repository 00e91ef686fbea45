/** What regions are made of: polygons, slices between slices, values, sizes, and their history. */

import { expect, test } from "vitest";
import { copySlice, interpolate, smooth } from "../src/between-slices";
import { fillByValue, growByValue, keepByValue } from "../src/by-value";
import { History } from "../src/history";
import { fillPolygon } from "../src/polygon";
import { extentIn } from "../src/region-extent";
import { freeColour, regionColour } from "../src/region-colours";
import { decodeRuns, encodeRuns } from "../src/run-lengths";
import type { Triple } from "../src/scene";
import { SlicePlane } from "../src/slice-plane";

const SIZE: Triple = [9, 8, 7];

function empty(): Uint8Array {
  return new Uint8Array(SIZE[0] * SIZE[1] * SIZE[2]);
}

function at(x: number, y: number, z: number): number {
  return x + SIZE[0] * (y + SIZE[1] * z);
}

function box(bitmap: Uint8Array, low: Triple, high: Triple, number = 1): Uint8Array {
  for (let z = low[2]; z <= high[2]; z++) for (let y = low[1]; y <= high[1]; y++) for (let x = low[0]; x <= high[0]; x++) bitmap[at(x, y, z)] = number;
  return bitmap;
}

function inSlice(bitmap: Uint8Array, z: number): number {
  return bitmap.subarray(at(0, 0, z), at(0, 0, z + 1)).reduce((sum, number) => sum + (number ? 1 : 0), 0);
}

test("a polygon has the voxels inside and on its edges, in a plane across any axis", () => {
  const square = empty();
  fillPolygon(square, new SlicePlane(SIZE, 2, 3), [[2, 1], [6, 1], [6, 5], [2, 5]], 4);
  expect(square).toEqual(box(empty(), [2, 1, 3], [6, 5, 3], 4));
  const across = empty();
  fillPolygon(across, new SlicePlane(SIZE, 0, 3), [[1, 1], [5, 1], [5, 4], [1, 4]], 1);
  expect(across).toEqual(box(empty(), [3, 1, 1], [3, 5, 4]));
  const triangle = empty();
  fillPolygon(triangle, new SlicePlane(SIZE, 2, 0), [[0, 0], [6, 0], [0, 6]], 1);
  expect(inSlice(triangle, 0)).toBe(28);
  // A corner outside the picture is cut off.
  const cut = empty();
  fillPolygon(cut, new SlicePlane(SIZE, 2, 0), [[-3, 0], [2, 0], [2, 20], [-3, 20]], 1);
  expect(cut).toEqual(box(empty(), [0, 0, 0], [2, 7, 0]));
});

test("a copied slice takes nothing from other regions", () => {
  const bitmap = box(box(empty(), [1, 1, 2], [4, 4, 2]), [4, 4, 3], [5, 5, 3], 2);
  expect(copySlice(bitmap, SIZE, 2, 2, 3, 1)).toBe(16);
  expect(bitmap[at(4, 4, 3)]).toBe(2);
  expect(inSlice(bitmap, 3)).toBe(15 + 4);
  expect(copySlice(bitmap, SIZE, 2, 5, 6, 1)).toBe(0);
});

test("between equal slices the same, between a small and a large one something between", () => {
  const equal = box(box(empty(), [2, 2, 1], [5, 5, 1]), [2, 2, 4], [5, 5, 4]);
  expect(interpolate(equal, SIZE, 2, 1, [1, 1])).toBe(2);
  expect(equal).toEqual(box(empty(), [2, 2, 1], [5, 5, 4]));
  const growing = box(box(empty(), [4, 4, 0], [4, 4, 0]), [1, 1, 4], [7, 7, 4]);
  expect(interpolate(growing, SIZE, 2, 1, [1, 1])).toBe(3);
  const sizes = [0, 1, 2, 3, 4].map((z) => inSlice(growing, z));
  expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
  expect(sizes[2]).toBeGreaterThan(1);
  expect(sizes[2]).toBeLessThan(49);
  // Apart, nothing is between them, and neighbours have nothing to fill.
  expect(interpolate(box(empty(), [1, 1, 1], [2, 2, 2]), SIZE, 2, 1, [1, 1])).toBe(0);
});

test("distances count in millimetres: of flat voxels more rows than columns come in", () => {
  const bitmap = box(box(empty(), [4, 3, 0], [4, 3, 0]), [1, 0, 2], [7, 7, 2]);
  interpolate(bitmap, SIZE, 2, 1, [4, 1]);
  const extent = extentIn(bitmap, SIZE, 2, 1, 1, [1, 1]);
  expect(extent?.height).toBeGreaterThan(extent?.width ?? 99);
});

test("smoothing removes a single voxel and fills a notch", () => {
  const bitmap = box(empty(), [2, 2, 1], [6, 6, 1]);
  bitmap[at(4, 4, 1)] = 0;
  bitmap[at(0, 0, 3)] = 1;
  bitmap[at(8, 7, 3)] = 2;
  smooth(bitmap, SIZE, 2, 1);
  expect(bitmap[at(4, 4, 1)]).toBe(1);
  expect(bitmap[at(0, 0, 3)]).toBe(0);
  expect(bitmap[at(8, 7, 3)]).toBe(2);
});

test("by value: filled, kept and grown, without voxels that have no value", () => {
  const values = Float64Array.from(empty(), (_, i) => i % SIZE[0]);
  values[at(3, 0, 0)] = Number.NaN;
  const filled = box(empty(), [2, 0, 0], [2, 0, 0], 2);
  expect(fillByValue(filled, values, [2, 3], 1, (i) => i < at(0, 0, 1))).toBe(2 * SIZE[1] - 2);
  expect(filled[at(2, 0, 0)]).toBe(2);
  expect(filled[at(3, 0, 0)]).toBe(0);
  expect(keepByValue(filled, values, [3, Number.POSITIVE_INFINITY], 1)).toBe(SIZE[1] - 1);
  expect(filled[at(2, 5, 0)]).toBe(0);
  expect(filled[at(2, 0, 0)]).toBe(2);
  // Two columns that a third one parts: only that of the start.
  const apart = Float64Array.from(empty(), (_, i) => (i % SIZE[0] === 4 ? 0 : 1));
  const grown = empty();
  expect(growByValue(grown, SIZE, apart, [1, 1], 1, [1, 1, 1], 2)).toBe(4 * SIZE[1]);
  expect(inSlice(grown, 0)).toBe(0);
  expect(growByValue(grown, SIZE, apart, [1, 1], 1, [1, 1, 1], null)).toBe(4 * SIZE[1] * SIZE[2]);
  expect(grown[at(5, 1, 1)]).toBe(0);
  expect(growByValue(grown, SIZE, apart, [1, 1], 1, [4, 1, 1], null)).toBe(0);
});

test("the size of what is in a slice is in the unit of the sides", () => {
  const bitmap = box(empty(), [2, 1, 3], [4, 2, 5]);
  expect(extentIn(bitmap, SIZE, 2, 3, 1, [2, 3])).toEqual({ voxels: 6, area: 36, width: 6, height: 6 });
  expect(extentIn(bitmap, SIZE, 0, 2, 1, [3, 5])).toEqual({ voxels: 6, area: 90, width: 6, height: 15 });
  expect(extentIn(bitmap, SIZE, 2, 0, 1, [2, 3])).toBeNull();
});

test("what was undone comes back, until something new is done", () => {
  const history = new History<string>(() => 2);
  for (const state of ["a", "b", "c"]) history.remember(state);
  expect(history.undo("d")).toBe("c");
  expect(history.redo("c")).toBe("d");
  expect(history.undo("d")).toBe("c");
  expect(history.undo("c")).toBe("b");
  expect(history.undo("b")).toBeUndefined(); // two are kept
  expect(history.canRedo).toBe(true);
  history.remember("b");
  expect(history.canRedo).toBe(false);
});

test("a drawing is short text, and another text is refused", () => {
  const bitmap = box(box(empty(), [2, 1, 3], [4, 2, 5]), [0, 0, 0], [0, 0, 0], 255);
  const text = encodeRuns(bitmap);
  expect(text.length).toBeLessThan(200);
  expect(decodeRuns(text, bitmap.length)).toEqual(bitmap);
  for (const wrong of [text.slice(0, -3), `${text} 1*1`, "256*504", "x", "-1*504"]) expect(decodeRuns(wrong, bitmap.length)).toBeNull();
});

test("a drawn region has no colour of another one while there is a free one", () => {
  const taken = [regionColour(1), regionColour(3)];
  const colours: string[] = [];
  for (let number = 1; number < 9; number++) colours.push(freeColour([...taken, ...colours], number));
  expect(new Set([...taken, ...colours]).size).toBe(10);
});
