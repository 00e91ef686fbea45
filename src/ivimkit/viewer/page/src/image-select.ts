/** Image select: the images to choose from, in groups. */

import { element } from "./dom";
import type { Flipped, ImageInfo } from "./images";
import type { Scene } from "./scene";

export function imageSelect(scene: Scene, images: Map<string, ImageInfo>, role: "base" | "overlay"): HTMLSelectElement {
  const select = element("select", { "data-testid": role });
  fillImageSelect(select, scene, images, role);
  return select;
}

export function fillImageSelect(select: HTMLSelectElement, scene: Scene, images: Map<string, ImageInfo>, role: "base" | "overlay"): void {
  select.replaceChildren(...(role === "overlay" ? [element("option", { value: "" }, "none")] : []));
  const group = (label: string, own: ImageInfo[]): void => {
    if (own.length) select.append(element("optgroup", { label }, ...own.map(({ key, label: text }) => element("option", { value: key }, text))));
  };
  const list = [...images.values()];
  group("Scan", list.filter(({ group: name, result, single }) => !name && !result && !single));
  if (role === "base") {
    const those = (which: Flipped): ImageInfo[] => list.filter(({ single }) => single === which);
    group(scene.steps.length ? "Volumes as fitted" : "Volumes as acquired", those("fitted"));
    group("Volumes as acquired", those("acquired"));
  }
  for (const one of scene.results) {
    const own = list.filter(({ result }) => result === one);
    const name = scene.results.length > 1 ? `${one.name}: ` : "";
    group(`${name}maps`, own.filter(({ map }) => !map?.about_another));
    group(`${name}information from the data`, own.filter(({ map }) => map?.about_another && isInformation(map.name)));
    group(`${name}uncertainty`, own.filter(({ map }) => map?.about_another && !isInformation(map.name)));
  }
  for (const name of new Set(list.flatMap(({ group: given }) => given ?? []))) group(name, list.filter(({ group: given }) => given === name));
}

/** Bits beyond the prior, of methods that have one. */
function isInformation(name: string): boolean {
  return name.endsWith("_bits");
}
