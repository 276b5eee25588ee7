// What the scripts of every page need to make elements, and tables that sort and filter: any <table class="sortable">,
// by buttons in its <th>s that it gets here.
//
// Texts come from anybody: they become text nodes, never HTML. A cell's data-value is what it sorts by, else its text;
// an empty data-value is "nothing to measure" and goes last in both directions. data-filter="Filter classes" on the
// table adds a text field that keeps the rows whose first cell has the text. Without scripts the table is a plain
// table. Rows of equal value keep the order they came in.
"use strict";

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// a name that does not turn what is around it to the left
function isolated(name) {
  return element("bdi", {}, name);
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

// hides the items that do not have a text; returns how many are left
function showMatching(wanted, items, textOf) {
  const text = wanted.trim().toLocaleLowerCase();
  for (const item of items) item.hidden = !textOf(item).toLocaleLowerCase().includes(text);
  return items.filter((item) => !item.hidden).length;
}

const tables = (() => {
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  const headings = (table) => Array.from(table.tHead.rows[0].cells);

  // number, text, or null for "nothing to measure"
  function valueOf(row, column) {
    const cell = row.cells[column];
    const value = cell.dataset.value;
    if (value === undefined) return cell.textContent.trim();
    return value === "" ? null : Number(value);
  }

  function compare(a, b) {
    return typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b));
  }

  function sort(table, column, direction) {
    const body = table.tBodies[0];
    const sign = direction === "descending" ? -1 : 1;
    const rows = Array.from(body.rows, (row, place) => ({
      row, value: valueOf(row, column), place: Number(row.dataset.place ?? place),
    }));
    rows.sort((a, b) => {
      if (a.value === null || b.value === null) {
        return (a.value === null) - (b.value === null) || a.place - b.place;
      }
      return sign * compare(a.value, b.value) || a.place - b.place;
    });
    body.append(...rows.map((item) => item.row));
    headings(table).forEach((cell, place) => {
      if (place === column) cell.setAttribute("aria-sort", direction);
      else cell.removeAttribute("aria-sort");
    });
  }

  // sort again by what it is sorted by, after values have changed
  function resort(table) {
    headings(table).forEach((cell, column) => {
      const direction = cell.getAttribute("aria-sort");
      if (direction) sort(table, column, direction);
    });
  }

  function onHeading(table, column) {
    const cell = headings(table)[column];
    const now = cell.getAttribute("aria-sort");
    // numbers are most often wanted from the top, names from A
    const first = cell.classList.contains("number") ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    sort(table, column, now === first ? second : first);
  }

  function addFilter(table) {
    const input = element("input", { type: "search", autocomplete: "off" });
    const status = element("span", { className: "soft small", role: "status" });
    const holder = element("div", { className: "filter" }, element("label", {}, `${table.dataset.filter} `, input), status);
    (table.closest(".scroll") || table).before(holder);
    input.addEventListener("input", () => {
      const rows = Array.from(table.tBodies[0].rows);
      const shown = showMatching(input.value, rows, (row) => row.cells[0].textContent);
      status.textContent = input.value.trim() ? `${shown} of ${rows.length} rows` : "";
    });
  }

  function enhance(table) {
    Array.from(table.tBodies[0].rows).forEach((row, place) => { row.dataset.place = place; });
    headings(table).forEach((cell, column) => {
      const button = element("button", { type: "button", className: "sort", title: cell.title }, ...cell.childNodes);
      cell.append(button);
      button.addEventListener("click", () => onHeading(table, column));
    });
    if (table.dataset.filter) addFilter(table);
  }

  document.querySelectorAll("table.sortable").forEach(enhance);

  // what is folded is printed too, and folded again afterwards
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = Array.from(document.querySelectorAll("details:not([open])"));
    folded.forEach((item) => { item.open = true; });
  });
  addEventListener("afterprint", () => { folded.forEach((item) => { item.open = false; }); });

  return { sort, resort };
})();
