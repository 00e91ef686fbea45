/** Outlines of regions on slices. */

import type { Triple } from "./scene";
import { type Axis, inPlane } from "./slice-plane";

/** A slice on the screen: its axis, its position, and the positions of voxels on the canvas. */
export interface Tile {
  axis: Axis;
  slice: number;
  /** Canvas position of the edge before voxel `index` of the two axes in the plane. */
  place: (u: number, v: number) => [number, number];
  box: [number, number, number, number];
}

export interface Layer {
  bitmap: Uint8Array;
  /** Opacity of the inside. */
  fill: number;
  colour: (number: number) => string;
  /** Names to write beside the outlines; none if they are not to be written. */
  name: (number: number) => string;
}

export function drawOutlines(canvas: CanvasRenderingContext2D, tile: Tile, size: Triple, layer: Layer, width: number): void {
  const strides = [1, size[0], size[0] * size[1]] as const;
  const [u, v] = inPlane(tile.axis);
  const [nu, nv] = [size[u] as number, size[v] as number];
  const [su, sv] = [strides[u] as number, strides[v] as number];
  const start = tile.slice * (strides[tile.axis] as number);
  const { bitmap } = layer;
  const paths = new Map<number, { edge: Path2D; fill: Path2D; right: number; top: number }>();
  for (let j = 0; j < nv; j++) {
    for (let i = 0; i < nu; i++) {
      const at = start + i * su + j * sv;
      const number = bitmap[at];
      if (!number) continue;
      let path = paths.get(number);
      if (!path) paths.set(number, (path = { edge: new Path2D(), fill: new Path2D(), right: -Infinity, top: Infinity }));
      const [x0, y0] = tile.place(i, j);
      const [x1, y1] = tile.place(i + 1, j + 1);
      path.right = Math.max(path.right, x0, x1);
      path.top = Math.min(path.top, y0, y1);
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
      canvas.fillStyle = layer.colour(number);
      canvas.fill(fill);
      canvas.globalAlpha = 1;
    }
    // Dark below light: visible on bright and on dark tissue.
    canvas.strokeStyle = "rgb(0 0 0 / 60%)";
    canvas.lineWidth = width + 2;
    canvas.stroke(edge);
    canvas.strokeStyle = layer.colour(number);
    canvas.lineWidth = width;
    canvas.stroke(edge);
  }
  // In a strip of a few slices names would hide what they name.
  const strip = Math.min(tile.box[2], tile.box[3]) < 60 * width;
  for (const [number, { right, top }] of strip ? [] : paths) writeName(canvas, layer.name(number), layer.colour(number), right, top, width);
  canvas.restore();
}

/** At the upper right of an outline. */
function writeName(canvas: CanvasRenderingContext2D, name: string, colour: string, right: number, top: number, scale: number): void {
  if (!name) return;
  canvas.font = `${8 * scale}px system-ui, sans-serif`;
  canvas.textAlign = "left";
  canvas.textBaseline = "bottom";
  canvas.lineWidth = 2 * scale;
  canvas.strokeStyle = "rgb(0 0 0 / 80%)";
  canvas.strokeText(name, right + 2 * scale, top);
  canvas.fillStyle = colour;
  canvas.fillText(name, right + 2 * scale, top);
}
