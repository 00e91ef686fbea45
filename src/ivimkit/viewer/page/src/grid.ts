/** Grid: voxels of the scan, and those of NiiVue, which reorients every volume to RAS. */

import type { NVImage } from "@niivue/niivue";
import { type Blocks, blockCounts } from "./blocks";
import type { Triple } from "./scene";

export class Grid {
  /** Size of the turned volume. */
  readonly size: Triple;
  private readonly start: number;
  private readonly steps: Triple;

  /** Size of the stored volume. */
  private readonly stored: Triple;
  private readonly stride: Triple;

  constructor(image: NVImage, blocks: Blocks) {
    const { dimsRAS, img2RASstart, img2RASstep } = image;
    if (!dimsRAS || !img2RASstart || !img2RASstep) throw new Error("the image has no orientation");
    this.size = [dimsRAS[1] as number, dimsRAS[2] as number, dimsRAS[3] as number];
    this.start = (img2RASstart as number[]).reduce((sum, part) => sum + part, 0);
    this.steps = [...(img2RASstep as number[])] as Triple;
    this.stored = blockCounts(blocks);
    this.stride = blocks.stride;
  }

  get count(): number {
    return this.stored[0] * this.stored[1] * this.stored[2];
  }

  /** Offset in the file of the block of a voxel. */
  offset(voxel: Triple): number {
    const [x, y, z] = voxel.map((i, k) => Math.floor(i / (this.stride[k] as number))) as Triple;
    return x + this.stored[0] * (y + this.stored[1] * z);
  }

  /** The voxel that is shown at a turned index. */
  toStored([x, y, z]: Triple): Triple {
    const [stepX, stepY, stepZ] = this.steps;
    const at = this.start + x * stepX + y * stepY + z * stepZ;
    const [width, height] = this.stored;
    const block: Triple = [at % width, Math.floor(at / width) % height, Math.floor(at / (width * height))];
    return block.map((i, k) => i * (this.stride[k] as number)) as Triple;
  }

  /** The turned index of the block of a voxel. */
  toTurned(voxel: Triple): Triple {
    return this.turned(voxel.map((i, k) => Math.floor(i / (this.stride[k] as number))) as Triple);
  }

  /** Where a voxel is along the turned axes: a turned index, between two of them inside a block. */
  position(voxel: Triple): Triple {
    return this.turned(voxel.map((i, k) => (i + 0.5) / (this.stride[k] as number) - 0.5) as Triple);
  }

  /** The voxel some voxels further along the turned axes; perhaps outside. */
  further(voxel: Triple, steps: Triple): Triple {
    const moved: Triple = [...voxel];
    this.steps.forEach((step, axis) => {
      const from = this.storedAxis(axis);
      if (from >= 0) moved[from] = (moved[from] as number) + Math.sign(step) * (steps[axis] as number);
    });
    return moved;
  }

  private turned(block: Triple): Triple {
    return this.steps.map((step, axis) => {
      const index = block[this.storedAxis(axis)] ?? 0;
      return step > 0 ? index : (this.size[axis] as number) - 1 - index;
    }) as Triple;
  }

  /** An axis of one voxel may have the stride of another; it has only one index anyway. */
  private storedAxis(axis: number): number {
    const strides = [1, this.stored[0], this.stored[0] * this.stored[1]];
    return strides.findIndex((stride, k) => stride === Math.abs(this.steps[axis] as number) && this.stored[k] === this.size[axis]);
  }

  /** Sides along the turned axes of what is drawn as one voxel. */
  sides(voxelSize: Triple): Triple {
    return this.size.map((_, axis) => {
      const from = this.storedAxis(axis);
      return (voxelSize[from < 0 ? axis : from] as number) * this.depth(axis);
    }) as Triple;
  }

  /** How many voxels of the scan one that is drawn is thick, along a turned axis. */
  depth(axis: number): number {
    const from = this.storedAxis(axis);
    return this.stride[from < 0 ? axis : from] as number;
  }

  /** Turn a stored volume of labels. */
  turn(stored: Uint8Array): Uint8Array {
    return this.turnInto(new Uint8Array(this.count), stored);
  }

  /** Turn a stored volume of values. */
  turnValues(stored: ArrayLike<number>): Float64Array {
    return this.turnInto(new Float64Array(this.count), stored);
  }

  private turnInto<T extends Uint8Array | Float64Array>(turned: T, stored: ArrayLike<number>): T {
    const [nx, ny, nz] = this.size;
    const [stepX, stepY, stepZ] = this.steps;
    let i = 0;
    for (let z = 0; z < nz; z++) {
      for (let y = 0; y < ny; y++) {
        let at = this.start + y * stepY + z * stepZ;
        for (let x = 0; x < nx; x++, i++, at += stepX) turned[i] = stored[at] as number;
      }
    }
    return turned;
  }
}
