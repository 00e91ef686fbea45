/** The page: assembles pictures and panels. */

import "./style.css";
import { blockText, isThinned } from "./blocks";
import { FIT_COLOURS } from "./colours";
import { DisplayPanel } from "./display-panel";
import { button, choices, element, field } from "./dom";
import { FlipBook } from "./flip-book";
import { type Actions, keys, listenToKeys } from "./keyboard";
import { legend } from "./legend";
import { type Layout, Picture } from "./picture";
import { type PointerSettings, listenToPointers } from "./pointer";
import { RegionsPanel } from "./regions-panel";
import type { Scene } from "./scene";
import { download, getJson, isAborted } from "./server";
import { snapshot } from "./snapshot";
import { tabs } from "./tabs";
import { type Flipped, type View, Viewer, statusKey } from "./viewer";
import { VoxelPanel } from "./voxel-panel";

declare global {
  interface Window {
    /** For tests and for the curious. */
    ivimkit?: { viewer: Viewer };
  }
}

const LAYOUTS: Record<Layout, string> = {
  planes: "Three planes",
  axial: "Axial",
  coronal: "Coronal",
  sagittal: "Sagittal",
  mosaic: "Mosaic",
};
const SHORT_WHILE = 8000;

const messages = element("div", { class: "messages", role: "alert", "data-testid": "messages" });

function say(text: string, kind: "error" | "note" = "note"): void {
  // Show a message only once: without the server every request fails.
  for (const old of messages.children) if (old.firstChild?.textContent === text) return;
  const message = element("div", { class: `message ${kind}` }, element("span", {}, text));
  message.append(button("Close", () => message.remove(), { class: "small" }));
  messages.append(message);
  if (kind === "note") setTimeout(() => message.remove(), SHORT_WHILE);
}

function fail(error: unknown): void {
  if (!isAborted(error)) say(error instanceof Error ? error.message : String(error), "error");
}

class Page {
  private readonly stage = element("div", { class: "stage", "data-testid": "stage" });
  private readonly voxelPanel: VoxelPanel;
  private readonly regionsPanel: RegionsPanel;
  private readonly flipBook: FlipBook;
  private readonly settings: PointerSettings = { follow: false };
  private readonly layouts: { root: HTMLElement; show: (layout: Layout) => void };
  private readonly frames = new Map<View, { root: HTMLElement; overlay: HTMLSelectElement; legends: HTMLElement; name: HTMLElement }>();
  private readonly bases: HTMLSelectElement;
  private readonly help: HTMLDialogElement;
  private readonly compareButton: HTMLButtonElement | null;
  /** Whether the second picture is being made. */
  private adding = false;

  constructor(private readonly viewer: Viewer) {
    const { scene } = viewer;
    this.voxelPanel = new VoxelPanel(viewer);
    this.regionsPanel = new RegionsPanel(viewer, say);
    this.flipBook = new FlipBook(viewer, say);
    const display = new DisplayPanel(viewer, this.settings);
    const all = keys(this.actions());
    this.help = helpDialog(all.map(({ shown, does }) => [shown, does]));
    this.layouts = choices("Layout", LAYOUTS, viewer.layout, (layout) => viewer.setLayout(layout));
    this.bases = this.imageSelect("base");
    this.bases.addEventListener("change", () => void viewer.setBase(this.bases.value));
    const several = scene.results.length > 1;
    this.compareButton = several
      ? button("Side by side", () => void this.compare(), { "aria-pressed": "false", "data-testid": "compare" })
      : null;
    const links = scene.results.map(({ name, report }) =>
      element("a", { href: report, target: "_blank", rel: "noopener", class: "link", "data-testid": "report" }, several ? name : "Report"),
    );
    const reports = several ? [element("details", { class: "menu" }, element("summary", { class: "link" }, "Reports"), element("div", {}, ...links))] : links;
    const header = element(
      "header",
      {},
      element("h1", {}, element("span", { class: "brand" }, "ivimkit"), scene.title),
      this.layouts.root,
      element("div", { class: "buttons" }, this.compareButton, button("Save PNG", () => void this.save(), { "data-testid": "save-png" }),
        ...reports, button("Help", () => this.help.showModal(), { "data-testid": "help", "aria-haspopup": "dialog" })), // prettier-ignore
    );
    const panels = tabs([
      { key: "voxel", name: "Voxel", content: this.voxelPanel.root },
      { key: "regions", name: "Regions", content: this.regionsPanel.root },
      { key: "display", name: "Display", content: display.root },
    ]);
    document.body.append(
      header,
      element("main", {}, this.stage, element("aside", { "aria-label": "Panels" }, panels.root)),
      messages,
      this.help,
    );
    listenToKeys(this.stage, all);
    viewer.on(["images", "looks", "voxel", "values"], () => this.showLegends());
    viewer.on(["images"], () => this.showChoices());
    viewer.on(["layout"], () => this.layouts.show(viewer.layout));
  }

  async start(): Promise<void> {
    const first = this.viewer.scene.results[0];
    await this.addView(first ? this.viewer.favourite(first) : null);
    this.voxelPanel.update();
    await this.regionsPanel.showGiven();
    this.viewer.views[0]?.picture.canvas.focus({ preventScroll: true });
  }

  private async addView(overlay: string | null): Promise<void> {
    const { viewer } = this;
    const picture = new Picture("Slices. Arrow keys and Page Up, Page Down move the crosshair; question mark for all keys.");
    const select = this.imageSelect("overlay");
    const legends = element("div", { class: "legends" });
    const number = this.frames.size;
    const root = element("section", { class: "view", "aria-label": number ? "Second picture" : "Picture", "data-testid": `view-${number}` });
    const name = element("strong", { class: "whose" });
    const bar = element("div", { class: "view-bar" }, number ? null : field("Base", this.bases), number ? null : this.flipBook.root, field("Overlay", select), name);
    root.append(bar, picture.root, legends);
    this.stage.append(root);
    listenToPointers(picture, viewer, () => this.regionsPanel.regions, this.settings);
    const adding = viewer.add(picture, overlay);
    const view = viewer.views[number] as View;
    this.frames.set(view, { root, overlay: select, legends, name });
    select.addEventListener("change", () => void viewer.setOverlay(view, select.value || null));
    this.showChoices();
    await adding;
    this.regionsPanel.paint();
    this.regionsPanel.setTool(this.regionsPanel.regions.tool);
  }

  private imageSelect(role: "base" | "overlay"): HTMLSelectElement {
    const { scene, images } = this.viewer;
    const select = element("select", { "data-testid": role });
    if (role === "overlay") select.append(element("option", { value: "" }, "none"));
    const group = (label: string, own: [string, string][]): void => {
      if (own.length) select.append(element("optgroup", { label }, ...own.map(([value, text]) => element("option", { value }, text))));
    };
    const list = [...images.values()];
    group("Scan", list.filter(({ result, single }) => !result && !single).map(({ key, label }) => [key, label]));
    if (role === "base") {
      const those = (which: Flipped): [string, string][] => list.filter(({ single }) => single === which).map(({ key, label }) => [key, label]);
      group(scene.steps.length ? "Volumes as fitted" : "Volumes as acquired", those("fitted"));
      group("Volumes as acquired", those("acquired"));
    }
    for (const one of scene.results) {
      const own = list.filter(({ result }) => result === one);
      const name = scene.results.length > 1 ? `${one.name}: ` : "";
      group(`${name}maps`, own.filter(({ map }) => !map?.about_another).map(({ key, label }) => [key, label]));
      group(`${name}uncertainty`, own.filter(({ map }) => map?.about_another).map(({ key, label }) => [key, label]));
    }
    return select;
  }

  private showChoices(): void {
    this.bases.value = this.viewer.base;
    const { results } = this.viewer.scene;
    for (const [view, { overlay, name }] of this.frames) {
      overlay.value = view.overlay ?? "";
      const result = view.overlay ? this.viewer.image(view.overlay).result : null;
      name.textContent = results.length > 1 ? (result?.name ?? "") : "";
      name.style.color = FIT_COLOURS[result ? results.indexOf(result) : 0] ?? "";
    }
  }

  private showLegends(): void {
    const { scene } = this.viewer;
    for (const [view, { legends }] of this.frames) {
      legends.replaceChildren(
        legend(this.viewer, this.viewer.base, "base"),
        ...(view.overlay && view.visible ? [legend(this.viewer, view.overlay, "overlay")] : []),
        ...(isThinned(scene) ? [element("div", { class: "note thinned", "data-testid": "thinned" }, `Large scan: one voxel of each block of ${blockText(scene)} is drawn. Values at the crosshair, curves and tables are of all voxels.`)] : []),
      );
    }
  }

  private async compare(): Promise<void> {
    const { viewer } = this;
    const second = viewer.scene.results[1];
    const [first, other] = viewer.views;
    if (!second || !first || this.adding) return;
    if (other) {
      this.frames.get(other)?.root.remove();
      this.frames.delete(other);
      viewer.remove(other);
    } else {
      const name = first.overlay ? viewer.image(first.overlay).map?.name : undefined;
      const same = first.overlay && viewer.image(first.overlay).grades ? statusKey(second) : second.maps.some((map) => map.name === name) ? `${second.id}/${name}` : viewer.favourite(second);
      this.adding = true;
      await this.addView(same).catch(fail);
      this.adding = false;
    }
    this.stage.classList.toggle("two", !other);
    this.compareButton?.setAttribute("aria-pressed", String(!other));
  }

  private async save(): Promise<void> {
    try {
      download(await snapshot(this.viewer), "ivimkit.png");
    } catch (error) {
      fail(error);
    }
  }

  private actions(): Actions {
    const { viewer } = this;
    const next = (list: string[], now: string, step: number): string =>
      list[(list.indexOf(now) + step + list.length) % list.length] as string;
    const means = [...viewer.images.values()].filter(({ single }) => !single).map(({ key }) => key);
    return {
      move: (steps) => viewer.move(steps),
      centre: () => viewer.setVoxel(viewer.scene.shape.map((n) => Math.floor(n / 2)) as [number, number, number]),
      layout: (layout) => viewer.setLayout(layout),
      layoutNow: () => viewer.layout,
      mirrored: () => viewer.views[0]?.picture.mirrored ?? false,
      base: (step) => void viewer.setBase(next(means, viewer.base, step)),
      overlay: (step) => {
        for (const view of viewer.views) {
          const result = view.overlay ? viewer.image(view.overlay).result : viewer.scene.results[0];
          const own = [...viewer.images.values()].filter((image) => image.result === result && !image.single).map(({ key }) => key);
          void viewer.setOverlay(view, next(own, view.overlay ?? "", step));
        }
      },
      toggleOverlay: () => viewer.views.forEach((view) => viewer.setVisible(view, !view.visible)),
      opacity: (change) => viewer.setOpacity(viewer.opacity + change),
      flip: () => this.flipBook.toggle(),
      volume: (step) => void this.flipBook.step(step),
      flipOther: () => this.flipBook.other(),
      flipFaster: (step) => this.flipBook.faster(step),
      zoom: (factor) => viewer.views.forEach(({ picture }) => picture.zoom(factor)),
      logarithmic: () => this.voxelPanel.toggleLogarithmic(),
      compare: () => void this.compare(),
      undo: () => this.regionsPanel.regions.undo(),
      stopDrawing: () => this.regionsPanel.setTool("navigate"),
      save: () => void this.save(),
      help: () => this.help.showModal(),
    };
  }
}

function helpDialog(shortcuts: [string, string][]): HTMLDialogElement {
  const rows = shortcuts.map(([key, does]) => element("tr", {}, element("th", { scope: "row" }, element("kbd", {}, key)), element("td", {}, does)));
  const dialog = element(
    "dialog",
    { "aria-label": "Help" },
    element("h2", {}, "Help"),
    element("p", {}, "Click or drag in a picture to move the crosshair; the panel shows the signal and the fits of that voxel. The wheel steps through slices, with Ctrl it zooms. Drag with the right button, or with Shift, to move a zoomed picture; on a touch screen, pinch to zoom. Voxels without a value are transparent; values that the data do not determine are faded."),
    element("p", {}, "These keys work while a picture has the focus (Tab reaches it):"),
    element("table", { class: "numbers keys" }, element("tbody", {}, ...rows)),
  );
  dialog.append(button("Close", () => dialog.close(), { class: "main" }));
  return dialog;
}

async function begin(): Promise<void> {
  const scene = await getJson<Scene>("api/scene");
  document.title = `${scene.title} – ivimkit`;
  const viewer = new Viewer(scene, fail);
  const page = new Page(viewer);
  document.querySelector("#waiting")?.remove();
  window.ivimkit = { viewer };
  await page.start();
  document.documentElement.dataset.ready = "true";
}

begin().catch((error: unknown) => {
  document.querySelector("#waiting")?.remove();
  document.body.append(messages);
  fail(error);
});
