/**
 * Walking through a graph with the arrow keys: along calls to the left and to the right, and up and down among those that stand
 * side by side.
 */

/**
 * The node that a key leads to from another one, or null. `places` are the middles of nodes by id, `links` have a `client` and a
 * `server`. Right is a callee, left a caller; where there is none, whoever stands there.
 */
export function neighbour(key, id, places, links) {
  const here = places.get(id);
  if (!here) return null;
  if (key === "ArrowUp" || key === "ArrowDown") {
    const sign = key === "ArrowUp" ? -1 : 1;
    const beside = [...places].filter(([, { x, y }]) => Math.abs(x - here.x) < 1 && (y - here.y) * sign > 0);
    return (
      nearest(beside, here) ??
      nearest(
        [...places].filter(([, { y }]) => (y - here.y) * sign > 1),
        here,
      )
    );
  }
  if (key === "ArrowRight" || key === "ArrowLeft") {
    const right = key === "ArrowRight";
    const ends = new Set(
      links.filter((link) => (right ? link.client : link.server) === id).map((link) => (right ? link.server : link.client)),
    );
    ends.delete(id);
    const linked = [...places].filter(([other]) => ends.has(other));
    const ahead = (list) => list.filter(([, { x }]) => (right ? x > here.x : x < here.x));
    return nearest(ahead(linked), here) ?? nearest(linked, here) ?? nearest(ahead([...places]), here);
  }
  if (key === "Home" || key === "End") {
    const order = [...places].sort(([, one], [, other]) => one.x - other.x || one.y - other.y);
    return order.at(key === "Home" ? 0 : -1)[0];
  }
  return null;
}

function nearest(candidates, here) {
  let [best, least] = [null, Infinity];
  for (const [id, { x, y }] of candidates) {
    const distance = Math.hypot(x - here.x, y - here.y);
    if (distance < least) [best, least] = [id, distance];
  }
  return best;
}
