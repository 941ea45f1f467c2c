/** Rows, conditions and numbers as people read them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ago, counted, grouped, latency, percent, rate } from "../../kubectl_traffic/dashboard/static/format.js";
import { graphOf, busyPart, neighbourhood } from "../../kubectl_traffic/dashboard/static/graph.js";
import { condition, tally } from "../../kubectl_traffic/dashboard/static/health.js";
import { quantity, rowOf, seconds } from "../../kubectl_traffic/dashboard/static/rows.js";
import { next, sorted } from "../../kubectl_traffic/dashboard/static/table.js";
import { drawn } from "../../kubectl_traffic/dashboard/static/trail.js";

/** An object of the API. */
function object({
  success = "54",
  failure = "6",
  p99 = "12m",
  unit = "seconds",
  window = "30s",
  edge = { direction: "from", side: "server", resource: {} },
} = {}) {
  return {
    metadata: { name: "web", namespace: "shop", annotations: { "metrics.smi-spec.io/source": "mesh" } },
    resource: { kind: "Deployment", namespace: "shop", name: "web" },
    edge,
    window,
    timestamp: "2026-11-22T10:00:00Z",
    metrics: [
      { name: "p99_response_latency", unit, value: p99 },
      { name: "p90_response_latency", unit, value: "6m" },
      { name: "p50_response_latency", unit, value: null },
      { name: "success_count", value: success },
      { name: "failure_count", value: failure },
    ],
  };
}

/** A row of an edge. */
function edge(name, direction, peer, { side = "server", rps = 1, namespace = "shop" } = {}) {
  return {
    ...rowOf(object()),
    name,
    id: `${namespace}/Deployment/${name}`,
    direction,
    side,
    rps,
    peer: { kind: "Deployment", namespace, name: peer },
    peerId: `${namespace}/Deployment/${peer}`,
  };
}

test("quantities are read as Kubernetes writes them", () => {
  const known = {
    0: 0,
    1: 1,
    "10m": 0.01,
    "1500u": 0.0015,
    "7n": 7e-9,
    "1k": 1000,
    "2M": 2e6,
    1.5: 1.5,
    "-3m": -0.003,
    "1e3": 1000,
    "12E2": 1200,
    "1Ki": 1024,
    "3E": 3e18,
    ".5": 0.5,
    "5.": 5,
  };
  for (const [text, value] of Object.entries(known)) assert.equal(quantity(text), value, text);
  for (const text of ["", "m", "1 m", "0x10", "1mm", "NaN", "Infinity", "1,5", "١"])
    assert.throws(() => quantity(text), SyntaxError, text);
});

test("durations are read as Go writes them", () => {
  assert.deepEqual(["30s", "1m30s", "1h0m0s", "500ms", "1.5s"].map(seconds), [30, 90, 3600, 0.5, 1.5]);
  for (const text of ["", "5", "s", "1m x"]) assert.ok(Number.isNaN(seconds(text)), text);
});

test("a row has rates per second, shares and seconds", () => {
  const row = rowOf(object());
  assert.deepEqual(
    [row.rps, row.success, row.p99, row.p50, row.id, row.source],
    [2, 0.9, 0.012, null, "shop/Deployment/web", "mesh"],
  );
});

test("latencies in milliseconds of older servers are seconds, too", () => {
  assert.equal(rowOf(object({ unit: "ms", p99: "12" })).p99, 0.012);
});

test("only names of other clusters end with their cluster", () => {
  const of = (name) => {
    const document = object();
    document.metadata = { ...document.metadata, name, annotations: { "metrics.smi-spec.io/cluster": "west" } };
    return rowOf(document);
  };
  assert.deepEqual(
    [of("web").away, of("web@west").away, of("web@west").name, of("web").id],
    ["", "west", "web", "shop/Deployment/web@west"],
  );
});

test("unknown stays unknown, and zero zero", () => {
  assert.deepEqual([rowOf(object({ success: null })).rps, rowOf(object({ success: null })).success], [null, null]);
  const idle = rowOf(object({ success: "0", failure: "0" }));
  assert.deepEqual([idle.rps, idle.success], [0, null]);
  assert.equal(rowOf(object({ success: "0" })).success, 0);
});

test("what is no TrafficMetrics object is no row", () => {
  for (const document of [null, {}, { metadata: {}, resource: {} }, object({ success: "many" })])
    assert.throws(() => rowOf(document));
});

test("the condition of a row", () => {
  const at = (success, rps = 1) => condition({ rps, success });
  assert.deepEqual(
    [at(1), at(0.9995), at(0.999), at(0.95), at(0.9), at(0), at(null, 0), at(null, null)],
    ["healthy", "healthy", "degraded", "degraded", "failing", "failing", "idle", "unknown"],
  );
  assert.deepEqual(
    [
      ...tally([
        { rps: 0, success: null },
        { rps: null, success: null },
      ]),
    ].map(([, count]) => count),
    [0, 0, 0, 1, 1],
  );
});

test("shares never read as more or less than they are", () => {
  assert.deepEqual([1, 0.9999999, 0.9995, 0.5, 0.0000001, 0, null].map(percent), [
    "100.00%",
    "99.99%",
    "99.95%",
    "50.00%",
    "0.01%",
    "0.00%",
    "–",
  ]);
});

test("rates and latencies", () => {
  assert.deepEqual([null, 0, 0.01, 0.05, 12.34, 999.94, 1240, 1234567].map(rate), [
    "–",
    "0.0",
    "<0.1",
    "0.1",
    "12.3",
    "999.9",
    "1,240",
    "1,234,567",
  ]);
  assert.deepEqual([null, 0, 0.0004, 0.012, 0.9994, 1.24, 250].map(latency), [
    "–",
    "0.0 ms",
    "0.4 ms",
    "12 ms",
    "999 ms",
    "1.2 s",
    "250 s",
  ]);
  assert.deepEqual([grouped(1000), counted(1, "call"), counted(1000, "call")], ["1,000", "1 call", "1,000 calls"]);
  assert.deepEqual([1, 12, 200, 7200].map(ago), ["just now", "12 s ago", "3 min ago", "2 h ago"]);
});

test("a link stands once in the graph, as its server saw it", () => {
  const rows = [
    edge("web", "to", "api", { side: "client", rps: 7 }),
    edge("api", "from", "web", { side: "server", rps: 5 }),
    edge("api", "to", "web", { rps: 1 }),
  ];
  for (const order of [rows, rows.toReversed?.() ?? [...rows].reverse()]) {
    const { nodes, links } = graphOf([], order);
    assert.deepEqual(
      nodes.map(({ name }) => name),
      ["api", "web"],
    );
    assert.deepEqual(
      links.map(({ id, row }) => [id, row.rps]),
      [
        ["shop/Deployment/api>shop/Deployment/web", 1],
        ["shop/Deployment/web>shop/Deployment/api", 5],
      ],
    );
  }
});

test("a row without counts is believed least", () => {
  const { links } = graphOf([], [edge("api", "from", "web", { rps: null }), edge("web", "to", "api", { side: "client", rps: 7 })]);
  assert.equal(links[0].row.rps, 7);
});

test("who has no row of its own is outside, and who has neither traffic nor links can be left out", () => {
  const total = { ...rowOf(object()), peer: null };
  const idle = { ...total, name: "idle", id: "shop/Deployment/idle", rps: 0 };
  const graph = graphOf([total, idle], [edge("web", "to", "api")]);
  assert.deepEqual(
    graph.nodes.map(({ name, outside }) => [name, outside]),
    [
      ["api", true],
      ["idle", false],
      ["web", false],
    ],
  );
  assert.deepEqual(
    busyPart(graph).nodes.map(({ name }) => name),
    ["api", "web"],
  );
});

test("around one resource, a peer that calls and is called stands on both sides", () => {
  const own = { ...rowOf(object()), peer: null };
  const { nodes, links } = neighbourhood(
    own,
    [edge("web", "to", "api"), edge("web", "from", "api"), edge("web", "to", "cart", { rps: 9 })],
    1,
  );
  assert.deepEqual(
    nodes.map(({ id }) => id),
    ["shop/Deployment/web", "from:shop/Deployment/api", "to:shop/Deployment/cart"],
  );
  assert.deepEqual(
    links.map(({ client, server }) => [client, server]),
    [
      ["from:shop/Deployment/api", own.id],
      [own.id, "to:shop/Deployment/cart"],
    ],
  );
});

test("rows are sorted by value, those that are not known last either way", () => {
  const columns = [{ key: "rps", numeric: true, value: (row) => row }];
  assert.deepEqual(sorted([2, null, 10, 1], columns, "rps"), [1, 2, 10, null]);
  assert.deepEqual(sorted([2, null, 10, 1], columns, "-rps"), [10, 2, 1, null]);
  assert.deepEqual(sorted([2, null, 10, 1], columns, "nobody"), [2, null, 10, 1]);
});

test("a click sorts one way, another the other way, and a third not at all", () => {
  const [number, text] = [{ key: "rps", numeric: true }, { key: "name" }];
  assert.deepEqual(
    ["", "-rps", "rps", "name"].map((sort) => next(number, sort)),
    ["-rps", "rps", "", "-rps"],
  );
  assert.deepEqual(
    ["", "name", "-name"].map((sort) => next(text, sort)),
    ["name", "-name", ""],
  );
});

test("a trail has gaps where nothing was known, and runs along the middle where nothing changes", () => {
  assert.equal(drawn([1, null, 2, 3]).d.match(/M/g).length, 2);
  assert.deepEqual(drawn([5, 5]).last.y, 11);
  assert.equal(drawn([1, null]).last, null);
  assert.deepEqual(drawn([]), { d: "", last: null });
});
