/** Region files: the drawing for the server and as a file, and masks that are loaded. */

import { isThinned } from "./blocks";
import type { Loaded, Regions } from "./regions";
import { type Answer, ServerError, download, get, post } from "./server";
import type { Viewer } from "./viewer";
import { parse } from "./volume";

/** Bytes that are made to text at once: more would be too many arguments. */
const CHUNK = 1 << 15;

export class RegionFiles {
  /** How many masks were asked for. */
  private asked = 0;

  constructor(
    private readonly viewer: Viewer,
    private readonly regions: Regions,
    private readonly say: (text: string) => void,
    /** The result that is measured. */
    private readonly result: () => string,
  ) {}

  /** The drawing for the server, with the labels of a large scan that it began with. */
  async sent(): Promise<{ query: string; body: Blob } | null> {
    const file = await this.bytes();
    if (!file) return null;
    const { loaded } = this.regions;
    const query = `result=${this.result()}&names=${encodeURIComponent(this.namesDrawn)}`;
    return loaded ? { query: `${query}&drawn=${file.size}`, body: new Blob([file, loaded.blob]) } : { query, body: file };
  }

  async saveMask(): Promise<void> {
    await this.saved("regions.nii.gz", "application/gzip");
  }

  async saveTable(): Promise<void> {
    await this.saved("regions.csv", "text/csv");
  }

  async load(file: File): Promise<void> {
    try {
      const answer = await this.latest(post("api/labels", file));
      if (!answer) return;
      const note = answer.headers.get("X-Note");
      const names = JSON.parse(answer.headers.get("X-Names") ?? "{}") as Record<string, string>;
      this.take(answer, names, file.name);
      if (note) this.say(note);
    } catch (error) {
      this.viewer.fail(error);
    }
  }

  /** Measure the labels that came with the study, in their colours. */
  async takeGiven(colour: (number: number) => string): Promise<void> {
    const { labels } = this.viewer.scene;
    if (!labels) return;
    try {
      const address = isThinned(this.viewer.scene) ? "api/labels" : labels.url;
      const answer = await this.latest(get(address));
      if (answer) this.take(answer, labels.names, "labels", colour);
    } catch (error) {
      this.viewer.fail(error);
    }
  }

  /** The answer, unless another mask was asked for meanwhile. */
  private async latest(question: Promise<Answer>): Promise<Answer | null> {
    const turn = ++this.asked;
    const answer = await question;
    return turn === this.asked ? answer : null;
  }

  private async saved(name: string, type: string): Promise<void> {
    const sent = await this.sent();
    if (!sent) {
      this.say("Nothing is drawn: draw a region first.");
      return;
    }
    try {
      const { bytes } = await post(`api/${name}?${sent.query}`, sent.body);
      download(new Blob([bytes], { type }), name);
    } catch (error) {
      this.viewer.fail(error);
    }
  }

  /** The drawing as a NIfTI file on the scan's own grid. */
  private async bytes(): Promise<Blob | null> {
    const { picture } = this.viewer.views[0] ?? {};
    if (!picture || this.regions.empty || !this.regions.bitmap) return null;
    picture.niivue.drawBitmap = this.regions.bitmap;
    const file = await picture.niivue.saveImage({ filename: "", isSaveDrawing: true, volumeByIndex: 0 });
    return file instanceof Uint8Array ? new Blob([file as Uint8Array<ArrayBuffer>]) : null;
  }

  private get namesDrawn(): string {
    const there = new Set(this.regions.bitmap ?? []);
    // A small region that was loaded may be hidden in blocks of others.
    return this.regions.list
      .filter(({ number }) => there.has(number) || this.regions.loaded)
      .map(({ number, name }) => `${number}:${name.replace(/[,:]/g, " ")}`)
      .join(",");
  }

  private take({ bytes, headers }: Answer, names: Record<string, string>, from: string, colour?: (number: number) => string): void {
    const grid = this.viewer.views[0]?.picture.grid;
    const { values } = parse(bytes, from);
    if (!grid) return;
    // Of a large scan, the labels of all voxels come behind those of the blocks.
    const known = headers.get("X-Numbers")?.split(",").filter(Boolean).map(Number);
    const numbers = known ?? [...new Set(values)].filter(Boolean).sort((a, b) => a - b);
    if (numbers.some((number) => number < 0 || number > 255)) {
      throw new ServerError(`${from} has numbers outside 0 to 255, more than can be drawn.`);
    }
    const whole = known ? loadedOf(new Uint8Array(bytes, values.byteOffset + values.byteLength)) : null;
    this.regions.load(grid.turn(Uint8Array.from(values as ArrayLike<number>)), numbers, names, whole, colour);
  }
}

function loadedOf(bytes: Uint8Array<ArrayBuffer>): Loaded {
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK) text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  return { blob: new Blob([bytes]), base64: btoa(text) };
}
