// The Infinity data source's server part, as far as the dashboards need it: JSON from a URL, by the parser "backend".
//
// Source: grafana/grafana-infinity-datasource, pkg/infinity (request.go, request_validator.go, headers.go, remote.go), and
// grafana/infinity-libs, lib/go (jsonframer, gframer): fields come in the order of their names, and paging ends with an empty cursor.
const HEADERS = { Accept: 'application/json;q=0.9,text/plain', 'Accept-Encoding': 'gzip' };
const MOST_PAGES = 5;

/** The frame of one query of a panel. `source` is `{url, headers, allowedHosts}`; `templates` replaces variables. */
async function frame(source, query, templates) {
  for (const [key, wanted] of Object.entries({ type: 'json', source: 'url', parser: 'backend' })) {
    if (query[key] !== wanted) {
      throw new Error(`${query.refId}: ${key} is ${query[key]}, and these tests know ${wanted}`);
    }
  }
  const columns = query.columns.map(({ selector, text, type }) => {
    if (text && text !== selector) {
      // Versions of the framer differ in what becomes of a column with another name: panels rename by a transformation.
      throw new Error(`${query.refId}: the column ${selector} is given the name ${text}`);
    }
    return { name: selector, type };
  });
  const rows = [];
  let cursor = '';
  for (let page = 0; page <= Math.min(query.pagination_max_pages || 1, MOST_PAGES); page++) {
    const document = await ask(source, query, templates, cursor);
    rows.push(...selected(query, document, templates.replace(query.root_selector)));
    if (query.pagination_mode !== 'cursor') {
      break;
    }
    cursor = at(document, query.pagination_param_cursor_extraction_path);
    if (cursor === undefined) {
      throw new Error(`${query.refId}: there is no ${query.pagination_param_cursor_extraction_path} on page ${page + 1}`);
    }
    if (cursor === '') {
      break;
    }
  }
  columns.sort((one, other) => (one.name < other.name ? -1 : 1));
  return {
    schema: { refId: query.refId, fields: rows.length ? columns.map(({ name, type }) => ({ name, type: TYPES[type] })) : [] },
    data: { values: rows.length ? columns.map(({ name, type }) => rows.map((row) => typed(row[name], type, name))) : [] },
  };
}

async function ask(source, query, templates, cursor) {
  const url = new URL(source.url + templates.replace(query.url));
  for (const { key, value } of query.url_options?.params ?? []) {
    url.searchParams.append(key, templates.replace(value));
  }
  if (cursor) {
    url.searchParams.append(query.pagination_param_cursor_field_name || 'cursor', cursor);
  }
  if (!source.allowedHosts.some((allowed) => url.href.startsWith(allowed))) {
    throw new Error(`${url.href} is not among the allowed hosts: ${source.allowedHosts.join(', ')}`);
  }
  const response = await fetch(url, { headers: { ...HEADERS, ...source.headers } });
  const text = await response.text();
  if (response.status >= 400 || !text) {
    throw new Error(`${url.pathname}: ${response.status} ${text}`);
  }
  return JSON.parse(text);
}

function selected(query, document, selector) {
  const found = selector ? at(document, selector) : document;
  if (!Array.isArray(found)) {
    throw new Error(`${query.refId}: the root selector ${selector} finds no list`);
  }
  return found;
}

const at = (document, path) => path.split('.').reduce((inner, key) => inner?.[key], document);

const TYPES = { string: 'string', number: 'number', timestamp: 'time', boolean: 'boolean' };

function typed(value, type, name) {
  if (value === undefined || value === null) {
    return null;
  }
  if (type === 'timestamp') {
    return Date.parse(value);
  }
  if (typeof value !== type) {
    throw new Error(`${name} is ${JSON.stringify(value)} and the column is of the type ${type}`);
  }
  return value;
}

module.exports = { frame };
