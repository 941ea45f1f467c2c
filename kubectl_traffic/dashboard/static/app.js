/**
 * The page as a whole: it knows where it is, which view shows that, and when to ask again; views know the rest.
 */

import { ask, session } from "./client.js";
import { Clock } from "./clock.js";
import { h, say } from "./dom.js";
import { Frame } from "./frame.js";
import { Listing } from "./listing.js";
import { Resource } from "./resource.js";
import { format, parse } from "./route.js";
import { Topology } from "./topology.js";

const NAMESPACES_EVERY = 60_000; // milliseconds

/** The page; it is started once. */
export class App {
  #frame;
  #clock = new Clock(() => this.#refresh());
  #place = null;
  #view = null;
  #viewKey = "";
  #data = null;
  #asking = null;
  #asked = -Infinity;
  #announced = "";

  constructor() {
    this.#frame = new Frame({
      go: (changes) => this.go(changes),
      refresh: () => this.#refresh(true),
      pace: (every) => this.#pace({ every }),
      pause: (paused) => this.#pace({ paused }),
    });
  }

  /** Begin where the address says, or where the command was told to. */
  async start() {
    const known = await session().catch((problem) => this.#frame.fail(problem, false));
    this.#frame.introduce(known ?? {});
    if (!location.hash && known?.place) history.replaceState(null, "", known.place);
    window.addEventListener("hashchange", () => this.#arrive(true));
    this.#arrive(false);
  }

  /** Change the place: a new entry of the history for a new question, none for another way to look at the same answer. */
  go(changes) {
    const place = { ...this.#place, ...changes };
    if ("ns" in changes && place.view === "resource")
      Object.assign(place, { view: "topology", list: "", sort: "", q: "", health: "" });
    if ("ns" in changes || "window" in changes) {
      location.hash = format(place);
      return;
    }
    history.replaceState(null, "", format(place));
    this.#place = place;
    this.#frame.arrive(place, this.#view.title(place));
    this.#show();
  }

  #arrive(moved) {
    const place = parse(location.hash);
    const key = place.view === "resource" ? [place.list, place.namespace, place.name].join("/") : `${place.view}/${place.list}`;
    const asks = !this.#place || key !== this.#viewKey || place.ns !== this.#place.ns || place.window !== this.#place.window;
    this.#place = place;
    if (key !== this.#viewKey) {
      this.#view?.close();
      this.#view = this.#made(place);
      this.#frame.hold(this.#view.element);
    }
    this.#frame.arrive(place, this.#view.title(place), moved && key !== this.#viewKey);
    this.#viewKey = key;
    if (!asks) {
      this.#show();
      return;
    }
    this.#data = null;
    this.#refresh();
  }

  #made(place) {
    const go = (changes) => this.go(changes);
    if (place.view === "resource") return new Resource(place, go);
    return place.view === "list" ? new Listing(place.list, go) : new Topology(go);
  }

  async #refresh(loud = false) {
    // Somebody may be quicker than the beginning.
    if (!this.#view) return;
    this.#asking?.abort();
    this.#clock.stop();
    const asking = (this.#asking = new AbortController());
    this.#frame.busy(this.#data === null);
    this.#namespaces();
    try {
      const data = await this.#view.load(this.#place, asking.signal);
      if (asking.signal.aborted) return;
      this.#data = data;
      this.#frame.succeed(data);
      await this.#show(loud);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!error.title) throw error;
      this.#frame.fail(error, this.#data !== null);
      if (error.gone) return;
    }
    if (this.#asking === asking) this.#clock.rest();
  }

  async #show(loud = false) {
    if (!this.#data) return;
    const words = await this.#view.show(this.#data, this.#place);
    this.#frame.shown(this.#view.title(this.#place));
    // A refresh that changes nothing of weight is not announced: a voice every ten seconds helps nobody.
    if (loud || words !== this.#announced) this.#frame.announce(words);
    this.#announced = words;
  }

  async #namespaces() {
    if (performance.now() - this.#asked < NAMESPACES_EVERY) return;
    this.#asked = performance.now();
    try {
      const { rows } = await ask("namespaces", { includeIdle: "true" }, { plural: "namespaces", ns: "" });
      this.#frame.namespaces(rows.map(({ name }) => name));
    } catch (error) {
      if (!error.title) throw error;
      // Who may not list them types one, and is not asked again for a while; what failed may soon work.
      if (error.status === 403 || error.status === 404) this.#frame.namespaces(null);
      else this.#asked = -Infinity;
    }
  }

  #pace({ every = this.#clock.every, paused = this.#clock.paused }) {
    Object.assign(this.#clock, { every, paused });
    if (paused || !every) this.#clock.stop();
    else this.#refresh();
  }
}
