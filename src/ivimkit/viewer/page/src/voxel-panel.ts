/** Voxel panel: signal, curves, estimates and status at the crosshair, and a refit. */

import { curveButtons } from "./curve-files";
import { element, tick } from "./dom";
import { type FitOptions, estimatesTable, fitsContent, showPlot, signalTable, styled } from "./fits";
import { short } from "./numbers";
import type { PlotContent } from "./plot";
import { RefitForm, type RefitRequest } from "./refit";
import type { Fit, VoxelAnswer } from "./scene";
import { EndedError, Latest, ServerError, getJson, postJson } from "./server";
import type { Viewer } from "./viewer";

/** Milliseconds between requests while the crosshair is dragged. */
const PAUSE = 40;
const REFIT_PAUSE = 120;

export class VoxelPanel {
  readonly root: HTMLElement;
  /** Describes in words what is at the crosshair. */
  readonly spoken = element("p", { class: "unseen", role: "status", "aria-live": "polite" });
  private readonly place = element("p", { class: "place", "data-testid": "place" });
  private readonly statuses = element("div", { class: "statuses", "data-testid": "status" });
  private readonly plot = element("div", { class: "plot-place", "data-testid": "voxel-plot" });
  private readonly tables = element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Estimates" });
  private readonly signals = element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Signal and residuals" });
  private readonly form: RefitForm;
  private readonly asking: Latest<number[], VoxelAnswer>;
  private readonly refitting: Latest<{ request: RefitRequest; voxel: number[] }, Fit>;
  private readonly options: FitOptions = { logarithmic: false, components: false, repeats: true, marks: [] };
  private readonly hidden = new Set<string>();
  private readonly logBox: HTMLElement;
  private answer: VoxelAnswer | null = null;
  private request: RefitRequest | null = null;
  private refit: { fit: Fit; voxel: string } | null = null;
  private content: PlotContent | null = null;
  private speaking = 0;

  constructor(private readonly viewer: Viewer) {
    const { scene } = viewer;
    this.asking = new Latest(
      ([x, y, z], signal) => getJson<VoxelAnswer>(`api/voxel?x=${x}&y=${y}&z=${z}`, signal),
      (answer) => this.show(answer),
      viewer.fail,
      PAUSE,
    );
    this.refitting = new Latest(
      ({ request, voxel }, signal) => postJson<Fit>("api/refit", JSON.stringify({ voxel, ...request }), signal),
      (fit, { voxel }) => {
        this.refit = { fit, voxel: voxel.join() };
        this.form.tell(null);
        this.draw();
      },
      (error) => {
        this.refit = null;
        // The message of the form is about the refit; the end of the command is reported once, for
        // all.
        if (error instanceof EndedError) viewer.fail(error);
        this.form.tell(error instanceof EndedError ? null : error instanceof ServerError ? error.message : String(error));
        this.draw();
      },
      REFIT_PAUSE,
    );
    this.form = new RefitForm(scene, (request) => this.ask(request));
    this.logBox = tick("logarithmic signal axis", false, (on) => this.set({ logarithmic: on }), "log-axis");
    const boxes = element("div", { class: "ticks" }, this.logBox);
    boxes.append(tick("tissue and blood", false, (on) => this.set({ components: on }), "components"));
    boxes.append(tick("single volumes", true, (on) => this.set({ repeats: on })));
    if (scene.results.length > 1) {
      for (const { id, name } of scene.results) boxes.append(tick(`curve of ${name}`, true, (on) => this.hide(id, !on)));
    }
    this.root = element(
      "div",
      { class: "panel-content" },
      this.place,
      this.statuses,
      scene.has_scan ? null : element("p", { class: "note" }, `No measured signal: ${scene.why_no_scan ?? "the scan is not available."}`),
      this.plot,
      curveButtons(this.plot, () => this.content, () => `voxel-${this.answer?.voxel.join("-")}`), // prettier-ignore
      boxes,
      this.tables,
      element("details", { class: "as-table" }, element("summary", {}, "Signal and residuals as a table"), this.signals),
      scene.has_scan ? element("section", {}, element("h2", {}, "Refit this voxel"), this.form.root) : null,
      this.spoken,
    );
    viewer.on(["voxel"], () => this.update());
    let width = 0;
    new ResizeObserver(() => {
      if (this.plot.clientWidth === width) return;
      width = this.plot.clientWidth;
      this.draw();
    }).observe(this.plot);
  }

  update(): void {
    this.asking.request(this.viewer.voxel);
    if (this.request) this.refitting.request({ request: this.request, voxel: this.viewer.voxel });
  }

  toggleLogarithmic(): void {
    this.logBox.querySelector("input")?.click();
  }

  private ask(request: RefitRequest | null): void {
    this.request = request;
    if (request) this.refitting.request({ request, voxel: this.viewer.voxel });
    else {
      this.refitting.cancel();
      this.refit = null;
      this.draw();
    }
  }

  private set(options: Partial<FitOptions>): void {
    Object.assign(this.options, options);
    this.draw();
  }

  private hide(id: string, hidden: boolean): void {
    if (hidden) this.hidden.add(id);
    else this.hidden.delete(id);
    this.draw();
  }

  private show(answer: VoxelAnswer): void {
    this.answer = answer;
    this.draw();
    clearTimeout(this.speaking);
    this.speaking = window.setTimeout(() => (this.spoken.textContent = this.sentence(answer)), 400);
  }

  private draw(): void {
    const { answer, viewer } = this;
    if (!answer) return;
    const units = viewer.scene.voxel_units;
    this.place.replaceChildren(
      element("strong", {}, `Voxel ${answer.voxel.join(", ")}`),
      element("span", {}, `at ${answer.world.map((mm) => short(mm, 4)).join(", ")} ${units}`),
    );
    // A refit belongs to one voxel: that of the previous one is not valid here.
    const refit = this.refit?.voxel === answer.voxel.join() ? this.refit.fit : null;
    const all = styled([...answer.fits, ...(refit ? [refit] : [])]);
    this.statuses.replaceChildren(
      ...all.map(({ fit, colour }) => {
        const fine = fit.status.code === 0;
        const name = all.length > 1 ? element("strong", { style: `color:${colour}` }, `${fit.name}: `) : null;
        const row = element("p", { class: fine ? "status fine" : "status warned" }, element("span", { "aria-hidden": "true" }, fine ? "✓ " : "! "), name, fit.status.sentence);
        for (const note of fit.notes ?? []) row.append(element("span", { class: "note" }, ` ${note}`));
        return row;
      }),
    );
    const shown = all.filter(({ fit }) => !this.hidden.has(fit.id));
    const title = this.sentence(answer);
    const options = { ...this.options, marks: refit ? this.form.thresholds : [] };
    this.content = fitsContent(title, answer.measured, answer.averaged, shown, options);
    showPlot(this.plot, this.content, shown);
    this.tables.replaceChildren(estimatesTable(all, "Estimates of this voxel"));
    this.signals.replaceChildren(signalTable(answer.averaged, all, "Signal and residuals of this voxel"));
    this.root.dataset.voxel = answer.voxel.join(",");
  }

  private sentence(answer: VoxelAnswer): string {
    const parts = answer.fits.map((fit) => {
      const values = fit.estimates
        .filter(({ noted, value }) => noted && value !== null)
        .map(({ symbol, text, unit_shown }) => `${symbol} ${text}${unit_shown ? ` ${unit_shown}` : ""}`);
      return `${fit.name}: ${values.length ? values.join(", ") : `no value: ${fit.status.sentence}`}`;
    });
    return `Signal against b of voxel ${answer.voxel.join(", ")}. ${parts.join(". ")}.`;
  }
}
