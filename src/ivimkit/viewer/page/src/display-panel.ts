/** Display panel: colours, range, threshold and opacity of what is shown. */

import { element, field, tick, button } from "./dom";
import { editable, typed } from "./numbers";
import type { PointerSettings } from "./pointer";
import type { Viewer } from "./viewer";

export class DisplayPanel {
  readonly root: HTMLElement;
  private readonly looks = element("div");
  private readonly opacity = element("input", { type: "range", min: 0, max: 1, step: 0.05, "data-testid": "opacity" });
  private readonly windowing: HTMLElement;
  private readonly crosshair: HTMLElement;
  private built = "";

  constructor(
    private readonly viewer: Viewer,
    settings: PointerSettings & { finely: boolean },
    more: { named: (on: boolean) => void; saveSession: () => void; loadSession: (file: File) => void; openImages: (files: File[]) => void },
  ) {
    const file = element("input", { type: "file", accept: ".json", class: "unseen", tabindex: -1, "aria-label": "Session file", "data-testid": "session-file" });
    file.addEventListener("change", () => {
      const [chosen] = file.files ?? [];
      if (chosen) more.loadSession(chosen);
      file.value = "";
    });
    const image = element("input", { type: "file", accept: ".nii,.gz,.nii.gz", multiple: true, class: "unseen", tabindex: -1, "aria-label": "Image files", "data-testid": "image-files" });
    image.addEventListener("change", () => {
      more.openImages([...(image.files ?? [])]);
      image.value = "";
    });
    this.crosshair = tick("crosshair", viewer.crosshair, (on) => viewer.setCrosshair(on), "crosshair");
    this.windowing = tick("left button sets the range of colours", settings.windowing, (on) => (settings.windowing = on), "windowing");
    this.opacity.addEventListener("input", () => viewer.setOpacity(Number(this.opacity.value)));
    this.root = element(
      "div",
      { class: "panel-content" },
      field("Overlay opacity", this.opacity),
      this.looks,
      element("h2", {}, "Pictures"),
      element("div", { class: "ticks" },
        tick("patient's left on the right (radiological)", viewer.radiological, (on) => viewer.setRadiological(on), "radiological"),
        tick("fade values that are not reliable", viewer.fading, (on) => void viewer.setFading(on), "fading"),
        tick("smooth between voxels", viewer.smooth, (on) => viewer.setSmooth(on), "smooth"),
        tick("crosshair follows the mouse", settings.follow, (on) => (settings.follow = on), "follow"),
        this.windowing,
        this.crosshair,
        tick("names beside outlines", true, more.named, "names"),
        tick("save PNG with twice the pixels", false, (on) => (settings.finely = on), "finely")), // prettier-ignore
      element("h2", {}, "Other images"),
      element("p", { class: "note" }, "Open NIfTI files, or drop them or a folder of them on the page, to see them with the maps. They are resampled to the scan."),
      element("div", { class: "buttons" }, button("Open images", () => image.click(), { "data-testid": "open-images" }), image),
      element("h2", {}, "Session"),
      element("p", { class: "note" }, "Regions and view come back when the page is loaded again. A file keeps them for another day."),
      element("div", { class: "buttons" },
        button("Save session", more.saveSession, { "data-testid": "save-session" }),
        button("Load session", () => file.click(), { "data-testid": "load-session" }),
        file), // prettier-ignore
    );
    viewer.on(["images", "looks"], () => this.draw());
  }

  toggleWindowing(): void {
    this.windowing.querySelector("input")?.click();
  }

  toggleCrosshair(): void {
    this.crosshair.querySelector("input")?.click();
  }

  /** Show the settings of a session. */
  showSettings(): void {
    const { radiological, fading, smooth, crosshair } = this.viewer;
    for (const [key, on] of Object.entries({ radiological, fading, smooth, crosshair })) {
      const box = this.root.querySelector<HTMLInputElement>(`[data-testid="${key}"]`);
      if (box) box.checked = on;
    }
  }

  private draw(): void {
    const { viewer } = this;
    this.opacity.value = String(viewer.opacity);
    this.opacity.setAttribute("aria-valuetext", `${Math.round(100 * viewer.opacity)} %`);
    const keys = [...new Set([...viewer.views.map(({ overlay }) => overlay), viewer.base])].filter((key) => key !== null);
    const names = new Set<string>();
    // One map has one scale, whichever result it is from.
    const own = keys.filter((key) => {
      // A status has fixed colours and no range.
      if (viewer.image(key).grades) return false;
      const name = viewer.image(key).map?.name ?? key;
      if (names.has(name)) return false;
      names.add(name);
      return true;
    });
    const state = JSON.stringify(own.map((key) => [key, viewer.look(key)]));
    // Do not replace a field while the user is typing.
    if (state === this.built) return;
    this.built = state;
    const focused = this.root.contains(document.activeElement) ? document.activeElement?.getAttribute("data-testid") : null;
    this.looks.replaceChildren(...own.map((key) => this.look(key)));
    if (focused) this.root.querySelector<HTMLElement>(`[data-testid="${focused}"]`)?.focus();
  }

  private look(key: string): HTMLElement {
    const { viewer } = this;
    const image = viewer.image(key);
    const look = viewer.look(key);
    const role = key === viewer.base ? "base" : "overlay";
    const colours = element("select", { "data-testid": `${role}-colours` });
    for (const name of Object.keys(viewer.scene.colormaps)) {
      colours.append(element("option", { value: name, selected: name === look.colormap }, name));
    }
    colours.addEventListener("change", () => void viewer.setLook(key, { colormap: colours.value }));
    const number = (what: string, value: number, id: string, set: (value: number | undefined) => void): HTMLElement => {
      const input = element("input", { type: "number", step: "any", value: Number.isFinite(value) ? editable(value * image.factor) : "", "data-testid": `${role}-${id}` });
      input.addEventListener("change", () => {
        const given = typed(input);
        set(given === undefined ? undefined : given / image.factor);
      });
      return field(what, input);
    };
    const [low, high] = look.limits;
    const [least, most] = look.shown;
    return element(
      "fieldset",
      { class: "look" },
      element("legend", {}, `${role === "base" ? "Base" : "Overlay"}: ${image.label}`),
      field("Colours", colours),
      element("div", { class: "pair" },
        number("From", low, "low", (value) => void viewer.setLook(key, { limits: [value ?? image.limits[0], high] })),
        number("to", high, "high", (value) => void viewer.setLook(key, { limits: [low, value ?? image.limits[1]] }))),
      element("div", { class: "pair" },
        number("Hide below", least, "least", (value) => void viewer.setLook(key, { shown: [value ?? -Infinity, most] })),
        number("Hide above", most, "most", (value) => void viewer.setLook(key, { shown: [least, value ?? Infinity] }))),
      button("Reset", () => void viewer.resetLook(key), { class: "small" }),
    ); // prettier-ignore
  }
}
