// Grafana's server, as far as its Prometheus data source needs it: it forwards what the front end asks, and makes frames of answers.
//
// Source: grafana/grafana, pkg/promlib (client/client.go for requests, models/query.go for times and steps, querydata/response.go for
// legends and frames). The front end that asks, and that works on the frames, is Grafana's own.
const ONLY_GET = /^api\/v1\/(label\/|metadata|rules|status\/)/;

class PrometheusBackend {
  /** `source` is `{uid, url, headers, jsonData}`. Everything asked of the data source is kept in `requests`. */
  constructor(source) {
    this.source = source;
    this.post = (source.jsonData.httpMethod ?? 'POST') === 'POST';
    this.requests = [];
  }

  /** The answer to a resource call of the front end: `/api/datasources/uid/UID/resources/PATH`. */
  async resource(path, query, form) {
    if (this.post && !ONLY_GET.test(path)) {
      const response = await this.send('POST', path, query, form);
      if (![400, 405].includes(response.status)) {
        return response;
      }
    }
    return this.send('GET', path, new URLSearchParams([...query, ...form]), new URLSearchParams());
  }

  /** The answer to `/api/ds/query`: frames, or an error, by the name of the query. */
  async query({ queries, from, to }) {
    const results = {};
    for (const query of queries) {
      results[query.refId] = await this.frames(query, Number(from) / 1000, Number(to) / 1000);
    }
    return { results };
  }

  async frames(query, from, to) {
    const least = seconds(query.interval || this.source.jsonData.timeInterval || '15s');
    const step = Math.max(least, Math.ceil((to - from) / (query.maxDataPoints ?? 1000)));
    const [path, asked] = query.instant
      ? ['api/v1/query', { query: query.expr, time: String(to) }]
      : ['api/v1/query_range', { query: query.expr, start: aligned(from, step), end: aligned(to, step), step: String(step) }];
    const form = new URLSearchParams(asked);
    const response = this.post ? await this.send('POST', path, [], form) : await this.send('GET', path, form, new URLSearchParams());
    if (query.refId === '__healthcheck__' && !response.ok) {
      return { error: `${response.status} ${response.statusText}`, status: response.status, frames: [] };
    }
    const document = await response.json();
    if (document.status === 'error') {
      return { error: `${document.errorType}: ${document.error}`, status: response.status, frames: [] };
    }
    // Whatever else it is, a Status of Kubernetes for one, is no data to Grafana, and no error either.
    const { resultType = 'vector', result = [] } = document.data ?? {};
    const series = { vector: () => result, matrix: () => result, scalar: () => [{ metric: {}, value: result }] }[resultType]();
    const frames = series.map((each) => frame(query, resultType, step, each));
    return { status: 200, frames: frames.length ? frames : [{ schema: { refId: query.refId, fields: [] }, data: { values: [] } }] };
  }

  async send(method, path, query, form) {
    const parameters = new URLSearchParams(query).toString();
    const url = `${this.source.url}/${path}${parameters ? `?${parameters}` : ''}`;
    this.requests.push({ method, path, parameters: [...new URLSearchParams(query), ...form] });
    return fetch(url, { method, headers: this.source.headers, body: method === 'POST' ? new URLSearchParams(form) : undefined });
  }
}

function frame(query, resultType, step, { metric, value, values }) {
  const points = values ?? [value];
  const name = legend(query, metric);
  return {
    schema: {
      refId: query.refId,
      name,
      meta: { custom: { resultType } },
      fields: [
        { name: 'Time', type: 'time', config: { interval: step * 1000 } },
        { name: 'Value', type: 'number', labels: metric, config: name ? { displayNameFromDS: name } : {} },
      ],
    },
    data: { values: [points.map(([time]) => time * 1000), points.map(([, text]) => number(text))] },
  };
}

function legend({ legendFormat, expr }, { __name__: metric = '', ...labels }) {
  const written = Object.keys(labels).sort().map((label) => `${label}="${labels[label]}"`);
  const whole = written.length ? `${metric}{${written.join(', ')}}` : metric || '{}';
  if (legendFormat === '__auto') {
    return written.length || metric ? '' : whole;
  }
  return (legendFormat ? legendFormat.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => labels[label] ?? '') : whole) || expr;
}

function number(text) {
  const value = Number(text);
  if (text === '' || Number.isNaN(value)) {
    throw new Error(`"${text}" is no number that may reach a panel`);
  }
  return value;
}

const aligned = (time, step) => String(Math.floor(time / step) * step);

function seconds(interval) {
  const [, amount, unit] = /^(\d+)(ms|s|m|h)$/.exec(interval);
  return Math.max(1, Number(amount) * { ms: 0.001, s: 1, m: 60, h: 3600 }[unit]);
}

/** The services that Grafana's front end finds in a browser, answered here; `backend` is that of the only Prometheus data source. */
function serve({ runtime, from }, backend, templates) {
  const prefix = `/api/datasources/uid/${backend.source.uid}/resources/`;
  const answer = async ({ url, data, method }) => {
    const { pathname, searchParams } = new URL(url, location.href);
    if (pathname === '/api/ds/query') {
      const body = await backend.query(data);
      const failed = Object.values(body.results).find(({ error }) => error);
      if (failed) {
        throw { status: failed.status, data: { message: failed.error, results: body.results }, config: {} };
      }
      return { data: body, status: 200, ok: true, config: {} };
    }
    if (!pathname.startsWith(prefix)) {
      throw new Error(`${method} ${url} is no request of the Prometheus data source`);
    }
    const response = await backend.resource(pathname.slice(prefix.length), searchParams, new URLSearchParams(data ?? {}));
    const document = await response.json();
    if (!response.ok) {
      throw { status: response.status, data: document, config: {} };
    }
    return { data: document, status: response.status, ok: true, config: {} };
  };
  runtime.setBackendSrv({ fetch: (options) => from(answer(options)) });
  runtime.setTemplateSrv(templates);
  runtime.setEchoSrv({ addEvent() {}, addBackend() {}, flush() {} });
  const { uid } = backend.source;
  runtime.setDataSourceSrv({ getInstanceSettings: () => ({ uid, id: 1, type: 'prometheus', name: uid }) });
}

module.exports = { PrometheusBackend, serve };
