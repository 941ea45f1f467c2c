/**
 * Where a number has been since the page was opened: a line without axes, beside the number that says what it is now.
 */

import { s } from "./dom.js";

const WIDTH = 96;
const HEIGHT = 22;
const MOST = 60;

/** A small line in `element`; screen readers have the number itself. */
export class Trail {
  #points = [];
  #line = s("path", { class: "line" });
  #dot = s("circle", { r: 2, class: "now" });

  constructor(key) {
    this.key = key;
    this.element = s(
      "svg",
      { class: "trail", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, "aria-hidden": "true" },
      this.#line,
      this.#dot,
    );
  }

  /** Go on to a value at an instant; null leaves a gap. The same instant again changes nothing. */
  add(instant, value) {
    if (this.#points.at(-1)?.instant === instant) return;
    this.#points = [...this.#points, { instant, value }].slice(-MOST);
    const { d, last } = drawn(this.#points.map((point) => point.value));
    this.#line.setAttribute("d", d);
    this.#dot.setAttribute("visibility", last && d.includes("L") ? "visible" : "hidden");
    if (last) {
      this.#dot.setAttribute("cx", last.x);
      this.#dot.setAttribute("cy", last.y);
    }
  }
}

/** The path through values, the newest at the right edge, and where the last one stands; null where it is not known. */
export function drawn(values) {
  const known = values.filter((value) => value !== null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const step = (WIDTH - 6) / (MOST - 1);
  const at = (value, index) => ({
    x: Math.round((WIDTH - 3 - (values.length - 1 - index) * step) * 10) / 10,
    // A number that does not change runs along the middle.
    y: Math.round((most === least ? HEIGHT / 2 : HEIGHT - 3 - ((value - least) / (most - least)) * (HEIGHT - 6)) * 10) / 10,
  });
  let d = "";
  let before = null;
  values.forEach((value, index) => {
    if (value !== null) {
      const { x, y } = at(value, index);
      d += `${before === null ? "M" : "L"}${x} ${y}`;
    }
    before = value;
  });
  const last = values.length && values.at(-1) !== null ? at(values.at(-1), values.length - 1) : null;
  return { d, last };
}
