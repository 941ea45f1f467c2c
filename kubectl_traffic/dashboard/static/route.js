/**
 * Where the page is, as the part of its URL behind the #: every view, filter and order can be bookmarked, sent to somebody and
 * gone back to.
 *
 *   #/topology?ns=shop&window=5m              the graph
 *   #/deployments?ns=shop&sort=-rps           a table; without ns, of all namespaces
 *   #/deployments/shop/web                    one resource
 *   #/namespaces/shop                         one resource that is in no namespace
 */

import { PLURALS } from "./rows.js";

/** The lists of the page: their names in paths, and what people read. Workloads are what the API calls trafficmetrics. */
export const LISTS = Object.freeze([
  { list: "workloads", title: "Workloads", noun: "workload" },
  { list: "deployments", title: "Deployments", noun: "Deployment" },
  { list: "statefulsets", title: "StatefulSets", noun: "StatefulSet" },
  { list: "daemonsets", title: "DaemonSets", noun: "DaemonSet" },
  { list: "jobs", title: "Jobs", noun: "Job" },
  { list: "pods", title: "Pods", noun: "Pod" },
  { list: "services", title: "Services", noun: "Service" },
  { list: "namespaces", title: "Namespaces", noun: "namespace" },
]);

const KINDS = new Map(Object.entries(PLURALS).map(([kind, plural]) => [plural, kind]));
const CLUSTER_WIDE = new Set(["namespaces", "nodes"]);
const DEFAULTS = Object.freeze({ ns: "", window: "", q: "", health: "", sort: "", idle: "" });

/**
 * The place a hash leads to; what makes no sense leads to the graph. `ns` is "" for all namespaces, `window` "" for the server's
 * own.
 */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const parameters = new URLSearchParams(query);
  const place = { ...DEFAULTS };
  for (const key of Object.keys(DEFAULTS)) place[key] = parameters.get(key) ?? "";
  const words = path.split("/").filter(Boolean).map(decoded);
  const [plural, ...rest] = words;
  if (KINDS.has(plural) && rest.length === (CLUSTER_WIDE.has(plural) ? 1 : 2)) {
    const name = rest.at(-1);
    const namespace = CLUSTER_WIDE.has(plural) ? "" : rest[0];
    return { ...place, view: "resource", list: plural, kind: KINDS.get(plural), namespace, name, ns: place.ns || namespace };
  }
  if (LISTS.some(({ list }) => list === plural) && !rest.length) return { ...place, view: "list", list: plural };
  return { ...place, view: "topology", list: "" };
}

/** The hash of a place. */
export function format(place) {
  const path = { topology: ["topology"], list: [place.list], resource: [place.list, place.namespace, place.name] }[place.view];
  const parameters = new URLSearchParams();
  for (const key of Object.keys(DEFAULTS)) {
    if (place[key] && !(key === "ns" && place.view === "resource" && place.ns === place.namespace)) parameters.set(key, place[key]);
  }
  const query = parameters.toString();
  return `#/${path.filter(Boolean).map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

/**
 * The place of one resource, seen from another place; `away` is its cluster, if that is not the server's own. Null for what has no page,
 * such as a peer beyond the mesh.
 */
export function placeOf({ kind, namespace, name }, away, from) {
  const list = PLURALS[kind];
  if (!list || !name || (!namespace && !CLUSTER_WIDE.has(list))) return null;
  const rowName = away ? `${name}@${away}` : name;
  return {
    ...DEFAULTS,
    view: "resource",
    list,
    kind,
    namespace: CLUSTER_WIDE.has(list) ? "" : namespace,
    name: rowName,
    ns: from.ns,
    window: from.window,
  };
}

function decoded(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}
