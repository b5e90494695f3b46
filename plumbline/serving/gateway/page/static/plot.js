// A line over points in order, as SVG. Its figures are in the table below it.

import { el } from "./dom.js";
import { percent, short } from "./values.js";

const WIDTH = 360;
const HEIGHT = 170;
const LEFT = 58;
const RIGHT = 350;
const TOP = 12;
const BOTTOM = 130;

/** `missing` is the point of a missing value, drawn as a level line. */
export function linePlot(name, points, missing) {
  const all = [...points, missing].map((point) => point.probability);
  const low = Math.min(...all);
  const high = Math.max(...all, low + 1e-9);
  const x = (place) => LEFT + (RIGHT - LEFT) * (points.length > 1 ? place / (points.length - 1) : 0.5);
  const y = (probability) => BOTTOM - (BOTTOM - TOP) * (probability - low) / (high - low);
  const line = points.map((point, place) => `${place ? "L" : "M"}${x(place)} ${y(point.probability)}`).join("");
  const last = points.length - 1;
  const isRoomy = points.every(({ label }) => label.length <= 10);
  const named = isRoomy ? [0, Math.floor(last / 2), last] : [0, last];
  const anchors = { 0: "start", [last]: "end" };
  const own = points.findIndex((point) => point.isOwn);
  return el("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${name}; the figures are below` },
    [low, high].map((level) => el("g", {},
      el("line", { class: "axis", x1: LEFT, x2: RIGHT, y1: y(level), y2: y(level) }),
      el("text", { x: LEFT - 6, y: y(level) + 4, "text-anchor": "end" }, percent(level)))),
    el("line", { class: "missing", x1: LEFT, x2: RIGHT, y1: y(missing.probability), y2: y(missing.probability) }),
    el("path", { class: "line", d: line }),
    points.map((point, place) => el("circle", {
      class: place === own ? "own" : "point", cx: x(place), cy: y(point.probability), r: place === own ? 5 : 2.5,
    })),
    [...new Set(named)].map((place) => el("text", {
      x: x(place), y: BOTTOM + 18, "text-anchor": last === 0 ? "middle" : anchors[place] ?? "middle",
    }, short(points[place].label, 20))),
    el("text", { x: LEFT, y: BOTTOM + 35 }, "● this row   ┄ missing"));
}
