/** The server: what it answers, and its errors as sentences. */

export class ServerError extends Error {}

export async function getJson<T>(address: string, signal?: AbortSignal): Promise<T> {
  return (await ask(address, { signal: signal ?? null })).json() as Promise<T>;
}

export async function getBytes(address: string, signal?: AbortSignal): Promise<ArrayBuffer> {
  return (await ask(address, { signal: signal ?? null })).arrayBuffer();
}

export async function post(address: string, body: BodyInit, signal?: AbortSignal): Promise<Response> {
  return ask(address, { method: "POST", body, signal: signal ?? null });
}

async function ask(address: string, how: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(address, how);
  } catch (error) {
    if (isAborted(error)) throw error;
    throw new ServerError("The viewer does not answer: ivimkit view was ended. Start it again and open its new address.");
  }
  if (!answer.ok) throw new ServerError(await sentence(answer));
  return answer;
}

async function sentence(answer: Response): Promise<string> {
  const text = await answer.text();
  try {
    const told = (JSON.parse(text) as { error?: unknown }).error;
    if (typeof told === "string") return told;
  } catch {
    // Not JSON: a plain sentence, as for a wrong token.
  }
  return text.trim() || `The viewer answered with error ${answer.status}.`;
}

export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** Asks only for what is wanted last: a newer request ends the one before it. */
export class Latest<A, R> {
  private running: AbortController | null = null;
  private timer = 0;
  private before = -Infinity;

  constructor(
    private readonly ask: (what: A, signal: AbortSignal) => Promise<R>,
    private readonly done: (answer: R, what: A) => void,
    private readonly failed: (error: unknown) => void,
    private readonly pause: number,
  ) {}

  request(what: A): void {
    clearTimeout(this.timer);
    const wait = this.before + this.pause - performance.now();
    // The first of a series goes at once, so that a click need not wait.
    if (wait <= 0) void this.run(what);
    else this.timer = window.setTimeout(() => void this.run(what), wait);
  }

  cancel(): void {
    clearTimeout(this.timer);
    this.running?.abort();
  }

  private async run(what: A): Promise<void> {
    this.before = performance.now();
    this.running?.abort();
    const own = (this.running = new AbortController());
    try {
      const answer = await this.ask(what, own.signal);
      if (!own.signal.aborted) this.done(answer, what);
    } catch (error) {
      if (!own.signal.aborted && !isAborted(error)) this.failed(error);
    }
  }
}

/** Offer bytes as a file. */
export function download(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
