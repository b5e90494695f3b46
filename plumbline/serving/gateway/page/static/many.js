// Many rows from a pasted text or a file. The gateway reads the text, so numbers stay as they are.

import { Failed, post } from "./api.js";
import { button, el, errorText, table } from "./dom.js";
import { unseenOf } from "./read.js";
import { explain, score } from "./rows.js";

/** {rows, refused, version} of a text: JSON begins with a bracket, all else is CSV. */
async function readRows(text, mostBytes) {
  const bytes = new Blob([text]).size;
  if (bytes > mostBytes) { // the gateway would end the connection before the browser reads why
    throw new Failed(`The text has ${bytes.toLocaleString("en")} bytes, the gateway takes ${mostBytes.toLocaleString("en")}.`, 413);
  }
  return post("v1/page/rows", text, /^\s*[[{]/.test(text) ? "application/json" : "text/csv");
}

/** Scores the rows of a text; resolves to the element that shows them. */
export async function manyRows(text, limits, open) {
  const { rows, refused } = await readRows(text, limits.body_bytes);
  const why = new Map(refused.map(({ row, error }) => [row, error]));
  const taken = rows.map((_, place) => place).filter((place) => !why.has(place));
  const result = new Map();
  let version = "";
  if (taken.length) {
    const given = taken.map((place) => rows[place]);
    const [scores, read] = await Promise.all([score(given, limits.rows), explain(given, limits.rows)]);
    version = scores.version;
    taken.forEach((place, i) => result.set(place, {
      probability: scores.probabilities[i],
      unseen: unseenOf(read.outputs, i),
    }));
  }
  return shownRows(rows, result, why, version, open);
}

function shownRows(rows, result, why, version, open) {
  const summary = `${result.size} of ${rows.length} rows have a score${version ? ` of version ${version}` : ""}.`;
  const lines = rows.map((row, place) => {
    const found = result.get(place);
    return [
      String(place + 1),
      found ? String(found.probability) : el("span", { class: "error" }, `Refused: ${why.get(place)}`),
      found ? String(found.unseen) : "",
      button("Open", () => open(row), { class: "small", "aria-label": `Open row ${place + 1} in the form` }),
    ];
  });
  return el("div", {},
    why.size ? errorText(`${why.size} of ${rows.length} rows are refused; their reasons are below.`) : null,
    el("div", { class: "line" }, el("span", {}, summary), saveLink(rows, result)),
    table("Scores of these rows", ["Row", "Click probability", "Unseen values", "Form"], lines));
}

/** The scores as a CSV file. */
function saveLink(rows, result) {
  const lines = rows.map((_, place) => `${place + 1},${result.get(place)?.probability ?? ""}`);
  return button("Save the scores as CSV", () => {
    const file = new Blob([`row,click_probability\n${lines.join("\n")}\n`], { type: "text/csv" });
    const link = el("a", { href: URL.createObjectURL(file), download: "scores.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // some browsers read it later
  });
}
