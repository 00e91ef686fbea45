/** Focus: after a click on a button the keys of the pictures work again. */

const CONTROLS = "button, select, input[type=radio], input[type=checkbox], input[type=range]";

/**
 * Give the focus back to a picture after a control was used with the pointer. Whoever uses it with
 * the keyboard keeps it.
 */
export function returnFocus(picture: () => HTMLElement | undefined): void {
  let byPointer = false;
  addEventListener("pointerdown", () => (byPointer = true), true);
  addEventListener("keydown", () => (byPointer = false), true);
  const back = (event: Event): void => {
    const control = event.target instanceof Element ? event.target.closest(CONTROLS) : null;
    const opens = control instanceof HTMLSelectElement && event.type === "click";
    if (!byPointer || !control || opens || document.querySelector("dialog[open]")) return;
    picture()?.focus({ preventScroll: true });
  };
  addEventListener("click", back);
  addEventListener("change", back);
}
