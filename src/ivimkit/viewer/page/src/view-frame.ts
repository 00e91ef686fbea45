/** View frame: a picture with the choice of its overlay above it and its legends below. */

import { blockText, isThinned } from "./blocks";
import { FIT_COLOURS } from "./colours";
import { element, field } from "./dom";
import { fillImageSelect, imageSelect } from "./image-select";
import { legend } from "./legend";
import { Picture } from "./picture";
import type { View, Viewer } from "./viewer";

const LABEL = "Slices. Arrow keys and Page Up, Page Down move the crosshair; question mark for all keys.";
const NAMES = ["Picture", "Second picture", "Third picture", "Fourth picture"];

export class ViewFrame {
  readonly root: HTMLElement;
  readonly bar = element("div", { class: "view-bar" });
  readonly picture = new Picture(LABEL);
  private readonly overlay: HTMLSelectElement;
  private readonly legends = element("div", { class: "legends" });
  private readonly name = element("strong", { class: "whose" });

  constructor(
    private readonly viewer: Viewer,
    number: number,
  ) {
    this.overlay = imageSelect(viewer.scene, viewer.images, "overlay");
    this.overlay.addEventListener("change", () => this.view && void viewer.setOverlay(this.view, this.overlay.value || null));
    this.bar.append(field("Overlay", this.overlay), this.name);
    this.root = element("section", { class: "view", "aria-label": NAMES[number] ?? "Picture", "data-testid": `view-${number}` }, this.bar, this.picture.root, this.legends);
  }

  get view(): View | undefined {
    return this.viewer.views.find(({ picture }) => picture === this.picture);
  }

  /** Images have come that can be chosen. */
  refill(): void {
    fillImageSelect(this.overlay, this.viewer.scene, this.viewer.images, "overlay");
    this.showChoice();
  }

  showChoice(): void {
    const { viewer, view } = this;
    const { results } = viewer.scene;
    this.overlay.value = view?.overlay ?? "";
    const result = view?.overlay ? viewer.image(view.overlay).result : null;
    this.name.textContent = results.length > 1 ? (result?.name ?? "") : "";
    this.name.style.color = FIT_COLOURS[result ? results.indexOf(result) : 0] ?? "";
  }

  showLegends(withBase: boolean): void {
    const { viewer, view } = this;
    const { scene } = viewer;
    this.legends.replaceChildren(
      ...(withBase ? [legend(viewer, viewer.base, "base")] : []),
      ...(view?.overlay && view.visible ? [legend(viewer, view.overlay, "overlay")] : []),
      ...(isThinned(scene) ? [element("div", { class: "note thinned", "data-testid": "thinned" }, `Large scan: one voxel of each block of ${blockText(scene)} is drawn. Values at the crosshair, curves and tables are of all voxels.`)] : []),
    );
  }
}
