/** Keyboard: the action of every key, for the pictures and for the help. */

import type { Layout } from "./picture";
import type { Triple } from "./scene";

export interface Key {
  keys: string[];
  shown: string;
  does: string;
  run: (event: KeyboardEvent) => void;
}

export interface Actions {
  move: (steps: Triple) => void;
  centre: () => void;
  layout: (layout: Layout) => void;
  layoutNow: () => Layout;
  /** Whether the patient's right is on the left. */
  mirrored: () => boolean;
  base: (step: number) => void;
  overlay: (step: number) => void;
  toggleOverlay: () => void;
  opacity: (change: number) => void;
  windowing: () => void;
  resetRange: () => void;
  flip: () => void;
  volume: (step: number) => void;
  flipOther: () => void;
  flipFaster: (step: number) => void;
  zoom: (factor: number) => void;
  tissue: () => void;
  logarithmic: () => void;
  compare: () => void;
  maps: () => void;
  undo: () => void;
  redo: () => void;
  closePolygon: () => void;
  cornerBack: () => void;
  stopDrawing: () => void;
  crosshair: () => void;
  save: () => void;
  help: () => void;
}

const FAR = 10;

export function keys(act: Actions): Key[] {
  /** Right and up on the screen, along the axes of the current slice. */
  const onScreen = (right: number, up: number, event: KeyboardEvent): void => {
    const n = event.shiftKey ? FAR : 1;
    const flip = act.mirrored() ? -1 : 1;
    const layout = act.layoutNow();
    if (layout === "coronal") act.move([right * n * flip, 0, up * n]);
    else if (layout === "sagittal") act.move([0, right * n, up * n]);
    else act.move([right * n * flip, up * n, 0]);
  };
  const through = (step: number, event: KeyboardEvent): void => {
    const n = (event.shiftKey ? FAR : 1) * step;
    const layout = act.layoutNow();
    act.move(layout === "coronal" ? [0, n, 0] : layout === "sagittal" ? [n, 0, 0] : [0, 0, n]);
  };
  const layouts: [Layout, string][] = [
    ["planes", "three planes"],
    ["axial", "axial"],
    ["coronal", "coronal"],
    ["sagittal", "sagittal"],
    ["mosaic", "mosaic"],
  ];
  return [
    { keys: ["ArrowLeft"], shown: "←", does: "Crosshair to the left of the screen", run: (e) => onScreen(-1, 0, e) },
    { keys: ["ArrowRight"], shown: "→", does: "Crosshair to the right of the screen", run: (e) => onScreen(1, 0, e) },
    { keys: ["ArrowUp"], shown: "↑", does: "Crosshair up", run: (e) => onScreen(0, 1, e) },
    { keys: ["ArrowDown"], shown: "↓", does: "Crosshair down", run: (e) => onScreen(0, -1, e) },
    { keys: ["PageUp"], shown: "Page Up", does: "Next slice", run: (e) => through(1, e) },
    { keys: ["PageDown"], shown: "Page Down", does: "Previous slice (with Shift, all of these move ten voxels)", run: (e) => through(-1, e) },
    { keys: ["Home"], shown: "Home", does: "Crosshair to the middle of the tissue", run: act.centre },
    ...layouts.map(([layout, name], i): Key => ({ keys: [String(i + 1)], shown: String(i + 1), does: `Show ${name}`, run: () => act.layout(layout) })),
    { keys: ["b"], shown: "b", does: "Next base image", run: () => act.base(1) },
    { keys: ["B"], shown: "Shift b", does: "Previous base image", run: () => act.base(-1) },
    { keys: ["m"], shown: "m", does: "Next overlay map", run: () => act.overlay(1) },
    { keys: ["M"], shown: "Shift m", does: "Previous overlay map", run: () => act.overlay(-1) },
    { keys: ["o"], shown: "o", does: "Hide or show the overlay", run: act.toggleOverlay },
    { keys: ["["], shown: "[", does: "Overlay more transparent", run: () => act.opacity(-0.1) },
    { keys: ["]"], shown: "]", does: "Overlay less transparent", run: () => act.opacity(0.1) },
    { keys: ["w"], shown: "w", does: "Left button sets the range of colours, or moves the crosshair again", run: act.windowing },
    { keys: ["r"], shown: "r", does: "Range and colours as they were", run: act.resetRange },
    { keys: ["+", "="], shown: "+", does: "Zoom in on the crosshair", run: () => act.zoom(1.25) },
    { keys: ["-"], shown: "−", does: "Zoom out", run: () => act.zoom(0.8) },
    { keys: ["0"], shown: "0", does: "Whole picture", run: () => act.zoom(0) },
    { keys: ["t"], shown: "t", does: "Zoom to the tissue: the voxels with a fit", run: act.tissue },
    { keys: ["v"], shown: "v", does: "Flip through the volumes, or stop", run: act.flip },
    { keys: ["a"], shown: "a", does: "Flip through the volumes as acquired, or as fitted", run: act.flipOther },
    { keys: ["n"], shown: "n", does: "Next volume", run: () => act.volume(1) },
    { keys: ["N"], shown: "Shift n", does: "Previous volume", run: () => act.volume(-1) },
    { keys: ["f"], shown: "f", does: "Flip faster", run: () => act.flipFaster(1) },
    { keys: ["F"], shown: "Shift f", does: "Flip slower", run: () => act.flipFaster(-1) },
    { keys: ["l"], shown: "l", does: "Linear or logarithmic signal axis", run: act.logarithmic },
    { keys: ["c"], shown: "c", does: "Two results side by side, where there are two", run: act.compare },
    { keys: ["g"], shown: "g", does: "Four maps at once: ADC, D, f and D*, or the maps that there are", run: act.maps },
    { keys: ["u"], shown: "u", does: "Undo the last stroke", run: act.undo },
    { keys: ["U"], shown: "Shift u", does: "Redo what was undone", run: act.redo },
    { keys: ["Enter"], shown: "Enter", does: "Close the polygon", run: act.closePolygon },
    { keys: ["Backspace"], shown: "Backspace", does: "Take the last corner of the polygon back", run: act.cornerBack },
    { keys: ["Escape"], shown: "Esc", does: "Remove the ruler or an open polygon; then stop drawing: the pointer moves the crosshair again", run: act.stopDrawing },
    { keys: ["x"], shown: "x", does: "Hide or show the crosshair", run: act.crosshair },
    { keys: ["s"], shown: "s", does: "Save the pictures as PNG", run: act.save },
    { keys: ["?", "h"], shown: "?", does: "This help", run: act.help },
  ];
}

/** Single letters act only while a picture has the focus, so that stray typing has no effect. */
export function listenToKeys(place: HTMLElement, all: Key[]): void {
  place.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (!(event.target instanceof HTMLCanvasElement)) return;
      const found = all.find(({ keys: own }) => own.includes(event.key));
      if (!found) return;
      event.preventDefault();
      event.stopPropagation();
      found.run(event);
    },
    true,
  );
}
