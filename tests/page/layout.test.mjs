/** Where nodes stand and how links run. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { crossings, untangle } from "../../kubectl_traffic/dashboard/static/crossings.js";
import { heights } from "../../kubectl_traffic/dashboard/static/heights.js";
import { layers, parts } from "../../kubectl_traffic/dashboard/static/layers.js";
import { SIZE, layout } from "../../kubectl_traffic/dashboard/static/layout.js";
import { neighbour } from "../../kubectl_traffic/dashboard/static/walking.js";

/** Links between `count` nodes, the same ones for the same seed. */
function tangle(count, many, seed) {
  let state = seed;
  const random = (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
  const found = new Set();
  while (found.size < many) found.add(`${random(count)}>${random(count)}`);
  return [...found].map((pair) => pair.split(">"));
}

function overlapping({ nodes }) {
  return nodes.flatMap((one, index) =>
    nodes
      .slice(index + 1)
      .filter((other) => Math.abs(one.x - other.x) < SIZE.width && Math.abs(one.y - other.y) < SIZE.height - 0.001),
  );
}

test("calls run from left to right", () => {
  const { nodes } = layout(
    ["a", "b", "c", "d"],
    [
      ["a", "b"],
      ["b", "c"],
      ["a", "c"],
      ["c", "d"],
    ],
  );
  const x = nodes.map((node) => node.x);
  assert.deepEqual(
    x,
    [...x].sort((one, other) => one - other),
  );
  assert.equal(new Set(x).size, 4);
});

test("in a cycle only one link runs back", () => {
  const { turned } = layers(4, [
    [0, 1],
    [1, 2],
    [2, 3],
    [3, 0],
  ]);
  assert.equal(turned.filter(Boolean).length, 1);
});

test("two that call each other stand in layers of their own", () => {
  const { nodes, routes } = layout(
    ["a", "b"],
    [
      ["a", "b"],
      ["b", "a"],
    ],
  );
  assert.notEqual(nodes[0].x, nodes[1].x);
  assert.ok(routes[0][0].x < routes[0].at(-1).x);
  assert.ok(routes[1][0].x > routes[1].at(-1).x);
});

test("a link to oneself has no route, and moves nobody", () => {
  const { nodes, routes } = layout(
    ["a", "b"],
    [
      ["a", "a"],
      ["a", "b"],
    ],
  );
  assert.equal(routes[0], null);
  assert.ok(nodes[0].x < nodes[1].x);
});

test("nobody stands on anybody, whatever the graph", () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const count = 3 + seed;
    const ids = Array.from({ length: count }, (_, index) => String(index));
    assert.deepEqual(overlapping(layout(ids, tangle(count, seed * 2, seed))), [], `seed ${seed}`);
  }
});

test("all is inside of the drawing, from its top left corner on", () => {
  const ids = Array.from({ length: 30 }, (_, index) => String(index));
  const { nodes, width, height } = layout(ids, tangle(30, 40, 3));
  for (const { x, y } of nodes) {
    assert.ok(x - SIZE.width / 2 >= -0.001 && x + SIZE.width / 2 <= width + 0.001);
    assert.ok(y - SIZE.height / 2 >= -0.001 && y + SIZE.height / 2 <= height + 0.001);
  }
});

test("routes begin and end at the sides of their nodes", () => {
  const { nodes, routes } = layout(
    ["a", "b", "c"],
    [
      ["a", "b"],
      ["b", "c"],
      ["a", "c"],
    ],
  );
  assert.equal(routes[2][0].x, nodes[0].x + SIZE.width / 2);
  assert.equal(routes[2].at(-1).x, nodes[2].x - SIZE.width / 2);
  assert.ok(Math.abs(routes[2][0].y - nodes[0].y) < SIZE.height / 2);
});

test("the same graph always looks the same", () => {
  const ids = Array.from({ length: 60 }, (_, index) => String(index));
  const links = tangle(60, 150, 9);
  assert.deepEqual(layout(ids, links), layout(ids, links));
});

test("sweeps leave fewer crossings than there were, and find none where none need be", () => {
  const rows = [
    [0, 1, 2],
    [3, 4, 5],
  ];
  const links = [
    [0, 5],
    [1, 4],
    [2, 3],
  ];
  assert.equal(crossings(rows, links), 3);
  assert.equal(crossings(untangle(rows, links), links), 0);
});

test("crossings are counted as a comparison of all pairs counts them", () => {
  for (let seed = 1; seed < 20; seed += 1) {
    const links = tangle(9, 20, seed).map(([from, to]) => [Number(from), 9 + Number(to)]);
    const rows = [[...Array(9).keys()], [...Array(9).keys()].map((node) => node + 9)];
    let slow = 0;
    for (const [a, b] of links) for (const [c, d] of links) if (a < c && b > d) slow += 1;
    assert.equal(crossings(rows, links), slow, `seed ${seed}`);
  }
});

test("a chain is a straight line", () => {
  const middle = heights(
    [[0], [1], [2]],
    [
      [0, 1],
      [1, 2],
    ],
    [80, 80, 80],
    () => 1,
  );
  assert.ok(middle.every((height) => Math.abs(height - middle[0]) < 0.01));
});

test("parts that nothing connects are found, the largest first", () => {
  assert.deepEqual(
    parts(6, [
      [0, 5],
      [2, 3],
      [3, 4],
    ]),
    [[2, 3, 4], [0, 5], [1]],
  );
});

test("a graph of nothing is nothing", () => {
  assert.deepEqual(layout([], []), { nodes: [], routes: [], width: 0, height: 0 });
});

test("200 nodes in 1 000 links are all placed", () => {
  const ids = Array.from({ length: 200 }, (_, index) => String(index));
  const drawn = layout(ids, tangle(200, 1000, 5));
  assert.equal(drawn.nodes.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)).length, 200);
});

test("arrow keys walk along calls, and beside them", () => {
  const places = new Map([
    ["web", { x: 0, y: 50 }],
    ["api", { x: 200, y: 0 }],
    ["cart", { x: 200, y: 100 }],
    ["alone", { x: 400, y: 60 }],
  ]);
  const links = [
    { client: "web", server: "cart" },
    { client: "cart", server: "web" },
    { client: "web", server: "api" },
  ];
  assert.equal(neighbour("ArrowRight", "web", places, links), "api");
  assert.equal(neighbour("ArrowDown", "api", places, links), "cart");
  assert.equal(neighbour("ArrowUp", "api", places, links), null);
  assert.equal(neighbour("ArrowLeft", "cart", places, links), "web");
  assert.equal(neighbour("ArrowRight", "cart", places, links), "web", "who calls back is to be reached, too");
  assert.equal(neighbour("ArrowLeft", "alone", places, links), "cart", "where no call leads, whoever stands there");
  assert.equal(neighbour("End", "web", places, links), "alone");
  assert.equal(neighbour("a", "web", places, links), null);
});
