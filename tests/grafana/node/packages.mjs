// What the tests use of Grafana's packages: the whole of bundle.mjs' work is to make one file of this.
export * as data from '@grafana/data';
export * as runtime from '@grafana/runtime';
export { PrometheusDatasource } from '@grafana/prometheus/dist/esm/datasource.js';
export { lastValueFrom, from } from 'rxjs';
