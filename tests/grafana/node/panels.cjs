// A panel, from its JSON to what it shows: its queries asked, its transformations and field options applied by Grafana's own code.
const { frame: infinityFrame } = require('./infinity.cjs');
const { drawn } = require('./graph.cjs');
const { PrometheusBackend, serve } = require('./prometheus.cjs');
const { Templates } = require('./templates.cjs');

/** The options that every panel has, with the code of Grafana that applies each; what draws alone is left out. */
function fieldOptions({ data }) {
  const option = (id, path, process) => ({ id, path, name: id, process, override: null, editor: null, shouldApply: () => true });
  return new data.FieldConfigOptionsRegistry(() => [
    option('displayName', 'displayName', data.displayNameOverrideProcessor),
    option('unit', 'unit', data.unitOverrideProcessor),
    option('decimals', 'decimals', data.numberOverrideProcessor),
    option('min', 'min', data.numberOverrideProcessor),
    option('max', 'max', data.numberOverrideProcessor),
    option('noValue', 'noValue', data.stringOverrideProcessor),
    option('links', 'links', data.dataLinksOverrideProcessor),
    option('mappings', 'mappings', data.valueMappingsOverrideProcessor),
    option('thresholds', 'thresholds', data.thresholdsOverrideProcessor),
    option('color', 'color', (value) => value),
  ]);
}

/** What a dashboard is run with: `sources` are its data sources by uid, `range` is in milliseconds. */
class Dashboard {
  constructor(grafana, { sources, variables, range }) {
    this.grafana = grafana;
    this.sources = sources;
    this.range = range;
    this.templates = new Templates(grafana, variables, { from: String(range.from), to: String(range.to) });
  }

  /** The data source a panel or a query names, by its uid or by a variable. */
  source({ uid }) {
    const named = this.templates.replace(uid);
    if (this.sources[named] === undefined) {
      throw new Error(`there is no data source ${named}, only ${Object.keys(this.sources).join(', ')}`);
    }
    return { uid: named, ...this.sources[named] };
  }

  timeRange() {
    const { dateTime } = this.grafana.data;
    const [from, to] = [dateTime(this.range.from), dateTime(this.range.to)];
    return { from, to, raw: { from, to } };
  }

  /** Grafana's Prometheus data source, and what answers it. */
  prometheus(source) {
    const backend = new PrometheusBackend(source);
    serve(this.grafana, backend, this.templates);
    const { uid, jsonData } = source;
    const settings = { uid, id: 1, name: uid, type: 'prometheus', access: 'proxy', url: `/api/datasources/proxy/uid/${uid}`, jsonData };
    return { backend, datasource: new this.grafana.PrometheusDatasource(settings, this.templates) };
  }

  async query(source, targets) {
    if (source.type === 'prometheus') {
      const { datasource } = this.prometheus(source);
      const asked = { requestId: 'Q1', app: 'dashboard', startTime: 0, maxDataPoints: 200, intervalMs: 15000, scopedVars: {} };
      const request = { ...asked, targets, range: this.timeRange() };
      const { data, error, errors } = await this.grafana.lastValueFrom(datasource.query(request));
      if (error || errors?.length) {
        throw new Error((error ?? errors[0]).message ?? 'the query failed');
      }
      return data;
    }
    const frames = await Promise.all(targets.map((target) => infinityFrame(source, target, this.templates)));
    return frames.map((frame) => this.grafana.data.toDataFrame(frame));
  }

  /** What the panel shows, by its type: see the functions below. */
  async panel(panel) {
    const { data, lastValueFrom } = this.grafana;
    const frames = await this.query(this.source(panel.datasource), panel.targets);
    const interpolate = (text) => this.templates.replace(text);
    const transformed = await lastValueFrom(data.transformDataFrame(panel.transformations ?? [], frames, { interpolate }));
    const theme = data.createTheme();
    const fieldConfig = panel.fieldConfig ?? { defaults: {}, overrides: [] };
    const replaceVariables = (text, scopedVars, format) => this.templates.replace(text, scopedVars, format);
    const fieldConfigRegistry = fieldOptions(this.grafana);
    const options = { fieldConfig, replaceVariables, theme, timeZone: 'utc', fieldConfigRegistry };
    const series = data.applyFieldOverrides({ ...options, data: transformed });
    return SHOWN[panel.type](this.grafana.data, series, { panel, fieldConfig, replaceVariables, theme });
  }
}

const text = (data, display) => data.formattedValueToString(display);

const SHOWN = {
  /** One text per value, with its title and colour. */
  stat(data, series, { panel, fieldConfig, replaceVariables, theme }) {
    const { reduceOptions } = panel.options;
    const values = data.getFieldDisplayValues({ data: series, fieldConfig, reduceOptions, replaceVariables, theme, timeZone: 'utc' });
    return values.map(({ display }) => ({ title: display.title, text: text(data, display), color: display.color }));
  },

  /** The texts of every row by the names of columns, in the order of columns, and links by column. */
  table(data, series) {
    if (series.length > 1) {
      throw new Error(`a table shows one frame at a time, and there are ${series.length}`);
    }
    const { fields, length } = series[0] ?? { fields: [], length: 0 };
    const rows = [];
    for (let row = 0; row < length; row++) {
      const cells = fields.map((field) => [data.getFieldDisplayName(field, series[0]), text(data, field.display(field.values[row]))]);
      const linked = fields.filter((field) => field.config.links?.length);
      const links = linked.map((field) => [
        data.getFieldDisplayName(field, series[0]),
        field.getLinks({ valueRowIndex: row }).map(({ href }) => href),
      ]);
      rows.push({ cells: Object.fromEntries(cells), links: Object.fromEntries(links) });
    }
    return { columns: fields.map((field) => data.getFieldDisplayName(field, series[0])), rows };
  },

  /** The texts of every series at its last instant, by its name in the legend. */
  timeseries(data, series) {
    return series.flatMap((frame) =>
      frame.fields
        .filter(({ type }) => type === 'number')
        .map((field) => ({
          name: data.getFieldDisplayName(field, frame, series),
          points: field.values.length,
          last: text(data, field.display(field.values[field.values.length - 1])),
        }))
    );
  },

  nodeGraph(data, series, { panel }) {
    for (const { fields } of series) {
      const units = fields.some(({ name }) => name === 'source') ? panel.options.edges : panel.options.nodes;
      for (const field of fields) {
        const unit = { mainstat: units?.mainStatUnit, secondarystat: units?.secondaryStatUnit }[field.name.toLowerCase()];
        field.config = unit ? { ...field.config, unit } : field.config;
      }
    }
    return drawn(data, series);
  },
};

module.exports = { Dashboard };
