// A line chart of many curves over 101 points from 0 to 1, both axes from 0 to 1. Knows nothing of what they mean.
//
// Curves that nobody chose are one faint path together, so that eighty classes cost no more than one. Pointer and
// arrow keys move a cursor and read the values.
"use strict";

const POINTS = 101;

function svgElement(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
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
function swatch(attributes = null) {
  const line = attributes ? [svgElement("line", { x1: 1, x2: 25, y1: 6, y2: 6, ...attributes })] : [];
  return svgElement("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" }, ...line);
}

const lineOf = (style) => ({ class: "line", "stroke-dasharray": style.dash, style: `stroke:${style.colour}` });

// a name in the colour of its curve, with what follows it
function namedIn(colour, name, after) {
  return element("span", { style: `color:${colour}` }, isolated(name), after);
}

// options: label (for screen readers), xLabel, yLabel, xName (in readings), nameOf(index), onPick(index or null, x)
// chosen: [{index, style}]. Returns {show, mark}.
function lineChart(holder, options) {
  const surface = element("div", {
    className: "surface", tabIndex: 0, role: "group", "aria-label": `${options.label}. Left and right arrow keys read values.`,
  });
  const reading = element("p", { className: "reading", "aria-live": "polite" });
  const table = element("details", { className: "small screen-only" }, element("summary", {}, "Values as a table"));
  holder.append(surface, reading, table);

  let curves = [], mean = [], chosen = [], marks = { x: null, dots: [] };
  let cursor = null, parts = null, size = { width: 0, height: 0 };
  const margin = { left: 38, right: 10, top: 8, bottom: 36 };
  const toX = (value) => margin.left + value * (size.width - margin.left - margin.right);
  const toY = (value) => size.height - margin.bottom - value * (size.height - margin.top - margin.bottom);

  function dotAt(x, y, r, colour) {
    return svgElement("circle", { class: "dot", cx: toX(x), cy: toY(y), r, style: `fill:${colour}` });
  }

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
    const grid = (x1, x2, y1, y2) => svgElement("line", { class: "grid", x1: toX(x1), x2: toX(x2), y1: toY(y1), y2: toY(y2) });
    const label = (x, y, anchor, text) => svgElement("text", { class: "tick", x, y, "text-anchor": anchor }, text);
    for (const tick of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
      svg.append(grid(tick, tick, 0, 1), grid(0, 1, tick, tick));
      svg.append(label(toX(tick), toY(0) + 16, "middle", String(tick)), label(toX(0) - 6, toY(tick) + 4, "end", String(tick)));
    }
    svg.append(label(toX(0.5), size.height - 4, "middle", options.xLabel));
    parts = { svg };
    const add = (name, part) => { parts[name] = part; svg.append(part); };
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
      d: path(curves[item.index]), ...lineOf(item.style),
    })));
    drawMarks();
    drawCursor(cursor, null);
    if (table.open) fillTable();
  }

  function drawMarks() {
    parts.threshold.setAttribute("visibility", marks.x === null ? "hidden" : "visible");
    if (marks.x !== null) for (const end of ["x1", "x2"]) parts.threshold.setAttribute(end, toX(marks.x));
    parts.marks.replaceChildren(...marks.dots.map((dot) => dotAt(dot.x, dot.y, 5.5, dot.colour)));
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
      write(element("span", { className: "soft" }, options.hint), chosen.map(
        (item) => namedIn(item.style.colour, options.nameOf(item.index), "")));
      return;
    }
    for (const end of ["x1", "x2"]) parts.cursor.setAttribute(end, toX(place / 100));
    const read = [{ name: "all classes", value: mean[place], colour: "var(--ink)" }];
    for (const item of chosen) {
      read.push({ name: options.nameOf(item.index), value: curves[item.index][place], colour: item.style.colour });
    }
    const known = read.filter((one) => one.value !== null);
    parts.dots.replaceChildren(...known.map((one) => dotAt(place / 100, one.value, 4, one.colour)));
    if (near !== null && !chosen.some((item) => item.index === near)) {
      read.push({ name: options.nameOf(near), value: curves[near][place], colour: "var(--soft)" });
    }
    write(element("span", {}, `${options.xName} ${(place / 100).toFixed(2)}:`), read.map(
      (one) => namedIn(one.colour, one.name, ` ${asRate(one.value)}`)));
  }

  function write(first, others) {
    reading.replaceChildren(first, ...others.flatMap((item) => [" ", item]));
  }

  function fillTable() {
    const columns = [mean, ...chosen.map((item) => curves[item.index])];
    const titles = [options.xName, "all classes", ...chosen.map((item) => options.nameOf(item.index))];
    const head = element("tr", {}, ...titles.map((name) => element("th", { scope: "col" }, isolated(name))));
    const rows = [];
    for (let place = 0; place < POINTS; place += 5) {
      const cells = columns.map((curve) => element("td", {}, asRate(curve[place])));
      rows.push(element("tr", {}, element("th", { scope: "row" }, (place / 100).toFixed(2)), ...cells));
    }
    const made = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
    table.replaceChildren(table.firstChild, element("div", { className: "scroll" }, made));
  }

  const placeOf = (event) => {
    const box = parts.svg.getBoundingClientRect();
    const scale = size.width / box.width;
    const x = ((event.clientX - box.left) * scale - margin.left) / (size.width - margin.left - margin.right);
    const place = Math.round(100 * clamp(x, 0, 1));
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
    drawCursor(clamp(target, 0, 100), null);
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
