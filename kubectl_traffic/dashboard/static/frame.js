/**
 * What stands around every view: where one can go, the pickers, how fresh the numbers are, and what is to be known of them.
 */

import { attribute, h, say } from "./dom.js";
import { ago } from "./format.js";
import { notices, problemPanel } from "./notices.js";
import { NamespacePicker } from "./picker.js";
import { LISTS, format } from "./route.js";
import { stored, turn } from "./theme.js";

const WINDOWS = ["30s", "1m", "5m", "15m", "1h"];
const PACES = [
  [5, "5 s"],
  [10, "10 s"],
  [30, "30 s"],
  [60, "1 min"],
];
const THEMES = { system: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };

/** The frame of the page. `acts` are go(changes), refresh(), pace(seconds) and pause(yes or no). */
export class Frame {
  #acts;
  #title = document.getElementById("title");
  #about = document.getElementById("about");
  #notices = document.getElementById("notices");
  #holder = document.getElementById("view");
  #announcer = document.getElementById("announcer");
  #namespace;
  #window;
  #fresh = h("span", { id: "fresh" });
  #pause;
  #links = new Map();
  #context = "";
  #at = 0;
  #problem = false;
  #paused = false;
  #default = true;

  constructor(acts) {
    this.#acts = acts;
    this.#namespace = new NamespacePicker((ns) => acts.go({ ns }));
    this.#window = h("select", { id: "window", onchange: (event) => acts.go({ window: event.target.value }) });
    document
      .getElementById("pickers")
      .append(this.#namespace.element, h("label", { class: "pick" }, h("span", null, "Window"), this.#window));
    document.getElementById("pace").append(...this.#paceTools());
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault();
      document.getElementById("main").focus();
    });
    this.#navigation();
    setInterval(() => this.#age(), 1000);
  }

  /** What the page's own server knows of the cluster. */
  introduce({ context, server }) {
    this.#context = context ?? "";
    const element = document.getElementById("context");
    say(element, this.#context || server || "");
    attribute(element, "title", server ? `API server: ${server}` : null);
  }

  /** Show where the page is; after a move from one view to another, that is where reading goes on. */
  arrive(place, title, moved = false) {
    const keep = { ns: place.ns, window: place.window, q: "", health: "", sort: "", idle: "" };
    for (const [list, link] of this.#links) {
      link.href = format({ ...keep, view: list ? "list" : "topology", list });
      attribute(link, "aria-current", place.list !== list ? null : place.view === "resource" ? "true" : "page");
    }
    this.#namespace.show(place.ns);
    this.#windows(place.window);
    this.#default = place.window === "";
    this.shown(title);
    const where = place.view === "resource" ? place.namespace : place.list === "namespaces" ? "" : place.ns || "all namespaces";
    this.#about.dataset.where = where ? (where === "all namespaces" ? where : `namespace ${where}`) : "";
    say(this.#about, this.#about.dataset.where);
    if (moved) this.#title.focus({ preventScroll: true });
  }

  /** The title of what is shown. */
  shown(title) {
    say(this.#title, title);
    document.title = [title, this.#context, "Traffic"].filter(Boolean).join(" · ");
  }

  /** Put a view into the page. */
  hold(element) {
    this.#holder.replaceChildren(element);
  }

  /** Questions are under way; `first` when there is nothing to show meanwhile. */
  busy(first) {
    attribute(this.#holder, "aria-busy", first ? "true" : null);
    this.#holder.classList.toggle("waiting", first);
    say(this.#fresh, "Asking…");
  }

  /** An answer is there. */
  succeed({ warnings, rows, totals, instant, own }) {
    this.#settle(false);
    this.#at = Date.now();
    this.#namespace.notice(rows ?? totals ?? []);
    const window = own?.window ?? rows?.[0]?.window ?? totals?.[0]?.window;
    if (this.#default && window) say(this.#window.options[0], `Default, ${window}`);
    const facts = [
      this.#about.dataset.where,
      window && `the last ${window}`,
      instant && `as of ${new Date(instant).toLocaleTimeString("en-GB")}`,
    ];
    say(this.#about, facts.filter(Boolean).join(" · "));
    notices(this.#notices, warnings);
    this.#age();
  }

  /** There is none. `kept` tells that older numbers are still shown. */
  fail(problem, kept) {
    this.#settle(true, kept);
    problemPanel(
      this.#notices,
      problem,
      kept ? `The numbers below are ${ago((Date.now() - this.#at) / 1000).replace(" ago", "")} old.` : "",
      this.#acts.refresh,
    );
    say(this.#fresh, "No answer");
  }

  /** The namespaces to choose from; null when they may not be listed. */
  namespaces(names) {
    this.#namespace.offer(names);
  }

  /** Say something to who does not see the page. */
  announce(words) {
    say(this.#announcer, words);
  }

  #settle(problem, kept = false) {
    this.#problem = problem;
    this.#holder.removeAttribute("aria-busy");
    this.#holder.classList.remove("waiting");
    this.#holder.classList.toggle("stale", problem && kept);
    this.#holder.hidden = problem && !kept;
  }

  #age() {
    if (this.#problem || !this.#at) return;
    const text = `${this.#paused ? "Paused, " : ""}updated ${ago((Date.now() - this.#at) / 1000)}`;
    say(this.#fresh, text[0].toUpperCase() + text.slice(1));
  }

  #windows(chosen) {
    const values = [...new Set(["", ...WINDOWS, chosen])];
    if (this.#window.dataset.values !== values.join()) {
      this.#window.dataset.values = values.join();
      this.#window.replaceChildren(...values.map((value) => h("option", { value }, value || "Default")));
    }
    this.#window.value = chosen;
  }

  #paceTools() {
    this.#pause = h(
      "button",
      {
        type: "button",
        id: "pause",
        "aria-pressed": "false",
        title: "Stop refreshing",
        onclick: () => {
          this.#paused = !this.#paused;
          attribute(this.#pause, "aria-pressed", String(this.#paused));
          this.#acts.pause(this.#paused);
          this.#age();
        },
      },
      "Pause",
    );
    const every = h(
      "select",
      { id: "every", "aria-label": "Interval between refreshes", onchange: (event) => this.#acts.pace(Number(event.target.value)) },
      ...PACES.map(([value, text]) => h("option", { value, selected: value === 10 }, text)),
    );
    const now = h("button", { type: "button", id: "now", title: "Ask now", onclick: () => this.#acts.refresh() }, "Refresh");
    const theme = h("button", { type: "button", id: "theme", onclick: () => label(turn()) });
    const label = (choice) => {
      for (const name of ["aria-label", "title"]) theme.setAttribute(name, THEMES[choice]);
      say(theme, { system: "◐", light: "☀", dark: "☾" }[choice]);
    };
    label(stored());
    return [this.#fresh, now, this.#pause, every, theme];
  }

  #navigation() {
    const item = (list, title) => {
      const link = h("a", null, title);
      this.#links.set(list, link);
      return h("li", null, link);
    };
    document
      .getElementById("nav")
      .append(h("ul", null, item("", "Topology"), ...LISTS.map(({ list, title }) => item(list, title))));
  }
}
