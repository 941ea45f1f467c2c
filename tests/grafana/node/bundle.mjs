// Makes one file of Grafana's packages, without what draws: `node bundle.mjs FOLDER FILE`, where FOLDER holds node_modules.
//
// Components and the packages they are drawn with are answered by something that can be called, constructed and asked for anything:
// modules that only define components can then be loaded, and no logic is touched.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const [folder, outfile] = process.argv.slice(2);
const { build } = createRequire(path.resolve(folder, 'package.json'))('esbuild');
const { overrides } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));

const undrawn = ['react', 'react-dom', ...Object.keys(overrides).filter((name) => overrides[name].startsWith('file:'))];
const isUndrawn = (name) => undrawn.some((each) => name === each || name.startsWith(`${each}/`));

const anything = `
const anything = new Proxy(function () {}, {
  get: (target, key) => (key === Symbol.toPrimitive ? () => '' : key === 'prototype' ? target.prototype : anything),
  apply: () => anything,
  construct: () => ({}),
});
// Imports are read from the prototype of what a module exports.
module.exports = Object.create(anything);`;

const nothingDrawn = {
  name: 'nothing is drawn',
  setup(bundle) {
    bundle.onResolve({ filter: /^[^./]/ }, ({ path: name }) => (isUndrawn(name) ? { path: name, namespace: 'undrawn' } : undefined));
    bundle.onResolve({ filter: /^\.\.?\/(.*\/)?(components|configuration)\// }, ({ path: name, importer }) =>
      importer.includes('@grafana') ? { path: name, namespace: 'undrawn' } : undefined
    );
    bundle.onLoad({ filter: /.*/, namespace: 'undrawn' }, () => ({ contents: anything, loader: 'js' }));
  },
};

await build({
  absWorkingDir: path.resolve(folder),
  entryPoints: ['packages.mjs'],
  outfile: path.resolve(outfile),
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node18',
  mainFields: ['module', 'main'],
  plugins: [nothingDrawn],
  logLevel: 'warning',
});
