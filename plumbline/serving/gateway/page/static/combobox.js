// A text field that offers values, as the ARIA pattern "editable combobox with list" describes it.

import { el } from "./dom.js";

const TYPING_MS = 150;

/**
 * Makes `input` offer what `find(text)` resolves to: {options: [{text, note, value}], note}.
 * `pick(value)` takes an option. Returns the list to put after the input.
 */
export function combobox(input, label, find, pick) {
  const list = el("ul", { id: `${input.id}-list`, role: "listbox", "aria-label": label });
  const note = el("div", { class: "note" });
  const drop = el("div", { class: "drop", hidden: true }, list, note);
  let options = [];
  let active = -1;
  let timer = 0;
  let asked = 0;

  for (const [name, value] of Object.entries({
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id,
    autocomplete: "off", spellcheck: "false",
  })) input.setAttribute(name, value);

  function close() {
    clearTimeout(timer);
    asked += 1;
    drop.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    active = -1;
  }

  function mark(place) {
    active = place;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === place)));
    if (place < 0) {
      input.removeAttribute("aria-activedescendant");
    } else {
      input.setAttribute("aria-activedescendant", list.children[place].id);
      list.children[place].scrollIntoView({ block: "nearest" });
    }
  }

  function choose(place) {
    const { value } = options[place];
    close();
    pick(value);
  }

  async function open(text) {
    const mine = asked += 1;
    const found = await find(text);
    if (mine !== asked || document.activeElement !== input) return;
    options = found.options;
    list.replaceChildren(...options.map((option, place) => el("li", {
      id: `${list.id}-${place}`,
      role: "option",
      "aria-selected": "false",
      on: { mousedown: (event) => event.preventDefault(), click: () => choose(place) },
    }, el("span", {}, option.text), el("small", {}, option.note ?? ""))));
    note.textContent = found.note ?? "";
    drop.hidden = options.length === 0;
    active = -1;
    input.setAttribute("aria-expanded", String(!drop.hidden));
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => open(input.value), TYPING_MS);
  });
  input.addEventListener("click", () => open("")); // all of them: nothing was typed yet
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const isOpen = !drop.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!isOpen) {
        open("");
      } else {
        const step = event.key === "ArrowDown" ? 1 : -1;
        mark((active + step + options.length + (active < 0 && step < 0 ? 1 : 0)) % options.length);
      }
    } else if (event.key === "Enter" && isOpen && active >= 0) {
      event.preventDefault();
      event.stopImmediatePropagation();
      choose(active);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      close();
    }
  });
  return drop;
}
