// Variables in dashboards: what Grafana's TemplateSrv makes of `$name`, `${name:format}` and the macros that links use.
//
// Source: grafana/grafana, public/app/features/templating (template_srv.ts, formatRegistry.ts, macroRegistry.ts, dataMacros.ts). The
// published packages only have the interface, so the little that the dashboards use is written here; anything else is an error.
const ALL = '$__all';
const USE = /\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)((?:\.[^:^}]+|\[[^\]]+\])*)(?::([^}]+))?\}/g;

class Templates {
  /** `variables` are `{name: {value, allValue?, options?}}`; `range` is `{from, to}` as a URL has it. */
  constructor(grafana, variables, range) {
    this.grafana = grafana;
    this.variables = variables;
    this.range = range;
  }

  getVariables() {
    return Object.keys(this.variables).map((name) => ({ name }));
  }

  containsTemplate(text) {
    return text !== undefined && text.search(USE) >= 0;
  }

  updateTimeRange() {}

  replace(text, scopedVars = {}, format = 'glob') {
    return (text ?? '').replace(USE, (match, plain, bracketed, old, name, path = '', formatted) => {
      const variable = plain ?? bracketed ?? name;
      return this.value(match, variable, path, formatted ?? old ?? format, scopedVars);
    });
  }

  value(match, name, path, format, scopedVars) {
    if (name === '__data' || name === '__field') {
      const value = this.macro(match, name, path, scopedVars);
      return format === 'percentencode' ? encodeURIComponent(value) : value;
    }
    if (name === '__url_time_range') {
      return new URLSearchParams(this.range).toString();
    }
    if (scopedVars[name] !== undefined) {
      return this.formatted(name, scopedVars[name].value, format, {});
    }
    const variable = this.variables[name];
    if (variable === undefined) {
      return match;
    }
    if (variable.value === ALL && variable.allValue) {
      return format === 'queryparam' ? `var-${name}=${encodeURIComponent(ALL)}` : variable.allValue;
    }
    return this.formatted(name, variable.value === ALL ? variable.options ?? [] : variable.value, format, variable);
  }

  macro(match, name, path, scopedVars) {
    const context = scopedVars.__dataContext?.value;
    if (context === undefined) {
      return match;
    }
    const { frame, rowIndex, field } = context;
    const [, key] = /^\.(?:fields|labels)(?:\.(\w+)|\["([^"]+)"\])$/.exec(path)?.filter((part) => part !== undefined) ?? [];
    if (key === undefined) {
      throw new Error(`${match}: written in a way these tests do not know`);
    }
    if (name === '__field') {
      return field.labels?.[key] ?? '';
    }
    const fields = this.grafana.data.getFieldDisplayValuesProxy({ frame, rowIndex });
    return rowIndex === undefined || fields[key] === undefined ? '' : fields[key].toString();
  }

  formatted(name, value, format, variable) {
    const values = Array.isArray(value) ? value : [value];
    if (typeof format === 'function') {
      return format(value, { multi: variable.multi, includeAll: variable.includeAll });
    }
    switch (format) {
      case 'glob':
        return values.length > 1 ? `{${values.join(',')}}` : values.join('');
      case 'percentencode':
        return encodeURIComponent(values.length > 1 ? `{${values.join(',')}}` : values.join(''));
      case 'queryparam':
        return values.map((each) => `var-${name}=${encodeURIComponent(each)}`).join('&');
      case 'raw':
        return String(value);
      default:
        throw new Error(`the format ${format} is none these tests know`);
    }
  }
}

module.exports = { Templates };
