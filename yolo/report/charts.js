// A line chart of many curves over 101 points from 0 to 1, both axes from 0 to 1. Knows nothing of what they mean.
//
// Curves that nobody chose are one faint path together, so that eighty classes cost no more than one. Pointer and
// arrow keys move a cursor and tell the values. Text is written with textContent only.
"use strict";

const POINTS = 101;

function svgElement(name, attributes = {}) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// names are anybody's text: never HTML, and in a <bdi> they do not turn what is around them to the left
function textElement(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

// three decimals; a dash where there is nothing to measure
function asRate(value) {
  return value === null ? "–" : value.toFixed(3);
}

// at most once a frame, with the arguments of the last call
function oncePerFrame(draw) {
  let waiting = null;
  return (...values) => {
    if (waiting === null) requestAnimationFrame(() => { const last = waiting; waiting = null; draw(...last); });
    waiting = values;
  };
}

const STYLES = Array.from({ length: 8 }, (_, place) => ({
  colour: `var(--s${place})`, dash: ["", "7 3", "2 3", "9 3 2 3"][place % 4],
}));

// a short line as in the chart, for legends
function swatch(style) {
  const svg = svgElement("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" });
  if (style) {
    svg.append(svgElement("line", {
      x1: 1, x2: 25, y1: 6, y2: 6, class: "line", "stroke-dasharray": style.dash, style: `stroke:${style.colour}`,
    }));
  }
  return svg;
}

// a name in the colour of its curve, with what follows it
function namedIn(colour, name, after) {
  const item = textElement("span", "");
  item.style.color = colour;
  item.append(textElement("bdi", name), after);
  return item;
}

// options: label (for screen readers), xLabel, yLabel, xName (in readings), nameOf(index), onPick(index or null, x)
// chosen: [{index, style}]. Returns {show, mark}.
function lineChart(holder, options) {
  const surface = document.createElement("div");
  surface.className = "surface";
  surface.tabIndex = 0;
  surface.setAttribute("role", "group");
  surface.setAttribute("aria-label", `${options.label}. Left and right arrow keys read values.`);
  const reading = textElement("p", "");
  reading.className = "reading";
  reading.setAttribute("aria-live", "polite");
  const table = document.createElement("details");
  table.className = "small screen-only";
  table.append(textElement("summary", "Values as a table"));
  holder.append(surface, reading, table);

  let curves = [], mean = [], chosen = [], marks = { x: null, dots: [] };
  let cursor = null, parts = null, size = { width: 0, height: 0 };
  const margin = { left: 38, right: 10, top: 8, bottom: 36 };
  const toX = (value) => margin.left + value * (size.width - margin.left - margin.right);
  const toY = (value) => size.height - margin.bottom - value * (size.height - margin.top - margin.bottom);

  function path(curve) {
    let text = "", pen = "M";
    for (let place = 0; place < POINTS; place++) {
      const value = curve[place];
      if (value === null || value === undefined) { pen = "M"; continue; } // a gap: nothing to measure
      text += `${pen}${toX(place / 100).toFixed(1)} ${toY(value).toFixed(1)}`;
      pen = "L";
    }
    return text;
  }

  function build() {
    const width = Math.max(260, Math.round(surface.clientWidth || 420));
    size = { width, height: Math.round(Math.min(width * 0.82, 380)) };
    const svg = svgElement("svg", { viewBox: `0 0 ${width} ${size.height}`, role: "img", "aria-label": options.label });
    for (const tick of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
      svg.append(svgElement("line", { class: "grid", x1: toX(tick), x2: toX(tick), y1: toY(0), y2: toY(1) }));
      svg.append(svgElement("line", { class: "grid", x1: toX(0), x2: toX(1), y1: toY(tick), y2: toY(tick) }));
      const below = svgElement("text", { class: "tick", x: toX(tick), y: toY(0) + 16, "text-anchor": "middle" });
      const beside = svgElement("text", { class: "tick", x: toX(0) - 6, y: toY(tick) + 4, "text-anchor": "end" });
      below.textContent = beside.textContent = String(tick);
      svg.append(below, beside);
    }
    const xTitle = svgElement("text", { class: "tick", x: toX(0.5), y: size.height - 4, "text-anchor": "middle" });
    xTitle.textContent = options.xLabel;
    parts = { svg };
    const add = (name, element) => { parts[name] = element; svg.append(element); };
    svg.append(xTitle);
    add("faint", svgElement("path", { class: "faint" }));
    add("near", svgElement("path", { class: "near" }));
    add("lines", svgElement("g"));
    add("mean", svgElement("path", { class: "mean" }));
    add("threshold", svgElement("line", { class: "threshold", y1: toY(0), y2: toY(1), visibility: "hidden" }));
    add("marks", svgElement("g"));
    add("cursor", svgElement("line", { class: "cursor", y1: toY(0), y2: toY(1), visibility: "hidden" }));
    add("dots", svgElement("g"));
    surface.replaceChildren(svg);
    draw();
  }

  function draw() {
    const own = new Set(chosen.map((item) => item.index));
    parts.faint.setAttribute("d", curves.map((curve, index) => (own.has(index) ? "" : path(curve))).join(""));
    parts.mean.setAttribute("d", path(mean));
    parts.lines.replaceChildren(...chosen.map((item) => svgElement("path", {
      class: "line", d: path(curves[item.index]), "stroke-dasharray": item.style.dash, style: `stroke:${item.style.colour}`,
    })));
    drawMarks();
    drawCursor(cursor, null);
    if (table.open) fillTable();
  }

  function drawMarks() {
    parts.threshold.setAttribute("visibility", marks.x === null ? "hidden" : "visible");
    if (marks.x !== null) for (const end of ["x1", "x2"]) parts.threshold.setAttribute(end, toX(marks.x));
    parts.marks.replaceChildren(...marks.dots.map((dot) => svgElement("circle", {
      class: "dot", cx: toX(dot.x), cy: toY(dot.y), r: 5.5, style: `fill:${dot.colour}`,
    })));
  }

  // the curve next to a height, if it is near enough to be meant
  function nearest(place, height) {
    let best = null, distance = 12;
    curves.forEach((curve, index) => {
      const value = curve[place];
      if (value === null) return;
      const away = Math.abs(toY(value) - height);
      if (away < distance) { best = index; distance = away; }
    });
    return best;
  }

  function drawCursor(place, near) {
    cursor = place;
    const shown = place !== null;
    parts.cursor.setAttribute("visibility", shown ? "visible" : "hidden");
    parts.near.setAttribute("d", near === null ? "" : path(curves[near]));
    if (!shown) {
      parts.dots.replaceChildren();
      tell(Object.assign(textElement("span", options.hint), { className: "soft" }), chosen.map(
        (item) => namedIn(item.style.colour, options.nameOf(item.index), "")));
      return;
    }
    for (const end of ["x1", "x2"]) parts.cursor.setAttribute(end, toX(place / 100));
    const told = [{ name: "all classes", value: mean[place], colour: "var(--ink)" }];
    for (const item of chosen) {
      told.push({ name: options.nameOf(item.index), value: curves[item.index][place], colour: item.style.colour });
    }
    const known = told.filter((one) => one.value !== null);
    parts.dots.replaceChildren(...known.map((one) => svgElement("circle", {
      class: "dot", cx: toX(place / 100), cy: toY(one.value), r: 4, style: `fill:${one.colour}`,
    })));
    if (near !== null && !chosen.some((item) => item.index === near)) {
      told.push({ name: options.nameOf(near), value: curves[near][place], colour: "var(--soft)" });
    }
    tell(textElement("span", `${options.xName} ${(place / 100).toFixed(2)}:`), told.map(
      (one) => namedIn(one.colour, one.name, ` ${asRate(one.value)}`)));
  }

  function tell(first, others) {
    reading.replaceChildren(first, ...others.flatMap((item) => [" ", item]));
  }

  function fillTable() {
    const head = document.createElement("tr"), rows = [];
    const columns = [mean, ...chosen.map((item) => curves[item.index])];
    head.append(...[options.xName, "all classes", ...chosen.map((item) => options.nameOf(item.index))].map((name) => {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.append(textElement("bdi", name));
      return cell;
    }));
    for (let place = 0; place < POINTS; place += 5) {
      const row = document.createElement("tr");
      const first = textElement("th", (place / 100).toFixed(2));
      first.scope = "row";
      row.append(first, ...columns.map((curve) => textElement("td", asRate(curve[place]))));
      rows.push(row);
    }
    const element = document.createElement("table");
    element.append(document.createElement("thead"), document.createElement("tbody"));
    element.tHead.append(head);
    element.tBodies[0].append(...rows);
    const scroll = document.createElement("div");
    scroll.className = "scroll";
    scroll.append(element);
    table.replaceChildren(table.firstChild, scroll);
  }

  const placeOf = (event) => {
    const box = parts.svg.getBoundingClientRect();
    const scale = size.width / box.width;
    const x = ((event.clientX - box.left) * scale - margin.left) / (size.width - margin.left - margin.right);
    const place = Math.round(100 * Math.min(1, Math.max(0, x)));
    return { place, near: nearest(place, (event.clientY - box.top) * scale) };
  };
  const follow = oncePerFrame((event) => { const at = placeOf(event); drawCursor(at.place, at.near); });
  surface.addEventListener("pointermove", follow);
  surface.addEventListener("pointerleave", () => requestAnimationFrame(() => drawCursor(null, null)));
  surface.addEventListener("click", (event) => { const at = placeOf(event); options.onPick(at.near, at.place / 100); });
  surface.addEventListener("focusout", () => drawCursor(null, null));
  surface.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10 }[event.key];
    const target = { Home: 0, End: 100 }[event.key] ?? (step === undefined ? null : (cursor ?? 50) + step);
    if (target === null) return;
    event.preventDefault();
    drawCursor(Math.min(100, Math.max(0, target)), null);
  });
  table.addEventListener("toggle", () => { if (table.open) fillTable(); });
  build();
  new ResizeObserver(oncePerFrame(() => {
    if (surface.clientWidth && Math.abs(surface.clientWidth - size.width) > 8) build();
  })).observe(surface);

  return {
    show(newCurves, newMean, newChosen) { [curves, mean, chosen] = [newCurves, newMean, newChosen]; draw(); },
    mark(x, dots) { marks = { x, dots }; drawMarks(); },
  };
}
