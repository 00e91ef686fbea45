/**
 * Display of numbers: the rule of `ivimkit.rounding`, tested on the same cases.
 *
 * A number with an error is rounded according to the error, which has two significant digits; one
 * without has three.
 */

export const NONE = "–";

const ERROR_DIGITS = 2;
const MOST_DIGITS = 6;
const SMALLEST = 1e-4;
const LARGEST = 1e9;

type Maybe = number | null | undefined;

/** A number to the precision of its error; a dash if there is none. */
export function rounded(value: Maybe, error: Maybe = null, digits = 3): string {
  if (!isNumber(value)) return NONE;
  const allowed = places(value, error);
  if (allowed !== null) return fixed(value, allowed);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < SMALLEST || size >= LARGEST) return power(value, digits);
  return fixed(value, Math.max(0, digits - 1 - magnitude(value, digits)));
}

/** A number without an error, to a given number of digits. */
export function short(value: Maybe, digits = 3): string {
  return rounded(value, null, digits);
}

/** A number and its error, both to the same decimal place. */
export function withError(value: Maybe, error: Maybe, digits = 3): string {
  if (!isNumber(value) || !isNumber(error)) return rounded(value, null, digits);
  const allowed = places(value, error);
  return allowed === null ? rounded(value, null, digits) : `${fixed(value, allowed)} ± ${fixed(error, allowed)}`;
}

/** A p-value to three decimal places, never 0. */
export function probability(p: Maybe): string {
  if (!isNumber(p)) return NONE;
  return p < 0.001 ? "< 0.001" : p.toFixed(3);
}

/** A count. */
export function thousands(n: number): string {
  return fixed(n, 0);
}

function isNumber(value: Maybe): value is number {
  return value !== null && value !== undefined && Number.isFinite(value);
}

/** How many decimal places an error allows; null if it does not determine them. */
function places(value: number, error: Maybe): number | null {
  if (!isNumber(error) || error <= 0 || Math.abs(value) >= LARGEST || error >= LARGEST) return null;
  const found = Math.max(0, ERROR_DIGITS - 1 - magnitude(error, ERROR_DIGITS));
  const most = MOST_DIGITS - 1 - magnitude(value || error, MOST_DIGITS);
  return found <= most ? found : null;
}

/** The power of ten of a number that is rounded to some digits: 9.996 becomes 10. */
function magnitude(value: number, digits: number): number {
  return Number(Math.abs(value).toExponential(digits - 1).split("e")[1]);
}

function fixed(value: number, decimals: number): string {
  const text = Math.abs(value).toFixed(decimals);
  const [whole = "", part] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") + (part === undefined ? "" : `.${part}`);
  return value < 0 && Number(text) !== 0 ? `−${grouped}` : grouped;
}

function power(value: number, digits: number): string {
  const [number = "", exponent = ""] = value.toExponential(digits - 1).split("e");
  const raised = [...exponent.replace("+", "")].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)])).join("");
  return `${number.replace("-", "−")}·10${raised}`;
}

/** The number in a field; undefined where there is none. */
export function typed(input: HTMLInputElement): number | undefined {
  const value = input.value.trim() === "" ? NaN : Number(input.value);
  return Number.isFinite(value) ? value : undefined;
}

/** For a field: without digits from rounding errors. */
export function editable(value: number): string {
  return String(Number(value.toPrecision(6)));
}
