/** What is seen: numbers, ranges, layouts, arrangements, blocks, and sessions. */

import { expect, test } from "vitest";
import { hungMaps, sameOf } from "../src/arrangement";
import { blockCounts, isThinned, sizeUnit } from "../src/blocks";
import { type ImageInfo, windowed } from "../src/images";
import { probability, rounded, thousands, withError } from "../src/numbers";
import type { MapInfo, ResultInfo, Scene } from "../src/scene";
import { parsedSession, sessionText } from "../src/session";
import { mosaic, planes } from "../src/slice-layout";
// Those of the tests of the Python side.
import cases from "../../../../../tests/unit/rounding_cases.json";

const CASES = cases as unknown as Record<string, [never[], string][]>;

test("numbers are rounded as in Python", () => {
  const functions: Record<string, (...values: never[]) => string> = { rounded, with_error: withError, probability, thousands };
  expect(Object.keys(functions).sort()).toEqual(Object.keys(CASES).sort());
  let n = 0;
  for (const [name, rule] of Object.entries(functions)) {
    for (const [values, text] of CASES[name] ?? []) {
      expect(rule(...values), `${name}(${values.join()})`).toBe(text);
      n++;
    }
  }
  expect(n).toBeGreaterThan(20);
});

test("a drag to the right widens a range around its middle, a drag up moves it", () => {
  expect(windowed([0, 2], 0, 0)).toEqual([0, 2]);
  const [low, high] = windowed([0, 2], 150, 0);
  expect([low, high]).toEqual([-1, 3]);
  const moved = windowed([0, 2], 0, 300);
  expect(moved).toEqual([2, 4]);
  const [a, b] = windowed([1, 5], -400, 70);
  expect(b).toBeGreaterThan(a);
});

test("planes fill the picture, and none is outside", () => {
  for (const [width, height] of [[860, 614], [400, 600]] as const) {
    const all = planes({ width, height, extent: [300, 200, 60] });
    expect(all.map(({ axis }) => axis)).toEqual([2, 1, 0]);
    for (const { position: [left, top, wide, high] } of all) {
      expect(Math.min(left, top)).toBeGreaterThanOrEqual(0);
      expect(Math.max(left + wide, top + high)).toBeLessThanOrEqual(1 + 1e-9);
    }
  }
});

test("no plane has a negative size, however small the picture is", () => {
  for (const [width, height] of [[8, 5], [5, 8], [1, 1]] as const) {
    for (const { position } of planes({ width, height, extent: [300, 200, 60] })) {
      expect(Math.min(position[2], position[3])).toBeGreaterThan(0);
    }
  }
});

test("a mosaic has all slices, or as many as can be seen, evenly spaced", () => {
  const sheet = { width: 860, height: 614, extent: [300, 300, 60] as [number, number, number] };
  expect(mosaic(sheet, 5).slices).toEqual([0, 1, 2, 3, 4]);
  const { slices, columns } = mosaic(sheet, 96);
  expect(slices).toHaveLength(24);
  expect(slices.slice(0, 3)).toEqual([2, 6, 10]);
  expect(columns).toBe(6);
});

function result(...names: string[]): ResultInfo {
  const maps = names.map((name) => ({ name, about_another: name.endsWith("_sd") }) as MapInfo);
  return { id: "1", maps, grades: [] as never[] } as unknown as ResultInfo;
}

test("ADC, D, f and D* are hung first, and what other models have instead", () => {
  expect(hungMaps(result("S0", "f", "D_star", "D", "ADC", "D_sd", "rmse"))).toEqual(["1/ADC", "1/D", "1/f", "1/D_star"]);
  expect(hungMaps(result("S0", "ADC", "kurtosis", "ADC_sd", "cost"))).toEqual(["1/ADC", "1/kurtosis"]);
  expect(sameOf({ grades: null, map: { name: "f" } } as ImageInfo, result("D", "f"), "1/D")).toBe("1/f");
  expect(sameOf({ grades: null, map: { name: "E" } } as ImageInfo, result("D", "f"), "1/D")).toBe("1/D");
  expect(sameOf({ grades: [], map: null } as unknown as ImageInfo, result("D"), "1/D")).toBe("1/status");
});

test("blocks at the end may be cut off", () => {
  const blocks = { shape: [10, 9, 4], stride: [3, 3, 1] } as Pick<Scene, "shape" | "stride">;
  expect(blockCounts(blocks)).toEqual([4, 3, 4]);
  expect(isThinned(blocks)).toBe(true);
  expect(sizeUnit(blocks)).toBe("blocks of 3 × 3 × 1 voxels");
});

test("a session comes back from its text, and others are refused with a reason", () => {
  const scene = { shape: [4, 5, 6], results: [{ name: "varpro" }] } as unknown as Scene;
  const view = {
    voxel: [1, 2, 3], layout: "axial", arrangement: "one", base: "scan/0", overlays: [{ key: "0/D", visible: true }],
    looks: [["0/D", { colormap: "viridis", limits: [0, 2], shown: [-Infinity, Infinity] }]],
    opacity: 0.5, radiological: true, smooth: false, fading: true, crosshair: true, field: [1, 2, 3, 4],
  } as Parameters<typeof sessionText>[1]; // prettier-ignore
  const regions = { list: [{ number: 1, name: "lesion", colour: "#123456" }], active: 1, runs: "0*120", loaded: null };
  const text = sessionText(scene, view, regions);
  expect(parsedSession(text, scene)).toMatchObject({ view, regions, results: ["varpro"] });
  expect(() => parsedSession("{", scene)).toThrow("not a session");
  expect(() => parsedSession("null", scene)).toThrow("not a session");
  expect(() => parsedSession(text.replace('"version":1', '"version":2'), scene)).toThrow("format 2");
  expect(() => parsedSession(text, { ...scene, shape: [4, 5, 7] })).toThrow("4 × 5 × 6 voxels; this one has 4 × 5 × 7");
  expect(() => parsedSession(text.replace("[1,2,3,4]", "[1,2]"), scene)).toThrow("damaged");
  expect(parsedSession(text.replace("[1,2,3]", "[1,99,3]"), scene).view.voxel).toEqual([1, 4, 3]);
});
