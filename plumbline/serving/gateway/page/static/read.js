// What the model reads of a row: the ids and numbers that the plan makes of its values.

import { el, table } from "./dom.js";

/** A table of the outputs of one row. */
export function readTable(outputs) {
  return table("Ids and numbers of this row", ["Output", "From", "Value", "Found"], outputs.map((output) => [
    output.name,
    output.sources.join(", "),
    el("code", {}, readValue(output, 0)),
    badges(output, 0),
  ]));
}

/** The ids or the number of a row, as text. */
export function readValue(output, place) {
  if ("numbers" in output) return output.numbers[place] === null ? "missing" : rounded(output.numbers[place]);
  const ids = output.ids[place];
  return Array.isArray(ids) ? `[${ids.join(", ")}]` : String(ids);
}

/** As many digits as every float32 has. */
const rounded = (number) => String(Number(number.toPrecision(6)));

/** How many values of a row are in no vocabulary. */
export function unseenOf(outputs, place) {
  const flags = outputs.filter((output) => "unseen" in output).flatMap((output) => output.unseen[place]);
  return flags.filter(Boolean).length;
}

function badges(output, place) {
  if ("numbers" in output) return "number";
  const any = (flag) => [output[flag][place]].flat().some(Boolean);
  if (any("unseen")) return el("span", { class: "state unseen" }, "unseen");
  if (any("missing")) return el("span", { class: "state missing" }, "missing");
  if (output.known > 0) return `of ${output.known.toLocaleString("en")} known`;
  return "computed";
}
