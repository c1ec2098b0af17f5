// Draws the charts that stand in the page as JSON, in the page's colours, and sorts tables at a click on their heads.
(() => {
  const charts = [...document.querySelectorAll(".chart")];
  const figures = new Map(charts.map((el) => [el, JSON.parse(el.querySelector("script").textContent)]));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, responsive: true };

  function themed(layout) {
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue("--" + name).trim();
    const out = { ...layout, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" };
    out.font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("ink") };
    out.hoverlabel = { ...layout.hoverlabel, bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } };
    out.dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom"; // a finger scrolls the page
    for (const key of Object.keys(out).filter((k) => /^[xy]axis/.test(k))) {
      out[key] = { ...out[key], gridcolor: colour("grid"), tickfont: { color: colour("soft") } };
      out[key].title = { ...out[key].title, font: { color: colour("soft"), size: 12 } };
    }
    return out;
  }

  function draw() {
    const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
    for (const [el, figure] of figures) {
      const data = figure.data.map((trace) => (trace.type === "heatmap" ? { ...trace, textfont: { color: ink } } : trace));
      Plotly.react(el, data, themed(figure.layout), config);
    }
  }

  for (const el of charts) el.replaceChildren();
  draw();
  dark.addEventListener("change", draw);

  function sort(head) {
    const table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
    const falling = head.getAttribute("aria-sort") !== "descending";
    const key = (row) => {
      const cell = row.cells[column];
      return cell.dataset.sort === undefined ? cell.textContent.trim() : Number(cell.dataset.sort);
    };
    const nothing = (value) => value === "\u2013" || value === "";
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (nothing(x) || nothing(y)) return nothing(x) - nothing(y); // what is missing stays below
      const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
      return falling ? -order : order;
    });
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    body.append(...rows);
  }
  for (const head of document.querySelectorAll("th")) head.addEventListener("click", () => sort(head));
})();
