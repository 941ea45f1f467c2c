/**
 * The first half of the layout: which links point backwards, and which layer each node is in, so that calls run from left to right.
 *
 * Nodes are numbers from 0, links are pairs [from, to] of them, each once and none to itself.
 */

/**
 * An order of the nodes in which few links point backwards: those that nobody calls first, those that call nobody last, and of the
 * rest always the one that calls most and is called least (the greedy heuristic of Eades, Lin and Smyth, 1993).
 */
export function forwardOrder(count, links) {
  const out = Array.from({ length: count }, () => []);
  const into = Array.from({ length: count }, () => []);
  for (const [from, to] of links) {
    out[from].push(to);
    into[to].push(from);
  }
  const calls = out.map((list) => list.length);
  const called = into.map((list) => list.length);
  const left = new Set(Array.from({ length: count }, (_, node) => node));
  const first = [];
  const last = [];
  const take = (node, list) => {
    left.delete(node);
    list.push(node);
    for (const to of out[node]) called[to] -= 1;
    for (const from of into[node]) calls[from] -= 1;
  };
  while (left.size) {
    let moved = false;
    for (const node of left) {
      if (!calls[node] && called[node]) take(node, last);
      else if (!called[node]) take(node, first);
      else continue;
      moved = true;
    }
    if (moved) continue;
    let best = -1;
    for (const node of left) if (best < 0 || calls[node] - called[node] > calls[best] - called[best]) best = node;
    take(best, first);
  }
  return [...first, ...last.reverse()];
}

/**
 * The layer of each node, 0 on the left, and the links with those turned round that point backwards: `turned` tells which.
 * A node is right of all its callers, and callers that few call stand close to their callees.
 */
export function layers(count, links) {
  const order = forwardOrder(count, links);
  const position = new Array(count);
  order.forEach((node, index) => (position[node] = index));
  const turned = links.map(([from, to]) => position[from] > position[to]);
  const forward = links.map(([from, to], index) => (turned[index] ? [to, from] : [from, to]));
  const out = Array.from({ length: count }, () => []);
  const into = Array.from({ length: count }, () => []);
  for (const [from, to] of forward) {
    out[from].push(to);
    into[to].push(from);
  }
  const layer = new Array(count).fill(0);
  for (const node of order) for (const to of out[node]) layer[to] = Math.max(layer[to], layer[node] + 1);
  for (const node of [...order].reverse()) {
    if (out[node].length > into[node].length) layer[node] = Math.min(...out[node].map((to) => layer[to])) - 1;
  }
  return { layer, forward, turned };
}

/** The parts of a graph that no link connects, the largest first, each a list of nodes in order. */
export function parts(count, links) {
  const root = Array.from({ length: count }, (_, node) => node);
  const find = (node) => {
    while (root[node] !== node) node = root[node] = root[root[node]];
    return node;
  };
  for (const [from, to] of links) {
    const [one, other] = [find(from), find(to)];
    root[Math.max(one, other)] = Math.min(one, other);
  }
  const found = new Map();
  for (let node = 0; node < count; node += 1) {
    const top = find(node);
    if (!found.has(top)) found.set(top, []);
    found.get(top).push(node);
  }
  return [...found.values()].sort((one, other) => other.length - one.length || one[0] - other[0]);
}
