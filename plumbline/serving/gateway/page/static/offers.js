// The values that a column's field offers: frequent ones that begin with what was typed, a missing
// value, and one that the vocabulary lacks.

import { getJson } from "./api.js";
import { short, shown } from "./values.js";

/** {options, note} for a typed text. */
export async function offers(column, text) {
  const options = [];
  let note = "";
  if (column.known !== null) {
    const { values, more } = await startingWith(column, text);
    options.push(...values.map((value) => ({ text: short(value, 200), value })));
    if (column.known > column.searched) {
      note = `From the ${column.searched.toLocaleString("en")} most frequent of ${column.known.toLocaleString("en")} values.`;
    } else if (more) {
      note = "Type to find others.";
    }
  } else {
    const some = column.kind === "boolean" ? [true, false] : column.points;
    const fitting = some.filter((value) => shown(value).startsWith(text));
    options.push(...fitting.map((value) => ({ text: shown(value), value })));
  }
  if (text === "" && column.unseen !== null) {
    options.push({ text: short(column.unseen), note: "not in the vocabulary", value: column.unseen });
  }
  if (text !== "") options.push({ text: "missing", note: "empties the field", value: null });
  return { options, note };
}

async function startingWith(column, text) {
  if (text === "") return { values: column.values, more: column.known > column.values.length };
  const asked = new URLSearchParams({ column: column.name, prefix: text });
  try {
    return await getJson(`v1/page/values?${asked}`);
  } catch {
    return { values: [], more: false }; // offers are a help; the score's own request tells the fault
  }
}
