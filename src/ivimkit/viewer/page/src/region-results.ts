/** Region results: comparison, mean signals and statistics of the regions. */

import { curveButtons } from "./curve-files";
import { element, tick } from "./dom";
import { type FitOptions, type Shown, estimatesTable, fitsContent, pointsOf, showPlot } from "./fits";
import { NONE, probability, rounded, short, thousands, withError } from "./numbers";
import type { PlotContent } from "./plot";
import { settingStyle } from "./region-colours";
import type { MapInfo, RegionAnswer, RegionMap, RegionsAnswer } from "./scene";

/** Maps about the fit, which few readers compare. */
const DIAGNOSTICS = new Set(["rmse", "r2", "cost", "n_iter", "sigma", "ln_evidence", "local_weight", "n_neighbours"]);

export class RegionResults {
  readonly root = element("div", { "data-testid": "region-results" });
  private readonly plot = element("div", { class: "plot-place" });
  private readonly tables = element("div");
  private readonly options: FitOptions = { logarithmic: false, components: false, repeats: false, marks: [] };
  private answer: RegionsAnswer | null = null;
  private maps: MapInfo[] = [];
  private content: PlotContent | null = null;

  constructor(private readonly colour: (number: number) => string) {}

  show(answer: RegionsAnswer | null, maps: MapInfo[]): void {
    this.answer = answer;
    this.maps = maps.filter(({ about_another }) => !about_another);
    if (!answer) {
      this.root.replaceChildren(element("p", { class: "note" }, "Draw a region to see its statistics and the fit of its mean signal."));
      return;
    }
    const [main, others] = [false, true].map((wanted) => this.maps.filter(({ name }) => DIAGNOSTICS.has(name) === wanted)) as [MapInfo[], MapInfo[]];
    const compared = answer.comparison.length > 0;
    this.root.replaceChildren(
      ...[
        compared ? element("h2", {}, `Comparison${answer.compared ? `: ${answer.compared.join(" with ")}` : ""}`) : null,
        answer.sentence ? element("p", {}, answer.sentence) : null,
        compared ? element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Comparison" }, this.comparison(answer)) : null,
        element("h2", {}, "Statistics"),
        element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Statistics", "data-testid": "region-table" }, this.statistics(main, answer.regions), this.diagnostics(others, answer.regions)),
        element("h2", {}, "Mean signal"),
        this.plot,
        curveButtons(this.plot, () => this.content, () => "regions"), // prettier-ignore
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
    const all = this.answer?.regions ?? [];
    const regions = all.filter(({ fit }) => fit);
    const shown: Shown[] = regions.map(({ fit, number }) => {
      const colour = this.colour(number);
      return { fit: fit as NonNullable<typeof fit>, colour, dash: "", setting: (k, n) => settingStyle(colour, k, n) };
    });
    const names = regions.map(({ name }) => name).join(", ");
    const content = fitsContent(`Mean signal against b of ${names}`, null, null, shown, this.options);
    content.points = regions.flatMap(({ fit, name, number }) => {
      const [mean, colour] = [`mean of ${name}`, this.colour(number)];
      return fit ? pointsOf(mean, fit.averaged, colour, (setting) => `${mean}, ${setting}`, (k, n) => settingStyle(colour, k, n).colour) : [];
    });
    content.curves = content.curves.map((curve) => ({ ...curve, name: `fit of ${curve.name}` }));
    const without = all.filter(({ why_no_fit }) => why_no_fit);
    content.empty = without.length ? "No mean signal was fitted." : "The scan is not available, so there is no signal.";
    this.content = content;
    showPlot(this.plot, content, shown);
    const rows = element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Fits of the mean signals" }, estimatesTable(shown, "Fits of the mean signals"));
    const note = (name: string, colour: string, sentence: string): HTMLElement =>
      element("p", { class: "note" }, element("strong", { style: `color:${colour}` }, `${name}: `), sentence);
    this.tables.replaceChildren(
      ...(shown.length ? [rows] : []),
      ...shown.map(({ fit, colour }) => note(fit.name, colour, fit.status.sentence)),
      ...all.filter((region) => region.note).map(({ name, number, note: said }) => note(name, this.colour(number), said ?? "")),
      ...without.map(({ name, number, why_no_fit }) => note(name, this.colour(number), why_no_fit ?? "")),
    );
  }

  private diagnostics(maps: MapInfo[], regions: RegionAnswer[]): HTMLElement | null {
    return maps.length ? element("details", {}, element("summary", {}, "Statistics of the fit"), this.statistics(maps, regions)) : null;
  }

  private statistics(maps: MapInfo[], regions: RegionAnswer[]): HTMLTableElement {
    const head = element("tr", {}, ...["region", "mean ± sd", "median", "25 to 75 %; min to max", "reliable"].map((text) => element("th", { scope: "col" }, text)));
    const body = element("tbody");
    for (const map of maps) {
      body.append(element("tr", { class: "group" }, element("th", { scope: "rowgroup", colspan: 5 }, map.label)));
      for (const region of regions) {
        const row = region.maps.find((one) => one.map === map.name);
        if (row) body.append(this.row(map, region, row));
      }
    }
    return element("table", { class: "numbers" }, element("caption", { class: "unseen" }, "Statistics of the regions"), element("thead", {}, head), body);
  }

  private row(map: MapInfo, region: RegionAnswer, row: RegionMap): HTMLElement {
    const scaled = (value: number | null): number | null => (value === null ? null : value * map.factor);
    const show = (value: number | null): string => rounded(scaled(value), scaled(row.sd));
    const span = (low: number | null, high: number | null): string => (low === null ? NONE : `${show(low)} to ${show(high)}`);
    const all = row.n + row.missing;
    return element(
      "tr",
      { "data-map": map.name, "data-region": region.name },
      element("td", { class: "name", style: `color:${this.colour(region.number)}`, title: region.name }, region.name),
      element("td", { "data-value": row.mean }, withError(scaled(row.mean), scaled(row.sd))),
      element("td", {}, show(row.median)),
      element("td", { "data-min": row.min ?? false, "data-max": row.max ?? false }, span(row.q25, row.q75), element("div", { class: "note" }, span(row.min, row.max))),
      element("td", {}, row.reliable < all ? `${thousands(row.reliable)} of ${thousands(all)}` : thousands(row.reliable)),
    );
  }

  private comparison({ comparison }: RegionsAnswer): HTMLTableElement {
    const head = element("tr", {}, ...["map", "difference", "ratio", "CNR", "AUC", "p"].map((text) => element("th", { scope: "col", title: text === "CNR" ? "contrast to noise ratio" : false }, text)));
    const body = element("tbody");
    for (const row of comparison) {
      const map = this.maps.find(({ name }) => name === row.map);
      if (!map) continue;
      const scaled = (value: number | null): number | null => (value === null ? null : value * map.factor);
      body.append(
        element(
          "tr",
          { "data-map": row.map },
          element("th", { scope: "row" }, map.label),
          ...[rounded(scaled(row.difference), scaled(row.error)), short(row.ratio), short(row.cnr), short(row.auc), probability(row.p)].map((text) => element("td", {}, text)),
        ),
      );
    }
    return element("table", { class: "numbers", "data-testid": "comparison" }, element("caption", { class: "unseen" }, "Comparison of two regions"), element("thead", {}, head), body);
  }
}
