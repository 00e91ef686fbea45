/** Flip-book: the volumes of a scan, one after the other: motion catches the eye. */

import { button, element } from "./dom";
import type { Flipped } from "./images";
import type { Viewer } from "./viewer";

/** Volumes per second. */
const RATES = [1, 2, 4, 8, 16];
const USUAL = 4;
const NAMES: Record<Flipped, string> = { fitted: "as fitted", acquired: "as acquired" };

export class FlipBook {
  /** The controls; null if there is nothing to flip through. */
  readonly root: HTMLElement | null;
  private readonly keys: Record<Flipped, string[]>;
  private readonly rates = element("select", { "aria-label": "Volumes per second", "data-testid": "flip-rate" });
  private readonly steps = element("select", { "aria-label": "What to flip through", "data-testid": "flip-what" });
  /** The mean images of the b-values, if they are others than the volumes. */
  private readonly means: string[];
  private readonly scans = element("select", { "aria-label": "Scan to flip through", "data-testid": "flip-scan" });
  private readonly play: HTMLButtonElement;
  private readonly both: boolean;
  private playing = false;
  /** Which run through the volumes this is: an earlier one may still be waiting. */
  private run = 0;
  /** The volume that is being fetched, and the image that is shown until it is there. */
  private coming: { key: string; shown: string } | null = null;
  /** Why the scan before the steps is not there; it is said once. */
  private why: string | null;

  constructor(
    private readonly viewer: Viewer,
    private readonly say: (text: string) => void,
  ) {
    const { scene, images } = viewer;
    const those = (which: Flipped): string[] => [...images.values()].filter(({ single }) => single === which).map(({ key }) => key);
    this.keys = { fitted: those("fitted"), acquired: those("acquired") };
    this.means = scene.images.length > 1 && scene.volumes.length > scene.images.length ? scene.images.map(({ id }) => `scan/${id}`) : [];
    for (const [value, name] of [["volumes", "volumes"], ["means", "b-values"]]) this.steps.append(element("option", { value }, name));
    this.both = this.keys.fitted.length > 0 && this.keys.acquired.length > 0;
    this.why = scene.why_not_acquired && `The volumes as acquired, before ${scene.steps.join(", ")}, cannot be shown: ${scene.why_not_acquired}.`;
    const which = scene.steps.length ? (this.both ? "" : " as fitted") : " as acquired";
    this.play = button("Flip", () => this.toggle(), { "aria-pressed": "false", title: `Flip through the volumes${which}, or the b-values (v)`, "data-testid": "flip" });
    for (const rate of RATES) this.rates.append(element("option", { value: rate, selected: rate === USUAL }, `${rate} / s`));
    for (const [value, name] of Object.entries(NAMES)) this.scans.append(element("option", { value }, name));
    this.scans.addEventListener("change", () => void this.follow());
    const any = this.keys.fitted.length > 1 || this.keys.acquired.length > 1;
    if (!this.keys.fitted.length) this.scans.value = "acquired";
    this.root = any ? element("div", { class: "flip" }, this.play, this.means.length > 0 && this.steps, this.rates, this.both && this.scans) : null;
    viewer.on(["images"], () => this.match());
  }

  toggle(): void {
    if (this.playing) this.stop();
    else if (this.root) void this.flip();
  }

  /** Show the next volume, or the previous one; after the last one comes the first. */
  async step(by: number): Promise<void> {
    const key = this.next(by);
    this.stop();
    await this.show(key);
  }

  /** Change between the volumes as fitted and as acquired. */
  other(): void {
    if (!this.both) {
      if (this.root) this.complain();
      return;
    }
    this.scans.value = this.which === "fitted" ? "acquired" : "fitted";
    this.steps.value = "volumes";
    void this.follow();
  }

  faster(by: number): void {
    this.rates.selectedIndex = Math.min(RATES.length - 1, Math.max(0, this.rates.selectedIndex + by));
  }

  private get which(): Flipped {
    return this.scans.value as Flipped;
  }

  /** Where the flip-book is open: at the volume that was asked for last, even if it is still being fetched. */
  private get open(): string {
    const { base } = this.viewer;
    return this.coming?.shown === base ? this.coming.key : base;
  }

  /** Show the same volume of the scan that was chosen, or its first one. */
  private async follow(): Promise<void> {
    const { fitted, acquired } = this.keys;
    const own = this.keys[this.which];
    const shown = this.which === "fitted" ? acquired : fitted;
    const now = fitted.length === acquired.length ? shown.indexOf(this.open) : -1;
    // While it plays, the next volume is already that of the other scan.
    if (!this.playing) await this.show(own[Math.max(0, now)]);
  }

  /** The scan of a volume that was chosen elsewhere is the one to flip through. */
  private match(): void {
    const { single } = this.viewer.image(this.viewer.base);
    if (single && !this.playing) [this.scans.value, this.steps.value] = [single, "volumes"];
  }

  private complain(): void {
    if (this.why) this.say(this.why);
    this.why = null;
  }

  private stop(): void {
    this.playing = false;
    this.coming = null;
    this.play.setAttribute("aria-pressed", "false");
  }

  private async flip(): Promise<void> {
    this.complain();
    this.playing = true;
    this.play.setAttribute("aria-pressed", "true");
    const run = ++this.run;
    while (this.playing && this.run === run) {
      const start = performance.now();
      const key = this.next(1);
      await this.show(key);
      const left = 1000 / Number(this.rates.value) - (performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, left)));
      // Somebody has chosen another image.
      if (this.run === run && this.viewer.base !== key) this.stop();
    }
  }

  private next(by: number): string | undefined {
    const { fitted, acquired } = this.keys;
    const means = this.steps.value === "means";
    const keys = means ? this.means : this.keys[this.which];
    let now = keys.indexOf(this.open);
    // The scan has been changed: go on with its next volume.
    if (now < 0 && !means && fitted.length === acquired.length) now = (this.which === "fitted" ? acquired : fitted).indexOf(this.open);
    return keys[now < 0 ? (by > 0 ? 0 : keys.length - 1) : (now + by + keys.length) % keys.length];
  }

  private async show(key: string | undefined): Promise<void> {
    if (!key) return;
    const asked = { key, shown: this.viewer.base };
    this.coming = asked;
    // Something else may be asked for, here or elsewhere, while this one is being fetched.
    const wanted = (): boolean => this.coming === asked && this.viewer.base === asked.shown;
    try {
      await this.viewer.volume(key);
    } catch (error) {
      if (!wanted()) return;
      this.stop();
      this.viewer.fail(error);
      return;
    }
    if (!wanted()) return;
    this.coming = null;
    // A map on it would hide what moves.
    for (const view of this.viewer.views) if (view.visible) this.viewer.setVisible(view, false);
    await this.viewer.setBase(key);
  }
}
