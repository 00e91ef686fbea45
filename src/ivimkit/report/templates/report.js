"use strict";
(() => {
  const large = document.getElementById("large");
  const caption = document.getElementById("large-caption");
  const stage = large.querySelector(".stage");
  const scale = large.querySelector("[data-scale]");
  const said = document.getElementById("said");
  const buttons = [...document.querySelectorAll(".zoom")];
  let current = 0;

  function show(number) {
    current = (number + buttons.length) % buttons.length;
    const image = buttons[current].querySelector("img");
    const copy = new Image();
    copy.src = image.src;
    copy.alt = image.alt;
    stage.replaceChildren(copy);
    const text = buttons[current].parentElement.querySelector("figcaption");
    caption.textContent = text ? text.textContent : image.alt;
    if (!large.open) large.showModal();
    stage.focus();
  }

  function resize(full) {
    stage.classList.toggle("full", full);
    scale.setAttribute("aria-pressed", String(full));
    scale.textContent = full ? "Fit the window" : "Full size";
  }

  buttons.forEach((button, number) => button.addEventListener("click", () => show(number)));
  large.querySelector("[data-close]").addEventListener("click", () => large.close());
  scale.addEventListener("click", () => resize(!stage.classList.contains("full")));
  for (const button of large.querySelectorAll("[data-step]"))
    button.addEventListener("click", () => show(current + Number(button.dataset.step)));
  large.addEventListener("close", () => {
    resize(false);
    stage.replaceChildren();
    const part = buttons[current].closest(".part > details");
    if (part) part.open = true;
    buttons[current].focus();
  });
  large.addEventListener("keydown", (event) => {
    // In full size the arrows scroll.
    if (stage.classList.contains("full")) return;
    if (event.key === "ArrowLeft") show(current - 1);
    if (event.key === "ArrowRight") show(current + 1);
  });

  const parts = [...document.querySelectorAll(".part > details")];
  const all = document.querySelector(".open-all");
  if (all) {
    const name = () => {
      all.textContent = parts.every((one) => one.open) ? "Fold all parts" : "Open all parts";
    };
    all.hidden = false;
    all.addEventListener("click", () => {
      const open = !parts.every((one) => one.open);
      for (const one of parts) one.open = open;
    });
    for (const one of parts) one.addEventListener("toggle", name);
  }
  // Browsers that cannot print closed parts by the style sheet alone.
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = parts.filter((one) => !one.open);
    for (const one of closed) one.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
  });

  async function copy(button) {
    const source = document.getElementById(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      // Pages from a file may not write to the clipboard in every browser; a selection may.
      const range = document.createRange();
      range.selectNodeContents(source);
      const selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      if (!document.execCommand("copy")) {
        said.textContent = "Selected. Press Ctrl+C to copy";
        return;
      }
      selection.removeAllRanges();
    }
    button.textContent = "Copied";
    said.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }
  for (const button of document.querySelectorAll(".copy"))
    button.addEventListener("click", () => copy(button));
})();
