/**
 * The shapes of nodes and links in SVG, out of what they are and where they stand. Nothing here knows what happens to them later.
 */

import { attribute, s, say } from "./dom.js";
import { latency, percent, rate } from "./format.js";
import { CONDITIONS, condition, word } from "./health.js";
import { SIZE } from "./layout.js";
import { shape } from "./signs.js";

const SHORT = {
  Namespace: "namespace",
  Node: "node",
  Pod: "pod",
  ReplicationController: "rc",
  Service: "service",
  DaemonSet: "daemonset",
  Deployment: "deploy",
  ReplicaSet: "replicaset",
  StatefulSet: "statefulset",
  Job: "job",
  CronJob: "cronjob",
};
const TEXT = 34;
const WIDEST = SIZE.width - TEXT - 10;

let pen = null;

/** The heads of arrows, one for each condition, for the top of a drawing. */
export function arrows() {
  return s(
    "defs",
    null,
    ...CONDITIONS.map(({ key }) =>
      s(
        "marker",
        {
          id: `head-${key}`,
          class: `head ${key}`,
          viewBox: "0 0 8 8",
          refX: 7,
          refY: 4,
          markerWidth: 8,
          markerHeight: 8,
          markerUnits: "userSpaceOnUse",
          orient: "auto",
        },
        s("path", { d: "M0 .8L8 4 0 7.2z" }),
      ),
    ),
  );
}

/** A node, without numbers yet: a link where it has a page of its own. */
export function nodeShape({ kind, namespace, name, cluster }, href) {
  const where = [SHORT[kind] ?? kind.toLowerCase(), namespace, cluster && `@${cluster}`].filter(Boolean).join(" · ");
  return s(
    "a",
    { class: "node", href, role: href ? null : "img", tabindex: -1 },
    s("rect", { class: "card", width: SIZE.width, height: SIZE.height, rx: 8 }),
    s("rect", { class: "edge", width: 3, height: SIZE.height - 16, x: 0, y: 8, rx: 1.5 }),
    s("g", { class: "where-sign", transform: "translate(11 21)" }),
    s("text", { class: "where", x: TEXT, y: 16 }, fitting(where || "outside the mesh", "10.5px", WIDEST)),
    s("text", { class: "name", x: TEXT, y: 32 }, fitting(name, "600 13px", WIDEST)),
    s("text", { class: "numbers", x: TEXT, y: 48 }),
  );
}

/** Bring the numbers of a node up to date. Those of a node outside are not told: nobody said what it received in all. */
export function tellNode(element, node) {
  const key = node.total ? condition(node.total) : "outside";
  mark(element, key);
  element.classList.toggle("outside", node.outside);
  const holder = element.querySelector(".where-sign");
  if (holder.dataset.key !== key) {
    holder.dataset.key = key;
    holder.replaceChildren(shape(key));
  }
  say(element.querySelector(".numbers"), node.outside ? "seen as a peer only" : numbers(node.total, key));
  attribute(element, "aria-label", nodeWords(node, key));
}

/** What a screen reader says of a node. */
export function nodeWords({ kind, namespace, name, total, outside, peer }, key) {
  const who = [kind, name, namespace && `in ${namespace}`].filter(Boolean).join(" ");
  if (outside) return `${who}, seen as a peer only`;
  const role = peer ? (total.direction === "from" ? "caller, " : "callee, ") : "";
  return `${role}${who}, ${word(key)}${total.rps ? `, ${spokenNumbers(total)}` : ""}`;
}

/**
 * A link, without numbers yet. `points` is its route; null for one that ends where it begins, at the node in the middle of `at`.
 */
export function linkShape(points, at) {
  return s(
    "g",
    { class: "link" },
    s("path", { class: "line", d: points ? curve(points) : loop(at) }),
    s("text", { class: "label", ...labelPoint(points, at) }),
  );
}

/** Bring the condition and the label of a link up to date. */
export function tellLink(element, { row }, label) {
  const key = condition(row);
  mark(element, key);
  attribute(element.firstChild, "marker-end", `url(#head-${key})`);
  say(element.lastChild, label ? linkNumbers(row, key) : "");
}

/** Give an element its condition, and leave what else it is: lit, kept. */
function mark(element, key) {
  if (element.condition === key) return;
  element.classList.remove(element.condition ?? key);
  element.classList.add(key);
  element.condition = key;
}

function numbers(row, key) {
  if (key === "unknown" || key === "idle") return word(key);
  return `${rate(row.rps)}/s · ${percent(row.success)} · ${latency(row.p99)}`;
}

function linkNumbers(row, key) {
  if (key === "unknown" || key === "idle") return word(key);
  return key === "healthy" ? `${rate(row.rps)}/s` : `${rate(row.rps)}/s · ${percent(row.success)}`;
}

function spokenNumbers(row) {
  const p99 = row.p99 === null ? "" : `, 99th percentile ${latency(row.p99)}`;
  return `${rate(row.rps)} requests per second, ${percent(row.success)} successful${p99}`;
}

function curve(points) {
  const [first, ...rest] = points;
  let d = `M${round(first.x)} ${round(first.y)}`;
  let from = first;
  for (const to of rest) {
    const half = (from.x + to.x) / 2;
    d += `C${round(half)} ${round(from.y)} ${round(half)} ${round(to.y)} ${round(to.x)} ${round(to.y)}`;
    from = to;
  }
  return d;
}

function loop({ x, y }) {
  const [right, top] = [x + SIZE.width / 2, y - SIZE.height / 2];
  return `M${right - 30} ${top}C${right - 34} ${top - 20} ${right + 26} ${top - 20} ${right} ${top + 14}`;
}

function labelPoint(points, at) {
  if (!points) return { class: "label beside", x: round(at.x + SIZE.width / 2 + 12), y: round(at.y - SIZE.height / 2 + 2) };
  const [from, to] = points.slice(-2);
  const back = from.x > to.x;
  // Of two that run to and fro, the one that runs back has its label below.
  const above = back ? 13 : -5;
  if (points.length === 2) return { x: round((from.x + to.x) / 2), y: round((from.y + to.y) / 2) + above };
  // A link through lanes has it between the last two layers, where no node is; its curve is nearly at its end there.
  return { x: round(to.x + (SIZE.between / 2) * (back ? 1 : -1)), y: round(to.y + 0.1 * (from.y - to.y)) + above };
}

function round(number) {
  return Math.round(number * 10) / 10;
}

/** A text cut in its middle to a width in pixels, because names of workloads differ at both ends. */
function fitting(text, font, widest) {
  pen ??= document.createElement("canvas").getContext("2d");
  pen.font = `${font} ${getComputedStyle(document.body).fontFamily}`;
  if (pen.measureText(text).width <= widest) return text;
  let kept = text.length - 1;
  const cut = () => `${text.slice(0, Math.ceil(kept / 2))}…${text.slice(text.length - Math.floor(kept / 2))}`;
  while (kept > 4 && pen.measureText(cut()).width > widest) kept -= 1;
  return cut();
}
