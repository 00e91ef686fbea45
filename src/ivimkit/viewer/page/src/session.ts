/** Session: what is seen and drawn, as JSON: kept while the page is reloaded, and as a file. */

import type { Arrangement } from "./arrangement";
import type { Look } from "./images";
import type { Field, Layout } from "./picture";
import type { Range, Scene, Triple } from "./scene";

export interface SavedRegions {
  list: { number: number; name: string; colour: string }[];
  active: number;
  /** See run-lengths.ts; on the grid of the pictures. Null if nothing is drawn. */
  runs: string | null;
  /** The labels of a large scan that the drawing began with, as base64. */
  loaded: string | null;
}

export interface SavedView {
  voxel: Triple;
  layout: Layout;
  arrangement: Arrangement;
  base: string;
  overlays: { key: string | null; visible: boolean }[];
  looks: [string, Look][];
  opacity: number;
  radiological: boolean;
  smooth: boolean;
  fading: boolean;
  crosshair: boolean;
  field: Field;
}

export interface Session {
  format: typeof FORMAT;
  version: typeof VERSION;
  /** Names of the results. */
  results: string[];
  shape: Triple;
  view: SavedView;
  regions: SavedRegions;
}

const FORMAT = "ivimkit viewer session";
const VERSION = 1;

export function sessionText(scene: Scene, view: SavedView, regions: SavedRegions): string {
  const session: Session = { format: FORMAT, version: VERSION, results: scene.results.map(({ name }) => name), shape: scene.shape, view, regions };
  // JSON has no infinity.
  return JSON.stringify(session, (_, value: unknown) => (value === Infinity ? "inf" : value === -Infinity ? "-inf" : value));
}

/** The session in a text; an error that says why it is none, or none of this study. */
export function parsedSession(text: string, scene: Scene): Session {
  let found: Partial<Session> | null;
  try {
    found = JSON.parse(text, (_, value: unknown) => (value === "inf" ? Infinity : value === "-inf" ? -Infinity : value)) as Partial<Session> | null;
  } catch {
    throw new Error("This is not a session: expected a file that Save session wrote.");
  }
  if (found?.format !== FORMAT || !found.view || !found.regions || !Array.isArray(found.shape)) {
    throw new Error("This is not a session: expected a file that Save session wrote.");
  }
  if (found.version !== VERSION) {
    throw new Error(`The session has format ${found.version}; this viewer reads format ${VERSION}. Update ivimkit.`);
  }
  if (found.shape.join() !== scene.shape.join()) {
    throw new Error(`The session is of a scan of ${found.shape.join(" × ")} voxels; this one has ${scene.shape.join(" × ")}. Open the result that it was saved with.`);
  }
  return cleaned(found as Session, scene);
}

/** Without what this study has not: another choice of results may be open. */
function cleaned(session: Session, { shape }: Scene): Session {
  const { view } = session;
  const finite = (numbers: unknown, n: number): boolean => Array.isArray(numbers) && numbers.length === n && numbers.every((one) => Number.isFinite(one));
  if (!finite(view.voxel, 3) || !finite(view.field, 4) || !Array.isArray(view.overlays) || !Array.isArray(view.looks) || !Array.isArray(session.regions.list)) {
    throw new Error("The session is damaged: save it again.");
  }
  const voxel = view.voxel.map((i, k) => Math.min((shape[k] as number) - 1, Math.max(0, Math.round(i)))) as Triple;
  const looks = view.looks.filter(([, { limits, shown }]) => isRange(limits) && isRange(shown));
  return { ...session, view: { ...view, voxel, looks } };
}

function isRange(range: unknown): range is Range {
  return Array.isArray(range) && range.length === 2 && range.every((end) => typeof end === "number");
}
