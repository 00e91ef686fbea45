/** Blocks: of a large scan the pictures have one voxel of each block; all else has every voxel. */

import type { Scene, Triple } from "./scene";

export type Blocks = Pick<Scene, "shape" | "stride">;

/** Whether blocks have more than one voxel. */
export function isThinned({ stride }: Blocks): boolean {
  return stride.some((step) => step > 1);
}

/** Number of blocks along each axis. */
export function blockCounts({ shape, stride }: Blocks): Triple {
  return shape.map((n, k) => Math.ceil(n / (stride[k] as number))) as Triple;
}

/** The shape of a block in words. */
export function blockText({ stride }: Blocks): string {
  return `${stride.join(" × ")} voxels`;
}

/** What a size is counted in. */
export function sizeUnit(blocks: Blocks): string {
  return isThinned(blocks) ? `blocks of ${blockText(blocks)}` : "voxels";
}
