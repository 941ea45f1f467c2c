/**
 * The sign of each condition: a shape of its own, which tells what colour tells to who sees no colours, or prints the page.
 */

import { h, s } from "./dom.js";
import { word } from "./health.js";

/** Shapes in a square of 16 by 16. */
const SHAPES = {
  // An octagon with a cross, a triangle with an exclamation mark, a disc with a tick, an empty ring, a dashed ring with a
  // question mark.
  failing: [
    ["path", { class: "solid", d: "M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z" }],
    ["path", { class: "stroke", d: "M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8" }],
  ],
  degraded: [
    ["path", { class: "solid", d: "M8 1.2L15.4 14.4H.6z" }],
    ["path", { class: "stroke", d: "M8 6v4M8 12v.4" }],
  ],
  healthy: [
    ["circle", { class: "solid", cx: 8, cy: 8, r: 7 }],
    ["path", { class: "stroke", d: "M4.9 8.3l2.2 2.2 4.1-4.6" }],
  ],
  idle: [["circle", { class: "ring", cx: 8, cy: 8, r: 6 }]],
  outside: [["rect", { class: "ring dashed", x: 2.5, y: 2.5, width: 11, height: 11, rx: 3 }]],
  unknown: [
    ["circle", { class: "ring dashed", cx: 8, cy: 8, r: 6 }],
    ["path", { class: "ask", d: "M6.4 6.6a1.6 1.6 0 1 1 2.3 1.5c-.5.3-.7.6-.7 1.1M8 11.2v.3" }],
  ],
};

/** The sign alone, inside a drawing. */
export function shape(key) {
  return s("g", { class: `sign ${key}` }, ...SHAPES[key].map(([tag, attributes]) => s(tag, attributes)));
}

/** The sign alone, inside text, where the word stands beside it. */
export function sign(key) {
  return s(
    "svg",
    { class: "glyph", viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true", focusable: "false" },
    shape(key),
  );
}

/** Sign and word. */
export function badge(key) {
  return h("span", { class: `badge ${key}` }, sign(key), h("span", null, word(key)));
}
