/**
 * A graph on the screen: it is drawn once for each shape it takes, and only its numbers change from then on. Nodes are links that
 * the keyboard walks along; which are lit and which fade is a matter of classes alone.
 */

import { Camera } from "./camera.js";
import { attribute, h, s } from "./dom.js";
import { condition } from "./health.js";
import { SIZE } from "./layout.js";
import { arrows, linkShape, nodeShape, tellLink, tellNode } from "./strokes.js";
import { unhurried } from "./unhurried.js";
import { neighbour } from "./walking.js";

const FEW = 40; // links that can all have a label
const FAR = 0.5; // the scale below which small text is left out
const FARTHER = 0.32; // and that below which there is no text at all

/**
 * A graph inside of a new element, `element`, with room for a `note` below it. `label` is what a screen reader calls it; `hrefOf`
 * is the address of a node, or null; `labels` tells whether links say their numbers, and `small` that it stands beside tables of
 * the same.
 */
export class Drawing {
  #svg;
  #links;
  #front;
  #nodes;
  #camera;
  #frame;
  #hrefOf;
  #labels;
  #shown = { key: "", graph: { nodes: [], links: [] }, drawn: null };
  #nodeElements = new Map();
  #linkElements = new Map();
  #current = "";
  #kept = null;
  #question = 0;
  #worker = null;

  constructor({ label, hrefOf, labels = true, small = false }) {
    [this.#hrefOf, this.#labels] = [hrefOf, labels];
    this.#links = s("g", { class: "links", "aria-hidden": "true" });
    this.#front = s("g", { class: "front", "aria-hidden": "true" });
    this.#nodes = s("g", { class: "nodes", role: "group", "aria-label": "Nodes" });
    this.#svg = s("svg", { class: "drawing", role: "group", "aria-label": label }, arrows(), this.#links, this.#front, this.#nodes);
    this.host = h("div", { class: "stage" }, this.#svg);
    this.#camera = new Camera(this.host, this.#svg, (scale) => {
      this.#svg.classList.toggle("far", scale < FAR);
      this.#svg.classList.toggle("farther", scale < FARTHER);
    });
    const button = (text, title, act) => h("button", { type: "button", title, "aria-label": title, onclick: act }, text);
    const tools = h(
      "div",
      { class: "tools", role: "group", "aria-label": "Zoom" },
      button("+", "Zoom in", () => this.#camera.zoom(1)),
      button("−", "Zoom out", () => this.#camera.zoom(-1)),
      button("Fit", "Show the whole graph", () => this.#camera.fit()),
    );
    this.note = h("p", { class: "hint" });
    this.#frame = h("div", { class: small ? "graph small" : "graph" }, this.host);
    this.element = h("div", null, this.#frame, h("div", { class: "foot" }, this.note, tools));
    this.#svg.addEventListener("keydown", (event) => this.#key(event));
    for (const [begin, end] of [
      ["pointerover", "pointerout"],
      ["focusin", "focusout"],
    ]) {
      this.#nodes.addEventListener(begin, (event) => this.#spotlight(event.target.closest(".node")));
      this.#nodes.addEventListener(end, () => this.#spotlight(null));
    }
  }

  /** Show a graph; where its nodes and links are those it showed before, they stay where they are. */
  async show(graph) {
    const key = [...graph.nodes.map(({ id }) => id), ...graph.links.map(({ id }) => id)].join("\n");
    if (key !== this.#shown.key) {
      const drawn = await this.#layout(graph);
      if (drawn) await this.#draw(key, graph, drawn);
      return;
    }
    this.#shown.graph = graph;
    await unhurried(
      [...graph.nodes, ...graph.links],
      (each) => this.#tell(each, graph),
      () => this.#shown.graph === graph,
    );
  }

  /** Let all fade but the nodes and links of these ids; null lets none fade. */
  keep(ids) {
    this.#kept = ids;
    this.#svg.classList.toggle("filtered", ids !== null);
    this.#raise(ids ?? new Set());
    if (ids) for (const [id, element] of this.#nodeElements) element.classList.toggle("kept", ids.has(id));
  }

  /**
   * Bring the links of these ids to the front, so that all others can fade as one: a thousand that fade one by one take too
   * long.
   */
  #raise(ids) {
    for (const element of [...this.#front.children]) if (!ids.has(element.dataset.id)) this.#links.append(element);
    for (const id of ids) {
      const element = this.#linkElements.get(id);
      if (element && element.parentNode !== this.#front) this.#front.append(element);
    }
  }

  /** Put the focus on a node. */
  focus(id) {
    const element = this.#nodeElements.get(id);
    if (!element) return;
    this.#enter(id);
    element.focus({ preventScroll: true });
  }

  /** Show the whole graph again. */
  fit() {
    this.#camera.fit();
  }

  /** Nothing is left running. */
  close() {
    this.#worker?.terminate();
    this.#worker = null;
  }

  #layout({ nodes, links }) {
    this.#worker ??= new Worker(scriptURL("layout-worker.js"), { type: "module" });
    const question = (this.#question += 1);
    const worker = this.#worker;
    return new Promise((resolve, reject) => {
      // Only the graph asked for last is drawn.
      const answer = ({ data }) => {
        if (data.question !== question) return;
        worker.removeEventListener("message", answer);
        performance.measure?.("layout", { start: performance.now() - data.took, duration: data.took });
        resolve(question === this.#question ? data.drawn : null);
      };
      worker.addEventListener("message", answer);
      worker.addEventListener("error", () => reject(new Error("the layout of the graph failed")), { once: true });
      worker.postMessage({ question, ids: nodes.map(({ id }) => id), links: links.map(({ client, server }) => [client, server]) });
    });
  }

  #tell(each, { links }) {
    if (!each.row) {
      tellNode(this.#nodeElements.get(each.id), each);
      return;
    }
    const ill = ["failing", "degraded"].includes(condition(each.row));
    tellLink(this.#linkElements.get(each.id), each, this.#labels && (ill || links.length <= FEW));
  }

  /** Draw a graph anew, node by node and link by link, unless another one is to be drawn before all are there. */
  async #draw(key, graph, drawn) {
    const question = this.#question;
    const focused = this.#svg.contains(document.activeElement) ? this.#current : "";
    this.#nodeElements.clear();
    this.#linkElements.clear();
    const at = new Map(graph.nodes.map(({ id }, index) => [id, drawn.nodes[index]]));
    this.#links.replaceChildren();
    this.#front.replaceChildren();
    this.#nodes.replaceChildren();
    // Until all is drawn it is no graph to come back to: whoever asks for it meanwhile begins again.
    this.#shown = { key: "", graph, drawn: at };
    this.#frame.style.setProperty("--wanted", `${Math.round(this.#camera.wanted(drawn.width, drawn.height))}px`);
    this.#camera.resize(drawn.width, drawn.height);
    this.#current = "";
    const place = (map, layer, id, element) => {
      map.set(id, element);
      const kept = this.#kept?.has(id) ?? false;
      element.dataset.id = id;
      element.classList.toggle("kept", kept);
      (kept && layer === this.#links ? this.#front : layer).append(element);
    };
    const whole = await unhurried(
      [...graph.nodes, ...graph.links.keys()],
      (each) => {
        if (typeof each === "number") {
          const link = graph.links[each];
          place(this.#linkElements, this.#links, link.id, linkShape(drawn.routes[each], at.get(link.client)));
          this.#tell(link, graph);
          return;
        }
        const { x, y } = at.get(each.id);
        const element = nodeShape(each, this.#hrefOf(each));
        element.setAttribute("transform", `translate(${x - SIZE.width / 2} ${y - SIZE.height / 2})`);
        place(this.#nodeElements, this.#nodes, each.id, element);
        this.#tell(each, graph);
      },
      () => question === this.#question,
    );
    if (!whole) return;
    this.#shown.key = key;
    // Tab comes in at the leftmost of the top, or goes on where it was.
    const first = this.#nodeElements.has(focused) ? focused : neighbour("Home", graph.nodes[0]?.id, at, []);
    if (first) this.#enter(first, false);
    if (focused && focused === first) this.focus(focused);
  }

  /** Make a node the one that Tab comes to. */
  #enter(id, reveal = true) {
    if (this.#current) attribute(this.#nodeElements.get(this.#current), "tabindex", -1);
    this.#current = id;
    attribute(this.#nodeElements.get(id), "tabindex", 0);
    const { x, y } = this.#shown.drawn.get(id);
    if (reveal) this.#camera.reveal(x, y);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const zoom = { "+": 1, "=": 1, "-": -1 }[event.key];
    if (zoom) this.#camera.zoom(zoom);
    else if (event.key === "0") this.#camera.fit();
    else {
      const next = neighbour(event.key, this.#current, this.#shown.drawn, this.#shown.graph.links);
      if (!next) return;
      this.focus(next);
    }
    event.preventDefault();
  }

  #spotlight(element) {
    const id = element?.dataset.id;
    for (const lit of this.#svg.querySelectorAll(".lit")) lit.classList.remove("lit");
    this.#svg.classList.toggle("spotlight", Boolean(id));
    if (!id) {
      this.#raise(this.#kept ?? new Set());
      return;
    }
    element.classList.add("lit");
    const near = this.#shown.graph.links.filter((link) => link.client === id || link.server === id);
    for (const end of near.flatMap(({ client, server }) => [client, server])) this.#nodeElements.get(end)?.classList.add("lit");
    this.#raise(new Set(near.map((link) => link.id)));
  }
}

/** The address of a script of this page, for browsers that want to be told that it is one. */
function scriptURL(name) {
  const url = new URL(name, import.meta.url).href;
  policy ??= globalThis.trustedTypes?.createPolicy("traffic", { createScriptURL: own }) ?? { createScriptURL: own };
  return policy.createScriptURL(url);
}

let policy = null;

function own(url) {
  if (new URL(url).origin !== location.origin) throw new TypeError("scripts come from this page alone");
  return url;
}
