/** Exact: the values of images at a voxel of a large scan, which are not in the pictures. */

import type { Triple } from "./scene";
import { Latest, getBytes } from "./server";
import type { ImageInfo } from "./images";
import { parse } from "./volume";

interface Value {
  value: number;
  doubtful: boolean;
}

interface Wanted {
  voxel: Triple;
  images: ImageInfo[];
}

/** Milliseconds between two questions, while the crosshair is dragged. */
const PAUSE = 40;

export class ExactValues {
  private readonly asking: Latest<Wanted, Map<string, Value>>;
  private known = new Map<string, Value>();
  private place = "";

  constructor(changed: () => void, failed: (error: unknown) => void) {
    const done = (values: Map<string, Value>, { voxel }: Wanted): void => {
      // The crosshair may have moved on, with its question still to come.
      if (voxel.join() !== this.place) return;
      for (const [key, value] of values) this.known.set(key, value);
      changed();
    };
    this.asking = new Latest(fetched, done, failed, PAUSE);
  }

  /** Ask for the values of images at a voxel, unless they are known. */
  ask(voxel: Triple, images: ImageInfo[]): void {
    if (this.place !== voxel.join()) {
      this.place = voxel.join();
      this.known = new Map();
    }
    const missing = images.filter(({ key }) => !this.known.has(key));
    if (missing.length) this.asking.request({ voxel, images: missing });
  }

  value(key: string): number | undefined {
    return this.known.get(key)?.value;
  }

  doubts(key: string): boolean {
    return this.known.get(key)?.doubtful ?? false;
  }
}

async function fetched({ voxel: [x, y, z], images }: Wanted, signal: AbortSignal): Promise<Map<string, Value>> {
  const at = async (url: string): Promise<number> => {
    const address = `${url}?x=${x}&y=${y}&z=${z}`;
    return parse(await getBytes(address, signal), address).values[0] as number;
  };
  const values = images.map(async ({ key, url, map }): Promise<[string, Value]> => {
    const [value, doubtful] = await Promise.all([at(url), map?.doubtful ? at(map.doubtful.url) : 0]);
    return [key, { value, doubtful: doubtful > 0 }];
  });
  return new Map(await Promise.all(values));
}
