// The page: it asks which model is served, and keeps form, score, curves and tables in step.

import { getJson, hasSecret, slowly, useSecretFrom } from "./api.js";
import { comparison } from "./compare.js";
import { curve, curveFigure } from "./curves.js";
import { byId, el, errorText } from "./dom.js";
import { Fields } from "./fields.js";
import { manyRows } from "./many.js";
import { readTable } from "./read.js";
import { explain, score } from "./rows.js";
import { asCurl, asPython } from "./snippets.js";
import { isList, percent, same } from "./values.js";

const TYPING_MS = 250;
const FOLLOW_MS = 5000;

let served = null; // {model, version, limits, columns}
let fields = null;
let current = null; // {row, probability, version, outputs} of the last answer
let kept = null; // row A
let drawnFor = null; // the row of the curves
let timer = 0;
let running = null;

useSecretFrom((wasWrong) => new Promise((resolve) => {
  const form = byId("secret");
  const input = byId("secret-text");
  form.hidden = false;
  say(wasWrong ? errorText("The gateway does not take this secret.") : null);
  input.focus();
  form.onsubmit = (event) => {
    event.preventDefault();
    form.hidden = true;
    say(null);
    resolve(input.value);
    input.value = "";
  };
}));

/** Shows something for the whole page, or nothing. */
function say(element) {
  byId("notices").replaceChildren(...(element === null ? [] : [element]));
}

/** Asks for the columns, and makes the form anew with the values that it had. */
async function load() {
  const before = served;
  const row = fields?.row ?? null;
  served = await getJson("v1/page/columns");
  byId("served").textContent = `Model ${served.model}, version ${served.version}, ${served.columns.length} columns`;
  fields = new Fields(byId("fields"), served.columns, later, (column) => drawCurves([column]));
  fields.row = row ?? typical();
  byId("work").hidden = false;
  if (before !== null) say(el("p", { class: "news" }, `Version ${served.version} is served now.`));
  compare();
  update();
}

/** A new version is noticed by its answers, and by asking now and then. */
async function follow() {
  if (served === null || document.hidden) return;
  try {
    const { version } = await getJson("v1/model");
    if (version !== served.version) await load();
  } catch {
    // The next score tells what is wrong.
  }
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(update, TYPING_MS);
}

/** Scores the row in the form; an answer that is out of date is thrown away. */
async function update() {
  clearTimeout(timer);
  running?.abort();
  const mine = running = new AbortController();
  const box = byId("score");
  const { row } = fields;
  box.classList.add("waiting");
  try {
    const both = Promise.allSettled([
      score([row], served.limits.rows, mine.signal),
      explain([row], served.limits.rows, mine.signal),
    ]);
    const started = performance.now();
    const [scores, read] = await slowly(both, (seconds) => {
      if (mine === running) box.replaceChildren(el("p", {}, `Still waiting after ${seconds} s…`));
    });
    if (mine !== running) return;
    if (scores.status === "rejected") throw scores.reason;
    const { probabilities: [probability], version } = scores.value;
    current = { row, probability, version, outputs: read.value?.outputs ?? [] };
    showScore(Math.round(performance.now() - started));
    if (read.status === "rejected") byId("read").replaceChildren(errorText(read.reason.message));
    if (version !== served.version) await load();
  } catch (error) {
    if (mine !== running) return;
    current = null;
    box.replaceChildren(errorText(error.message));
    byId("read").replaceChildren();
    fields.tell([]);
    compare();
  } finally {
    if (mine === running) box.classList.remove("waiting");
  }
}

function showScore(milliseconds) {
  byId("score").replaceChildren(
    el("p", { class: "probability" }, percent(current.probability)),
    el("p", { class: "hint" }, el("code", { id: "exact" }, String(current.probability)),
      ` by version ${current.version}, in ${milliseconds} ms`));
  byId("read").replaceChildren(readTable(current.outputs));
  fields.tell(current.outputs);
  byId("stale").hidden = drawnFor === null || same(drawnFor, current.row);
  compare();
}

function compare() {
  const open = (row) => { fields.row = row; update(); };
  const swap = () => {
    const a = kept;
    kept = current;
    open(a.row);
  };
  const both = kept === null || current === null ? null : kept;
  byId("compare").replaceChildren(comparison(both, current, swap, open));
}

async function drawCurves(columns) {
  const box = byId("curves");
  const { row } = fields;
  byId("curves-title").focus();
  box.setAttribute("aria-busy", "true");
  try {
    const found = [];
    for (const column of columns) {
      box.replaceChildren(el("p", { role: "status" }, `Asking for ${column.name}…`));
      found.push(await curve(column, row, served.limits.rows));
    }
    found.sort((a, b) => b.spread - a.spread);
    box.replaceChildren(...found.map(curveFigure));
    drawnFor = row;
    byId("stale").hidden = same(row, fields.row);
  } catch (error) {
    box.replaceChildren(errorText(error.message));
  } finally {
    box.removeAttribute("aria-busy");
  }
}

/** The most frequent value of each category, and the middle of the numbers. */
function typical() {
  return rowOf((some, points) => some[0] ?? points[Math.floor(points.length / 2)]);
}

function random() {
  return rowOf((some, points) => [...some, ...points][Math.floor(Math.random() * (some.length + points.length))]);
}

function rowOf(pick) {
  return Object.fromEntries(served.columns.map((column) => {
    const values = column.kind === "boolean" && !column.values.length ? [true, false] : column.values;
    const value = pick(values, column.points) ?? null;
    return [column.name, value !== null && isList(column) ? [value] : value];
  }));
}

async function copy(text, what) {
  const told = byId("copied");
  try {
    await navigator.clipboard.writeText(text);
    told.textContent = `Copied ${what}.`;
  } catch {
    // Without https, browsers give no clipboard: the text is shown to be selected.
    told.replaceChildren(`Your browser does not let this page copy ${what}. Here it is:`,
      el("textarea", { readonly: true, rows: 8, "aria-label": what }, text));
  }
}

function onClick(id, listener) {
  byId(id).addEventListener("click", listener);
}

onClick("typical", () => { fields.row = typical(); update(); });
onClick("random", () => { fields.row = random(); update(); });
onClick("missing", () => { fields.row = {}; update(); });
onClick("copy-score", () => current && copy(String(current.probability), "the probability"));
onClick("copy-curl", () => copy(asCurl(fields.row, hasSecret()), "the request for curl"));
onClick("copy-python", () => copy(asPython(fields.row, hasSecret()), "the request in Python"));
onClick("keep", () => { kept = current; compare(); });
onClick("all-curves", () => drawCurves(served.columns));

byId("file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (file) byId("pasted").value = await file.text();
});
onClick("score-many", async () => {
  const box = byId("many");
  box.replaceChildren(el("p", {}, "Asking…"));
  try {
    const found = await slowly(
      manyRows(byId("pasted").value, served.limits, (row) => {
        fields.row = row;
        update();
        byId("row").focus();
      }),
      (seconds) => box.replaceChildren(el("p", {}, `Still waiting after ${seconds} s…`)),
    );
    box.replaceChildren(found);
  } catch (error) {
    box.replaceChildren(errorText(error.message));
  }
});

async function start() {
  try {
    await load();
    setInterval(follow, FOLLOW_MS);
  } catch (error) {
    say(errorText(error.message));
    byId("served").textContent = "The gateway does not say which model it serves. It is asked again.";
    setTimeout(start, FOLLOW_MS);
  }
}

start();
