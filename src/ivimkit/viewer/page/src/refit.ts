/** Refit: a form for another fit of the voxel. It sends only what differs from the stored fit. */

import { button, element, field } from "./dom";
import { editable, short, typed } from "./numbers";
import type { MethodInfo, ModelInfo, OptionInfo, ParameterInfo, ResultInfo, Scene } from "./scene";

export interface RefitRequest {
  result: string;
  model?: string;
  method: string;
  options: Record<string, number | string | boolean | null>;
  bounds: Record<string, [number, number | null]>;
  fixed: Record<string, number>;
}

type Reader = () => number | string | boolean | null | undefined;

/** b-values among the options: their sliders move along those of the scan. */
const isThreshold = (name: string): boolean => /^(split_)?b_/.test(name);

export class RefitForm {
  readonly root: HTMLFormElement;
  private readonly result: HTMLSelectElement;
  private readonly model: HTMLSelectElement;
  private readonly method: HTMLSelectElement;
  private readonly options = element("div", { class: "grid" });
  private readonly bounds = element("tbody");
  private readonly problem = element("p", { class: "problem", role: "alert", hidden: true });
  private readonly remove: HTMLButtonElement;
  private readers = new Map<string, Reader>();
  private parameters: { info: ParameterInfo; before: [number | null, number | null]; low: HTMLInputElement; high: HTMLInputElement; fixed: HTMLInputElement }[] = [];

  constructor(
    private readonly scene: Scene,
    /** Requests the refit; null removes it. */
    private readonly ask: (request: RefitRequest | null) => void,
  ) {
    const pick = (items: [string, string][], changed: () => void, key: string): HTMLSelectElement => {
      const select = element("select", { "data-testid": key });
      for (const [value, text] of items) select.append(element("option", { value }, text));
      // Before the form handles the input and sends its contents.
      select.addEventListener("input", changed);
      return select;
    };
    this.result = pick(scene.results.map(({ id, name }) => [id, name]), () => this.start(), "refit-result");
    this.model = pick(scene.models.map(({ name, title }) => [name, title]), () => this.showBounds(), "refit-model");
    this.method = pick(scene.methods.map(({ name, title }) => [name, `${name}: ${title}`]), () => this.showOptions({}), "refit-method");
    this.remove = button("Remove refit", () => this.clear(), { disabled: true, "data-testid": "refit-remove" });
    const several = scene.results.length > 1;
    this.root = element(
      "form",
      { class: "refit", "aria-label": "Refit of this voxel" },
      several ? field("Starting from", this.result) : null,
      field("Method", this.method),
      this.options,
      element(
        "details",
        {},
        element("summary", {}, "Model and bounds"),
        field("Model", this.model),
        element("table", { class: "bounds" },
          element("thead", {}, element("tr", {}, ...["parameter", "from", "to", "fixed at"].map((text) => element("th", { scope: "col" }, text)))),
          this.bounds), // prettier-ignore
      ),
      this.problem,
      element("div", { class: "buttons" }, element("button", { type: "submit", class: "main", "data-testid": "refit" }, "Refit"), this.remove),
    );
    this.root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    // Every change is applied at once, to see the effect of a threshold while it moves.
    this.root.addEventListener("input", (event) => {
      if (event.target !== this.result) this.send();
    });
    this.start();
  }

  /** Show why there is no refit, or that there is one. */
  tell(problem: string | null): void {
    this.problem.textContent = problem ?? "";
    this.problem.hidden = problem === null;
  }

  clear(): void {
    this.remove.disabled = true;
    this.tell(null);
    this.ask(null);
  }

  get thresholds(): { b: number; text: string }[] {
    if (this.remove.disabled) return [];
    return [...this.readers].flatMap(([name, read]) => {
      const value = isThreshold(name) ? read() : undefined;
      return typeof value === "number" && value > 0 ? [{ b: value, text: `${name} = ${short(value)}` }] : [];
    });
  }

  private get chosen(): { result: ResultInfo; method: MethodInfo; model: ModelInfo } {
    const result = this.scene.results.find(({ id }) => id === this.result.value) as ResultInfo;
    const method = this.scene.methods.find(({ name }) => name === this.method.value) as MethodInfo;
    const model = this.scene.models.find(({ name }) => name === this.model.value) as ModelInfo;
    return { result, method, model };
  }

  /** Start with the settings of the result. */
  private start(): void {
    const result = this.scene.results.find(({ id }) => id === this.result.value) as ResultInfo;
    this.method.value = result.method;
    this.model.value = result.model;
    this.showOptions(result.options);
    this.showBounds();
    this.clear();
  }

  private showOptions(values: Record<string, unknown>): void {
    this.readers = new Map();
    this.options.replaceChildren();
    for (const option of this.chosen.method.options) {
      const value = option.name in values ? values[option.name] : this.ordinary(option);
      const [control, read] = this.control(option, value);
      this.readers.set(option.name, read);
      this.options.append(control);
    }
  }

  /** What a method has that the result was not fitted by: a prior is learned from a whole scan, and there is none. */
  private ordinary({ name, choices, default: usual }: OptionInfo): OptionInfo["default"] {
    const { result, method } = this.chosen;
    return name === "prior" && result.method !== method.name && choices.includes("flat") ? "flat" : usual;
  }

  private control(option: OptionInfo, value: unknown): [HTMLElement, Reader] {
    const key = `option-${option.name}`;
    const label = isThreshold(option.name) ? `${option.name} (s/mm²)` : option.name;
    if (option.kind === "flag") {
      const box = element("input", { type: "checkbox", checked: value === true, "data-testid": key });
      return [element("label", { class: "tick" }, box, element("span", {}, label)), () => box.checked];
    }
    if (option.kind === "choice") {
      const select = element("select", { "data-testid": key });
      option.choices.forEach((choice, i) => select.append(element("option", { value: i, selected: choice === value }, String(choice))));
      return [field(label, select), () => option.choices[Number(select.value)] ?? null];
    }
    const number = typeof value === "number" ? value : null;
    const input = element("input", { type: "number", step: "any", value: number, "data-testid": key, placeholder: option.default === null ? "automatic" : "" });
    const read: Reader = () => typed(input) ?? (option.default === null ? null : undefined);
    const made = field(label, input);
    if (isThreshold(option.name) && number !== null && number > 0) made.append(this.slider(label, input, number));
    return [made, read];
  }

  /** Moves a threshold from b-value to b-value of the scan. */
  private slider(label: string, input: HTMLInputElement, value: number): HTMLInputElement {
    const { bvals } = this.scene;
    const nearest = (wanted: number): number =>
      bvals.reduce((best, b, i) => (Math.abs(b - wanted) < Math.abs((bvals[best] as number) - wanted) ? i : best), 0);
    const slider = element("input", { type: "range", min: 0, max: bvals.length - 1, step: 1, value: nearest(value), "aria-label": `${label}, along the b-values` });
    const speak = (): void => slider.setAttribute("aria-valuetext", `b = ${input.value}`);
    slider.addEventListener("input", () => {
      input.value = String(bvals[Number(slider.value)]);
      speak();
    });
    input.addEventListener("input", () => {
      slider.value = String(nearest(typed(input) ?? 0));
      speak();
    });
    speak();
    return slider;
  }

  private showBounds(): void {
    const { result, model } = this.chosen;
    this.bounds.replaceChildren();
    this.parameters = model.parameters.map((info) => {
      const before = (result.model === model.name && result.bounds[info.name]) || info.bounds;
      const show = (value: number | null): string => (value === null ? "" : editable(value * info.factor));
      const input = (what: string, value: string, hint: string): HTMLInputElement =>
        element("input", { type: "number", step: "any", value, placeholder: hint, "aria-label": `${info.symbol}, ${what}`, "data-testid": `bound-${info.name}-${what}` });
      const low = input("from", show(before[0]), "−∞");
      const high = input("to", show(before[1]), "∞");
      const fixed = input("fixed at", "", "free");
      const unit = info.unit_shown ? ` (${info.unit_shown})` : "";
      this.bounds.append(element("tr", {}, element("th", { scope: "row" }, `${info.symbol}${unit}`), ...[low, high, fixed].map((one) => element("td", {}, one))));
      return { info, before, low, high, fixed };
    });
  }

  private send(): void {
    const { result, method, model } = this.chosen;
    const request: RefitRequest = { result: result.id, method: method.name, options: {}, bounds: {}, fixed: {} };
    if (model.name !== result.model) request.model = model.name;
    for (const [name, read] of this.readers) {
      const value = read();
      const ordinary = method.options.find((option) => option.name === name)?.default;
      if (value !== undefined && value !== ordinary) request.options[name] = value;
    }
    for (const { info, before, low, high, fixed } of this.parameters) {
      const value = typed(fixed);
      if (value !== undefined) request.fixed[info.name] = value / info.factor;
      const pair = [typed(low), typed(high)].map((end) => (end === undefined ? null : end / info.factor));
      const same = pair.every((end, k) => editable((end ?? Infinity) * info.factor) === editable((before[k] ?? Infinity) * info.factor));
      if (!same && pair[0] !== null && pair[0] !== undefined) request.bounds[info.name] = [pair[0], pair[1] ?? null];
    }
    this.remove.disabled = false;
    this.ask(request);
  }
}
