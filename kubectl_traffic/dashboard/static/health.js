/**
 * What the page makes of a row's numbers: one of five conditions, each with a word, a sign and an order of its own, so that colour
 * is never alone.
 *
 * The bounds are those that Kiali has for HTTP by default: degraded from 0.1 % of failures, failing from 10 %
 * (kiali/kiali.io: content/en/docs/Configuration/health.md).
 */

const DEGRADED = 0.001;
const FAILING = 0.1;

/** The conditions, the worst first: their keys in URLs and style sheets, and what people read. */
export const CONDITIONS = Object.freeze([
  { key: "failing", word: "failing", means: "10 % of requests or more failed" },
  { key: "degraded", word: "degraded", means: "0.1 % of requests or more failed" },
  { key: "healthy", word: "healthy", means: "fewer than 0.1 % of requests failed" },
  { key: "idle", word: "no traffic", means: "measured, and there were no requests" },
  { key: "unknown", word: "unknown", means: "nothing was observed" },
]);

const RANKS = new Map(CONDITIONS.map(({ key }, rank) => [key, rank]));
const WORDS = new Map(CONDITIONS.map(({ key, word }) => [key, word]));

/** The condition of a row. Without requests there is no rate of success, and without numbers nothing is known. */
export function condition({ rps, success }) {
  if (rps === null || rps === undefined) return "unknown";
  if (rps === 0 || success === null) return "idle";
  const failures = 1 - success;
  // A share such as 1 - 0.9 is a hair below 0.1 in floats, and is meant to be 10 %.
  if (failures >= FAILING - 1e-9) return "failing";
  return failures >= DEGRADED - 1e-9 ? "degraded" : "healthy";
}

/** 0 for the worst. */
export function rank(key) {
  return RANKS.get(key);
}

/** What people read for a condition. */
export function word(key) {
  return WORDS.get(key);
}

/** How many rows there are in each condition, in the order of {@link CONDITIONS}. */
export function tally(rows) {
  const counts = new Map(CONDITIONS.map(({ key }) => [key, 0]));
  for (const row of rows) counts.set(condition(row), counts.get(condition(row)) + 1);
  return counts;
}
