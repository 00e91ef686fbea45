/** Marks on slices: crosshair and letters of the sides. */

import type { Tile } from "./outlines";
import { inPlane } from "./slice-plane";
import type { Triple } from "./scene";

const LINE = "rgb(120 225 255 / 90%)";
const SHADE = "rgb(0 0 0 / 55%)";
const LETTER = "#f2f5f9";
const SIDES: [string, string][] = [
  ["L", "R"],
  ["P", "A"],
  ["I", "S"],
];

/** At a voxel, perhaps between two of the picture. Lines with a gap, so that the voxel itself is visible; on a mosaic a ring, which hides less. */
export function drawCrosshair(canvas: CanvasRenderingContext2D, tile: Tile, voxel: Triple, scale: number, ring: boolean): void {
  const [u, v] = inPlane(tile.axis);
  const [x, y] = tile.place((voxel[u] as number) + 0.5, (voxel[v] as number) + 0.5);
  const [left, top, width, height] = tile.box;
  const inside = x >= left && x <= left + width && y >= top && y <= top + height;
  canvas.save();
  canvas.beginPath();
  canvas.rect(left, top, width, height);
  canvas.clip();
  canvas.beginPath();
  if (ring) {
    canvas.arc(x, y, 6 * scale, 0, 2 * Math.PI);
    canvas.rect(left + 1, top + 1, width - 2, height - 2);
  } else if (inside) {
    const [atX, atY] = [Math.round(x) + 0.5, Math.round(y) + 0.5];
    const gap = 9 * scale;
    for (const [from, to] of [[left, atX - gap], [atX + gap, left + width]] as const) {
      canvas.moveTo(from, atY);
      canvas.lineTo(to, atY);
    }
    for (const [from, to] of [[top, atY - gap], [atY + gap, top + height]] as const) {
      canvas.moveTo(atX, from);
      canvas.lineTo(atX, to);
    }
  }
  canvas.strokeStyle = SHADE;
  canvas.lineWidth = 3 * scale;
  canvas.stroke();
  canvas.strokeStyle = LINE;
  canvas.lineWidth = scale;
  canvas.stroke();
  canvas.restore();
}

/** Letters at the ends of the slice's axes, derived from how it is drawn. */
export function drawLetters(canvas: CanvasRenderingContext2D, tile: Tile, size: Triple, scale: number): void {
  const [u, v] = inPlane(tile.axis);
  const [x0, y0] = tile.place(0, 0);
  const [x1, y1] = tile.place(size[u] as number, size[v] as number);
  const [left, right] = order(SIDES[u] as [string, string], x1 > x0);
  const [top, bottom] = order(SIDES[v] as [string, string], y1 > y0);
  const [x, y, width, height] = tile.box;
  const inset = 11 * scale;
  canvas.save();
  canvas.font = `600 ${13 * scale}px system-ui, sans-serif`;
  canvas.textAlign = "center";
  canvas.textBaseline = "middle";
  canvas.lineWidth = 3 * scale;
  canvas.strokeStyle = "rgb(0 0 0 / 80%)";
  canvas.fillStyle = LETTER;
  const write = (letter: string, atX: number, atY: number): void => {
    canvas.strokeText(letter, atX, atY);
    canvas.fillText(letter, atX, atY);
  };
  // In a strip of a few slices two letters would overlap and name the wrong sides: there they are
  // drawn outside, spaced so that they do not touch those of the next strip.
  const [narrow, low] = [width < 4 * inset, height < 4 * inset];
  const [fromX, fromY] = [narrow ? -0.8 * inset : inset, low ? -0.8 * inset : inset];
  const [shiftX, shiftY] = [low ? 0.1 * width : 0, narrow ? 0.1 * height : 0];
  write(left, x + fromX, y + height / 2 - shiftY);
  write(right, x + width - fromX, y + height / 2 + shiftY);
  write(top, x + width / 2 - shiftX, y + fromY);
  write(bottom, x + width / 2 + shiftX, y + height - fromY);
  canvas.restore();
}

function order([low, high]: [string, string], rising: boolean): [string, string] {
  return rising ? [low, high] : [high, low];
}
