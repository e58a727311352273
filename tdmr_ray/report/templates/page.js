"use strict";

// Sort a cell by the number at its start, or by its text if it has none.
function keyOf(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = parseFloat(text.replace("+", ""));
  const factor = { k: 1e3, M: 1e6, G: 1e9 }[(text.match(/^[-+\d.]+ ([kMG])$/) || [])[1]] || 1;
  return Number.isNaN(number) ? text : number * factor;
}

// Compare two keys; a missing value comes last in both directions.
function compare(a, b, up) {
  if (a === "-" || b === "-") return (a === "-") - (b === "-");
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  const order = a < b ? -1 : a > b ? 1 : 0;
  return up ? order : -order;
}

for (const table of document.querySelectorAll("table.board")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.tabIndex = 0;
    const sort = () => {
      const up = head.getAttribute("aria-sort") === "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows].sort((a, b) => compare(keyOf(a, column), keyOf(b, column), up));
      table.tBodies[0].append(...rows);
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
}

for (const field of document.querySelectorAll("input[type=search]")) {
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const row of document.getElementById(field.dataset.table).tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}

// Unpack and run the compressed plotly script of this page.
async function loadPlotly() {
  const packed = document.getElementById("plotly").textContent.trim();
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

async function drawAll() {
  const plots = [...document.querySelectorAll(".plot")];
  const displayModeBar = matchMedia("(hover: hover)").matches ? "hover" : false;
  try {
    await loadPlotly();
    for (const plot of plots) {
      const { data, layout } = JSON.parse(plot.querySelector("script").textContent);
      await Plotly.newPlot(plot, data, layout, { responsive: true, displaylogo: false, displayModeBar });
    }
    document.body.dataset.drawn = plots.length;
  } catch (error) {
    for (const plot of plots) if (!plot.dataset.drawn) plot.append(`This plot could not be drawn: ${error.message}`);
    throw error;
  }
}

drawAll();
