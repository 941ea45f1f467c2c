// Grafana's own code, asked over standard input: `node rig.cjs BUNDLE`. One JSON line in, `{"op", ...}`; one out, `{"result"}` or
// `{"error"}`.
require('./browser.cjs');
const readline = require('node:readline');
const { drawn } = require('./graph.cjs');
const { Dashboard } = require('./panels.cjs');
const grafana = require(process.argv[2]);

// Standard output is for answers alone: what Grafana's code logs goes to standard error.
console.log = console.info = console.debug = console.error;

const { standardTransformersRegistry, standardTransformers, toDataFrame } = grafana.data;
// Some are listed under two names.
const transformations = new Map(Object.values(standardTransformers).map((each) => [each.id, each]));
standardTransformersRegistry.setInit(() =>
  [...transformations].map(([id, each]) => ({ id, name: each.name, transformation: each, editor: null }))
);

const plain = ({ name, refId, meta, length, fields }) => ({
  name,
  refId,
  meta,
  length,
  fields: fields.map(({ name, type, config, labels, values }) => ({ name, type, config, labels, values: [...values] })),
});

const OPERATIONS = {
  /** Each of the responses as the frame that Grafana makes of it. */
  frames: async ({ responses }) => responses.map((response) => plain(toDataFrame(response))),

  /** What the node graph panel draws of responses. */
  graph: async ({ responses }) => drawn(grafana.data, responses.map(toDataFrame)),

  /** What a panel shows. */
  panel: async ({ panel, ...dashboard }) => new Dashboard(grafana, dashboard).panel(panel),

  /** What a query of a variable finds, and the requests it took. */
  variable: async ({ query, source, ...dashboard }) => {
    const opened = new Dashboard(grafana, dashboard);
    const { datasource, backend } = opened.prometheus(opened.source({ uid: source }));
    const found = await datasource.metricFindQuery(query, { range: opened.timeRange() });
    return { found: found.map(({ text }) => text), requests: backend.requests };
  },

  /** What the query editor knows after it was opened: metrics, their types and help, labels; series and values by selector. */
  editor: async ({ source, selector, label, ...dashboard }) => {
    const opened = new Dashboard(grafana, dashboard);
    const { datasource, backend } = opened.prometheus(opened.source({ uid: source }));
    const provider = datasource.languageProvider;
    await datasource.init();
    await provider.start(opened.timeRange());
    return {
      metrics: provider.metrics,
      metadata: provider.metricsMetadata,
      labels: provider.getLabelKeys(),
      series: await provider.fetchSeries(selector),
      labelsOfSeries: Object.keys(await provider.fetchLabelsWithMatch(selector)),
      values: await provider.getSeriesValues(label, selector),
      tagKeys: await datasource.getTagKeys({ filters: [], timeRange: opened.timeRange() }),
      tagValues: await datasource.getTagValues({ key: label, filters: [], timeRange: opened.timeRange() }),
      requests: backend.requests,
    };
  },

  /** The frames of queries of the Prometheus data source, as they come to a panel; `targets` are as dashboards write them. */
  query: async ({ source, targets, ...dashboard }) => {
    const opened = new Dashboard(grafana, dashboard);
    return (await opened.query(opened.source({ uid: source }), targets)).map(plain);
  },
};

async function answer(line) {
  const { op, ...asked } = JSON.parse(line);
  try {
    return { result: await OPERATIONS[op](asked) };
  } catch (error) {
    return { error: error?.data?.error ?? error?.message ?? JSON.stringify(error) };
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
  }
})();
