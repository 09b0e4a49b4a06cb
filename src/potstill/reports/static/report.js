// Filters the mistakes; without it all of them are shown.
for (const browser of document.querySelectorAll(".browser")) {
  const form = browser.querySelector("form");
  const items = [...browser.querySelectorAll(".mistake")];
  const show = () => {
    const run = form.elements.run.value;
    const kind = form.elements.kind.value;
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of items) {
      const text = item.textContent.toLowerCase();
      item.hidden = Boolean(
        (run && item.dataset.run !== run) ||
        (kind && item.dataset.kind !== kind) ||
        !words.every((word) => text.includes(word)),
      );
      shown += !item.hidden;
    }
    form.querySelector("output").textContent = `${shown} shown`;
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
}
