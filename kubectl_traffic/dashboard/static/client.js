/**
 * The questions the page asks: GETs of the API, through the address the page itself came from, with whatever rights the person has.
 */

import { Problem, lost, problemOf } from "./problems.js";
import { rowOf } from "./rows.js";
import { unhurried } from "./unhurried.js";

const GROUP = "apis/metrics.smi-spec.io/v1alpha1";

/** The path of a list; of workloads, the API says trafficmetrics. */
export function listPath(list, ns) {
  const plural = list === "workloads" ? "trafficmetrics" : list;
  return ns && plural !== "namespaces" ? `namespaces/${encodeURIComponent(ns)}/${plural}` : plural;
}

/** The path of one resource. */
export function resourcePath({ list, namespace, name }) {
  return [...(namespace ? ["namespaces", namespace] : []), list, name].map(encodeURIComponent).join("/");
}

/**
 * The rows at a path of the API: `rows`, `warnings` (sentences) and the `instant` they are of. `asked` says for errors what it is
 * about. Throws a {@link Problem}, or an AbortError.
 */
export async function ask(path, parameters, asked, signal) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value)).toString();
  const { text, response } = await fetched(`${GROUP}/${path}${query ? `?${query}` : ""}`, signal);
  if (!response.ok) throw problemOf(response.status, text, asked);
  try {
    const document = JSON.parse(text);
    const rows = await unhurried(document.items ?? [document], rowOf);
    return { rows, warnings: warnings(response.headers.get("Warning") ?? ""), instant: rows[0]?.instant ?? "" };
  } catch (error) {
    throw new Problem("The server answered what this page does not understand.", {
      detail: String(error.message ?? error),
      advice: ["Plugin and server may be too far apart in age: compare them."],
      commands: ["kubectl traffic version"],
    });
  }
}

/** What the page's own server knows: `context`, `server`, `namespace` of the start, "" for all. */
export async function session() {
  const { text, response } = await fetched("session");
  if (!response.ok) throw problemOf(response.status, text, { plural: "session", ns: "" });
  return JSON.parse(text);
}

/** The sentences of a Warning header: `299 - "one", 299 - "two"`, with what is not ASCII sent as UTF-8. */
export function warnings(header) {
  const found = [...header.matchAll(/\d{3} \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, text]) => text.replace(/\\(.)/g, "$1"));
  return found.map((text) => {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
    } catch {
      return text;
    }
  });
}

async function fetched(path, signal) {
  try {
    const response = await fetch(path, { signal, cache: "no-store", credentials: "omit", redirect: "error" });
    return { response, text: await response.text() };
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw lost();
  }
}
