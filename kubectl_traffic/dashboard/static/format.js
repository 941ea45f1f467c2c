/**
 * Numbers as people read them, the way kubectl prints the same rows; units stand in the heads of columns. An en dash is "not
 * known".
 */

export const ABSENT = "–";

/** "99.95%" of 0.9995. One failure in a million does not read as 100 %, nor one success as none. */
export function percent(share) {
  if (share === null) return ABSENT;
  if (share === 1 || share === 0) return `${(share * 100).toFixed(2)}%`;
  return `${(Math.min(Math.max(Math.round(share * 10_000), 1), 9_999) / 100).toFixed(2)}%`;
}

/** Requests per second: "0.4", "12.3", "1,240". Anything above zero reads as more than nothing. */
export function rate(perSecond) {
  if (perSecond === null) return ABSENT;
  if (perSecond > 0 && perSecond < 0.05) return "<0.1";
  if (perSecond < 999.95) return perSecond.toFixed(1);
  return grouped(Math.round(perSecond));
}

/** A latency in seconds: "0.4 ms", "12 ms", "1.2 s". */
export function latency(time) {
  if (time === null) return ABSENT;
  if (time < 0.001) return `${(time * 1000).toFixed(1)} ms`;
  if (time < 0.9995) return `${Math.round(time * 1000)} ms`;
  return time < 99.95 ? `${time.toFixed(1)} s` : `${grouped(Math.round(time))} s`;
}

/** A whole number with commas between thousands. */
export function grouped(whole) {
  return String(whole).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** "1 workload", "3 workloads". */
export function counted(number, noun) {
  return `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** How long ago, in a word or two: "just now", "12 s ago", "3 min ago". */
export function ago(elapsed) {
  if (elapsed < 2) return "just now";
  if (elapsed < 100) return `${Math.round(elapsed)} s ago`;
  return elapsed < 5400 ? `${Math.round(elapsed / 60)} min ago` : `${Math.round(elapsed / 3600)} h ago`;
}
