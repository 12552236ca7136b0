// A click on a column's head sorts the table by it; a second click reverses the order.
const unitSizes = { us: 1e-6, ms: 1e-3, s: 1, m: 60, x: 1 };

function cellValue(row, column) {
  const text = row.cells[column].textContent;
  const match = text.match(/^(-?[0-9.]+)(us|ms|s|m|x)?( |$)/);
  if (!match) return text;
  const [, number, unit] = match;
  return parseFloat(number) * (unitSizes[unit] || 1);
}

// Numbers come before texts, whichever way the table is sorted.
function compareValues(a, b, ascending) {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  if (a === b) return 0;
  return (a < b) === ascending ? -1 : 1;
}

function sortTable(table, head) {
  const heads = [...table.tHead.querySelectorAll("th")];
  const column = heads.indexOf(head);
  const ascending = head.getAttribute("aria-sort") !== "ascending";
  for (const other of heads) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  rows.sort((a, b) =>
    compareValues(cellValue(a, column), cellValue(b, column), ascending));
  body.append(...rows);
}

for (const button of document.querySelectorAll("button.copy")) {
  const command = button.parentElement.querySelector("code");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command.textContent);
      button.textContent = "Copied";
    } catch {
      // A page from a file may not use the clipboard: select it instead.
      getSelection().selectAllChildren(command);
      button.textContent = "Selected";
    }
  });
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const head of table.tHead.querySelectorAll("th")) {
    head.firstChild.addEventListener("click", () => sortTable(table, head));
  }
}
