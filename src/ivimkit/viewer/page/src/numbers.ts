/** Numbers as people read them. */

export const NONE = "–";

/** Three significant digits, without exponents where they can be avoided. */
export function short(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return minus(value.toExponential(digits - 1));
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return minus(value.toFixed(decimals));
}

/** A p-value. */
export function probability(p: number | null): string {
  if (p === null) return NONE;
  return p < 0.001 ? "< 0.001" : p.toFixed(3);
}

function minus(text: string): string {
  return text.replace("-", "−");
}

/** The number in a field; undefined where there is none. */
export function typed(input: HTMLInputElement): number | undefined {
  const value = input.value.trim() === "" ? NaN : Number(input.value);
  return Number.isFinite(value) ? value : undefined;
}

/** For a field: no digits that only rounding made. */
export function editable(value: number): string {
  return String(Number(value.toPrecision(6)));
}
