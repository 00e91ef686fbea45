/** Grid: stored voxel indices and those of NiiVue, which reorients every volume to RAS. */

import type { NVImage } from "@niivue/niivue";
import type { Triple } from "./scene";

export class Grid {
  /** Size of the turned volume. */
  readonly size: Triple;
  private readonly start: number;
  private readonly steps: Triple;

  constructor(
    image: NVImage,
    /** Size of the stored volume. */
    readonly stored: Triple,
  ) {
    const { dimsRAS, img2RASstart, img2RASstep } = image;
    if (!dimsRAS || !img2RASstart || !img2RASstep) throw new Error("the image has no orientation");
    this.size = [dimsRAS[1] as number, dimsRAS[2] as number, dimsRAS[3] as number];
    this.start = (img2RASstart as number[]).reduce((sum, part) => sum + part, 0);
    this.steps = [...(img2RASstep as number[])] as Triple;
  }

  get count(): number {
    return this.stored[0] * this.stored[1] * this.stored[2];
  }

  /** Offset of a stored voxel in the file. */
  offset([x, y, z]: Triple): number {
    return x + this.stored[0] * (y + this.stored[1] * z);
  }

  toStored([x, y, z]: Triple): Triple {
    const [stepX, stepY, stepZ] = this.steps;
    const at = this.start + x * stepX + y * stepY + z * stepZ;
    const [width, height] = this.stored;
    return [at % width, Math.floor(at / width) % height, Math.floor(at / (width * height))];
  }

  toTurned(voxel: Triple): Triple {
    const turned: Triple = [0, 0, 0];
    const strides = [1, this.stored[0], this.stored[0] * this.stored[1]];
    this.steps.forEach((step, axis) => {
      // An axis of one voxel may have the stride of another; it has only one index anyway.
      const from = strides.findIndex((stride, k) => stride === Math.abs(step) && this.stored[k] === this.size[axis]);
      const index = voxel[from] ?? 0;
      turned[axis] = step > 0 ? index : (this.size[axis] as number) - 1 - index;
    });
    return turned;
  }

  /** Turn a stored volume. */
  turn(stored: Uint8Array): Uint8Array {
    const turned = new Uint8Array(this.count);
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
