/** Sketch: a line through points of a slice, with a text at its end: an open polygon, or a ruler. */

import type { Tile } from "./outlines";
import type { Axis } from "./slice-plane";

export interface Sketch {
  axis: Axis;
  slice: number;
  /** Along the two axes of the plane; 2.5 is the middle of voxel 2. */
  points: [number, number][];
  text: string;
}

const LINE = "#fff27a";

export function drawSketch(canvas: CanvasRenderingContext2D, tile: Tile, { axis, slice, points, text }: Sketch, scale: number): void {
  const places = points.map(([u, v]) => tile.place(u, v));
  const last = places[places.length - 1];
  if (tile.axis !== axis || tile.slice !== slice || !last) return;
  canvas.save();
  canvas.beginPath();
  canvas.rect(...tile.box);
  canvas.clip();
  canvas.beginPath();
  places.forEach(([x, y], k) => (k ? canvas.lineTo(x, y) : canvas.moveTo(x, y)));
  for (const [colour, width] of [["rgb(0 0 0 / 60%)", 4], [LINE, 1.5]] as const) {
    canvas.strokeStyle = colour;
    canvas.lineWidth = width * scale;
    canvas.stroke();
  }
  canvas.fillStyle = LINE;
  for (const [x, y] of places) canvas.fillRect(x - 2.5 * scale, y - 2.5 * scale, 5 * scale, 5 * scale);
  if (text) {
    canvas.font = `600 ${13 * scale}px system-ui, sans-serif`;
    canvas.textBaseline = "middle";
    canvas.lineWidth = 3 * scale;
    canvas.strokeStyle = "rgb(0 0 0 / 80%)";
    canvas.strokeText(text, last[0] + 8 * scale, last[1]);
    canvas.fillText(text, last[0] + 8 * scale, last[1]);
  }
  canvas.restore();
}
