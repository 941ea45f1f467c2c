/**
 * What went wrong, in the words of whoever has to do something about it: a title, why, and what to try.
 */

const SERVICE = "v1alpha1.metrics.smi-spec.io";

/**
 * A failed question. `title` is a sentence, `detail` what the server said, `advice` a list of sentences, `commands` lines to
 * copy.
 */
export class Problem extends Error {
  constructor(title, { detail = "", advice = [], commands = [], status = 0, gone = false } = {}) {
    super(title);
    Object.assign(this, { title, detail, advice, commands, status, gone });
  }
}

/** The page's own server does not answer. */
export function lost() {
  return new Problem("This page has lost its server.", {
    advice: ["kubectl traffic dashboard has ended in its terminal. Start it again, and open the address it prints."],
    commands: ["kubectl traffic dashboard"],
    gone: true,
  });
}

/** What a response other than 200 means. `asked` has a `plural` and an `ns`, "" for all namespaces. */
export function problemOf(status, text, asked) {
  const told = statusObject(text);
  const detail = told?.message || text.trim().slice(0, 500);
  const of = { detail, status };
  switch (status) {
    case 401:
      return new Problem("The API server does not accept your login.", {
        ...of,
        advice: ["It may have expired: log in again as you do for kubectl. This page goes on by itself then."],
        commands: ["kubectl auth whoami"],
      });
    case 403:
      return forbidden(of, asked);
    case 404:
      return told && !/could not find the requested resource/.test(detail) ? absent(of) : notInstalled(of);
    case 400:
    case 410:
    case 422:
      return new Problem("The server does not answer this question.", { ...of, advice: ["Choose another window or namespace."] });
    case 429:
      return new Problem("The server has too much to do.", {
        ...of,
        advice: ["It is asked again soon. A longer interval between refreshes helps it."],
      });
    case 502:
      return new Problem("kubectl proxy, through which this page asks the cluster, has ended.", {
        ...of,
        advice: ["The terminal of kubectl traffic dashboard says why. Start it again there."],
        commands: ["kubectl traffic dashboard"],
      });
    case 503:
    case 504:
      return told?.reason && told.message && !/currently unable to handle/.test(detail) ? silent(of) : notAvailable(of);
    default:
      return told
        ? new Problem(`The server failed (${status}).`, {
            ...of,
            advice: ["Its log says more; the page asks again at the next refresh."],
          })
        : new Problem("The API server cannot be reached.", {
            ...of,
            advice: ["Check the network or VPN, and that this is the right context."],
            commands: ["kubectl version", "kubectl config current-context"],
          });
  }
}

function forbidden(of, { plural, ns }) {
  const user = /User "([^"]+)"/.exec(of.detail)?.[1] ?? "YOU";
  const quoted = /^[\w@.:-]+$/.test(user) ? user : `'${user.replaceAll("'", "'\\''")}'`;
  if (plural === "namespaces" || plural === "nodes") {
    return new Problem(`You may not list the traffic of ${plural}.`, {
      ...of,
      advice: ["Somebody who administers the cluster can allow it:"],
      commands: [
        `kubectl create clusterrolebinding traffic-cluster-reader --clusterrole=trafficmetrics-cluster-reader --user=${quoted}`,
      ],
    });
  }
  if (!ns) {
    return new Problem(`You may not read ${plural} of all namespaces.`, {
      ...of,
      advice: ["Choose a namespace of yours above; or let somebody who administers the cluster allow it:"],
      commands: [`kubectl create clusterrolebinding traffic-reader --clusterrole=trafficmetrics-reader --user=${quoted}`],
    });
  }
  return new Problem(`You may not read ${plural} in the namespace ${ns}.`, {
    ...of,
    advice: ["Choose another namespace; or let somebody who administers this one allow it:"],
    commands: [`kubectl create rolebinding traffic-reader -n ${ns} --clusterrole=trafficmetrics-reader --user=${quoted}`],
  });
}

function absent(of) {
  return new Problem("There is no answer to this here.", {
    ...of,
    advice: ["The object may be gone, or no source of this server tells of its kind. What the sources can tell:"],
    commands: ["kubectl traffic sources"],
  });
}

function notInstalled(of) {
  return new Problem("This cluster has no traffic metrics API.", {
    ...of,
    advice: ["TrafficMetrics is not installed there, or this is another cluster than you think."],
    commands: [`kubectl get apiservice ${SERVICE}`, "kubectl config current-context"],
  });
}

function notAvailable(of) {
  return new Problem("The traffic metrics API is registered, and its server does not answer.", {
    ...of,
    advice: ["The APIService says what is the matter:"],
    commands: [`kubectl get apiservice ${SERVICE} -o yaml`],
  });
}

function silent(of) {
  return new Problem("No source of metrics answered.", {
    ...of,
    advice: ["The server runs, and what it asks does not answer. What is wrong with each source:"],
    commands: ["kubectl traffic sources"],
  });
}

function statusObject(text) {
  try {
    const found = JSON.parse(text);
    return found?.kind === "Status" ? found : null;
  } catch {
    return null;
  }
}
