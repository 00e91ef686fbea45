/** Session keeper: keeps what is seen and drawn while the page is reloaded, and as a file. */

import type { Scene } from "./scene";
import { type SavedRegions, type SavedView, type Session, parsedSession, sessionText } from "./session";

/** Milliseconds after a change. */
const PAUSE = 300;

export class SessionKeeper {
  /** Whether the last state is not in the browser's storage. */
  private lost = false;
  private timer = 0;
  /** Whether the page is about to begin again with another session. */
  private ended = false;
  private readonly key = `session ${location.pathname}`;

  constructor(
    private readonly scene: Scene,
    private readonly view: () => SavedView,
    private readonly regions: () => SavedRegions,
  ) {}

  /** Keep every state from now on. */
  start(): void {
    addEventListener("pagehide", () => this.write());
    // Only if a reload would lose something: what is stored comes back by itself.
    addEventListener("beforeunload", (event) => {
      this.write();
      if (this.lost) event.preventDefault();
    });
  }

  /** Keep the state, soon. */
  changed(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.write(), PAUSE);
  }

  /** What was kept before a reload, if anything. */
  kept(): Session | null {
    try {
      const text = sessionStorage.getItem(this.key);
      return text === null ? null : parsedSession(text, this.scene);
    } catch {
      return null;
    }
  }

  file(): Blob {
    return new Blob([this.text()], { type: "application/json" });
  }

  /** Begin again with a session from a file. */
  load(text: string): void {
    const session = parsedSession(text, this.scene);
    try {
      sessionStorage.setItem(this.key, sessionText(this.scene, session.view, session.regions));
    } catch {
      throw new Error("The session is larger than the browser can keep; load the mask alone.");
    }
    // What is there now must not be written again on the way out.
    this.ended = true;
    location.reload();
  }

  private text(): string {
    return sessionText(this.scene, this.view(), this.regions());
  }

  private write(): void {
    if (this.ended) return;
    clearTimeout(this.timer);
    try {
      sessionStorage.setItem(this.key, this.text());
      this.lost = false;
    } catch {
      this.lost = true;
    }
  }
}
