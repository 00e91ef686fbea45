/** Outlines of regions on slices. */

import { regionColour } from "./colours";
import type { Triple } from "./scene";

/** A slice on the screen: its axis, its position, and the positions of voxels on the canvas. */
export interface Tile {
  axis: 0 | 1 | 2;
  slice: number;
  /** Canvas position of the edge before voxel `index` of the two axes in the plane. */
  place: (u: number, v: number) => [number, number];
  box: [number, number, number, number];
}

export interface Layer {
  bitmap: Uint8Array;
  /** Opacity of the inside. */
  fill: number;
}

/** The two axes in the plane of a slice. */
export function inPlane(axis: 0 | 1 | 2): [number, number] {
  return axis === 0 ? [1, 2] : axis === 1 ? [0, 2] : [0, 1];
}

export function drawOutlines(canvas: CanvasRenderingContext2D, tile: Tile, size: Triple, layer: Layer, width: number): void {
  const strides = [1, size[0], size[0] * size[1]] as const;
  const [u, v] = inPlane(tile.axis);
  const [nu, nv] = [size[u] as number, size[v] as number];
  const [su, sv] = [strides[u] as number, strides[v] as number];
  const start = tile.slice * (strides[tile.axis] as number);
  const { bitmap } = layer;
  const paths = new Map<number, { edge: Path2D; fill: Path2D }>();
  for (let j = 0; j < nv; j++) {
    for (let i = 0; i < nu; i++) {
      const at = start + i * su + j * sv;
      const number = bitmap[at];
      if (!number) continue;
      let path = paths.get(number);
      if (!path) paths.set(number, (path = { edge: new Path2D(), fill: new Path2D() }));
      const [x0, y0] = tile.place(i, j);
      const [x1, y1] = tile.place(i + 1, j + 1);
      path.fill.rect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
      const line = (xa: number, ya: number, xb: number, yb: number): void => {
        path.edge.moveTo(xa, ya);
        path.edge.lineTo(xb, yb);
      };
      if (i === 0 || bitmap[at - su] !== number) line(x0, y0, x0, y1);
      if (i === nu - 1 || bitmap[at + su] !== number) line(x1, y0, x1, y1);
      if (j === 0 || bitmap[at - sv] !== number) line(x0, y0, x1, y0);
      if (j === nv - 1 || bitmap[at + sv] !== number) line(x0, y1, x1, y1);
    }
  }
  canvas.save();
  canvas.beginPath();
  canvas.rect(...tile.box);
  canvas.clip();
  canvas.lineCap = "square";
  for (const [number, { edge, fill }] of paths) {
    if (layer.fill > 0) {
      canvas.globalAlpha = layer.fill;
      canvas.fillStyle = regionColour(number);
      canvas.fill(fill);
      canvas.globalAlpha = 1;
    }
    // Dark below light: visible on bright and on dark tissue.
    canvas.strokeStyle = "rgb(0 0 0 / 60%)";
    canvas.lineWidth = width + 2;
    canvas.stroke(edge);
    canvas.strokeStyle = regionColour(number);
    canvas.lineWidth = width;
    canvas.stroke(edge);
  }
  canvas.restore();
}
