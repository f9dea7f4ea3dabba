// A click on a column's title sorts the table by it, a second one the other way.
document.querySelectorAll("th button").forEach((button) => {
  button.addEventListener("click", () => {
    const th = button.closest("th"), body = th.closest("table").tBodies[0];
    const column = th.cellIndex, down = th.getAttribute("aria-sort") === "ascending";
    // Numbers by value, texts by words and the numbers in them; what has no value comes last.
    const key = (row) => row.cells[column].textContent.trim();
    const missing = (text) => text === "N/A" || text === "-";
    const compare = (a, b) => {
      const x = parseFloat(a), y = parseFloat(b);
      return isNaN(x) || isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
    };
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      return missing(x) - missing(y) || (down ? compare(y, x) : compare(x, y));
    });
    th.parentElement.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    th.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows);
  });
});
