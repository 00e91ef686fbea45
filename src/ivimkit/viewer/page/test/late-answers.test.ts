/** Answers of the server that come in another order than the questions: the last question counts. */

import { beforeEach, expect, test, vi } from "vitest";

type Answered = (answer: { bytes: ArrayBuffer; headers: Headers }) => void;

const { waiting } = vi.hoisted(() => ({ waiting: [] as Answered[] }));
vi.mock("../src/server", () => ({
  ServerError: class extends Error {},
  post: () => new Promise((answered: Answered) => waiting.push(answered)),
  get: () => new Promise((answered: Answered) => waiting.push(answered)),
}));
vi.mock("../src/dom", () => ({ element: () => ({ addEventListener: () => undefined, hidden: true }) }));
vi.mock("../src/volume", () => ({ parse: (_: ArrayBuffer, name: string) => ({ values: new Uint8Array([name.length]) }) }));

import { OpenFiles, type Openers } from "../src/open-files";
import { RegionFiles } from "../src/region-files";
import type { Regions } from "../src/regions";
import type { Viewer } from "../src/viewer";

const answer = () => ({ bytes: new ArrayBuffer(1), headers: new Headers() });

beforeEach(() => {
  waiting.length = 0;
  vi.stubGlobal("document", { body: { append: () => undefined } });
  vi.stubGlobal("addEventListener", () => undefined);
});

test("of two masks the one that was chosen last is loaded, whichever comes last", async () => {
  const loaded: number[][] = [];
  const regions = { load: (_: Uint8Array, numbers: number[]) => loaded.push(numbers) } as unknown as Regions;
  const viewer = {
    scene: { labels: { url: "labels", names: {} }, stride: [1, 1, 1] },
    views: [{ picture: { grid: { turn: (values: Uint8Array) => values } } }],
    fail: (error: unknown) => {
      throw error;
    },
  } as unknown as Viewer;
  const files = new RegionFiles(viewer, regions, () => undefined, () => "0");
  const first = files.load(new File([], "a"));
  const second = files.load(new File([], "bb"));
  waiting[1]?.(answer());
  await second;
  waiting[0]?.(answer());
  await first;
  expect(loaded).toEqual([[2]]);
  // In order, both are loaded.
  for (const name of ["ccc", "dddd"]) {
    const load = files.load(new File([], name));
    waiting.at(-1)?.(answer());
    await load;
  }
  expect(loaded).toEqual([[2], [3], [4]]);
  // The labels of the study are no exception.
  const given = files.takeGiven(() => "#fff");
  const own = files.load(new File([], "eeeee"));
  waiting.at(-1)?.(answer());
  await own;
  waiting.at(-2)?.(answer());
  await given;
  expect(loaded.at(-1)).toEqual([5]);
});

test("of two images the one that was opened last is the base, and both can be chosen", async () => {
  const opened: string[] = [];
  const bases: string[] = [];
  const viewer = {
    open: ({ label }: { label: string }) => opened.push(label),
    setBase: async (key: string) => void bases.push(key),
  } as unknown as Viewer;
  const files = new OpenFiles(viewer, { say: () => undefined, fail: (error: unknown) => { throw error; } } as unknown as Openers);
  const first = files.images([new File([], "one.nii")]);
  const second = files.images([new File([], "two.nii.gz")]);
  waiting[1]?.(answer());
  await second;
  waiting[0]?.(answer());
  await first;
  expect(opened).toEqual(["two", "one"]);
  expect(bases).toHaveLength(1);
  expect(bases[0]).toContain("two");
});
