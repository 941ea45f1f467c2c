/**
 * The choice of a namespace: a list for who may list them, a field to type in for who may not.
 */

import { h } from "./dom.js";

/** The picker in `element`. `onchange` gets a namespace, "" for all. */
export class NamespacePicker {
  #holder = h("span", { class: "field" });
  #onchange;
  #names = null;
  #seen = new Set();
  #chosen = "";

  constructor(onchange) {
    this.#onchange = onchange;
    this.element = h("label", { class: "pick" }, h("span", null, "Namespace"), this.#holder);
  }

  /** The namespaces there are; null when they may not be listed. */
  offer(names) {
    this.#names = names;
    this.#render();
  }

  /** Namespaces that rows named: suggestions where there is no list. */
  notice(rows) {
    const before = this.#seen.size;
    for (const row of rows) if (row.namespace) this.#seen.add(row.namespace);
    if (!this.#names && this.#seen.size !== before) this.#render();
  }

  /** Show the namespace the page is at. */
  show(namespace) {
    if (namespace === this.#chosen && this.#holder.firstChild) return;
    this.#chosen = namespace;
    this.#render();
  }

  #render() {
    const names = [...new Set([...(this.#names ?? this.#seen), ...(this.#chosen ? [this.#chosen] : [])])].sort();
    const key = JSON.stringify([Boolean(this.#names), names, this.#chosen]);
    if (this.#holder.dataset.key === key) return;
    const focused = this.#holder.contains(document.activeElement);
    // Who is typing is not interrupted.
    if (focused && !this.#names) return;
    this.#holder.dataset.key = key;
    this.#holder.replaceChildren(...(this.#names ? [this.#select(names)] : this.#input(names)));
    if (focused) this.#holder.firstChild.focus();
  }

  #select(names) {
    const options = names.map((name) => h("option", { value: name, selected: name === this.#chosen }, name));
    return h(
      "select",
      { id: "namespace", onchange: (event) => this.#onchange(event.target.value) },
      h("option", { value: "", selected: !this.#chosen }, "All namespaces"),
      ...options,
    );
  }

  #input(names) {
    const change = (event) => this.#onchange(event.target.value.trim());
    return [
      h("input", {
        id: "namespace",
        list: "namespaces",
        value: this.#chosen,
        placeholder: "all",
        size: 14,
        autocomplete: "off",
        spellcheck: "false",
        title: "You may not list namespaces: type the name of one, or leave it empty for all",
        onchange: change,
      }),
      h("datalist", { id: "namespaces" }, ...names.map((name) => h("option", { value: name }))),
    ];
  }
}
