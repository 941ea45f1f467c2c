/**
 * The layout, off the thread that draws and listens: a large graph never makes the page wait.
 */

import { layout } from "./layout.js";

self.onmessage = ({ data: { question, ids, links } }) => {
  const begun = performance.now();
  const drawn = layout(ids, links);
  self.postMessage({ question, drawn, took: performance.now() - begun });
};
