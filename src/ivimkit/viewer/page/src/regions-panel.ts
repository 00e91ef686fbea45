/** Regions panel: draw, name, measure, compare, save and load regions. */

import { blockText, isThinned, sizeUnit } from "./blocks";
import { button, choices, element, field } from "./dom";
import { short, thousands } from "./numbers";
import { regionColour } from "./region-colours";
import { extentIn } from "./region-extent";
import { RegionFiles } from "./region-files";
import { RegionForms, axisOf } from "./region-forms";
import { RegionResults } from "./region-results";
import { type Region, Regions, type Tool } from "./regions";
import type { RegionsAnswer } from "./scene";
import { Latest, getBytes, postJson } from "./server";
import { Sketches } from "./sketches";
import { inPlane } from "./slice-plane";
import type { Viewer } from "./viewer";
import { parse } from "./volume";

const TOOLS: Record<Tool, string> = {
  navigate: "Move",
  rectangle: "Rectangle",
  ellipse: "Ellipse",
  polygon: "Polygon",
  freehand: "Freehand",
  brush: "Brush",
  eraser: "Eraser",
  ruler: "Ruler",
};
const HINTS: Partial<Record<Tool, string>> = {
  polygon: "Click the corners; click the first or the last one again, or press Enter, to close it. Backspace takes a corner back.",
  ruler: "Drag in a slice to measure a distance.",
};
const PAUSE = 150;

export class RegionsPanel {
  readonly root: HTMLElement;
  readonly regions: Regions;
  readonly sketches: Sketches;
  readonly files: RegionFiles;
  /** Whether names are written beside the outlines. */
  named = true;
  private readonly list = element("div", { class: "regions", "data-testid": "regions" });
  private readonly hint = element("p", { class: "note", hidden: true });
  private readonly ruler = element("p", { role: "status", "data-testid": "ruler", hidden: true });
  private readonly results: RegionResults;
  private readonly undo: HTMLButtonElement;
  private readonly redo: HTMLButtonElement;
  private readonly which: HTMLSelectElement;
  private readonly asking: Latest<null, RegionsAnswer | null>;
  private readonly tools: { root: HTMLElement; show: (tool: Tool) => void };
  private answer: RegionsAnswer | null = null;
  /** Outlines of the labels that came with the study. */
  private given: Uint8Array | null = null;

  constructor(
    private readonly viewer: Viewer,
    say: (text: string) => void,
    /** The drawing has changed. */
    private readonly told: () => void,
  ) {
    const { scene } = viewer;
    const taken = Object.keys(scene.labels?.names ?? {}).map((number) => regionColour(Number(number)));
    this.regions = new Regions(() => this.changed(), () => this.paint(), taken); // prettier-ignore
    this.sketches = new Sketches(viewer, this.regions, (text) => this.showRuler(text));
    this.results = new RegionResults((number) => this.regions.colour(number));
    this.asking = new Latest((_, signal) => this.measure(signal), (answer) => this.show(answer), viewer.fail, PAUSE);
    this.tools = choices<Tool>("Tool", TOOLS, "navigate", (tool) => this.setTool(tool));
    this.undo = button("Undo", () => this.regions.undo(), { disabled: true, "data-testid": "undo" });
    this.redo = button("Redo", () => this.regions.redo(), { disabled: true, "data-testid": "redo" });
    this.which = element("select", { "data-testid": "region-result" });
    for (const { id, name } of scene.results) this.which.append(element("option", { value: id }, name));
    this.which.addEventListener("change", () => this.changed());
    this.files = new RegionFiles(viewer, this.regions, say, () => this.which.value);
    this.root = this.assembled(say);
    this.listRegions();
    this.show(null);
    viewer.on(["voxel", "layout"], () => this.listRegions());
  }

  setTool(tool: Tool): void {
    this.regions.tool = tool;
    this.tools.show(tool);
    this.hint.textContent = HINTS[tool] ?? "";
    this.hint.hidden = !HINTS[tool];
    this.viewer.views.forEach(({ picture }) => picture.canvas.classList.toggle("drawing", tool !== "navigate"));
  }

  /** Remove a polygon that is not closed, or the ruler; or go back to moving the crosshair. */
  stop(): void {
    if (!this.sketches.cancel()) this.setTool("navigate");
  }

  setNamed(on: boolean): void {
    this.named = on;
    this.paint();
  }

  /** The outlines that the pictures draw. */
  paint(): void {
    const { regions, viewer, named } = this;
    const names = viewer.scene.labels?.names ?? {};
    const own = new Map(regions.list.map(({ number, name }) => [number, name]));
    const given = this.given ? [{ bitmap: this.given, fill: 0, colour: regionColour, name: (number: number) => (named ? (names[number] ?? "") : "") }] : [];
    const drawn = regions.bitmap ? [{ bitmap: regions.bitmap, fill: 0.28, colour: (number: number) => regions.colour(number), name: (number: number) => (named ? (own.get(number) ?? "") : "") }] : [];
    for (const { picture } of viewer.views) picture.setLayers([...given, ...drawn]);
    this.sketches.paint();
  }

  async showGiven(): Promise<void> {
    const { labels } = this.viewer.scene;
    const grid = this.viewer.views[0]?.picture.grid;
    if (!labels || !grid) return;
    try {
      const { values } = parse(await getBytes(labels.url), labels.url);
      this.given = grid.turn(Uint8Array.from(values as ArrayLike<number>));
      this.paint();
    } catch (error) {
      this.viewer.fail(error);
    }
  }

  private assembled(say: (text: string) => void): HTMLElement {
    const { scene } = this.viewer;
    const brush = element("input", { type: "range", min: 1, max: 15, step: 2, value: this.regions.brush });
    brush.addEventListener("input", () => (this.regions.brush = Number(brush.value)));
    const file = element("input", { type: "file", accept: ".nii,.gz,.nii.gz", "data-testid": "load-mask", class: "unseen", tabindex: -1, "aria-label": "Mask file" });
    file.addEventListener("change", () => {
      const [chosen] = file.files ?? [];
      if (chosen) void this.files.load(chosen);
      file.value = "";
    });
    return element(
      "div",
      { class: "panel-content" },
      this.tools.root,
      this.hint,
      this.ruler,
      field(`Brush and eraser size (${sizeUnit(scene)})`, brush),
      new RegionForms(this.viewer, this.regions, say).root,
      isThinned(scene) ? element("p", { class: "note" }, `You draw in blocks of ${blockText(scene)}. Numbers are those of all voxels in them. A mask that is loaded keeps its voxels in blocks that you do not change.`) : null,
      this.list,
      element("div", { class: "buttons" },
        button("Add region", () => this.regions.add(), { "data-testid": "add-region" }),
        this.undo,
        this.redo,
        button("Clear all", () => this.regions.clear(), { "data-testid": "clear" }),
        scene.labels ? button("Measure the given labels", () => void this.files.takeGiven(regionColour), { "data-testid": "take-labels" }) : null), // prettier-ignore
      element("div", { class: "buttons" },
        button("Save mask", () => void this.files.saveMask(), { "data-testid": "save-mask" }),
        button("Save table", () => void this.files.saveTable(), { "data-testid": "save-table" }),
        button("Load mask", () => file.click(), { "data-testid": "load" }),
        file), // prettier-ignore
      scene.results.length > 1 ? field("Statistics of", this.which) : null,
      this.results.root,
    );
  }

  private changed(): void {
    this.paint();
    this.listRegions();
    this.undo.disabled = !this.regions.canUndo;
    this.redo.disabled = !this.regions.canRedo;
    // What is shown is of the regions as they were, until the answer comes.
    this.results.root.ariaBusy = "true";
    this.asking.request(null);
    this.told();
  }

  private listRegions(): void {
    // Not while the user is typing a name.
    if (this.list.contains(document.activeElement) && document.activeElement?.matches("input[type=text], input[type=color]") && this.list.childElementCount === this.regions.list.length) {
      this.regions.list.forEach((region, k) => {
        const size = this.list.children[k]?.querySelector(".size");
        if (size) size.textContent = this.sizeText(region);
      });
      return;
    }
    this.list.replaceChildren(...this.regions.list.map((region) => this.row(region)));
  }

  private row(region: Region): HTMLElement {
    const { number, name, colour } = region;
    const active = element("input", { type: "radio", name: "active-region", checked: number === this.regions.active, "aria-label": `Draw into ${name}` });
    active.addEventListener("change", () => this.regions.choose(number));
    const swatch = element("input", { type: "color", value: colour, class: "swatch", "aria-label": `Colour of ${name}`, "data-testid": `colour-${number}` });
    swatch.addEventListener("change", () => this.regions.recolour(number, swatch.value));
    const input = element("input", { type: "text", value: name, maxlength: 40, "aria-label": `Name of region ${number}`, "data-testid": `name-${number}` });
    input.addEventListener("change", () => this.regions.rename(number, input.value.trim()));
    return element(
      "div",
      { class: "region" },
      active,
      swatch,
      input,
      button("Remove", () => this.regions.remove(number), { "aria-label": `Remove ${name}`, class: "small" }),
      element("span", { class: "size" }, this.sizeText(region)),
    );
  }

  /** Voxels and volume of all of it; area and sides of what is in the slice of the crosshair. */
  private sizeText({ number }: Region): string {
    const { regions, viewer } = this;
    const found = this.answer?.regions.find((region) => region.number === number);
    if (!found) return "empty";
    const whole = `${thousands(found.n)} voxels, ${short(found.volume_ml)} ml`;
    const grid = viewer.views[0]?.picture.grid;
    if (!grid || !regions.bitmap) return whole;
    const axis = axisOf(viewer);
    const [u, v] = inPlane(axis);
    const sides = grid.sides(viewer.scene.voxel_size);
    const here = extentIn(regions.bitmap, grid.size, axis, grid.toTurned(viewer.voxel)[axis], number, [sides[u], sides[v]]);
    const unit = viewer.scene.voxel_units;
    return here ? `${whole}; in this slice ${short(here.area)} ${unit}², ${short(here.width)} × ${short(here.height)} ${unit}` : `${whole}; not in this slice`;
  }

  private showRuler(text: string): void {
    this.ruler.textContent = text;
    this.ruler.hidden = !text;
  }

  private async measure(signal: AbortSignal): Promise<RegionsAnswer | null> {
    const sent = await this.files.sent();
    return sent && postJson<RegionsAnswer>(`api/regions?${sent.query}`, sent.body, signal);
  }

  private show(answer: RegionsAnswer | null): void {
    this.answer = answer;
    this.results.root.ariaBusy = "false";
    this.listRegions();
    this.results.show(answer, this.viewer.scene.results.find(({ id }) => id === this.which.value)?.maps ?? []);
  }
}
