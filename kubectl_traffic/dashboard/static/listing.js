/**
 * All resources of one kind, with their golden metrics, the worst first.
 */

import { ask, listPath } from "./client.js";
import { resourceColumns } from "./columns.js";
import { Conditions, passes, searchField } from "./conditions.js";
import { h, say } from "./dom.js";
import { counted } from "./format.js";
import { condition, rank, tally } from "./health.js";
import { LISTS } from "./route.js";
import { Table } from "./table.js";
import { emptyWords } from "./topology.js";

/** The view of one list. `go(changes)` changes the place the page is at. */
export class Listing {
  #list;
  #go;
  #conditions;
  #search;
  #table = null;
  #spread = null;
  #holder = h("div");
  #empty = h("p", { class: "empty", hidden: true });
  #place = null;
  #most = 0;

  constructor(list, go) {
    this.#list = LISTS.find((each) => each.list === list);
    this.#go = go;
    this.#conditions = new Conditions(`${this.#list.title} by condition: choose what is shown`, (health) => go({ health }));
    this.#search = searchField(`Find a ${this.#list.noun}`, (q) => go({ q }));
    this.element = h(
      "div",
      { class: "view" },
      h("div", { class: "toolbar" }, this.#conditions.element, this.#search),
      this.#empty,
      this.#holder,
    );
  }

  title() {
    return this.#list.title;
  }

  /** The rows of the list; also of what nothing was observed of. */
  load({ ns, window }, signal) {
    const plural = this.#list.list === "workloads" ? "trafficmetrics" : this.#list.list;
    return ask(listPath(this.#list.list, ns), { window, includeIdle: "true" }, { plural, ns }, signal);
  }

  /** Show them as the place says. Returns what to announce. */
  async show({ rows }, place) {
    this.#place = place;
    this.#most = Math.max(0, ...rows.map(({ rps }) => rps ?? 0));
    const counts = tally(rows);
    this.#conditions.show(counts, place.health);
    if (document.activeElement !== this.#search) this.#search.value = place.q;
    const shown = rows.filter((row) => passes(place, condition(row), row.kind, row.name, row.namespace)).sort(worst);
    this.#empty.hidden = shown.length > 0;
    this.#holder.hidden = !shown.length;
    say(this.#empty, rows.length ? `None of ${counted(rows.length, this.#list.noun)} is what you look for.` : this.#none(place));
    this.#tableFor(place).show(shown, place.sort);
    return `${counted(rows.length, this.#list.noun)}; ${counts.get("failing")} failing, ${counts.get("degraded")} degraded`;
  }

  close() {}

  /** The table has a column for namespaces where there may be several. */
  #tableFor(place) {
    const spread = !place.ns && this.#list.list !== "namespaces";
    if (spread !== this.#spread) {
      this.#spread = spread;
      this.#table = new Table({
        caption: `Golden metrics of ${this.#list.title}`,
        noun: this.#list.noun,
        keyOf: ({ id }) => id,
        onsort: (sort) => this.#go({ sort }),
        columns: resourceColumns({
          place: () => this.#place,
          most: () => this.#most,
          kinds: this.#list.list === "workloads",
          namespaces: spread,
        }),
      });
      this.#holder.replaceChildren(this.#table.element);
    }
    return this.#table;
  }

  #none(place) {
    if (this.#list.list === "workloads" || this.#list.list === "namespaces") return emptyWords(place);
    const where = place.ns ? `in the namespace ${place.ns}` : "in any namespace";
    return `There are no ${this.#list.title} ${where}, or no source tells of them.`;
  }
}

function worst(one, other) {
  return rank(condition(one)) - rank(condition(other)) || (other.rps ?? -1) - (one.rps ?? -1);
}
