/** Snapshot: the pictures with captions and legends as a PNG. */

import { blockText, isThinned } from "./blocks";
import { stops } from "./colours";
import { paintBar } from "./legend";
import { short } from "./numbers";
import type { Grade } from "./scene";
import type { View, Viewer } from "./viewer";

const CAPTION = 30;
const LEGEND = 56;
const TEXT = "#e8ecf2";

/** With `times` as many pixels as on the screen, along each side. */
export async function snapshot(viewer: Viewer, times: number): Promise<Blob> {
  const scale = times * (devicePixelRatio || 1);
  const columns = Math.min(2, viewer.views.length);
  const rows = Math.ceil(viewer.views.length / columns);
  const pictures = viewer.views.map(({ picture }) => picture.enlarged(times));
  const wide = Math.max(...pictures.map(({ width }) => width));
  const high = Math.max(...pictures.map(({ height }) => height));
  const step = high + (CAPTION + LEGEND) * scale;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns * wide, rows * step];
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser cannot draw a PNG");
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  viewer.views.forEach((view, k) => {
    context.save();
    context.translate((k % columns) * wide, Math.floor(k / columns) * step);
    context.drawImage(pictures[k] as HTMLCanvasElement, 0, CAPTION * scale);
    context.scale(scale, scale);
    write(context, viewer, view, wide / scale, CAPTION + high / scale);
    context.restore();
  });
  return new Promise((done, failed) =>
    canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("the PNG could not be created"))), "image/png"),
  );
}

function write(context: CanvasRenderingContext2D, viewer: Viewer, view: View, width: number, bottom: number): void {
  context.fillStyle = TEXT;
  context.font = "14px system-ui, sans-serif";
  const result = view.overlay ? viewer.image(view.overlay).result?.name : undefined;
  context.fillText(result ?? viewer.scene.title, 10, 20);
  const thinned = isThinned(viewer.scene) ? `one voxel of each ${blockText(viewer.scene)}; ` : "";
  const place = `${thinned}voxel ${viewer.voxel.join(", ")}`;
  context.fillText(place, width - 10 - context.measureText(place).width, 20);
  const keys = [viewer.base, ...(view.overlay && view.visible ? [view.overlay] : [])];
  keys.forEach((key, i) => {
    const image = viewer.image(key);
    if (image.grades) {
      writeGrades(context, image.grades, 10 + i * (width / 2), bottom + 12, width / 2 - 20);
      return;
    }
    const { limits, colormap } = viewer.look(key);
    const x = 10 + i * (width / 2);
    const wide = Math.min(220, width / 2 - 20);
    context.fillText(image.label, x, bottom + 18);
    paintBar(context, stops(viewer.lut(colormap), 32), x, bottom + 24, wide, 10);
    context.fillStyle = TEXT;
    const [low, high] = limits.map((end) => short(end * image.factor)) as [string, string];
    context.fillText(low, x, bottom + 49);
    context.fillText(high, x + wide - context.measureText(high).width, bottom + 49);
    const { doubtful } = image.map ?? {};
    if (doubtful && viewer.fading) {
      const note = `faded: ${doubtful.why} (${doubtful.n} voxels)`;
      context.font = "11px system-ui, sans-serif";
      context.fillText(note, x + 0.5 * (wide - context.measureText(note).width), bottom + 49, wide);
      context.font = "14px system-ui, sans-serif";
    }
  });
}

/** The colours of a status with their names, in two columns. */
function writeGrades(context: CanvasRenderingContext2D, grades: Grade[], left: number, top: number, width: number): void {
  const rows = Math.ceil(grades.length / 2);
  const line = Math.min(14, (LEGEND - 14) / rows);
  context.font = `${Math.max(7, line - 2)}px system-ui, sans-serif`;
  grades.forEach(({ name, colour, shown }, k) => {
    const x = left + (k < rows ? 0 : width / 2);
    const y = top + (k % rows) * line;
    context.fillStyle = colour;
    context.fillRect(x, y, line - 3, line - 3);
    context.fillStyle = TEXT;
    context.fillText(`${name}: ${shown}`, x + line + 2, y + line - 4, width / 2 - line - 6);
  });
  context.font = "14px system-ui, sans-serif";
}
