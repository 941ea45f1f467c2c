/**
 * One resource: its golden metrics, who calls it and whom it calls, drawn and in tables.
 */

import { ask, resourcePath } from "./client.js";
import { peerColumns } from "./columns.js";
import { h, say } from "./dom.js";
import { Drawing } from "./drawing.js";
import { counted, latency, percent, rate } from "./format.js";
import { neighbourhood } from "./graph.js";
import { condition, word } from "./health.js";
import { format, placeOf } from "./route.js";
import { badge } from "./signs.js";
import { Table } from "./table.js";
import { Trail } from "./trail.js";

const MOST = 12; // peers on each side of the drawing

/** The view of the resource of a place. `go(changes)` changes the place the page is at. */
export class Resource {
  #place;
  #own = null;
  #tiles = new Map();
  #status = h("div", { class: "tile status" });
  #drawing;
  #sides = {};

  constructor(place, go) {
    this.#place = place;
    const tiles = [
      ["success", "Success"],
      ["rps", "Requests per second"],
      ["p50", "P50 latency"],
      ["p90", "P90 latency"],
      ["p99", "P99 latency"],
    ].map(([key, title]) => {
      const value = h("dd");
      const trail = new Trail(key);
      this.#tiles.set(key, { value, trail });
      return h("div", { class: `tile ${key}` }, h("dt", null, title), value, trail.element);
    });
    const hrefOf = (node) => {
      const to = node.id === this.#own?.id ? null : placeOf(node, node.away, this.#place);
      return to && format(to);
    };
    const label = "Callers on the left, callees on the right. The tables below say the same.";
    this.#drawing = new Drawing({ label, hrefOf, labels: false, small: true });
    for (const [direction, caption] of [
      ["from", "Callers"],
      ["to", "Callees"],
    ])
      this.#sides[direction] = this.#side(direction, caption, go);
    this.element = h(
      "div",
      { class: "view" },
      h("dl", { class: "tiles", "aria-label": "Golden metrics of all requests received" }, this.#status, ...tiles),
      h("section", { class: "panel", "aria-label": "Graph of callers and callees" }, this.#drawing.element),
      h("div", { class: "columns" }, this.#sides.from.element, this.#sides.to.element),
    );
  }

  title({ kind, name }) {
    return `${kind} ${name}`;
  }

  /** The row of the resource and those of its edges; edges that may not be read, or cannot be told, are a warning. */
  async load(place, signal) {
    const path = resourcePath(place);
    const asked = { plural: place.list, ns: place.namespace };
    const [own, edges] = await Promise.all([
      ask(path, { window: place.window }, asked, signal),
      ask(`${path}/edges`, { window: place.window }, { ...asked, plural: `${place.list}/edges` }, signal).catch((error) => {
        if (error.name === "AbortError" || error.gone) throw error;
        return { rows: [], warnings: [`Edges: ${error.title} ${error.detail}`] };
      }),
    ]);
    return { own: own.rows[0], edges: edges.rows, warnings: [...own.warnings, ...edges.warnings], instant: own.instant };
  }

  /** Show them. Returns what to announce. */
  async show({ own, edges }, place) {
    this.#place = place;
    this.#own = own;
    const key = condition(own);
    this.#status.replaceChildren(h("dt", null, "Status"), h("dd", null, badge(key)), h("small", null, this.#seen(own)));
    const texts = {
      success: own.success === null ? (key === "idle" ? word("idle") : percent(null)) : percent(own.success),
      rps: rate(own.rps),
      p50: latency(own.p50),
      p90: latency(own.p90),
      p99: latency(own.p99),
    };
    for (const [name, { value, trail }] of this.#tiles) {
      say(value, texts[name]);
      value.dataset.tone = name === "success" ? key : "";
      trail.add(own.instant, own[name]);
    }
    const graph = neighbourhood(own, edges, MOST);
    for (const direction of ["from", "to"])
      this.#tell(
        direction,
        edges.filter((row) => row.peer && row.direction === direction),
        place,
      );
    const left = edges.filter(({ peer }) => peer).length - graph.links.length;
    say(this.#drawing.note, left > 0 ? `The ${MOST} busiest of each side are drawn; the tables have all.` : "");
    this.#drawing.element.hidden = !graph.links.length;
    if (graph.links.length) await this.#drawing.show(graph);
    return `${word(key)}; ${counted(graph.links.length, "peer")}`;
  }

  close() {
    this.#drawing.close();
  }

  #side(direction, caption, go) {
    const id = `peers-${direction}`;
    const title = h("h2", { id }, caption);
    const empty = h("p", { class: "empty" });
    const side = { title, empty, caption, most: 0 };
    side.table = new Table({
      caption: `${caption} and the requests exchanged with them`,
      noun: "peer",
      keyOf: ({ peerId }) => peerId,
      onsort: (sort) => go({ sort }),
      columns: peerColumns({ place: () => this.#place, most: () => side.most }),
    });
    side.element = h("section", { "aria-labelledby": id }, title, empty, side.table.element);
    return side;
  }

  #tell(direction, rows, place) {
    const side = this.#sides[direction];
    side.most = Math.max(0, ...rows.map(({ rps }) => rps ?? 0));
    say(side.title, `${side.caption} · ${rows.length}`);
    say(side.empty, direction === "from" ? "Nobody was seen calling it." : "It was not seen calling anybody.");
    side.empty.hidden = rows.length > 0;
    side.table.element.hidden = !rows.length;
    side.table.show(
      rows.sort((one, other) => (other.rps ?? -1) - (one.rps ?? -1)),
      place.sort,
    );
  }

  #seen({ rps, side, source, window, sampled }) {
    if (rps === null) return `Nothing was observed in the last ${window}.`;
    return [`at the ${side}`, source && `by ${source}`, `in ${window}`, sampled && "a sample"].filter(Boolean).join(" · ");
  }
}
