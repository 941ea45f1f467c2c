"""The command ``kubectl traffic dashboard``: what it is asked for, and its life from the first line it prints to Ctrl-C."""

from __future__ import annotations

import signal
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

from kubectl_traffic.dashboard.door import HOST, Door
from kubectl_traffic.dashboard.proxy import Proxy
from kubectl_traffic.kubectl import Kubectl, KubectlError
from kubectl_traffic.options import read_line
from kubectl_traffic.subject import Subject, read_subject
from metrics_api.errors import BadQuery
from metrics_api.window import Window

__all__ = ["USAGE", "main"]

USAGE = """\
A page in the browser: who calls whom, golden metrics of every kind, and the callers and callees of one workload.

  kubectl traffic dashboard [KIND | KIND/NAME] [options]

  -n, --namespace NS   begin with this namespace; without it, with that of the context, or with all
  -A                   begin with all namespaces
  --window 5m          how far to look back at first
  --port 8001          listen on this port of 127.0.0.1; any free one by default
  --no-browser         print the address, and open nothing

All global options of kubectl are good here: --context, --kubeconfig, --as, ... What you may not read you do not see.
Ctrl-C ends it.

  kubectl traffic dashboard -n shop
  kubectl traffic dashboard deploy/web -n shop --window 5m
  kubectl traffic dashboard --context prod --port 8001 --no-browser
"""

_STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _Line:
    """The command line. Without a ``subject`` the page begins with the graph; without a ``window``, with the server's own."""

    kubectl: Kubectl
    subject: Subject | None
    window: str
    port: int
    browser: bool


def main(arguments: list[str]) -> int:
    """Serve the page until Ctrl-C (0), or until the way to the cluster is gone (1).

    Raises :class:`metrics_api.errors.BadQuery` for a line that makes no sense, :class:`kubectl_traffic.kubectl.KubectlError` when
    kubectl fails.
    """
    if any(word in ("-h", "--help") for word in arguments):
        print(USAGE, end="")  # noqa: T201 a command prints
        return 0
    line = _read(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    session = _session(line)
    try:
        with Proxy(line.kubectl.flags) as proxy, _open(line.port, session, proxy) as door:
            _tell(session, door)
            if line.browser:
                # Some browsers in a terminal do not return; and those that do take their time.
                Thread(target=webbrowser.open, args=(door.ticket,), daemon=True).start()
            code = proxy.wait()
    except KeyboardInterrupt:
        print()  # noqa: T201
        return 0
    print(f"kubectl traffic: kubectl proxy has ended (exit code {code}), and the page with it", file=sys.stderr)  # noqa: T201
    return 1


def _read(arguments: Sequence[str]) -> _Line:
    line = read_line("dashboard", arguments, {"port": "", "window": ""}, {"no-browser": ""})
    return _Line(
        kubectl=line.kubectl,
        subject=read_subject(line.words) if line.words else None,
        window=str(Window.parse(line.values["window"])) if "window" in line.values else "",
        port=_port(line.values.get("port", "0")),
        browser="no-browser" not in line.on,
    )


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > 65_535:
        raise BadQuery(f'"{text}" is no port: a number from 0 (any free one) to 65535')
    return int(text)


def _session(line: _Line) -> Mapping[str, str]:
    """What the page is told of its beginning: ``context``, ``server``, ``namespace`` (empty for all) and ``place``."""
    document = line.kubectl.config()
    context, cluster = _first(document, "contexts"), _first(document, "clusters").get("cluster") or {}
    server = next(
        (flag.partition("=")[2] for flag in line.kubectl.flags if flag.startswith("--server=")), cluster.get("server", "")
    )
    chosen = line.kubectl.chosen or (context.get("context") or {}).get("namespace") or ""
    namespace = "" if line.kubectl.everywhere else chosen
    return {"context": context.get("name", ""), "server": server, "namespace": namespace, "place": _place(line, namespace)}


def _first(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found: Sequence[Mapping[str, Any]] = document.get(key) or ()
    return found[0] if found else {}


def _place(line: _Line, namespace: str) -> str:
    """The part of the address behind the #, as the page's own ``route.js`` reads it."""
    parts = ["topology"]
    row, name = line.subject or Subject()
    if row is not None:
        parts = [row.plural]
        if name:
            parts += [namespace or "default", name] if row.namespaced else [name]
    # The page of a resource has its namespace in its path.
    query = {"ns": namespace if len(parts) < 3 else "", "window": line.window}
    text = urlencode({key: value for key, value in query.items() if value})
    return f"#/{'/'.join(quote(part, safe='') for part in parts)}{f'?{text}' if text else ''}"


def _open(port: int, session: Mapping[str, str], proxy: Proxy) -> Door:
    try:
        return Door(port, _files(), session, proxy.get)
    except OSError as error:
        raise KubectlError(f"port {port} of {HOST} cannot be used: {error.strerror}; --port 0 takes a free one") from error


def _files() -> Mapping[str, tuple[str, bytes]]:
    """The files of the page, all read now: what was started is what is served."""
    return {path.name: (_TYPES[path.suffix], path.read_bytes()) for path in sorted(_STATIC.iterdir()) if path.suffix in _TYPES}


def _tell(session: Mapping[str, str], door: Door) -> None:
    whose = f"the context {session['context']}" if session["context"] else session["server"] or "the cluster"
    print(f"Traffic of {whose}:\n\n  {door.url}\n")  # noqa: T201
    print("Who has this address reads with your rights while this runs. Ctrl-C ends it.", flush=True)  # noqa: T201


def _leave(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)
