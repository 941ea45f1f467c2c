/**
 * Rows of the API as the page works with them: one TrafficMetrics object becomes plain numbers, and nothing that is unknown
 * becomes 0.
 *
 * The objects themselves are read, rather than any plainer form of them: every server of this API sends them.
 */

const PLAIN = /^([+-]?)(\d+\.?\d*|\.\d+)(?:([num]|[kMGTPE])|([KMGTPE])i|[eE]([+-]?\d+))?$/;
const EXPONENTS = { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY = ["K", "M", "G", "T", "P", "E"];
const LATENCY_UNITS = { seconds: 1, s: 1, ms: 1e-3 };
const DURATION = /(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g;
const SECONDS = { h: 3600, m: 60, s: 1, ms: 1e-3, us: 1e-6, µs: 1e-6, ns: 1e-9 };

/** How kinds are called in paths. */
export const PLURALS = Object.freeze({
  Namespace: "namespaces",
  Node: "nodes",
  Pod: "pods",
  ReplicationController: "replicationcontrollers",
  Service: "services",
  DaemonSet: "daemonsets",
  Deployment: "deployments",
  ReplicaSet: "replicasets",
  StatefulSet: "statefulsets",
  Job: "jobs",
  CronJob: "cronjobs",
});

/** The number a Kubernetes quantity stands for, as near as a float comes. Throws a SyntaxError for anything else. */
export function quantity(text) {
  const parts = PLAIN.exec(text);
  if (!parts) throw new SyntaxError(`"${text}" is no quantity`);
  const [, sign, digits, decimal, binary, exponent] = parts;
  // Reading "10" and "m" as 10e-3 rounds once; dividing would round twice.
  const value =
    Number(`${digits}e${decimal ? EXPONENTS[decimal] : (exponent ?? 0)}`) * (binary ? 1024 ** (BINARY.indexOf(binary) + 1) : 1);
  return sign === "-" ? -value : value;
}

/** The seconds of a Go duration: "1m30s" is 90. NaN for anything else. */
export function seconds(duration) {
  let total = 0;
  let read = 0;
  for (const [part, number, unit] of duration.matchAll(DURATION)) {
    total += Number(number) * SECONDS[unit];
    read += part.length;
  }
  return read && read === duration.length ? total : NaN;
}

/**
 * The row of one TrafficMetrics object. Rates are per second, `success` is from 0 to 1, latencies are in seconds; null is unknown.
 * Throws when it is no such object.
 */
export function rowOf(document) {
  const { metadata, edge, resource } = document;
  const found = {};
  for (const { name, unit, value } of document.metrics) {
    found[name] = value == null ? null : quantity(String(value)) * (unit ? LATENCY_UNITS[unit] : 1);
  }
  const success = found.success_count ?? null;
  const failure = found.failure_count ?? null;
  const requests = success === null || failure === null ? null : success + failure;
  const window = seconds(document.window);
  const annotations = metadata.annotations ?? {};
  const cluster = annotations["metrics.smi-spec.io/cluster"] ?? "";
  const peer = edge?.resource?.name ? reference(edge.resource) : null;
  const own = reference(resource);
  return {
    ...own,
    id: nodeId(own, cluster),
    rowName: metadata.name,
    cluster,
    // Names of other clusters than the server's own end with the cluster; those of its own may not.
    away: cluster && metadata.name.endsWith(`@${cluster}`) ? cluster : "",
    direction: edge?.direction ?? "from",
    side: edge?.side ?? "",
    peer,
    peerId: peer && nodeId(peer, cluster),
    requests,
    rps: requests === null || !(window > 0) ? null : requests / window,
    success: requests ? success / requests : null,
    p50: found.p50_response_latency ?? null,
    p90: found.p90_response_latency ?? null,
    p99: found.p99_response_latency ?? null,
    window: document.window,
    instant: document.timestamp,
    source: annotations["metrics.smi-spec.io/source"] ?? "",
    incomplete: annotations["metrics.smi-spec.io/incomplete"] === "true",
    sampled: annotations["metrics.smi-spec.io/sampled"] === "true",
  };
}

/** A name of its own among all ends of edges: "shop/Deployment/web", with "@west" behind it in another cluster. */
export function nodeId({ kind, namespace, name }, cluster) {
  const path = [namespace, kind, name].filter(Boolean).join("/");
  return cluster ? `${path}@${cluster}` : path;
}

function reference({ kind = "", namespace = "", name = "" }) {
  return { kind, namespace, name };
}
