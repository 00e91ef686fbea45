/** Run lengths: the numbers of a drawing as short text, such as "0*1200 1*35 0*90". */

export function encodeRuns(numbers: Uint8Array): string {
  const runs: string[] = [];
  for (let i = 0; i < numbers.length; ) {
    const start = i;
    const value = numbers[i] as number;
    while (i < numbers.length && numbers[i] === value) i++;
    runs.push(`${value}*${i - start}`);
  }
  return runs.join(" ");
}

/** The numbers of a text; null if it does not have so many of them. */
export function decodeRuns(text: string, count: number): Uint8Array | null {
  const numbers = new Uint8Array(count);
  let at = 0;
  for (const run of text.split(" ").filter(Boolean)) {
    const found = /^(\d{1,3})\*(\d{1,10})$/.exec(run);
    const [value, n] = [Number(found?.[1]), Number(found?.[2])];
    if (!found || value > 255 || at + n > count) return null;
    numbers.fill(value, at, at + n);
    at += n;
  }
  return at === count ? numbers : null;
}
