/** Region forms: drawing without a pointer - by size, between slices, by value. */

import { copySlice, interpolate, smooth } from "./between-slices";
import { sizeUnit } from "./blocks";
import { fillByValue, growByValue, keepByValue } from "./by-value";
import { button, element, field } from "./dom";
import { thousands, typed } from "./numbers";
import type { Picture } from "./picture";
import type { Regions } from "./regions";
import type { Range, Triple } from "./scene";
import { type Axis, inPlane } from "./slice-plane";
import type { Viewer } from "./viewer";

type Where = "slice" | "scan" | "region";

const WHERES: Record<Where, string> = { slice: "in this slice", scan: "in the whole scan", region: "in the region: the rest is taken away" };

export class RegionForms {
  readonly root: HTMLElement;
  private readonly source = element("span", { class: "note", "data-testid": "by-value-of" });

  constructor(
    private readonly viewer: Viewer,
    private readonly regions: Regions,
    private readonly say: (text: string) => void,
  ) {
    this.root = element("div", { class: "forms" }, this.bySize(), this.betweenSlices(), this.byValue());
    viewer.on(["images"], () => this.showSource());
  }

  private get picture(): Picture | undefined {
    return this.viewer.views[0]?.picture;
  }

  private bySize(): HTMLElement {
    const shape = element("select", { "data-testid": "around-shape" });
    shape.append(element("option", { value: "rectangle" }, "Box"), element("option", { value: "ellipse" }, "Ellipsoid"));
    const sizes = [5, 5, 1].map((size, k) => {
      const what = ["right to left", "front to back", "head to feet"][k];
      return element("input", { type: "number", min: 1, max: 255, step: 1, value: size, "aria-label": `Size ${what}, voxels`, "data-testid": `around-${k}` });
    });
    const put = button("Draw around the crosshair", () => {
      const { picture } = this;
      if (!picture?.grid) return;
      const size = sizes.map((input) => Math.max(1, Math.round(typed(input) ?? 1))) as Triple;
      this.regions.place(picture, shape.value as "rectangle" | "ellipse", picture.grid.toTurned(this.viewer.voxel), size);
    }, { "data-testid": "around" }); // prettier-ignore
    const row = element("span", { class: "sizes" });
    sizes.forEach((input, k) => row.append(...(k ? ["×"] : []), input));
    const size = element("div", { class: "field" }, element("span", { class: "label" }, `Size (${sizeUnit(this.viewer.scene)})`), row);
    return element("details", { open: true }, element("summary", {}, "By size"), element("div", { class: "around" }, field("Shape", shape), size, put));
  }

  private betweenSlices(): HTMLElement {
    const act = (text: string, key: string, what: () => void): HTMLButtonElement => button(text, what, { "data-testid": key });
    return element(
      "details",
      {},
      element("summary", {}, "Between slices"),
      element("div", { class: "buttons" },
        act("Copy to next slice", "copy-next", () => this.copy(1)),
        act("Copy to previous slice", "copy-previous", () => this.copy(-1)),
        act("Interpolate", "interpolate", () => this.interpolate()),
        act("Smooth", "smooth-region", () => this.smooth())), // prettier-ignore
      element("p", { class: "note" }, "They act on the chosen region. Interpolate fills the slices between those that have it."),
    );
  }

  private copy(step: 1 | -1): void {
    const { picture, viewer, regions } = this;
    if (!picture?.grid) return;
    const axis = axisOf(viewer);
    const from = picture.grid.toTurned(viewer.voxel)[axis];
    if (from + step < 0 || from + step >= picture.grid.size[axis]) {
      this.say("There is no further slice.");
      return;
    }
    const n = regions.edit(picture, (bitmap, size) => copySlice(bitmap, size, axis, from, from + step, regions.active));
    if (!n) {
      this.say("The chosen region is not in this slice: there is nothing to copy.");
      return;
    }
    const steps: Triple = [0, 0, 0];
    // One slice of what is drawn may be several of the scan.
    steps[axis] = step * picture.grid.depth(axis);
    viewer.move(steps);
  }

  private interpolate(): void {
    const { picture, viewer, regions } = this;
    if (!picture?.grid) return;
    const axis = axisOf(viewer);
    const sides = picture.grid.sides(viewer.scene.voxel_size);
    const [u, v] = inPlane(axis);
    const n = regions.edit(picture, (bitmap, size) => interpolate(bitmap, size, axis, regions.active, [sides[u], sides[v]]));
    this.say(n ? `${n} ${n === 1 ? "slice" : "slices"} filled.` : "There is nothing to fill: draw the chosen region in two slices that are not neighbours.");
  }

  private smooth(): void {
    const { picture, viewer, regions } = this;
    if (!picture) return;
    regions.edit(picture, (bitmap, size) => {
      smooth(bitmap, size, axisOf(viewer), regions.active);
      return 1;
    });
  }

  private byValue(): HTMLElement {
    const input = (key: string): HTMLInputElement => element("input", { type: "number", step: "any", "data-testid": `value-${key}` });
    const [low, high] = [input("low"), input("high")];
    const where = element("select", { "data-testid": "value-where" });
    for (const [value, text] of Object.entries(WHERES)) where.append(element("option", { value }, text));
    const range = (factor: number): Range => [(typed(low) ?? -Infinity) / factor, (typed(high) ?? Infinity) / factor];
    const fill = button("Fill", () => void this.fill(range, where.value as Where), { "data-testid": "value-fill" });
    const grow = button("Grow from the crosshair", () => void this.grow(range, where.value as Where), { "data-testid": "value-grow" });
    where.addEventListener("change", () => (grow.disabled = where.value === "region"));
    return element(
      "details",
      {},
      element("summary", {}, "By value"),
      this.source,
      element("div", { class: "pair" }, field("From", low), field("to", high)),
      field("Where", where),
      element("div", { class: "buttons" }, fill, grow),
      element("p", { class: "note" }, "Fill takes all voxels in the range that are in no other region; grow, those connected with the crosshair."),
    );
  }

  private async fill(range: (factor: number) => Range, where: Where): Promise<void> {
    const found = await this.values();
    if (!found) return;
    const { picture, values, factor, axis, at } = found;
    const { active } = this.regions;
    const stride = (k: Axis): number => (picture.grid?.size.slice(0, k) ?? []).reduce((product, n) => product * n, 1);
    const [step, n] = [stride(axis), picture.grid?.size[axis] ?? 1];
    const inSlice = (i: number): boolean => where === "scan" || Math.floor(i / step) % n === at[axis];
    const changed = this.regions.edit(picture, (bitmap) =>
      where === "region" ? keepByValue(bitmap, values, range(factor), active) : fillByValue(bitmap, values, range(factor), active, inSlice),
    );
    if (!changed) this.say(where === "region" ? "No voxel of the chosen region has a value in that range." : "No free voxel has a value in that range.");
  }

  private async grow(range: (factor: number) => Range, where: Where): Promise<void> {
    const found = await this.values();
    if (!found) return;
    const { picture, values, factor, axis, at } = found;
    const { active } = this.regions;
    const n = this.regions.edit(picture, (bitmap, size) => growByValue(bitmap, size, values, range(factor), active, at, where === "slice" ? axis : null));
    this.say(n ? `${thousands(n)} ${sizeUnit(this.viewer.scene)} connected.` : "The value at the crosshair is not in that range, or it is in another region.");
  }

  private get key(): string {
    const [view] = this.viewer.views;
    const overlay = view?.overlay && view.visible ? view.overlay : null;
    return overlay && !this.viewer.image(overlay).grades ? overlay : this.viewer.base;
  }

  private showSource(): void {
    this.source.textContent = `Values of ${this.viewer.image(this.key).label}, the image that is seen`;
  }

  /** The values that are seen, turned as the drawing is. */
  private async values(): Promise<{ picture: Picture; values: Float64Array; factor: number; axis: Axis; at: Triple } | null> {
    const { picture, viewer, key } = this;
    if (!picture?.grid) return null;
    try {
      const { values } = await viewer.volume(key);
      return { picture, values: picture.grid.turnValues(values), factor: viewer.image(key).factor, axis: axisOf(viewer), at: picture.grid.toTurned(viewer.voxel) };
    } catch (error) {
      viewer.fail(error);
      return null;
    }
  }
}

/** The axis across the slices that are looked at. */
export function axisOf({ layout }: Viewer): Axis {
  return layout === "sagittal" ? 0 : layout === "coronal" ? 1 : 2;
}
