/** Places of the page, warnings and problems: what stands in addresses, headers and answers. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { listPath, resourcePath, warnings } from "../../kubectl_traffic/dashboard/static/client.js";
import { passes } from "../../kubectl_traffic/dashboard/static/conditions.js";
import { problemOf } from "../../kubectl_traffic/dashboard/static/problems.js";
import { format, parse, placeOf } from "../../kubectl_traffic/dashboard/static/route.js";

const SHOP = { plural: "deployments", ns: "shop" };

function status(code, reason, message) {
  return JSON.stringify({ kind: "Status", code, reason, message });
}

test("every place survives its address", () => {
  for (const hash of [
    "#/topology",
    "#/topology?ns=shop&window=5m&idle=yes",
    "#/workloads?q=web&health=failing%2Cdegraded&sort=-rps",
    "#/deployments?ns=shop",
    "#/deployments/shop/web?window=1h",
    "#/deployments/shop/web?ns=data",
    "#/namespaces/shop",
    "#/pods/a.b/web%40west",
  ]) {
    assert.equal(format(parse(hash)), hash);
  }
});

test("what makes no sense is the graph", () => {
  for (const hash of ["", "#", "#/nothing", "#/deployments/shop", "#/deployments/a/b/c", "#/%ff", "#/namespaces/a/b"])
    assert.equal(parse(hash).view, "topology", hash);
});

test("the namespace of a resource is that of its page", () => {
  assert.deepEqual([parse("#/deployments/shop/web").ns, parse("#/deployments/shop/web").kind], ["shop", "Deployment"]);
});

test("what has no page of its own has no place", () => {
  const here = parse("#/topology?ns=shop&window=5m&q=x");
  assert.equal(placeOf({ kind: "", namespace: "", name: "bank.example.com" }, "", here), null);
  assert.equal(placeOf({ kind: "Deployment", namespace: "", name: "web" }, "", here), null);
  assert.equal(placeOf({ kind: "Wheel", namespace: "shop", name: "web" }, "", here), null);
  assert.equal(
    format(placeOf({ kind: "Deployment", namespace: "data", name: "web" }, "west", here)),
    "#/deployments/data/web%40west?ns=shop&window=5m",
  );
});

test("paths of the API", () => {
  assert.deepEqual(
    [listPath("workloads", "shop"), listPath("pods", ""), listPath("namespaces", "shop")],
    ["namespaces/shop/trafficmetrics", "pods", "namespaces"],
  );
  assert.equal(
    resourcePath({ list: "deployments", namespace: "shop", name: "web@west" }),
    "namespaces/shop/deployments/web%40west",
  );
});

test("warnings are taken apart as they were put together", () => {
  const bytes = String.fromCharCode(...new TextEncoder().encode("zu kurz für „Mesh“"));
  assert.deepEqual(warnings(`299 - "a, \\"b\\" \\\\", 299 - "${bytes}"`), ['a, "b" \\', "zu kurz für „Mesh“"]);
  assert.deepEqual(warnings(""), []);
});

test("filters let pass what has the condition, and every word", () => {
  assert.ok(passes({ health: "", q: "" }, "healthy", "Deployment", "web", "shop"));
  assert.ok(passes({ health: "failing,healthy", q: "WEB shop" }, "healthy", "Deployment", "web", "shop"));
  assert.ok(!passes({ health: "failing", q: "" }, "healthy", "web"));
  assert.ok(!passes({ health: "", q: "web data" }, "healthy", "web", "shop"));
});

const cases = [
  ["a login that is not accepted", 401, status(401, "Unauthorized", "Unauthorized"), /does not accept your login/],
  [
    "a namespace that is not one's own",
    403,
    status(403, "Forbidden", 'User "ann" cannot list'),
    /may not read deployments in the namespace shop/,
  ],
  ["an object that is gone", 404, status(404, "NotFound", 'deployments "web" not found'), /no answer to this here/],
  ["an API that is not installed, as text", 404, "404 page not found\n", /no traffic metrics API/],
  [
    "an API that is not installed, as Status",
    404,
    status(404, "NotFound", "the server could not find the requested resource"),
    /no traffic metrics API/,
  ],
  ["a window that is refused", 400, status(400, "BadRequest", "window is too long"), /does not answer this question/],
  ["too many questions", 429, status(429, "TooManyRequests", "slow down"), /too much to do/],
  ["a cluster that is not reached", 500, "dial tcp 127.0.0.1:1: connect: connection refused\n", /API server cannot be reached/],
  ["a server that failed", 500, status(500, "InternalError", "oops"), /server failed \(500\)/],
  ["a proxy that is gone", 502, "kubectl proxy does not answer", /kubectl proxy.*has ended/],
  ["an APIService without its server, as text", 503, "service unavailable\n", /registered, and its server does not answer/],
  [
    "an APIService without its server, as Status",
    503,
    status(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
    /registered/,
  ],
  [
    "sources that do not answer",
    503,
    status(503, "ServiceUnavailable", 'source "mesh": did not answer'),
    /No source of metrics answered/,
  ],
];
for (const [name, code, text, sentence] of cases) {
  test(`a sentence and something to do for ${name}`, () => {
    const problem = problemOf(code, text, SHOP);
    assert.match(problem.title, sentence);
    assert.ok(problem.advice.length);
    assert.equal(problem.detail.length > 0, true);
  });
}

test("who may not read is told which binding would let them, with their name", () => {
  const asked = (plural, ns, user = "ann") =>
    problemOf(403, status(403, "Forbidden", `User "${user}" cannot list`), { plural, ns }).commands[0];
  assert.equal(
    asked("pods", "shop"),
    "kubectl create rolebinding traffic-reader -n shop --clusterrole=trafficmetrics-reader --user=ann",
  );
  assert.match(asked("pods", ""), /clusterrolebinding traffic-reader --clusterrole=trafficmetrics-reader --user=ann/);
  assert.match(asked("namespaces", ""), /--clusterrole=trafficmetrics-cluster-reader/);
  assert.match(asked("pods", "shop", "x; rm -rf"), /--user='x; rm -rf'$/, "a name is no command");
});
