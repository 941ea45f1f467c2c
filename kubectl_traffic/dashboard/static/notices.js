/**
 * What is to be known of the numbers, and what went wrong: above them, in sentences.
 */

import { h } from "./dom.js";

/** Show the warnings of an answer. The same ones again change nothing, so that they are not announced again. */
export function notices(holder, warnings) {
  const sentences = [...new Set(warnings)];
  const key = JSON.stringify(sentences);
  if (holder.dataset.key === key) return;
  holder.dataset.key = key;
  const list = h("ul", null, ...sentences.map((sentence) => h("li", null, sentence)));
  const title = sentences.length === 1 ? "The server warns:" : `The server warns of ${sentences.length} things:`;
  holder.replaceChildren(...(sentences.length ? [h("div", { class: "notice" }, h("strong", null, title), list)] : []));
}

/** Show a problem, with what to do. `kept` says how old the numbers are that are still there. */
export function problemPanel(holder, { title, detail, advice, commands, gone }, kept, again) {
  const key = JSON.stringify([title, detail]);
  if (holder.dataset.key === key) return;
  holder.dataset.key = key;
  holder.replaceChildren(
    h(
      "div",
      { class: "notice problem" },
      h("strong", null, title),
      ...advice.map((sentence) => h("p", null, sentence)),
      ...commands.map((command) =>
        h("pre", { tabindex: 0, role: "group", "aria-label": "Command to run in a terminal" }, h("code", null, command)),
      ),
      detail ? h("details", { open: detail.length < 240 }, h("summary", null, "What the server said"), h("p", null, detail)) : null,
      kept ? h("p", { class: "kept" }, kept) : null,
      gone ? null : h("button", { type: "button", onclick: () => again() }, "Try again"),
    ),
  );
}
