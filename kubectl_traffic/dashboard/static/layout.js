/**
 * Where nodes stand and how links run: layers from left to right in the direction of calls, one graph always the same way.
 *
 * Parts that nothing connects stand below each other, and nodes without links side by side at the bottom.
 */

import { heights } from "./heights.js";
import { layers, parts } from "./layers.js";
import { untangle } from "./crossings.js";

/** The measures of a drawing, in its own units. */
export const SIZE = Object.freeze({ width: 200, height: 58, gap: 22, between: 96, lane: 10, part: 44 });

const STEP = SIZE.width + SIZE.between;
const PORTS = SIZE.height / 2 - 9;

/**
 * Lay out `ids`, in their order, and `links` [from, to] between them. Returns `nodes`, the middle {x, y} of each, `routes`, for
 * each link the points it runs through from its start to its end, and the `width` and `height` of it all. A link of a node to
 * itself has no route.
 */
export function layout(ids, links) {
  const index = new Map(ids.map((id, position) => [id, position]));
  const pairs = links.map(([from, to]) => [index.get(from), index.get(to)]);
  const proper = pairs.map((pair, link) => [pair, link]).filter(([[from, to]]) => from !== to);
  const nodes = new Array(ids.length);
  const routes = new Array(links.length).fill(null);
  const found = parts(
    ids.length,
    proper.map(([pair]) => pair),
  );
  const linked = found.filter((part) => part.length > 1);
  const alone = found.filter((part) => part.length === 1).flat();
  const owner = new Array(ids.length);
  linked.forEach((part, number) => part.forEach((node) => (owner[node] = number)));
  const shares = linked.map(() => []);
  for (const entry of proper) shares[owner[entry[0][0]]].push(entry);
  let top = 0;
  let width = 0;
  linked.forEach((part, number) => {
    const drawn = layoutPart(part, shares[number]);
    drawn.nodes.forEach((point, node) => (nodes[node] = { x: point.x, y: point.y + top }));
    drawn.routes.forEach((points, link) => (routes[link] = points.map(({ x, y }) => ({ x, y: y + top }))));
    top += drawn.height + SIZE.part;
    width = Math.max(width, drawn.width);
  });
  const columns = Math.max(Math.round((width + SIZE.gap) / (SIZE.width + SIZE.gap)), Math.ceil(Math.sqrt(alone.length)));
  alone.forEach((node, position) => {
    const [row, column] = [Math.floor(position / columns), position % columns];
    nodes[node] = {
      x: column * (SIZE.width + SIZE.gap) + SIZE.width / 2,
      y: top + row * (SIZE.height + SIZE.gap) + SIZE.height / 2,
    };
  });
  for (const { x, y } of nodes) {
    width = Math.max(width, x + SIZE.width / 2);
    top = Math.max(top, y + SIZE.height / 2);
  }
  return { nodes, routes, width, height: linked.length && !alone.length ? top - SIZE.part : top };
}

/** One connected part: `part` are its nodes, `entries` its links as [[from, to], number]. */
function layoutPart(part, entries) {
  const local = new Map(part.map((node, position) => [node, position]));
  const { layer, forward, turned } = layers(
    part.length,
    entries.map(([[from, to]]) => [local.get(from), local.get(to)]),
  );
  const least = Math.min(...layer);
  const level = layer.map((each) => each - least);
  // A link over several layers passes through a lane of its own in each between.
  const lanes = forward.map(([from, to]) => {
    const chain = [from];
    for (let between = level[from] + 1; between < level[to]; between += 1) chain.push(level.push(between) - 1);
    return [...chain, to];
  });
  const room = level.map((_, node) => (node < part.length ? SIZE.height + SIZE.gap : SIZE.lane));
  const steps = lanes.flatMap((chain) => chain.slice(1).map((node, position) => [chain[position], node]));
  const rows = untangle(byLevel(level), steps);
  const isLane = (node) => node >= part.length;
  const middle = heights(rows, steps, room, (from, to) => 1 + 3 * (isLane(from) + isLane(to)));
  const x = (node) => level[node] * STEP + SIZE.width / 2;
  const nodes = new Map(part.map((node, position) => [node, { x: x(position), y: middle[position] - SIZE.gap / 2 }]));
  const routes = new Map();
  const ports = portsOf(lanes, middle);
  lanes.forEach((chain, position) => {
    const points = chain.map((node) => ({ x: x(node), y: middle[node] - SIZE.gap / 2 }));
    points[0] = { x: points[0].x + SIZE.width / 2, y: points[0].y + ports.out[position] };
    const end = points.length - 1;
    points[end] = { x: points[end].x - SIZE.width / 2, y: points[end].y + ports.into[position] };
    routes.set(entries[position][1], turned[position] ? points.reverse() : points);
  });
  const bottom = Math.max(...level.map((_, node) => middle[node] + room[node] / 2));
  return { nodes, routes, width: (Math.max(...level) + 1) * STEP - SIZE.between, height: bottom - SIZE.gap };
}

function byLevel(level) {
  const rows = Array.from({ length: Math.max(...level) + 1 }, () => []);
  level.forEach((each, node) => rows[each].push(node));
  return rows;
}

/** How far from the middle of a node each of its links begins and ends, so that they do not lie on each other. */
function portsOf(lanes, middle) {
  const out = new Array(lanes.length).fill(0);
  const into = new Array(lanes.length).fill(0);
  const spread = (end, toward, offsets) => {
    const groups = new Map();
    lanes.forEach((chain, link) => {
      const node = chain.at(end);
      if (!groups.has(node)) groups.set(node, []);
      groups.get(node).push(link);
    });
    for (const group of groups.values()) {
      group.sort((one, other) => middle[lanes[one].at(toward)] - middle[lanes[other].at(toward)] || one - other);
      const step = Math.min(8, (2 * PORTS) / Math.max(1, group.length - 1));
      group.forEach((link, position) => (offsets[link] = (position - (group.length - 1) / 2) * step));
    }
  };
  spread(0, 1, out);
  spread(-1, -2, into);
  return { out, into };
}
