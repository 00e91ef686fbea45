/** Page: assembles pictures and panels, and what acts on all of them. */

import { type Arrangement, hungMaps, sameOf } from "./arrangement";
import { DisplayPanel } from "./display-panel";
import { button, choices, element, field } from "./dom";
import { FlipBook } from "./flip-book";
import { returnFocus } from "./focus";
import { helpDialog } from "./help-dialog";
import { fillImageSelect, imageSelect } from "./image-select";
import { type Actions, keys, listenToKeys } from "./keyboard";
import { fail, messages, say } from "./messages";
import { OpenFiles } from "./open-files";
import type { Layout } from "./picture";
import { type PointerSettings, listenToPointers } from "./pointer";
import { RegionsPanel } from "./regions-panel";
import type { Scene } from "./scene";
import type { Session } from "./session";
import { SessionKeeper } from "./session-keeper";
import { download } from "./server";
import { snapshot } from "./snapshot";
import { tabs } from "./tabs";
import { ViewFrame } from "./view-frame";
import type { View, Viewer } from "./viewer";
import { VoxelPanel } from "./voxel-panel";

const LAYOUTS: Record<Layout, string> = {
  planes: "Three planes",
  axial: "Axial",
  coronal: "Coronal",
  sagittal: "Sagittal",
  mosaic: "Mosaic",
};

const SMALL_SHARE = 0.7;

export class Page {
  arrangement: Arrangement = "one";
  private readonly stage = element("div", { class: "stage", "data-testid": "stage" });
  /** What concerns all pictures, while there are several. */
  private readonly common = element("div", { class: "view-bar common" });
  private readonly shared: HTMLElement[];
  private readonly voxelPanel: VoxelPanel;
  private readonly regionsPanel: RegionsPanel;
  private readonly displayPanel: DisplayPanel;
  private readonly keeper: SessionKeeper;
  private readonly flipBook: FlipBook;
  private readonly opener: OpenFiles;
  private readonly settings: PointerSettings & { finely: boolean } = { follow: false, windowing: false, finely: false };
  private readonly layouts: { root: HTMLElement; show: (layout: Layout) => void };
  private readonly bases: HTMLSelectElement;
  private readonly help: { root: HTMLDialogElement; open: () => void };
  private readonly arrangers: { kind: Arrangement; button: HTMLButtonElement }[];
  private frames: ViewFrame[] = [];
  /** What the first picture showed before four maps. */
  private before: { overlay: string | null; layout: Layout } | null = null;
  /** Whether pictures are being made. */
  private arranging = false;

  constructor(private readonly viewer: Viewer) {
    const { scene } = viewer;
    this.voxelPanel = new VoxelPanel(viewer);
    this.regionsPanel = new RegionsPanel(viewer, say, () => this.keeper?.changed());
    this.keeper = new SessionKeeper(scene, () => ({ ...viewer.saved(), arrangement: this.arrangement }), () => this.regionsPanel.regions.saved()); // prettier-ignore
    this.flipBook = new FlipBook(viewer, say);
    this.displayPanel = new DisplayPanel(viewer, this.settings, {
      named: (on) => this.regionsPanel.setNamed(on),
      saveSession: () => download(this.keeper.file(), "session.json"),
      loadSession: (file) => void this.loadSession(file),
      openImages: (files) => void this.opener.images(files),
    });
    this.opener = new OpenFiles(viewer, {
      regions: (file) => this.regionsPanel.files.load(file),
      session: (file) => this.loadSession(file),
      // What is seen and drawn is kept.
      again: () => location.reload(),
      say,
      fail,
    });
    const all = keys(this.actions());
    this.help = helpDialog(all);
    this.layouts = choices("Layout", LAYOUTS, viewer.layout, (layout) => viewer.setLayout(layout));
    this.bases = imageSelect(scene, viewer.images, "base");
    this.bases.addEventListener("change", () => void viewer.setBase(this.bases.value));
    this.shared = [field("Base", this.bases), ...(this.flipBook.root ? [this.flipBook.root] : [])];
    this.arrangers = [
      ...(scene.results.length > 1 ? [this.arranger("sides", "Side by side", "compare")] : []),
      ...(this.hung.length > 1 ? [this.arranger("maps", this.hung.length === 4 ? "Four maps" : "Maps", "four-maps")] : []),
    ];
    document.body.append(
      this.header(),
      element("main", {}, this.stage, element("aside", { "aria-label": "Panels" }, this.panels())),
      messages,
      this.help.root,
    );
    this.stage.append(this.common);
    listenToKeys(this.stage, all);
    returnFocus(() => this.frames[0]?.picture.canvas);
    viewer.on(["images", "looks", "voxel", "values"], () => this.showLegends());
    viewer.on(["images"], () => this.showChoices());
    viewer.on(["list"], () => this.refill());
    viewer.on(["layout"], () => this.layouts.show(viewer.layout));
  }

  async start(): Promise<void> {
    const { viewer, regionsPanel } = this;
    const { scene } = viewer;
    const [first] = scene.results;
    const kept = this.keeper.kept();
    if (kept) viewer.adopt(kept.view);
    const [overlay] = kept?.view.overlays ?? [];
    const known = overlay && (overlay.key === null || viewer.images.has(overlay.key));
    await this.addFrame(known ? overlay.key : first ? viewer.favourite(first) : null);
    if (kept) await this.resume(kept);
    else if (isSmall(scene)) viewer.zoomToTissue();
    this.voxelPanel.update();
    await regionsPanel.showGiven();
    this.frames[0]?.picture.canvas.focus({ preventScroll: true });
    viewer.on(["images", "looks", "layout", "voxel", "field"], () => this.keeper.changed());
    this.keeper.start();
  }

  /** Show the rest of a session, once there is a picture. */
  private async resume({ view, regions }: Session): Promise<void> {
    const { viewer } = this;
    this.layouts.show(viewer.layout);
    this.displayPanel.showSettings();
    if (view.arrangement !== "one" && this.arrangers.some(({ kind }) => kind === view.arrangement)) {
      await this.arrange(view.arrangement);
      viewer.setLayout(view.layout);
    }
    for (const [k, shown] of viewer.views.entries()) {
      const { key = null, visible = true } = view.overlays[k] ?? {};
      if (key === null || viewer.images.has(key)) await viewer.setOverlay(shown, key);
      viewer.setVisible(shown, visible);
    }
    const [first] = viewer.views;
    if (!first) return;
    first.picture.field = view.field;
    viewer.share(first.picture);
    const fits = this.regionsPanel.regions.take(regions, first.picture.grid?.count ?? 0);
    if (!fits) say("The regions of the session are on another grid, and were left out.");
  }

  private async loadSession(file: File): Promise<void> {
    try {
      this.keeper.load(await file.text());
    } catch (error) {
      fail(error);
    }
  }

  /** Show one picture, or several; the first one stays. */
  async arrange(kind: Arrangement): Promise<void> {
    const { viewer } = this;
    const [first] = viewer.views;
    if (!first || this.arranging) return;
    this.arranging = true;
    try {
      for (const frame of this.frames.splice(1)) this.drop(frame);
      this.arrangement = kind;
      this.show();
      if (kind !== "maps") await this.leaveMaps(first);
      for (const overlay of kind === "maps" ? await this.enterMaps(first) : kind === "sides" ? this.other(first) : []) await this.addFrame(overlay);
    } catch (error) {
      fail(error);
    } finally {
      this.arranging = false;
    }
  }

  private get hung(): string[] {
    const [result] = this.viewer.scene.results;
    return result ? hungMaps(result) : [];
  }

  /** Three planes of four maps would be tiny: of each its axial slice. */
  private async enterMaps(first: View): Promise<string[]> {
    const { viewer } = this;
    const [own, ...others] = this.hung;
    this.before = { overlay: first.overlay, layout: viewer.layout };
    if (viewer.layout === "planes") viewer.setLayout("axial");
    if (own) await viewer.setOverlay(first, own);
    return others;
  }

  private async leaveMaps(first: View): Promise<void> {
    const { viewer, before } = this;
    this.before = null;
    if (!before) return;
    if (before.layout === "planes" && viewer.layout === "axial") viewer.setLayout("planes");
    await viewer.setOverlay(first, before.overlay);
  }

  private other(first: View): string[] {
    const { viewer } = this;
    const second = viewer.scene.results[1];
    return second ? [sameOf(first.overlay ? viewer.image(first.overlay) : null, second, viewer.favourite(second))] : [];
  }

  private show(): void {
    this.stage.dataset.arrangement = this.arrangement;
    for (const { kind, button: own } of this.arrangers) own.setAttribute("aria-pressed", String(kind === this.arrangement));
    const alone = this.arrangement === "one";
    if (alone) this.frames[0]?.bar.prepend(...this.shared);
    else this.common.append(...this.shared);
    this.common.hidden = alone;
  }

  private async addFrame(overlay: string | null): Promise<void> {
    const { viewer } = this;
    const frame = new ViewFrame(viewer, this.frames.length);
    this.frames.push(frame);
    this.stage.append(frame.root);
    this.show();
    listenToPointers(frame.picture, viewer, () => this.regionsPanel.regions, this.regionsPanel.sketches, this.settings);
    const adding = viewer.add(frame.picture, overlay);
    this.showChoices();
    await adding;
    this.regionsPanel.paint();
    this.regionsPanel.setTool(this.regionsPanel.regions.tool);
  }

  private drop(frame: ViewFrame): void {
    frame.root.remove();
    if (frame.view) this.viewer.remove(frame.view);
  }

  private refill(): void {
    fillImageSelect(this.bases, this.viewer.scene, this.viewer.images, "base");
    for (const frame of this.frames) frame.refill();
    this.showChoices();
  }

  private showChoices(): void {
    this.bases.value = this.viewer.base;
    for (const frame of this.frames) frame.showChoice();
  }

  private showLegends(): void {
    for (const frame of this.frames) frame.showLegends(this.arrangement !== "maps");
  }

  private toggle(kind: Arrangement): void {
    if (this.arrangers.some((one) => one.kind === kind)) void this.arrange(this.arrangement === kind ? "one" : kind);
  }

  private arranger(kind: Arrangement, text: string, key: string): { kind: Arrangement; button: HTMLButtonElement } {
    return { kind, button: button(text, () => this.toggle(kind), { "aria-pressed": "false", "data-testid": key }) };
  }

  private header(): HTMLElement {
    const { scene } = this.viewer;
    const several = scene.results.length > 1;
    const links = scene.results.map(({ name, report }) =>
      element("a", { href: report, target: "_blank", rel: "noopener", class: "link", "data-testid": "report" }, several ? name : "Report"),
    );
    const reports = several ? [element("details", { class: "menu" }, element("summary", { class: "link" }, "Reports"), element("div", {}, ...links))] : links;
    return element(
      "header",
      {},
      element("h1", {}, element("span", { class: "brand" }, "ivimkit"), scene.title),
      this.layouts.root,
      element("div", { class: "buttons" }, ...this.arrangers.map((one) => one.button), button("Save PNG", () => void this.save(), { "data-testid": "save-png" }),
        ...reports, button("Help", () => this.help.open(), { "data-testid": "help", "aria-haspopup": "dialog" })), // prettier-ignore
    );
  }

  private panels(): HTMLElement {
    return tabs([
      { key: "voxel", name: "Voxel", content: this.voxelPanel.root },
      { key: "regions", name: "Regions", content: this.regionsPanel.root },
      { key: "display", name: "Display", content: this.displayPanel.root },
    ]).root;
  }

  private async save(): Promise<void> {
    try {
      download(await snapshot(this.viewer, this.settings.finely ? 2 : 1), "ivimkit.png");
    } catch (error) {
      fail(error);
    }
  }

  private actions(): Actions {
    const { viewer } = this;
    const next = (list: string[], now: string, step: number): string => list[(list.indexOf(now) + step + list.length) % list.length] as string;
    const means = (): string[] => [...viewer.images.values()].filter(({ single }) => !single).map(({ key }) => key);
    return {
      move: (steps) => viewer.move(steps),
      centre: () => viewer.setVoxel(viewer.scene.tissue.start),
      layout: (layout) => viewer.setLayout(layout),
      layoutNow: () => viewer.layout,
      mirrored: () => viewer.views[0]?.picture.mirrored ?? false,
      base: (step) => void viewer.setBase(next(means(), viewer.base, step)),
      overlay: (step) => {
        for (const view of viewer.views) {
          const result = view.overlay ? viewer.image(view.overlay).result : viewer.scene.results[0];
          const own = [...viewer.images.values()].filter((image) => image.result === result && !image.single).map(({ key }) => key);
          void viewer.setOverlay(view, next(own, view.overlay ?? "", step));
        }
      },
      toggleOverlay: () => viewer.views.forEach((view) => viewer.setVisible(view, !view.visible)),
      opacity: (change) => viewer.setOpacity(viewer.opacity + change),
      windowing: () => this.displayPanel.toggleWindowing(),
      resetRange: () => viewer.windowedNow().forEach((key) => void viewer.resetLook(key)),
      flip: () => this.flipBook.toggle(),
      volume: (step) => void this.flipBook.step(step),
      flipOther: () => this.flipBook.other(),
      flipFaster: (step) => this.flipBook.faster(step),
      zoom: (factor) => viewer.zoom(factor),
      tissue: () => viewer.zoomToTissue(),
      logarithmic: () => this.voxelPanel.toggleLogarithmic(),
      compare: () => this.toggle("sides"),
      maps: () => this.toggle("maps"),
      undo: () => this.regionsPanel.regions.undo(),
      redo: () => this.regionsPanel.regions.redo(),
      closePolygon: () => this.frames[0] && this.regionsPanel.sketches.close(this.frames[0].picture),
      cornerBack: () => this.regionsPanel.sketches.back(),
      stopDrawing: () => this.regionsPanel.stop(),
      crosshair: () => this.displayPanel.toggleCrosshair(),
      save: () => void this.save(),
      help: () => this.help.open(),
    };
  }
}

/** Whether the voxels with a fit are so small a part of each slice that a picture is better zoomed. */
function isSmall({ tissue: { low, high }, shape }: Scene): boolean {
  return shape.slice(0, 2).every((n, k) => (high[k] as number) - (low[k] as number) + 1 < SMALL_SHARE * n);
}
