// The form: a field for each column of the model.

import { combobox } from "./combobox.js";
import { button, el } from "./dom.js";
import { offers } from "./offers.js";
import { isList, short, typed } from "./values.js";

const PICTURED = { unseen: "unseen", missing: "missing" };

/** Fields in `box`: `changed()` is called after each change, `draw(column)` for its curve. */
export class Fields {
  constructor(box, columns, changed, draw) {
    this.columns = columns;
    this.fields = new Map(columns.map((column, place) => [
      column.name,
      (isList(column) ? listField : singleField)(column, `field-${place}`, changed),
    ]));
    box.replaceChildren(...columns.map((column, place) => {
      const field = this.fields.get(column.name);
      field.state = el("span", { class: "state", id: `field-${place}-state` });
      field.input.setAttribute("aria-describedby", field.state.id);
      return el("div", { class: "field" },
        el("div", { class: "head" },
          el("label", { for: `field-${place}` }, column.name),
          el("span", { class: "kind" }, column.kind.replace("_", " "))),
        field.parts,
        el("div", { class: "foot" }, field.state,
          button("Curve", () => draw(column), { class: "small", "aria-label": `Curve of ${column.name}` })));
    }));
  }

  get row() {
    return Object.fromEntries(this.columns.map(({ name }) => [name, this.fields.get(name).get()]));
  }

  /** Takes over the values of a row; columns that it lacks become missing. */
  set row(row) {
    for (const { name } of this.columns) this.fields.get(name).set(row[name] ?? null);
  }

  /** Shows beside each field what the plan made of its value. */
  tell(outputs) {
    for (const { name } of this.columns) {
      const own = outputs.filter((output) => output.sources.includes(name) && "ids" in output);
      const is = (flag) => own.some((output) => [output[flag][0]].flat().some(Boolean));
      const value = this.fields.get(name).get();
      const state = value === null ? PICTURED.missing : is("unseen") ? PICTURED.unseen : "";
      const field = this.fields.get(name);
      field.state.textContent = state;
      field.state.className = `state ${state}`;
    }
  }
}

function singleField(column, id, changed) {
  const input = el("input", { id, type: "text", placeholder: "missing" });
  const set = (value) => { input.value = value === null ? "" : String(value); };
  input.addEventListener("input", changed);
  const list = combobox(input, `Values of ${column.name}`, (text) => offers(column, text), (value) => {
    set(value);
    changed();
  });
  return { input, set, get: () => typed(column.kind, input.value), parts: [el("div", { class: "box" }, input, list)] };
}

/** The gateway wants one type in a list: numbers become texts beside a text. */
function ofOneType(values) {
  return values.some((value) => typeof value === "string") ? values.map(String) : [...values];
}

/** A list: its values are buttons that take them out, and the input adds one. */
function listField(column, id, changed) {
  const input = el("input", { id, type: "text", placeholder: "add a value" });
  const chips = el("div", { class: "chips" });
  let values = [];

  function show() {
    chips.replaceChildren(...values.map((value, place) => button(`${short(value)} ×`, () => {
      values.splice(place, 1);
      show();
      input.focus();
      changed();
    }, { class: "chip", "aria-label": `Take ${short(value)} out of ${column.name}` })));
  }
  function add(value) {
    input.value = "";
    if (value !== null) {
      values.push(value);
      show();
      changed();
    }
  }
  const list = combobox(input, `Values of ${column.name}`, (text) => offers(column, text), add);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      add(typed(column.kind, input.value));
    }
  });
  input.addEventListener("change", () => add(typed(column.kind, input.value)));
  return {
    input,
    set: (value) => {
      values = value === null ? [] : [value].flat();
      input.value = "";
      show();
    },
    get: () => (values.length ? ofOneType(values) : null),
    parts: [chips, el("div", { class: "box" }, input, list)],
  };
}
