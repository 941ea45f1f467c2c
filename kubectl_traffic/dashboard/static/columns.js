/**
 * The columns of the tables: the golden metrics, the same everywhere, and who they are of.
 */

import { h } from "./dom.js";
import { ABSENT, latency, percent, rate } from "./format.js";
import { condition, rank, word } from "./health.js";
import { format, placeOf } from "./route.js";
import { badge } from "./signs.js";

/** A link to the page of a resource, or its name alone where it has none. */
export function link(resource, away, place) {
  const to = placeOf(resource, away, place);
  return to ? h("a", { href: format(to) }, resource.name) : h("span", { class: "plain" }, resource.name || "unknown");
}

/** Condition, rates and latencies. `most` is the highest rate in the table, for the bar behind it. */
export function golden(most) {
  const measured = (row) => condition(row) !== "unknown";
  return {
    status: {
      key: "status",
      title: "Status",
      value: (row) => rank(condition(row)),
      text: (row) => condition(row),
      build: (row) => [badge(condition(row))],
      hint: "failing from 10 % of failures, degraded from 0.1 %",
    },
    numbers: [
      {
        key: "success",
        title: "Success",
        numeric: true,
        value: (row) => row.success,
        tone: (row) => condition(row),
        text: (row) => (measured(row) && row.success === null ? word("idle") : percent(row.success)),
        hint: "Share of the requests in the window that succeeded",
      },
      {
        key: "rps",
        title: "Req/s",
        numeric: true,
        value: (row) => row.rps,
        text: (row) => rate(row.rps),
        share: (row) => (most() ? Math.sqrt((row.rps ?? 0) / most()) : 0),
        hint: "Requests per second over the window",
      },
      ...["p50", "p90", "p99"].map((key) => ({
        key,
        title: key.toUpperCase(),
        numeric: true,
        value: (row) => row[key],
        text: (row) => latency(row[key]),
        hint: `${{ p50: "Median", p90: "90th percentile", p99: "99th percentile" }[key]} of response latency`,
      })),
    ],
  };
}

/** The columns of a list of resources; `place()` is where the page is, for links to keep its window. */
export function resourceColumns({ place, most, kinds, namespaces }) {
  const { status, numbers } = golden(most);
  return [
    status,
    {
      key: "name",
      title: "Name",
      head: true,
      value: (row) => row.name,
      text: (row) => `${row.id} ${format(place())}`,
      build: (row) => [link(row, row.away, place()), ...beside(row, kinds, namespaces)],
    },
    ...(kinds ? [{ key: "kind", title: "Kind", value: (row) => row.kind, text: (row) => row.kind }] : []),
    ...(namespaces ? [{ key: "namespace", title: "Namespace", value: (row) => row.namespace, text: (row) => where(row) }] : []),
    ...numbers,
  ];
}

/** The columns of a list of links of the whole graph: caller and callee. */
export function linkColumns({ place, most }) {
  const { status, numbers } = golden(most);
  const lifted = (column) => ({
    ...column,
    ...Object.fromEntries(
      ["value", "text", "build", "share", "tone"]
        .filter((each) => column[each])
        .map((each) => [each, ({ row }) => column[each](row)]),
    ),
  });
  const end = (key, title, head) => ({
    key,
    title,
    head,
    value: (one) => one[key].name,
    text: (one) => `${one[key].id} ${format(place())}`,
    build: (one) => [link(one[key], one[key].away, place()), " ", h("small", null, about(one[key]))],
  });
  return [
    lifted(status),
    end("client", "Caller", true),
    end("server", "Callee", false),
    ...numbers.map(lifted),
    side(({ row }) => row),
  ];
}

/** The columns of the edges of one resource, all of one direction. */
export function peerColumns({ place, most }) {
  const { status, numbers } = golden(most);
  return [
    status,
    {
      key: "peer",
      title: "Peer",
      head: true,
      value: (row) => row.peer.name,
      text: (row) => `${row.peerId} ${format(place())}`,
      build: (row) => [link(row.peer, row.away, place()), " ", h("small", null, about(row.peer))],
    },
    ...numbers,
    side((row) => row),
  ];
}

function side(rowOf) {
  return {
    key: "side",
    title: "Seen by",
    value: (each) => rowOf(each).side,
    text: (each) => (rowOf(each).rps === null ? ABSENT : rowOf(each).side),
    hint: "Whose proxy observed the requests: the client's or the server's",
  };
}

/** On a narrow screen, what the columns of kinds and namespaces say on a wide one. */
function beside({ kind, namespace }, kinds, namespaces) {
  const text = [kinds && kind, namespaces && namespace].filter(Boolean).join(" · ");
  return text ? [" ", h("small", { class: "narrow" }, text)] : [];
}

function about({ kind, namespace }) {
  return [kind, namespace].filter(Boolean).join(" · ") || "outside the mesh";
}

function where({ namespace, cluster }) {
  return cluster ? `${namespace || ABSENT} @${cluster}` : namespace || ABSENT;
}
