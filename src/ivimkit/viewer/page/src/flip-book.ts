/** Flip-book: the volumes of the scan as acquired, one after the other: motion catches the eye. */

import { button, element } from "./dom";
import type { Viewer } from "./viewer";

/** Volumes per second. */
const RATES = [1, 2, 4, 8, 16];
const USUAL = 4;

export class FlipBook {
  /** The controls; null if there is nothing to flip through. */
  readonly root: HTMLElement | null;
  private readonly keys: string[];
  private readonly rates = element("select", { "aria-label": "Volumes per second", "data-testid": "flip-rate" });
  private readonly play = button("Flip", () => this.toggle(), { "aria-pressed": "false", title: "Flip through the volumes as acquired (v)", "data-testid": "flip" });
  private playing = false;

  constructor(private readonly viewer: Viewer) {
    this.keys = [...viewer.images.values()].filter(({ single }) => single).map(({ key }) => key);
    for (const rate of RATES) this.rates.append(element("option", { value: rate, selected: rate === USUAL }, `${rate} / s`));
    this.root = this.keys.length > 1 ? element("div", { class: "flip" }, this.play, this.rates) : null;
  }

  toggle(): void {
    if (this.playing) this.stop();
    else if (this.root) void this.flip();
  }

  /** Show the next volume, or the previous one; after the last one comes the first. */
  async step(by: number): Promise<void> {
    this.stop();
    await this.show(this.next(by));
  }

  faster(by: number): void {
    this.rates.selectedIndex = Math.min(RATES.length - 1, Math.max(0, this.rates.selectedIndex + by));
  }

  private stop(): void {
    this.playing = false;
    this.play.setAttribute("aria-pressed", "false");
  }

  private async flip(): Promise<void> {
    this.playing = true;
    this.play.setAttribute("aria-pressed", "true");
    while (this.playing) {
      const start = performance.now();
      const key = this.next(1);
      await this.show(key);
      const left = 1000 / Number(this.rates.value) - (performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, left)));
      // Somebody has chosen another image.
      if (this.viewer.base !== key) this.stop();
    }
  }

  private next(by: number): string | undefined {
    const { length } = this.keys;
    const now = this.keys.indexOf(this.viewer.base);
    return this.keys[now < 0 ? (by > 0 ? 0 : length - 1) : (now + by + length) % length];
  }

  private async show(key: string | undefined): Promise<void> {
    if (!key) return;
    try {
      await this.viewer.volume(key);
    } catch (error) {
      this.stop();
      this.viewer.fail(error);
      return;
    }
    // A map on it would hide what moves.
    for (const view of this.viewer.views) if (view.visible) this.viewer.setVisible(view, false);
    await this.viewer.setBase(key);
  }
}
