// How the score moves with one column while the others stay: one request with a row a point.

import { el, table } from "./dom.js";
import { linePlot } from "./plot.js";
import { score } from "./rows.js";
import { isList, percent, same, short } from "./values.js";

const MOST_CATEGORIES = 12;

/** {column, points: [{label, probability, isOwn}], isLine, spread} for a row. */
export async function curve(column, row, mostRows) {
  const isNumber = ["continuous", "integer"].includes(column.kind);
  const isLine = column.known === null && (isNumber || column.points.length > 1);
  const values = (isLine ? pointsOf : categoriesOf)(column, row[column.name]);
  const rows = values.map(({ value }) => ({ ...row, [column.name]: value }));
  const { probabilities } = await score(rows, mostRows);
  const points = values.map(({ value, label }, place) => ({
    label: label ?? short(value),
    probability: probabilities[place],
    isMissing: value === null,
    isOwn: same(value, row[column.name]),
  }));
  const spread = Math.max(...probabilities) - Math.min(...probabilities);
  return { column, points, isLine, spread };
}

/** Numbers in order, with the row's own among them; without any, numbers around it. */
function pointsOf(column, own) {
  const values = column.points.length > 1 ? [...column.points] : around(own);
  if (own !== null && !values.some((value) => same(value, own))) {
    const place = values.findIndex((value) => isAbove(value, own));
    values.splice(place < 0 ? values.length : place, 0, own);
  }
  return [...values, null].map((value) => ({ value }));
}

const isAbove = (value, own) => (Number.isFinite(Number(value)) ? Number(value) > Number(own) : value > own);

function around(own) {
  const number = typeof own === "number" ? own : 0;
  const step = Number.isInteger(number) ? Math.max(1, Math.round(Math.abs(number) / 8)) : Math.abs(number) / 8;
  return [-4, -3, -2, -1, 0, 1, 2, 3, 4].map((steps) => number + steps * step);
}

/** The most frequent values, the row's own, a missing one and an unseen one. */
function categoriesOf(column, own) {
  const wrap = (value) => (isList(column) ? [value] : value);
  const frequent = column.kind === "boolean" ? [true, false] : column.values.slice(0, MOST_CATEGORIES);
  const values = frequent.map((value) => ({ value: wrap(value) }));
  if (own !== null && !values.some(({ value }) => same(value, own))) values.push({ value: own });
  values.push({ value: null });
  if (column.unseen !== null && !values.some(({ value }) => same(value, wrap(column.unseen)))) {
    values.push({ value: wrap(column.unseen), label: `${short(column.unseen)} (unseen)` });
  }
  return values;
}

/** The figure of a curve: a line, or bars, and always the table of its points. */
export function curveFigure({ column, points, isLine, spread }) {
  const name = `Score by ${column.name}`;
  const bar = (probability) => el("span", { class: "bar" }, el("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    el("rect", { width: 100 * probability / Math.max(...points.map((one) => one.probability), 1e-12), height: 8 })));
  const figures = table(name, ["Value", "Click probability"], points.map((point) => [
    point.isOwn ? `${point.label} (this row)` : point.label,
    el("span", { class: "measured" }, isLine ? null : bar(point.probability), String(point.probability)),
  ]));
  const low = Math.min(...points.map((one) => one.probability));
  return el("figure", { class: "curve" },
    el("figcaption", {}, el("strong", {}, column.name), ` ${percent(low)} to ${percent(low + spread)}`),
    isLine ? linePlot(name, points.filter((point) => !point.isMissing), points.find((point) => point.isMissing)) : null,
    isLine ? el("details", {}, el("summary", {}, "Figures"), figures) : figures);
}
