// What Grafana's node graph panel takes frames for, with the names that its own package exports.
//
// Source: grafana/grafana, public/app/plugins/panel/nodeGraph/utils.ts (getNodeGraphDataFrames, getGraphFrame, processNodes).

/** Nodes and edges as the panel would draw them; raises where the panel throws. */
function drawn({ NodeGraphDataFrameFieldNames: NAMES }, frames) {
  const found = frames.filter(
    ({ meta, name, refId, fields }) =>
      meta?.preferredVisualisationType === 'nodeGraph' ||
      ['nodes', 'edges'].includes(name) ||
      ['nodes', 'edges'].includes(refId) ||
      fields.some((field) => field.name === NAMES.id)
  );
  const isEdges = ({ name, fields }) => name === 'edges' || fields.some((field) => field.name === NAMES.source);
  const [edges] = found.filter(isEdges);
  const [nodes] = found.filter((frame) => !isEdges(frame));
  if (nodes === undefined) {
    throw new Error('there is no frame of nodes');
  }
  const node = reading(nodes);
  const drawnNodes = rows(nodes).map((row) => ({
    ...node(row, NAMES, ['id', 'title', 'subTitle', 'mainStat', 'secondaryStat', 'color', 'nodeRadius']),
    arcs: prefixed(nodes, NAMES.arc, row),
    details: prefixed(nodes, NAMES.detail, row),
  }));
  if (drawnNodes.some(({ id }) => id === undefined)) {
    throw new Error('id field is required for nodes data frame.');
  }
  if (edges === undefined) {
    return { nodes: drawnNodes, edges: [] };
  }
  const edge = reading(edges);
  const drawnEdges = rows(edges).map((row) => ({
    ...edge(row, NAMES, ['id', 'source', 'target', 'mainStat', 'secondaryStat', 'thickness', 'color']),
    details: prefixed(edges, NAMES.detail, row),
  }));
  const ids = new Set(drawnNodes.map(({ id }) => id));
  for (const { id, source, target } of drawnEdges) {
    if (id === undefined || !ids.has(source) || !ids.has(target)) {
      throw new Error(`the edge ${id} from ${source} to ${target} has an end that is no node`);
    }
  }
  return { nodes: drawnNodes, edges: drawnEdges };
}

const rows = (frame) => Array.from({ length: frame.fields[0]?.values.length ?? 0 }, (_, row) => row);

/** Names of fields are compared in lower case; numbers are shown with their unit behind them. */
function reading(frame) {
  const fields = Object.fromEntries(frame.fields.map((field) => [field.name.toLowerCase(), field]));
  return (row, names, wanted) =>
    Object.fromEntries(
      wanted.flatMap((key) => {
        const field = fields[names[key].toLowerCase()];
        return field === undefined ? [] : [[key, key.endsWith('Stat') ? stat(field, field.values[row]) : field.values[row]]];
      })
    );
}

function stat({ config }, value) {
  if (typeof value === 'string') {
    return value;
  }
  return Number.isFinite(value) ? value.toFixed(config.decimals || 2) + (config.unit ? ` ${config.unit}` : '') : '';
}

/** Unlike other names, prefixes are compared as they are written. */
function prefixed(frame, prefix, row) {
  const fields = frame.fields.filter(({ name }) => name.startsWith(prefix));
  return Object.fromEntries(fields.map(({ name, values }) => [name.slice(prefix.length), values[row]]));
}

module.exports = { drawn };
