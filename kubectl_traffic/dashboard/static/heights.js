/**
 * The height at which each node stands: as near to the middle of its neighbours as the order within its layer and the room each
 * needs allow. Each layer is solved exactly, as a regression of least squares under an order (pool adjacent violators), and layers
 * take turns.
 */

const ROUNDS = 12;

/**
 * `rows` are the ordered nodes of each layer, `links` pairs of nodes in neighbouring layers, `room` the height of each node with
 * the space around it, `stiff` how much a link between two nodes pulls. Returns the middle of each node; the topmost edge is at 0.
 */
export function heights(rows, links, room, stiff) {
  const middle = new Float64Array(room.length);
  const before = Array.from({ length: room.length }, () => []);
  const after = Array.from({ length: room.length }, () => []);
  for (const [from, to] of links) {
    const pull = stiff(from, to);
    after[from].push([to, pull]);
    before[to].push([from, pull]);
  }
  for (const row of rows) {
    let top = 0;
    for (const node of row) {
      middle[node] = top + room[node] / 2;
      top += room[node];
    }
    // Layers begin centred on one line, so that the graph has no slope by accident.
    for (const node of row) middle[node] -= top / 2;
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    const down = round % 2 === 0;
    // At last both sides count, so that nobody hangs on the callers alone.
    const near = (node) => (round >= ROUNDS - 4 ? [...before[node], ...after[node]] : down ? before[node] : after[node]);
    for (let step = 0; step < rows.length; step += 1) settle(rows[down ? step : rows.length - 1 - step], near, middle, room);
  }
  let top = Infinity;
  for (const row of rows) for (const node of row) top = Math.min(top, middle[node] - room[node] / 2);
  return middle.map((height) => height - top);
}

/** Moves the nodes of one row to the best heights in their order. */
function settle(row, near, middle, room) {
  const blocks = [];
  let offset = 0;
  row.forEach((node, index) => {
    if (index) offset += (room[row[index - 1]] + room[node]) / 2;
    let sum = 0;
    let weight = 0;
    for (const [other, pull] of near(node)) {
      sum += middle[other] * pull;
      weight += pull;
    }
    // Who has no neighbours there stays, and gives way.
    if (!weight) [sum, weight] = [middle[node] * 0.01, 0.01];
    let block = { sum: sum - offset * weight, weight, size: 1 };
    while (blocks.length && blocks.at(-1).sum / blocks.at(-1).weight >= block.sum / block.weight) {
      const above = blocks.pop();
      block = { sum: above.sum + block.sum, weight: above.weight + block.weight, size: above.size + block.size };
    }
    blocks.push(block);
  });
  offset = 0;
  let index = 0;
  for (const { sum, weight, size } of blocks) {
    for (let count = 0; count < size; count += 1, index += 1) {
      if (index) offset += (room[row[index - 1]] + room[row[index]]) / 2;
      middle[row[index]] = sum / weight + offset;
    }
  }
}
