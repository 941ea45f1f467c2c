/**
 * The order of nodes within their layers in which few links cross: sweeps to and fro that put each node amid its neighbours in the
 * layer before, as long as that helps (Sugiyama, Tagawa and Toda, 1981). The number of sweeps is fixed, so that one graph always
 * looks the same.
 */

const SWEEPS = 24;
const PATIENCE = 6;

/**
 * `rows` are the nodes of each layer, `links` pairs of nodes in neighbouring layers. Returns the rows in their new order.
 */
export function untangle(rows, links) {
  const count = rows.reduce((sum, row) => sum + row.length, 0);
  const before = Array.from({ length: count }, () => []);
  const after = Array.from({ length: count }, () => []);
  for (const [from, to] of links) {
    after[from].push(to);
    before[to].push(from);
  }
  const place = new Array(count);
  let current = rows.map((row) => [...row]);
  const settle = (row) => row.forEach((node, index) => (place[node] = index));
  current.forEach(settle);
  let best = current.map((row) => [...row]);
  let fewest = total(best, after, place);
  for (let sweep = 0, idle = 0; sweep < SWEEPS && idle < PATIENCE && fewest > 0; sweep += 1) {
    const down = sweep % 2 === 0;
    const near = down ? before : after;
    for (let step = 1; step < current.length; step += 1) {
      const row = current[down ? step : current.length - 1 - step];
      const wish = new Map(row.map((node) => [node, middle(near[node], place, place[node])]));
      // Ties turn round in every other pair of sweeps: what is stuck one way may come free the other.
      const tie = sweep % 4 < 2 ? 1 : -1;
      row.sort((one, other) => wish.get(one) - wish.get(other) || tie * (place[one] - place[other]));
      settle(row);
    }
    const now = total(current, after, place);
    if (now < fewest) {
      fewest = now;
      best = current.map((row) => [...row]);
      idle = 0;
    } else idle += 1;
  }
  return best;
}

/** How many pairs of links cross, over all layers. */
export function crossings(rows, links) {
  const count = rows.reduce((sum, row) => sum + row.length, 0);
  const after = Array.from({ length: count }, () => []);
  for (const [from, to] of links) after[from].push(to);
  const place = new Array(count);
  for (const row of rows) row.forEach((node, index) => (place[node] = index));
  return total(rows, after, place);
}

function total(rows, after, place) {
  let sum = 0;
  for (let layer = 0; layer + 1 < rows.length; layer += 1) sum += between(rows[layer], rows[layer + 1].length, after, place);
  return sum;
}

/** Crossings between two layers: for each link, those counted before that end further down (a Fenwick tree keeps count). */
function between(row, width, after, place) {
  const tree = new Uint32Array(width + 1);
  let seen = 0;
  let sum = 0;
  for (const node of row) {
    const ends = after[node].map((to) => place[to]).sort((one, other) => one - other);
    for (const end of ends) {
      let above = 0;
      for (let index = end + 1; index > 0; index -= index & -index) above += tree[index];
      sum += seen - above;
    }
    for (const end of ends) {
      for (let index = end + 1; index <= width; index += index & -index) tree[index] += 1;
      seen += 1;
    }
  }
  return sum;
}

/** Where a node wants to be: amid its neighbours, or where it is when it has none. */
function middle(near, place, here) {
  if (!near.length) return here;
  let sum = 0;
  for (const node of near) sum += place[node];
  return sum / near.length;
}
