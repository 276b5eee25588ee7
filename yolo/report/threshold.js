// The slider: counts and rates at a score threshold on the grid 0, 0.01, ..., 1, equal to those of metrics.json there.
"use strict";

(() => {
  const range = document.getElementById("threshold-range");
  const number = document.getElementById("threshold-number");
  const reset = document.getElementById("threshold-reset");
  const status = document.getElementById("threshold-status");
  const table = document.getElementById("threshold-table");
  const cells = {};
  document.querySelectorAll("#threshold-totals [data-key]").forEach((cell) => { cells[cell.dataset.key] = cell; });
  const rows = Array.from(table.tBodies[0].rows); // by class, whatever they are sorted by later
  const best = data.score_threshold === null ? 25 : Math.min(100, Math.max(0, Math.round(100 * data.score_threshold)));
  const asCount = new Intl.NumberFormat("en").format;
  let place = best, timer = 0;

  function totals() {
    const sum = (key) => curves.rates.reduce((total, row) => total + row[place][key], 0);
    return ratesOf(sum("tp"), sum("fp"), data.instances.reduce((total, one) => total + one, 0));
  }

  function drawRows() {
    rows.forEach((row, index) => {
      const one = curves.rates[index][place];
      ["tp", "fp", "fn", "precision", "recall", "f1"].forEach((key, column) => {
        const cell = row.cells[column + 1];
        const value = one[key];
        cell.textContent = column < 3 ? asCount(value) : asRate(value);
        cell.dataset.value = value === null ? "" : value;
        if (value === null) cell.title = "no objects of this class";
      });
    });
  }

  const draw = oncePerFrame(() => {
    const all = totals();
    for (const key of ["tp", "fp", "fn"]) cells[key].textContent = asCount(all[key]);
    for (const key of ["precision", "recall", "f1"]) {
      cells[key].textContent = asRate(all[key]);
      cells[`mean-${key}`].textContent = asRate(curves.means[key][place]);
    }
    drawRows();
    curves.mark(place);
    clearTimeout(timer);
    timer = setTimeout(() => {
      status.textContent = `Threshold ${(place / 100).toFixed(2)}: ${asCount(all.tp)} right, ${asCount(all.fp)} wrong, `
        + `${asCount(all.fn)} missed, precision ${asRate(all.precision)}, recall ${asRate(all.recall)}.`;
      tables.resort(table);
    }, 400);
  });

  function set(value, from) {
    if (!Number.isFinite(value)) return;
    place = Math.min(100, Math.max(0, Math.round(100 * value)));
    if (from !== range) range.value = place / 100;
    if (from !== number) number.value = (place / 100).toFixed(2);
    range.setAttribute("aria-valuetext", (place / 100).toFixed(2));
    draw();
  }

  reset.textContent = `Best mean F1: ${(best / 100).toFixed(2)}`;
  reset.addEventListener("click", () => set(best / 100, reset));
  range.addEventListener("input", () => set(range.valueAsNumber, range));
  number.addEventListener("input", () => set(number.valueAsNumber, number));
  number.addEventListener("change", () => set(place / 100, null));
  curves.onThreshold((value) => set(value, null));
  set(best / 100, null);
})();
