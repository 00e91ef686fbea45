/** Messages: sentences at the bottom of the page. */

import { button, element } from "./dom";
import { isAborted } from "./server";

const SHORT_WHILE = 8000;

export const messages = element("div", { class: "messages", role: "alert", "data-testid": "messages" });

export function say(text: string, kind: "error" | "note" = "note"): void {
  // Show a message only once: without the server every request fails.
  for (const old of messages.children) if (old.firstChild?.textContent === text) return;
  const message = element("div", { class: `message ${kind}` }, element("span", {}, text));
  message.append(button("Close", () => message.remove(), { class: "small" }));
  messages.append(message);
  if (kind === "note") setTimeout(() => message.remove(), SHORT_WHILE);
}

export function fail(error: unknown): void {
  if (!isAborted(error)) say(error instanceof Error ? error.message : String(error), "error");
}
