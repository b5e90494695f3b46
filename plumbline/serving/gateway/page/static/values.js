// Values of a column: from what was typed to JSON, and from JSON to text.

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const WHOLE = /^-?(0|[1-9]\d*)$/;

export const isList = (column) => column.kind.endsWith("_list");

/** The JSON value of a typed text. What is not plainly a number stays text: the gateway reads it. */
export function typed(kind, text) {
  if (text === "") return null;
  const element = kind.replace("_list", "");
  if (element === "continuous" && NUMBER.test(text) && Number.isFinite(Number(text))) return Number(text);
  if (element === "integer" && WHOLE.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  if (element === "boolean" && (text === "true" || text === "false")) return text === "true";
  return text;
}

/** A value as a person reads it. */
export function shown(value) {
  if (value === null || value === undefined) return "missing";
  if (Array.isArray(value)) return value.length ? value.map(shown).join(", ") : "empty";
  return value === "" ? "empty text" : String(value);
}

export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** A value in a small place. */
export function short(value, most = 60) {
  const text = shown(value);
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** A probability to read at a glance: three digits, in percent. */
export function percent(probability) {
  return `${(100 * probability).toPrecision(3)} %`;
}
