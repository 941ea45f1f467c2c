/**
 * The graph of who talks to whom, out of rows of edges, in which most edges stand twice: as the caller's and as the callee's.
 */

/**
 * Nodes and links, each once and sorted by id; the ends of every link are among the nodes. A node has the `total` it received
 * where a row tells it, and is `outside` where none does: a peer in another namespace, or beyond the mesh.
 *
 * Of two rows about the same requests the one that was observed at the server is taken; requests are never added.
 */
export function graphOf(totals, edges) {
  const nodes = new Map();
  const links = new Map();
  for (const row of totals) nodes.set(row.id, node(row.id, row, row, row));
  for (const row of edges) {
    if (!nodes.has(row.id)) nodes.set(row.id, node(row.id, row, row, null));
    if (!row.peer) continue;
    if (!nodes.has(row.peerId)) nodes.set(row.peerId, node(row.peerId, row.peer, row, null));
    const [client, server] = row.direction === "to" ? [row.id, row.peerId] : [row.peerId, row.id];
    const id = `${client}>${server}`;
    const before = links.get(id);
    if (!before || trust(row) < trust(before.row)) links.set(id, { id, client, server, row });
  }
  return { nodes: sorted(nodes), links: sorted(links) };
}

/** The graph without nodes that neither received anything nor are the end of any link. */
export function busyPart({ nodes, links }) {
  const ends = new Set(links.flatMap(({ client, server }) => [client, server]));
  return { nodes: nodes.filter(({ id, total }) => ends.has(id) || total?.rps), links };
}

/**
 * The graph of one resource: who calls it stands on the left, whom it calls on the right, also where that is the same peer, so
 * that a node has an id for each role. Of each side the `most` busiest are shown.
 */
export function neighbourhood(own, edges, most) {
  const busiest = (direction) =>
    edges
      .filter((row) => row.peer && row.direction === direction)
      .sort((one, other) => (other.rps ?? -1) - (one.rps ?? -1) || (one.peerId < other.peerId ? -1 : 1))
      .slice(0, most);
  const nodes = [node(own.id, own, own, own)];
  const links = [];
  for (const direction of ["from", "to"]) {
    for (const row of busiest(direction)) {
      const id = `${direction}:${row.peerId}`;
      // What stands on the card of a peer is what was exchanged with it, not all that it received.
      nodes.push({ ...node(id, row.peer, row, row), peer: true });
      const [client, server] = direction === "to" ? [own.id, id] : [id, own.id];
      links.push({ id: `${client}>${server}`, client, server, row });
    }
  }
  return { nodes, links };
}

function node(id, { kind, namespace, name }, { cluster, away }, total) {
  return { id, kind, namespace, name, cluster, away, total, outside: !total };
}

/** The order in which rows are believed, the best first: those with counts, then those of servers, then those of callees. */
function trust(row) {
  return (row.rps === null ? 4 : 0) + (row.side === "server" ? 0 : 2) + (row.direction === "from" ? 0 : 1);
}

function sorted(map) {
  return [...map.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
}
