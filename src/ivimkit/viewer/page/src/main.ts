/** The page: begins with the description of the study. */

import "./style.css";
import { fail, messages } from "./messages";
import { Page } from "./page";
import type { Scene } from "./scene";
import { getJson } from "./server";
import { Viewer } from "./viewer";

declare global {
  interface Window {
    /** For tests and for the curious. */
    ivimkit?: { viewer: Viewer; page: Page };
  }
}

async function begin(): Promise<void> {
  const scene = await getJson<Scene>("api/scene");
  document.title = `${scene.title} – ivimkit`;
  const viewer = new Viewer(scene, fail);
  const page = new Page(viewer);
  document.querySelector("#waiting")?.remove();
  window.ivimkit = { viewer, page };
  await page.start();
  document.documentElement.dataset.ready = "true";
}

begin().catch((error: unknown) => {
  document.querySelector("#waiting")?.remove();
  document.body.append(messages);
  fail(error);
});
