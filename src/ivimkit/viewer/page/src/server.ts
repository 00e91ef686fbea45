/** The server: its answers, and its errors as sentences. */

export class ServerError extends Error {}

/** The command has ended: no request is answered any more. */
export class EndedError extends ServerError {
  constructor() {
    super("The viewer does not answer: ivimkit view has ended. Start it again and open its new address.");
  }
}

export interface Answer {
  headers: Headers;
  bytes: ArrayBuffer;
}

export async function getJson<T>(address: string, signal?: AbortSignal): Promise<T> {
  return parsed<T>(await ask(address, { signal: signal ?? null }));
}

export async function get(address: string): Promise<Answer> {
  return ask(address, {});
}

export async function getBytes(address: string, signal?: AbortSignal): Promise<ArrayBuffer> {
  return (await ask(address, { signal: signal ?? null })).bytes;
}

export async function post(address: string, body: BodyInit, signal?: AbortSignal): Promise<Answer> {
  return ask(address, { method: "POST", body, signal: signal ?? null });
}

export async function postJson<T>(address: string, body: BodyInit, signal?: AbortSignal): Promise<T> {
  return parsed<T>(await post(address, body, signal));
}

async function ask(address: string, how: RequestInit): Promise<Answer> {
  let answer: Response;
  let bytes: ArrayBuffer;
  try {
    answer = await fetch(address, how);
    // Read all of it here: the command may also end while its answer is in transit.
    bytes = await answer.arrayBuffer();
  } catch (error) {
    if (isAborted(error)) throw error;
    throw new EndedError();
  }
  if (!answer.ok) throw new ServerError(sentence(answer.status, text(bytes)));
  return { headers: answer.headers, bytes };
}

function text(bytes: ArrayBuffer): string {
  return new TextDecoder().decode(bytes);
}

function parsed<T>({ bytes }: Answer): T {
  return JSON.parse(text(bytes)) as T;
}

function sentence(status: number, content: string): string {
  try {
    const told = (JSON.parse(content) as { error?: unknown }).error;
    if (typeof told === "string") return told;
  } catch {
    // Not JSON: plain text, as for a wrong token.
  }
  return content.trim() || `The viewer answered with error ${status}.`;
}

export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** Keeps only the latest request: a newer one aborts the one before it. */
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
    // The first of a series is sent at once, so that a click need not wait.
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
