/**
 * The graph of who talks to whom, and below it the same as a table, for those who would rather read it, or cannot see it.
 */

import { ask, listPath } from "./client.js";
import { linkColumns } from "./columns.js";
import { Conditions, chosen, passes, searchField } from "./conditions.js";
import { h, say } from "./dom.js";
import { Drawing } from "./drawing.js";
import { counted } from "./format.js";
import { busyPart, graphOf } from "./graph.js";
import { condition, tally } from "./health.js";
import { format, placeOf } from "./route.js";
import { Table } from "./table.js";

const KEYS =
  "Tab comes into the graph. The right arrow goes to a callee, the left arrow to a caller, up and down to who stands beside. " +
  "Enter opens, plus and minus zoom, 0 shows all.";

/** The view. `go(changes)` changes the place the page is at. */
export class Topology {
  #drawing;
  #table;
  #conditions;
  #search;
  #idle;
  #empty = h("p", { class: "empty", hidden: true });
  #calls = h("h2", { id: "calls" }, "Calls");
  #place = null;
  #graph = null;
  #most = 0;

  constructor(go) {
    const hrefOf = (node) => {
      const to = placeOf(node, node.away, this.#place);
      return to && format(to);
    };
    this.#drawing = new Drawing({ label: "Who calls whom. The table below says the same.", hrefOf });
    this.#drawing.note.append(h("kbd", null, "Ctrl"), " + wheel zooms · drag to move · arrow keys walk along calls");
    this.#conditions = new Conditions("Workloads by condition: choose what is shown", (health) => go({ health }));
    this.#search = searchField(
      "Find a workload",
      (q) => go({ q }),
      () => this.#find(),
    );
    this.#idle = h("input", { type: "checkbox", onchange: (event) => go({ idle: event.target.checked ? "yes" : "" }) });
    this.#table = new Table({
      caption: "Calls between workloads, caller and callee",
      noun: "call",
      keyOf: ({ id }) => id,
      onsort: (sort) => go({ sort }),
      columns: linkColumns({ place: () => this.#place, most: () => this.#most }),
    });
    this.element = h(
      "div",
      { class: "view" },
      h(
        "div",
        { class: "toolbar" },
        this.#conditions.element,
        h("label", { class: "check" }, this.#idle, "without traffic, too"),
        this.#search,
      ),
      h(
        "section",
        { class: "panel", "aria-label": "Graph" },
        this.#empty,
        this.#drawing.element,
        h("p", { class: "spoken" }, KEYS),
      ),
      h("section", { "aria-labelledby": "calls" }, this.#calls, this.#table.element),
    );
  }

  title() {
    return "Topology";
  }

  /** The rows the graph is made of. */
  async load({ ns, window }, signal) {
    const asked = { plural: "trafficmetrics", ns };
    const path = listPath("workloads", ns);
    const [totals, edges] = await Promise.all([
      ask(path, { window, includeIdle: "true" }, asked, signal),
      ask(path, { window, fieldSelector: "edge.resource.name!=" }, asked, signal),
    ]);
    return {
      totals: totals.rows,
      edges: edges.rows,
      warnings: [...totals.warnings, ...edges.warnings],
      instant: totals.instant || edges.instant,
    };
  }

  /** Show them as the place says. Returns what to announce. */
  async show({ totals, edges }, place) {
    this.#place = place;
    const whole = graphOf(totals, edges);
    this.#graph = place.idle ? whole : busyPart(whole);
    const { nodes, links } = this.#graph;
    this.#most = Math.max(0, ...links.map(({ row }) => row.rps ?? 0));
    const counts = tally(nodes.filter(({ outside }) => !outside).map(({ total }) => total));
    this.#conditions.show(counts, place.health);
    if (document.activeElement !== this.#search) this.#search.value = place.q;
    this.#idle.checked = Boolean(place.idle);
    this.#empty.hidden = nodes.length > 0;
    this.#drawing.element.hidden = !nodes.length;
    const others = whole.nodes.length - nodes.length;
    say(
      this.#empty,
      others ? `${counted(others, "workload")} without any traffic: choose “without traffic, too” to see them.` : emptyWords(place),
    );
    this.#filter(place);
    await this.#drawing.show(this.#graph);
    const ill = `${counts.get("failing")} failing, ${counts.get("degraded")} degraded`;
    return `${counted(nodes.length, "workload")}, ${counted(links.length, "call")}; ${ill}`;
  }

  close() {
    this.#drawing.close();
  }

  #filter(place) {
    const { nodes, links } = this.#graph;
    const byId = new Map(nodes.map((node) => [node.id, node]));
    const kept = new Set(nodes.filter((node) => this.#passes(place, node)).map(({ id }) => id));
    const filtered = Boolean(place.q.trim() || chosen(place.health).size);
    const shown = filtered ? links.filter(({ client, server }) => kept.has(client) || kept.has(server)) : links;
    this.#drawing.keep(filtered ? new Set([...kept, ...shown.map(({ id }) => id)]) : null);
    say(this.#calls, filtered ? `Calls · ${shown.length} of ${links.length}` : `Calls · ${links.length}`);
    this.#table.show(
      shown.map(({ id, client, server, row }) => ({ id, client: byId.get(client), server: byId.get(server), row })).sort(busiest),
      place.sort,
    );
  }

  #passes(place, { total, kind, name, namespace }) {
    return passes(place, total ? condition(total) : "unknown", kind, name, namespace);
  }

  #find() {
    const first = this.#graph?.nodes.find((node) => this.#passes(this.#place, node));
    if (first) this.#drawing.focus(first.id);
  }
}

function busiest({ row: one }, { row: other }) {
  return (other.rps ?? -1) - (one.rps ?? -1);
}

/** What to say where there is nothing at all. */
export function emptyWords({ ns }) {
  return ns
    ? `Nothing is known of the namespace ${ns}: no source observed anything there, or it has no such objects.`
    : "Nothing is known: no source observed anything.";
}
