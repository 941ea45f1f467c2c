/**
 * How many are in which condition, and at the same time the filter by it: a button for each, which can be pressed and let go.
 */

import { attribute, h, say } from "./dom.js";
import { CONDITIONS } from "./health.js";
import { sign } from "./signs.js";

const TYPING = 120; // milliseconds between letters

/** A group of buttons in `element`. `onchange` gets the new filter: keys with commas between, "" for all. */
export class Conditions {
  #buttons = new Map();
  #chosen = new Set();

  constructor(label, onchange) {
    const buttons = CONDITIONS.map(({ key, word, means }) => {
      const count = h("b");
      const button = h(
        "button",
        {
          type: "button",
          class: `chip ${key}`,
          title: means,
          "aria-pressed": "false",
          onclick: () => {
            this.#chosen.delete(key) || this.#chosen.add(key);
            onchange(
              CONDITIONS.map((each) => each.key)
                .filter((each) => this.#chosen.has(each))
                .join(","),
            );
          },
        },
        sign(key),
        count,
        h("span", null, word),
      );
      this.#buttons.set(key, { button, count });
      return button;
    });
    this.element = h("div", { class: "chips", role: "group", "aria-label": label }, ...buttons);
  }

  /** Show counts by key, and which of them the filter has chosen. */
  show(counts, filter) {
    this.#chosen = chosen(filter);
    for (const [key, { button, count }] of this.#buttons) {
      say(count, String(counts.get(key)));
      button.classList.toggle("none", !counts.get(key));
      attribute(button, "aria-pressed", String(this.#chosen.has(key)));
    }
  }
}

/** The keys of a filter. */
export function chosen(filter) {
  return new Set(filter.split(",").filter((key) => CONDITIONS.some((each) => each.key === key)));
}

/** Whether a thing passes the filters of a place: by its condition, and by words that all stand in one of its texts. */
export function passes({ health, q }, key, ...texts) {
  const keys = chosen(health);
  if (keys.size && !keys.has(key)) return false;
  const text = texts.join(" ").toLowerCase();
  return q
    .toLowerCase()
    .split(/\s+/)
    .every((part) => text.includes(part));
}

/** A field to search with. `onsearch` gets what is typed, `onenter` is called for Enter. */
export function searchField(label, onsearch, onenter = () => {}) {
  let timer = 0;
  // Who types fast is asked once.
  const soon = (value) => {
    clearTimeout(timer);
    timer = setTimeout(() => onsearch(value), TYPING);
  };
  return h("input", {
    type: "search",
    class: "search",
    placeholder: label,
    "aria-label": label,
    autocomplete: "off",
    spellcheck: "false",
    oninput: (event) => soon(event.target.value),
    onkeydown: (event) => event.key === "Enter" && onenter(),
  });
}
