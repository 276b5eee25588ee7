// The data of the report, the curves made of it, which classes are chosen (legend and both charts), and the slider:
// counts and rates at a score threshold on the grid 0, 0.01, ..., 1, equal to those of metrics.json there.
"use strict";

const data = JSON.parse(document.getElementById("report-data").textContent);

// At each of the 101 thresholds, from counts: {tp, fp, fn, precision, recall, f1} of numbers; null without objects.
// The rules are those of metrics.json: precision is 0 where nothing is kept.
function ratesOf(tp, fp, instances) {
  const fn = instances - tp;
  if (!instances) return { tp, fp, fn, precision: null, recall: null, f1: null };
  return { tp, fp, fn, precision: tp / Math.max(tp + fp, 1), recall: tp / instances, f1: (2 * tp) / (tp + fp + instances) };
}

function meanOf(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

(() => {
  document.getElementById("threshold-panel").hidden = false; // before anything is measured in it
  const classes = data.names.map((_, index) => index);
  const places = Array.from({ length: POINTS }, (_, place) => place);
  const rates = classes.map((index) => (
    places.map((place) => ratesOf(data.true_positives[index][place], data.false_positives[index][place], data.instances[index]))
  ));
  const titles = { f1: "F1", precision: "Precision", recall: "Recall" };
  const byRate = {};
  for (const key of Object.keys(titles)) byRate[key] = rates.map((row) => row.map((one) => one[key]));
  const meanCurve = (rows) => places.map((place) => meanOf(rows.map((row) => row[place])));
  const means = { pr: meanCurve(data.precision_curves) };
  for (const key of Object.keys(titles)) means[key] = meanCurve(byRate[key]);

  const best = data.score_threshold === null ? 25 : clamp(Math.round(100 * data.score_threshold), 0, 100);
  const chosen = new Map(); // class -> style, in the order of choosing
  let rate = "f1"; // of the second chart
  let place = best; // of the threshold

  const prHolder = document.getElementById("chart-pr");
  prHolder.append(element("h3", {}, "Precision by recall"));
  const rateHolder = document.getElementById("chart-threshold");
  rateHolder.append(element("h3", {}, "By threshold", rateChoice()));
  const prChart = lineChart(prHolder, {
    label: "Precision by recall, one curve of each class", xLabel: "recall", xName: "Recall",
    nameOf: (index) => data.names[index], hint: "Point at a curve to read it, click to choose its class. Dots: at the threshold.",
    onPick: (index) => { if (index !== null) toggle(index); },
  });
  const rateChart = lineChart(rateHolder, {
    label: "F1, precision or recall by score threshold, one curve of each class", xLabel: "score threshold", xName: "Threshold",
    nameOf: (index) => data.names[index], hint: "Click to set the threshold.",
    onPick: (index, x) => setThreshold(x),
  });

  function rateChoice() {
    const choices = Object.keys(titles).map((key) => {
      const input = element("input", { type: "radio", name: "curve-rate", value: key, checked: key === rate });
      input.addEventListener("change", () => { rate = key; drawCurves(); });
      return element("label", {}, input, titles[key]);
    });
    const legend = element("legend", { className: "visually-hidden" }, "Curve by score threshold");
    return element("fieldset", { className: "choice" }, legend, ...choices);
  }

  // legend: a button of each class
  const legend = document.getElementById("legend");
  const buttons = [], tableButtons = [];

  function buildLegend() {
    const mean = element("div", { className: "mean-row", title: "AP@0.5" }, swatch({ class: "mean" }),
      element("span", {}, "all classes"), element("span", {}, asRate(data.map_50)));
    const list = element("ul", { "aria-label": "Classes in the curves, with AP@0.5" });
    for (const index of classes) {
      const button = element("button", { type: "button", title: data.names[index] }, swatch(),
        element("span", {}, isolated(data.names[index])), element("span", {}, asRate(data.ap_50[index])));
      button.addEventListener("click", () => toggle(index));
      buttons.push(button);
      list.append(element("li", {}, button));
    }
    legend.append(element("h3", { style: "margin:0 0 6px" }, "Classes, AP@0.5"));
    if (classes.length > 12) {
      const filter = element("input", {
        type: "search", placeholder: "Find a class", autocomplete: "off", "aria-label": "Find a class in the legend",
      });
      filter.addEventListener("input", () => showMatching(filter.value, Array.from(list.children), (item) => item.firstChild.title));
      legend.append(filter);
    }
    legend.append(mean, list);
  }

  // the names in the table of classes choose curves too
  function addTableButtons() {
    for (const row of document.querySelectorAll("#class-table tbody tr")) {
      const index = Number(row.dataset.class);
      const name = row.cells[0].querySelector("bdi");
      const button = element("button", { type: "button", className: "class-name", title: "Show its curve below" });
      button.addEventListener("click", () => toggle(index));
      name.replaceWith(button);
      button.append(name);
      tableButtons[index] = button;
    }
  }

  function toggle(index) {
    if (chosen.has(index)) chosen.delete(index);
    else {
      if (chosen.size === STYLES.length) chosen.delete(chosen.keys().next().value);
      const used = new Set(chosen.values());
      chosen.set(index, STYLES.find((style) => !used.has(style)));
    }
    drawCurves();
  }

  function drawCurves() {
    buttons.forEach((button, index) => {
      for (const one of [button, tableButtons[index]]) one.setAttribute("aria-pressed", String(chosen.has(index)));
      button.replaceChild(swatch(chosen.has(index) ? lineOf(chosen.get(index)) : null), button.firstChild);
    });
    const shown = Array.from(chosen, ([index, style]) => ({ index, style }));
    prChart.show(data.precision_curves, means.pr, shown);
    rateChart.show(byRate[rate], means[rate], shown);
    markThreshold();
  }

  function markThreshold() {
    const known = Array.from(chosen, ([index, style]) => [index, style.colour]).filter(([index]) => data.instances[index]);
    // no dot for all classes: the means of precision and recall at a threshold are not a point of the mean curve
    prChart.mark(null, known.map(([index, colour]) => (
      { x: byRate.recall[index][place], y: byRate.precision[index][place], colour })));
    const dots = known.map(([index, colour]) => ({ x: place / 100, y: byRate[rate][index][place], colour }));
    if (means[rate][place] !== null) dots.push({ x: place / 100, y: means[rate][place], colour: "var(--ink)" });
    rateChart.mark(place / 100, dots);
  }

  // the slider, and the numbers at its threshold
  const range = document.getElementById("threshold-range");
  const number = document.getElementById("threshold-number");
  const reset = document.getElementById("threshold-reset");
  const status = document.getElementById("threshold-status");
  const table = document.getElementById("threshold-table");
  const cells = {};
  document.querySelectorAll("#threshold-totals [data-key]").forEach((cell) => { cells[cell.dataset.key] = cell; });
  const rows = Array.from(table.tBodies[0].rows); // by class, whatever they are sorted by later
  const asCount = new Intl.NumberFormat("en").format;
  let timer = 0;

  function totals() {
    const sum = (key) => rates.reduce((total, row) => total + row[place][key], 0);
    return ratesOf(sum("tp"), sum("fp"), data.instances.reduce((total, one) => total + one, 0));
  }

  function drawRows() {
    rows.forEach((row, index) => {
      const one = rates[index][place];
      ["tp", "fp", "fn", "precision", "recall", "f1"].forEach((key, column) => {
        const cell = row.cells[column + 1];
        const value = one[key];
        cell.textContent = column < 3 ? asCount(value) : asRate(value);
        cell.dataset.value = value === null ? "" : value;
        if (value === null) cell.title = "no objects of this class";
      });
    });
  }

  const drawNumbers = oncePerFrame(() => {
    const all = totals();
    for (const key of ["tp", "fp", "fn"]) cells[key].textContent = asCount(all[key]);
    for (const key of ["precision", "recall", "f1"]) {
      cells[key].textContent = asRate(all[key]);
      cells[`mean-${key}`].textContent = asRate(means[key][place]);
    }
    drawRows();
    markThreshold();
    clearTimeout(timer);
    timer = setTimeout(() => {
      status.textContent = `Threshold ${(place / 100).toFixed(2)}: ${asCount(all.tp)} right, ${asCount(all.fp)} wrong, `
        + `${asCount(all.fn)} missed, precision ${asRate(all.precision)}, recall ${asRate(all.recall)}.`;
      tables.resort(table);
    }, 400);
  });

  function setThreshold(value, from = null) {
    if (!Number.isFinite(value)) return;
    place = clamp(Math.round(100 * value), 0, 100);
    if (from !== range) range.value = place / 100;
    if (from !== number) number.value = (place / 100).toFixed(2);
    range.setAttribute("aria-valuetext", (place / 100).toFixed(2));
    drawNumbers();
  }

  reset.textContent = `Best mean F1: ${(best / 100).toFixed(2)}`;
  reset.addEventListener("click", () => setThreshold(best / 100));
  range.addEventListener("input", () => setThreshold(range.valueAsNumber, range));
  number.addEventListener("input", () => setThreshold(number.valueAsNumber, number));
  number.addEventListener("change", () => setThreshold(place / 100));

  buildLegend();
  addTableButtons();
  data.chosen.forEach(toggle);
  drawCurves();
  setThreshold(best / 100);
})();
