/** Regions panel: draw, name, measure, compare, save and load regions. */

import { blockText, isThinned, sizeUnit } from "./blocks";
import { regionColour, settingStyle } from "./colours";
import { button, choices, element, field, tick } from "./dom";
import { type FitOptions, type Shown, estimatesTable, fitsContent, pointsOf, showPlot } from "./fits";
import { NONE, probability, rounded, short, thousands, typed, withError } from "./numbers";
import { Regions, type Tool } from "./regions";
import type { RegionAnswer, RegionsAnswer, Triple } from "./scene";
import { type Answer, Latest, download, get, getBytes, post, postJson } from "./server";
import type { Viewer } from "./viewer";
import { parse } from "./volume";

const TOOLS: Record<Tool, string> = {
  navigate: "Move",
  rectangle: "Rectangle",
  ellipse: "Ellipse",
  brush: "Brush",
  freehand: "Freehand",
  eraser: "Eraser",
};
const PAUSE = 150;

export class RegionsPanel {
  readonly root: HTMLElement;
  readonly regions: Regions;
  private readonly list = element("div", { class: "regions", "data-testid": "regions" });
  private readonly results = element("div", { "data-testid": "region-results" });
  private readonly plot = element("div", { class: "plot-place" });
  private readonly tables = element("div");
  private readonly undo: HTMLButtonElement;
  private readonly which: HTMLSelectElement;
  private readonly asking: Latest<null, RegionsAnswer | null>;
  private readonly options: FitOptions = { logarithmic: false, components: false, repeats: false, marks: [] };
  private readonly tools: { root: HTMLElement; show: (tool: Tool) => void };
  private answer: RegionsAnswer | null = null;

  constructor(
    private readonly viewer: Viewer,
    private readonly say: (text: string) => void,
  ) {
    const { scene } = viewer;
    this.regions = new Regions(
      () => this.changed(),
      () => this.paint(),
    );
    this.asking = new Latest((_, signal) => this.measure(signal), (answer) => this.show(answer), viewer.fail, PAUSE);
    this.tools = choices<Tool>("Tool", TOOLS, "navigate", (tool) => this.setTool(tool));
    const brush = element("input", { type: "range", min: 1, max: 15, step: 2, value: this.regions.brush });
    brush.addEventListener("input", () => (this.regions.brush = Number(brush.value)));
    this.undo = button("Undo", () => this.regions.undo(), { disabled: true, "data-testid": "undo" });
    this.which = element("select", { "data-testid": "region-result" });
    for (const { id, name } of scene.results) this.which.append(element("option", { value: id }, name));
    this.which.addEventListener("change", () => this.changed());
    const file = element("input", { type: "file", accept: ".nii,.gz,.nii.gz", "data-testid": "load-mask", class: "unseen", tabindex: -1, "aria-label": "Mask file" });
    file.addEventListener("change", () => void this.load(file));
    this.root = element(
      "div",
      { class: "panel-content" },
      this.tools.root,
      field(`Brush and eraser size (${sizeUnit(scene)})`, brush),
      this.around(),
      isThinned(scene) ? element("p", { class: "note" }, `You draw in blocks of ${blockText(scene)}. Numbers are those of all voxels in them. A mask that is loaded keeps its voxels in blocks that you do not change.`) : null,
      this.list,
      element("div", { class: "buttons" },
        button("Add region", () => this.regions.add(), { "data-testid": "add-region" }),
        this.undo,
        button("Clear all", () => this.regions.clear(), { "data-testid": "clear" }),
        scene.labels ? button("Measure the given labels", () => void this.takeLabels(), { "data-testid": "take-labels" }) : null), // prettier-ignore
      element("div", { class: "buttons" },
        button("Save mask", () => void this.save(), { "data-testid": "save-mask" }),
        button("Save table", () => void this.saveTable(), { "data-testid": "save-table" }),
        button("Load mask", () => file.click(), { "data-testid": "load" }),
        file), // prettier-ignore
      scene.results.length > 1 ? field("Statistics of", this.which) : null,
      this.results,
    );
    this.listRegions();
    this.show(null);
  }

  setTool(tool: Tool): void {
    this.regions.tool = tool;
    this.tools.show(tool);
    this.viewer.views.forEach(({ picture }) => picture.canvas.classList.toggle("drawing", tool !== "navigate"));
  }

  /** The outlines that the pictures draw. */
  paint(): void {
    const drawn = this.regions.bitmap ? [{ bitmap: this.regions.bitmap, fill: 0.28 }] : [];
    const given = this.given ? [{ bitmap: this.given, fill: 0 }] : [];
    for (const { picture } of this.viewer.views) picture.setLayers([...given, ...drawn]);
  }

  /** Outlines of the labels that came with the study. */
  given: Uint8Array | null = null;

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

  private around(): HTMLElement {
    const shape = element("select", { "data-testid": "around-shape" });
    shape.append(element("option", { value: "rectangle" }, "Box"), element("option", { value: "ellipse" }, "Ellipsoid"));
    const sizes = [5, 5, 1].map((size, k) => {
      const what = ["right to left", "front to back", "head to feet"][k];
      return element("input", { type: "number", min: 1, max: 255, step: 1, value: size, "aria-label": `Size ${what}, voxels`, "data-testid": `around-${k}` });
    });
    const put = button("Draw around the crosshair", () => {
      const picture = this.viewer.views[0]?.picture;
      if (!picture?.grid) return;
      const size = sizes.map((input) => Math.max(1, Math.round(typed(input) ?? 1))) as Triple;
      this.regions.place(picture, shape.value as "rectangle" | "ellipse", picture.grid.toTurned(this.viewer.voxel), size);
    }, { "data-testid": "around" }); // prettier-ignore
    const sizeRow = element("span", { class: "sizes" });
    sizes.forEach((input, k) => sizeRow.append(...(k ? ["×"] : []), input));
    return element(
      "details",
      { open: true },
      element("summary", {}, "By size"),
      element("div", { class: "around" }, field("Shape", shape), element("div", { class: "field" }, element("span", { class: "label" }, `Size (${sizeUnit(this.viewer.scene)})`), sizeRow), put),
    );
  }

  private changed(): void {
    this.paint();
    this.listRegions();
    this.undo.disabled = !this.regions.canUndo;
    this.asking.request(null);
  }

  private listRegions(): void {
    this.list.replaceChildren(
      ...this.regions.list.map(({ number, name }) => {
        const active = element("input", { type: "radio", name: "active-region", checked: number === this.regions.active, "aria-label": `Draw into ${name}` });
        active.addEventListener("change", () => this.regions.choose(number));
        const input = element("input", { type: "text", value: name, maxlength: 40, "aria-label": `Name of region ${number}`, "data-testid": `name-${number}` });
        input.addEventListener("change", () => this.regions.rename(number, input.value.trim()));
        const found = this.answer?.regions.find((region) => region.number === number);
        const size = found ? `${thousands(found.n)} voxels, ${short(found.volume_ml)} ml` : "empty";
        return element(
          "div",
          { class: "region" },
          active,
          element("span", { class: "swatch", style: `background:${regionColour(number)}`, "aria-hidden": "true" }),
          input,
          element("span", { class: "size" }, size),
          button("Remove", () => this.regions.remove(number), { "aria-label": `Remove ${name}`, class: "small" }),
        );
      }),
    );
  }

  /** The drawing as a NIfTI file on the scan's own grid. */
  private async bytes(): Promise<Blob | null> {
    const { picture } = this.viewer.views[0] ?? {};
    if (!picture || this.regions.empty || !this.regions.bitmap) return null;
    picture.niivue.drawBitmap = this.regions.bitmap;
    const file = await picture.niivue.saveImage({ filename: "", isSaveDrawing: true, volumeByIndex: 0 });
    return file instanceof Uint8Array ? new Blob([file as Uint8Array<ArrayBuffer>]) : null;
  }

  /** The drawing for the server, with the labels of a large scan that it began with. */
  private async sent(): Promise<{ query: string; body: Blob } | null> {
    const file = await this.bytes();
    if (!file) return null;
    const { loaded } = this.regions;
    const query = `result=${this.which.value}&names=${encodeURIComponent(this.namesDrawn)}`;
    return loaded ? { query: `${query}&drawn=${file.size}`, body: new Blob([file, loaded]) } : { query, body: file };
  }

  private get namesDrawn(): string {
    const there = new Set(this.regions.bitmap ?? []);
    // A small region that was loaded may be hidden in blocks of others.
    return this.regions.list
      .filter(({ number }) => there.has(number) || this.regions.loaded)
      .map(({ number, name }) => `${number}:${name.replace(/[,:]/g, " ")}`)
      .join(",");
  }

  private async measure(signal: AbortSignal): Promise<RegionsAnswer | null> {
    const sent = await this.sent();
    if (!sent) return null;
    return postJson<RegionsAnswer>(`api/regions?${sent.query}`, sent.body, signal);
  }

  private async save(): Promise<void> {
    const file = await this.bytes();
    if (!file) this.say("Nothing is drawn: draw a region first.");
    else if (isThinned(this.viewer.scene)) await this.saveWhole();
    else download(file, "regions.nii");
  }

  /** Of a large scan the server makes the file, of all voxels. */
  private async saveWhole(): Promise<void> {
    try {
      const sent = await this.sent();
      if (!sent) return;
      const { bytes } = await post(`api/regions.nii.gz?${sent.query}`, sent.body);
      download(new Blob([bytes], { type: "application/gzip" }), "regions.nii.gz");
    } catch (error) {
      this.viewer.fail(error);
    }
  }

  private async saveTable(): Promise<void> {
    const sent = await this.sent();
    if (!sent) {
      this.say("Nothing is drawn: draw a region first.");
      return;
    }
    try {
      const { bytes } = await post(`api/regions.csv?${sent.query}`, sent.body);
      download(new Blob([bytes], { type: "text/csv" }), "regions.csv");
    } catch (error) {
      this.viewer.fail(error);
    }
  }

  private async load(input: HTMLInputElement): Promise<void> {
    const file = input.files?.[0];
    input.value = "";
    if (!file) return;
    try {
      const answer = await post("api/labels", file);
      const note = answer.headers.get("X-Note");
      this.take(answer, {}, file.name);
      if (note) this.say(note);
    } catch (error) {
      this.viewer.fail(error);
    }
  }

  private async takeLabels(): Promise<void> {
    const { labels } = this.viewer.scene;
    if (!labels) return;
    try {
      const address = isThinned(this.viewer.scene) ? "api/labels" : labels.url;
      this.take(await get(address), labels.names, "labels");
    } catch (error) {
      this.viewer.fail(error);
    }
  }

  private take({ bytes, headers }: Answer, names: Record<string, string>, from: string): void {
    const grid = this.viewer.views[0]?.picture.grid;
    const { values } = parse(bytes, from);
    if (!grid) return;
    // Of a large scan, the labels of all voxels come behind those of the blocks.
    const known = headers.get("X-Numbers")?.split(",").filter(Boolean).map(Number);
    const numbers = known ?? [...new Set(values)].filter(Boolean).sort((a, b) => a - b);
    if (numbers.some((number) => number < 0 || number > 255)) {
      this.say(`${from} has numbers outside 0 to 255, more than can be drawn.`);
      return;
    }
    const whole = known ? new Blob([new Uint8Array(bytes, values.byteOffset + values.byteLength)]) : null;
    this.regions.load(grid.turn(Uint8Array.from(values as ArrayLike<number>)), numbers, names, whole);
  }

  private show(answer: RegionsAnswer | null): void {
    this.answer = answer;
    this.listRegions();
    if (!answer) {
      this.results.replaceChildren(element("p", { class: "note" }, "Draw a region to see its statistics and the fit of its mean signal."));
      return;
    }
    this.results.replaceChildren(
      ...[
        element("h2", {}, "Statistics"),
        element("div", { class: "scroll" }, this.statistics(answer.regions)),
        answer.comparison.length ? element("h2", {}, `Comparison${answer.compared ? `: ${answer.compared.join(" with ")}` : ""}`) : null,
        answer.sentence ? element("p", {}, answer.sentence) : null,
        answer.comparison.length ? element("div", { class: "scroll" }, this.comparison(answer)) : null,
        element("h2", {}, "Mean signal"),
        this.plot,
        tick("logarithmic signal axis", this.options.logarithmic, (on) => {
          this.options.logarithmic = on;
          this.drawMeans();
        }),
        this.tables,
      ].filter((part) => part !== null),
    );
    this.drawMeans();
  }

  private drawMeans(): void {
    const regions = (this.answer?.regions ?? []).filter(({ fit }) => fit);
    const shown: Shown[] = regions.map(({ fit, number }) => {
      const colour = regionColour(number);
      return { fit: fit as NonNullable<typeof fit>, colour, dash: "", setting: (k, n) => settingStyle(colour, k, n) };
    });
    const names = regions.map(({ name }) => name).join(", ");
    const content = fitsContent(`Mean signal against b of ${names}`, null, null, shown, this.options);
    content.points = regions.flatMap(({ fit, name, number }) => {
      const [mean, colour] = [`mean of ${name}`, regionColour(number)];
      return fit ? pointsOf(mean, fit.averaged, colour, (setting) => `${mean}, ${setting}`, (k, n) => settingStyle(colour, k, n).colour) : [];
    });
    content.curves = content.curves.map((curve) => ({ ...curve, name: `fit of ${curve.name}` }));
    const without = (this.answer?.regions ?? []).filter(({ why_no_fit }) => why_no_fit);
    content.empty = without.length ? "No mean signal was fitted." : "The scan is not available, so there is no signal.";
    showPlot(this.plot, content, shown);
    const rows = element("div", { class: "scroll" }, estimatesTable(shown, "Fits of the mean signals"));
    const note = (name: string, colour: string, sentence: string): HTMLElement =>
      element("p", { class: "note" }, element("strong", { style: `color:${colour}` }, `${name}: `), sentence);
    this.tables.replaceChildren(
      ...(shown.length ? [rows] : []),
      ...shown.map(({ fit, colour }) => note(fit.name, colour, fit.status.sentence)),
      ...(this.answer?.regions ?? []).filter((region) => region.note).map(({ name, number, note: said }) => note(name, regionColour(number), said ?? "")),
      ...without.map(({ name, number, why_no_fit }) => note(name, regionColour(number), why_no_fit ?? "")),
    );
  }

  private statistics(regions: RegionAnswer[]): HTMLTableElement {
    const head = element("tr", {}, ...["region", "mean ± sd", "median", "25 to 75 %", "reliable"].map((text) => element("th", { scope: "col" }, text)));
    const body = element("tbody");
    const { maps } = this.viewer.scene.results.find(({ id }) => id === this.which.value) ?? { maps: [] };
    for (const map of maps) {
      if (map.about_another) continue;
      body.append(element("tr", { class: "group" }, element("th", { scope: "rowgroup", colspan: 5 }, map.label)));
      for (const region of regions) {
        const row = region.maps.find((one) => one.map === map.name);
        if (!row) continue;
        const scaled = (value: number | null): number | null => (value === null ? null : value * map.factor);
        const show = (value: number | null): string => rounded(scaled(value), scaled(row.sd));
        body.append(
          element(
            "tr",
            { "data-map": map.name, "data-region": region.name },
            element("td", { class: "name", style: `color:${regionColour(region.number)}` }, region.name),
            element("td", { "data-value": row.mean }, withError(scaled(row.mean), scaled(row.sd))),
            element("td", {}, show(row.median)),
            element("td", {}, row.q25 === null ? NONE : `${show(row.q25)} to ${show(row.q75)}`),
            element("td", {}, row.reliable < row.n + row.missing ? `${thousands(row.reliable)} of ${thousands(row.n + row.missing)}` : thousands(row.reliable)),
          ),
        );
      }
    }
    return element("table", { class: "numbers", "data-testid": "region-table" }, element("caption", { class: "unseen" }, "Statistics of the regions"), element("thead", {}, head), body);
  }

  private comparison({ comparison }: RegionsAnswer): HTMLTableElement {
    const maps = this.viewer.scene.results.find(({ id }) => id === this.which.value)?.maps ?? [];
    const head = element("tr", {}, ...["map", "difference", "ratio", "contrast to noise", "AUC", "p"].map((text) => element("th", { scope: "col" }, text)));
    const body = element("tbody");
    for (const row of comparison) {
      const map = maps.find(({ name }) => name === row.map);
      if (map?.about_another) continue;
      const difference = row.difference === null ? null : row.difference * (map?.factor ?? 1);
      body.append(
        element(
          "tr",
          { "data-map": row.map },
          element("th", { scope: "row" }, map?.label ?? row.map),
          ...[rounded(difference, row.error === null ? null : row.error * (map?.factor ?? 1)), short(row.ratio), short(row.cnr), short(row.auc), probability(row.p)].map((text) => element("td", {}, text)),
        ),
      );
    }
    return element("table", { class: "numbers", "data-testid": "comparison" }, element("caption", { class: "unseen" }, "Comparison of two regions"), element("thead", {}, head), body);
  }
}
