// Two rows beside each other: A, which was kept, and B, which is in the form.

import { button, el, table } from "./dom.js";
import { readValue } from "./read.js";
import { percent, same, short } from "./values.js";

/** `a` and `b` are {row, probability, outputs}; `open(row)` brings a row into the form. */
export function comparison(a, b, swap, open) {
  if (a === null) return el("p", { class: "hint" }, "Keep the row above as row A, then change it: both are shown here.");
  const differing = Object.keys({ ...a.row, ...b.row }).filter((name) => !same(a.row[name], b.row[name]));
  const values = differing.map((name) => [name, short(a.row[name], 200), short(b.row[name], 200)]);
  const read = b.outputs
    .map((output) => [output, a.outputs.find((other) => other.name === output.name)])
    .filter(([output, other]) => other && readValue(output, 0) !== readValue(other, 0))
    .map(([output, other]) => [`${output.name} (read as)`, readValue(other, 0), readValue(output, 0)]);
  return el("div", {},
    el("p", {}, `Row A: ${percent(a.probability)}. Row B: ${percent(b.probability)}. `, ratio(a.probability, b.probability)),
    el("div", { class: "line" }, button("Swap them", swap), button("Bring A into the form", () => open(a.row))),
    differing.length === 0
      ? el("p", { class: "hint" }, "No value differs.")
      : table("Where the rows differ", ["Column", "Row A", "Row B"], [
        ["score", String(a.probability), String(b.probability)], ...values, ...read,
      ]));
}

function ratio(a, b) {
  if (a === b) return "They are the same.";
  const points = `${(100 * Math.abs(b - a)).toPrecision(3)} percentage points ${b > a ? "higher" : "lower"}`;
  return a > 0 ? `B is ${(b / a).toPrecision(3)} times A, ${points}.` : `B is ${points}.`;
}
