/** Open files: images, masks, sessions and results that are dropped on the page, or chosen. */

import { element } from "./dom";
import { openedImage, rangeOf } from "./images";
import { ServerError, post } from "./server";
import type { Viewer } from "./viewer";
import { parse } from "./volume";

type What = "image" | "regions";

export interface Openers {
  regions: (file: File) => Promise<void>;
  session: (file: File) => Promise<void>;
  /** Begin the page anew: there is one more result. */
  again: () => void;
  say: (text: string) => void;
  fail: (error: unknown) => void;
}

const IMAGE = /\.nii(\.gz)?$/i;
/** What a result is loaded from; there may be pages and pictures beside it. */
const OF_RESULT = /\.(nii|nii\.gz|json|npz|tsv|csv)$/i;
const RECORD = "fit.json";
const MOST_FILES = 64;
const FILES = "Opened";

export class OpenFiles {
  private readonly zones: HTMLElement;
  /** How many elements the pointer with files is inside of. */
  private inside = 0;
  /** How many images were asked for: the last one is shown, whichever comes last. */
  private asked = 0;

  constructor(
    private readonly viewer: Viewer,
    private readonly open: Openers,
  ) {
    this.zones = element("div", { class: "drop", hidden: true }, this.zone("image", "Show as an image"), this.zone("regions", "Load as regions"));
    document.body.append(this.zones);
    addEventListener("dragenter", (event) => this.enter(event));
    addEventListener("dragleave", () => this.leave());
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      this.hide();
    });
  }

  /** Show images; the last one becomes the base image. */
  async images(files: File[], group = FILES): Promise<void> {
    const images = files.filter(({ name }) => IMAGE.test(name));
    for (const file of images.slice(0, MOST_FILES)) {
      try {
        await this.image(file, group);
      } catch (error) {
        this.open.fail(error);
      }
    }
    if (!images.length) this.open.say("There is no image: expected files that end in .nii or .nii.gz.");
    if (images.length > MOST_FILES) this.open.say(`${images.length} images are too many: the first ${MOST_FILES} were opened.`);
  }

  private async image(file: File, group: string): Promise<void> {
    const turn = ++this.asked;
    const { bytes, headers } = await post("api/image", file);
    const volume = parse(bytes, file.name);
    const image = openedImage(file.name.replace(IMAGE, ""), group, rangeOf(volume.values));
    this.viewer.open(image, volume);
    if (turn === this.asked) await this.viewer.setBase(image.key);
    const note = headers.get("X-Note");
    if (note) this.open.say(`${file.name}: ${note}`);
  }

  private zone(what: What, text: string): HTMLElement {
    const zone = element("div", { class: "drop-zone", "data-testid": `drop-${what}` }, text);
    zone.addEventListener("drop", (event) => {
      if (event.dataTransfer) void this.dropped(event.dataTransfer, what).catch(this.open.fail);
    });
    return zone;
  }

  private async dropped(data: DataTransfer, what: What): Promise<void> {
    // Both must be asked for before anything is waited for.
    const files = [...data.files];
    const folders = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry?.isDirectory) as FileSystemDirectoryEntry[];
    let results = 0;
    for (const folder of folders) {
      const inside = await filesOf(folder);
      if (isResult(inside)) results += await this.result(folder.name, inside);
      else await this.images(inside, folder.name);
    }
    const plain = files.filter(({ name }) => !folders.some((folder) => folder.name === name));
    if (isResult(plain)) results += await this.result("dropped", plain);
    else await this.plain(plain, what);
    if (results) this.open.again();
  }

  private async plain(files: File[], what: What): Promise<void> {
    const sessions = files.filter(({ name }) => name.endsWith(".json"));
    const others = files.filter((file) => !sessions.includes(file));
    if (sessions[0]) await this.open.session(sessions[0]);
    if (!others.length) return;
    if (what === "image") await this.images(others);
    else if (others[0] && IMAGE.test(others[0].name)) await this.open.regions(others[0]);
    else throw new ServerError("This is no mask: expected a file that ends in .nii or .nii.gz.");
  }

  /** Send the files of a result to the server; return how many results there are more. */
  private async result(name: string, files: File[]): Promise<number> {
    const own = files.filter((file) => OF_RESULT.test(file.name));
    const sizes = Object.fromEntries(own.map((file) => [file.name, file.size]));
    try {
      await post("api/result", new Blob([`${JSON.stringify({ name, files: sizes })}\n`, ...own]));
      return 1;
    } catch (error) {
      this.open.fail(error);
      return 0;
    }
  }

  private enter(event: DragEvent): void {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.inside++;
    this.zones.hidden = false;
  }

  private leave(): void {
    this.inside = Math.max(0, this.inside - 1);
    if (!this.inside) this.hide();
  }

  private hide(): void {
    this.inside = 0;
    this.zones.hidden = true;
  }
}

function isResult(files: File[]): boolean {
  return files.some(({ name }) => name === RECORD);
}

/** The files of a folder, without those of folders in it. */
async function filesOf(folder: FileSystemDirectoryEntry): Promise<File[]> {
  const reader = folder.createReader();
  const found: File[] = [];
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (!entries.length) return found.sort((a, b) => a.name.localeCompare(b.name));
    for (const entry of entries) {
      if (entry.isFile) found.push(await new Promise<File>((done, failed) => (entry as FileSystemFileEntry).file(done, failed)));
    }
  }
}
