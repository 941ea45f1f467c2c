/**
 * Tables of rows that change: sorted by any column, each row found again by its key, so that focus, selection and scroll stay
 * where they are.
 */

import { attribute, h, say, spoken } from "./dom.js";
import { counted, grouped } from "./format.js";

const PAGE = 100;

/**
 * A table inside of `element`. A column has a `key`, a `title`, `value(row)` to sort by (null comes last), `text(row)`, and may
 * have `build(row)` (what to show for the text), `numeric`, `head` (names its row) and `hint`. `keyOf(row)` names a row; `onsort`
 * gets the sort.
 */
export class Table {
  #columns;
  #keyOf;
  #noun;
  #body = h("tbody");
  #heads = new Map();
  #known = new Map();
  #more;
  #caption;
  #rows = [];
  #sort = "";
  #limit = PAGE;

  constructor({ caption, noun, columns, keyOf, onsort }) {
    [this.#columns, this.#keyOf, this.#noun] = [columns, keyOf, noun];
    const head = columns.map((column) => {
      const button = h(
        "button",
        { type: "button", title: column.hint, onclick: () => onsort(next(column, this.#sort)) },
        column.title,
        h("span", { class: "arrow", "aria-hidden": "true" }),
      );
      const cell = h("th", { scope: "col", class: `${column.key}${column.numeric ? " numeric" : ""}` }, button);
      this.#heads.set(column.key, cell);
      return cell;
    });
    this.#caption = h("caption", { class: "spoken" }, caption);
    this.#more = h("button", { type: "button", class: "more", hidden: true, onclick: () => this.#extend() });
    const table = h("table", null, this.#caption, h("thead", null, h("tr", null, ...head)), this.#body);
    this.element = h(
      "div",
      { class: "sheet" },
      h("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": caption }, table),
      this.#more,
    );
  }

  /** Show rows in the order of `sort`: a column's key, with "-" before it for falling values; "" is the order they come in. */
  show(rows, sort) {
    this.#rows = sorted(rows, this.#columns, sort);
    this.#sort = sort;
    for (const [key, cell] of this.#heads) {
      const order = sort === key ? "ascending" : sort === `-${key}` ? "descending" : null;
      attribute(cell, "aria-sort", order);
    }
    this.#render();
  }

  #render() {
    const shown = this.#rows.slice(0, this.#limit);
    const keys = new Set(shown.map(this.#keyOf));
    for (const [key, line] of this.#known) {
      if (keys.has(key)) continue;
      line.remove();
      this.#known.delete(key);
    }
    shown.forEach((row, index) => {
      const key = this.#keyOf(row);
      let line = this.#known.get(key);
      if (!line) this.#known.set(key, (line = this.#line()));
      this.#fill(line, row);
      if (this.#body.children[index] !== line) this.#body.insertBefore(line, this.#body.children[index] ?? null);
    });
    const left = this.#rows.length - shown.length;
    this.#more.hidden = left <= 0;
    say(this.#more, `Show ${grouped(Math.min(left, 5 * PAGE))} more of ${counted(this.#rows.length, this.#noun)}`);
  }

  #extend() {
    const last = this.#body.lastElementChild;
    this.#limit += 5 * PAGE;
    this.#render();
    // The button may be gone; who used the keyboard goes on with the first of the new rows.
    last?.nextElementSibling?.querySelector("a")?.focus();
  }

  #line() {
    return h(
      "tr",
      null,
      ...this.#columns.map(({ head, numeric, key }) =>
        h(head ? "th" : "td", { scope: head ? "row" : null, class: `${key}${numeric ? " numeric" : ""}` }),
      ),
    );
  }

  #fill(line, row) {
    this.#columns.forEach((column, index) => {
      const cell = line.children[index];
      const text = column.text(row);
      if (column.share) cell.style.setProperty("--share", column.share(row));
      attribute(cell, "data-tone", column.tone?.(row) ?? null);
      if (cell.said === text) return;
      cell.said = text;
      cell.replaceChildren(...(column.build ? column.build(row) : [text === "–" ? absent() : text]));
    });
  }
}

/** The order of rows; rows that are equal stay in the order they came in. */
export function sorted(rows, columns, sort) {
  const column = columns.find(({ key }) => key === sort.replace(/^-/, ""));
  if (!column) return [...rows];
  const sign = sort.startsWith("-") ? -1 : 1;
  return [...rows].sort((one, other) => {
    const [left, right] = [column.value(one), column.value(other)];
    if (left === null || right === null) return (left === null) - (right === null);
    return sign * (left < right ? -1 : left > right ? 1 : 0);
  });
}

/** The sort that a click on a column leads to: numbers fall first, texts rise first, then the other way, then none. */
export function next({ key, numeric }, sort) {
  const [first, second] = numeric ? [`-${key}`, key] : [key, `-${key}`];
  return { [first]: second, [second]: "" }[sort] ?? first;
}

/** A value that is not known, which a screen reader is told in a word. */
function absent() {
  return h("span", { class: "absent" }, h("span", { "aria-hidden": "true" }, "–"), spoken("not known"));
}
