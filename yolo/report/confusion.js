// The confusion matrix as a table of coloured cells; many classes get small cells without numbers.
"use strict";

(() => {
  const MOST_LARGE = 21;
  const matrix = data.confusion_matrix;
  const size = matrix.length;
  const names = [...data.names, "background"];
  const rowSums = matrix.map((row) => row.reduce((sum, one) => sum + one, 0));
  const highest = Math.max(1, ...matrix.map((row) => Math.max(...row)));
  const holder = document.getElementById("confusion-holder");
  const reading = document.getElementById("confusion-reading");
  const cells = [];
  const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  let at = null; // row and column of the cell that the keyboard is at

  function describe(row, column) {
    const count = matrix[row][column];
    const share = rowSums[row] ? ` (${((100 * count) / rowSums[row]).toFixed(1)} % of the row)` : "";
    if (row === size - 1) return `nothing annotated, detected as ${names[column]}: ${count}`;
    if (column === size - 1) return `${names[row]}, not found: ${count}${share}`;
    return `${names[row]}, detected as ${names[column]}: ${count}${share}`;
  }

  function heading(name, scope) {
    return element("th", { scope, title: name }, element("span", {}, isolated(name)));
  }

  function build() {
    const table = element("table", { className: size <= MOST_LARGE ? "matrix large-cells" : "matrix" });
    const corner = element("th", { className: "corner" }, "annotated ↓ detected →");
    table.createTHead().insertRow().append(corner, ...names.map((name) => heading(name, "col")));
    const body = table.createTBody();
    matrix.forEach((counts, row) => {
      const line = body.insertRow();
      line.append(heading(names[row], "row"));
      cells.push(counts.map((count, column) => {
        const cell = line.insertCell();
        if (count) cell.title = describe(row, column);
        cell.dataset.place = `${row} ${column}`;
        return cell;
      }));
    });
    table.addEventListener("pointerover", (event) => {
      const place = event.target.dataset.place;
      if (place) reading.textContent = describe(...place.split(" ").map(Number));
    });
    holder.append(table);
  }

  function walk(event) {
    const step = STEPS[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (at) cells[at[0]][at[1]].classList.remove("at");
    at = at ? at.map((place, axis) => clamp(place + step[axis], 0, size - 1)) : [0, 0];
    const cell = cells[at[0]][at[1]];
    cell.classList.add("at");
    cell.scrollIntoView({ block: "nearest", inline: "nearest" });
    reading.textContent = describe(...at);
  }

  // the root keeps rare confusions visible beside a large diagonal
  function fill(mode) {
    cells.forEach((line, row) => line.forEach((cell, column) => {
      const count = matrix[row][column];
      if (!count) return;
      const share = count / rowSums[row];
      cell.textContent = mode === "share" ? share.toFixed(2) : String(count);
      const depth = Math.round(100 * Math.sqrt(mode === "share" ? share : count / highest));
      const hue = row === column ? "--shade" : "--shade-wrong";
      cell.style.background = `color-mix(in srgb, var(${hue}) ${Math.max(25, depth)}%, var(--paper))`;
    }));
  }

  document.getElementById("confusion-panel").hidden = false;
  document.querySelectorAll("[name=confusion-mode]").forEach((input) => {
    input.addEventListener("change", () => fill(input.value));
  });
  holder.addEventListener("keydown", walk);
  build();
  fill("counts");
})();
