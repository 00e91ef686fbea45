/** Pointer: mouse, pen and fingers on a picture. */

import type { Look } from "./images";
import type { Picture } from "./picture";
import type { Regions } from "./regions";
import type { Sketches } from "./sketches";
import type { Axis } from "./slice-plane";
import type { Viewer } from "./viewer";

const WHEEL_ZOOM = 1.15;

export interface PointerSettings {
  /** Whether the crosshair follows the mouse without a button pressed. */
  follow: boolean;
  /** Whether the left button sets the range of colours. */
  windowing: boolean;
}

export function listenToPointers(picture: Picture, viewer: Viewer, regions: () => Regions, sketches: Sketches, settings: PointerSettings): void {
  const { canvas } = picture;
  const fingers = new Map<number, [number, number]>();
  let mode: "none" | "crosshair" | "draw" | "pan" | "pinch" | "window" | "ruler" = "none";
  let windows: { start: [number, number]; before: Map<string, Look> } | null = null;
  let axis: Axis | undefined;
  let apart = 0;

  const moveTo = (event: PointerEvent): void => {
    const hit = picture.hit(event.clientX, event.clientY, axis);
    if (hit && picture.grid) viewer.setVoxel(picture.grid.toStored(hit.voxel));
  };
  const distance = (): number => {
    const [one, other] = [...fingers.values()];
    return one && other ? Math.hypot(one[0] - other[0], one[1] - other[1]) : 0;
  };

  canvas.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (fingers.size === 2) {
      if (mode === "draw") regions().end(picture);
      mode = "pinch";
      apart = distance();
      return;
    }
    const hit = picture.hit(event.clientX, event.clientY);
    axis = hit?.axis;
    if (event.button === 1 || (event.button === 0 && (event.ctrlKey || event.metaKey || settings.windowing))) {
      mode = "window";
      windows = { start: [event.clientX, event.clientY], before: new Map(viewer.windowedNow().map((key) => [key, viewer.look(key)])) };
    } else if (event.button !== 0 || event.shiftKey) {
      mode = "pan";
    } else if (hit && picture.grid) {
      const { tool } = regions();
      if (tool === "polygon") {
        sketches.corner(picture, hit);
      } else if (tool === "ruler") {
        mode = "ruler";
        sketches.measureFrom(hit);
      } else if (tool === "navigate") {
        mode = "crosshair";
        viewer.setVoxel(picture.grid.toStored(hit.voxel));
      } else {
        mode = "draw";
        regions().begin(picture, hit.voxel, hit.axis);
      }
    }
  });

  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) {
      axis = undefined;
      const hit = regions().tool === "polygon" ? picture.hit(event.clientX, event.clientY) : null;
      if (hit) sketches.hover(hit);
      if (settings.follow && event.pointerType === "mouse") moveTo(event);
      return;
    }
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (mode === "crosshair") moveTo(event);
    else if (mode === "draw") {
      const hit = picture.hit(event.clientX, event.clientY, axis);
      if (hit) regions().extend(picture, hit.voxel);
    } else if (mode === "ruler") {
      const hit = picture.hit(event.clientX, event.clientY, axis);
      if (hit) sketches.measureTo(hit.at);
    } else if (mode === "pan") {
      viewer.pan(picture, before, [event.clientX, event.clientY]);
    } else if (mode === "window" && windows) {
      const { start, before: looks } = windows;
      const [right, up] = [event.clientX - start[0], start[1] - event.clientY];
      for (const [key, look] of looks) viewer.window(key, look, right, up);
    } else if (mode === "pinch") {
      const now = distance();
      if (apart > 0 && now > 0) viewer.zoom(now / apart);
      apart = now;
    }
  });

  const up = (event: PointerEvent): void => {
    fingers.delete(event.pointerId);
    if (mode === "draw") regions().end(picture);
    mode = "none";
    windows = null;
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());

  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const up = event.deltaY < 0;
      if (event.ctrlKey || event.metaKey) {
        viewer.zoom(up ? WHEEL_ZOOM : 1 / WHEEL_ZOOM);
        return;
      }
      const hit = picture.hit(event.clientX, event.clientY);
      if (!hit) return;
      const steps: [number, number, number] = [0, 0, 0];
      steps[hit.axis] = up ? 1 : -1;
      viewer.move(steps);
    },
    { passive: false },
  );
}
