"""How long ``kubectl traffic`` takes to begin, and what it costs beside the ``kubectl get --raw`` that it asks with."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from figures import Table

from metrics_api import Direction, Edge, ResourceRef, Side, TrafficMetrics, Window, list_wire

__all__ = ["begin"]

_TARGET = 0.150
_ROWS = 200
_PATH = "/apis/metrics.smi-spec.io/v1alpha1/namespaces/shop/trafficmetrics"


def begin(*, quick: bool) -> None:
    """Time whole commands, from their start to their end; nothing is asked of a server but where it says so."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        print("\nplugin: kubectl is not on the PATH")
        return
    rounds = 10 if quick else 40
    with TemporaryDirectory() as folder, _canned() as server:
        home = Path(folder)
        program = home / "kubectl-traffic"
        program.write_text(
            f"#!{sys.executable}\nimport sys\nfrom kubectl_traffic.main import main\nsys.exit(main())\n", encoding="utf-8"
        )
        program.chmod(0o755)
        (home / "config").touch()
        flags = [f"--server={server}", f"--kubeconfig={home / 'config'}", "-n", "shop"]
        environment = {"PATH": f"{home}:{Path(kubectl).parent}:/usr/bin:/bin", "HOME": folder}
        lines = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "kubectl-traffic --help": [str(program), "--help"],
            "kubectl-traffic top --help": [str(program), "top", "--help"],
            "kubectl-traffic version --client": [str(program), "version", "--client"],
            "kubectl traffic --help": [kubectl, "traffic", "--help"],
            f"kubectl get --raw, {_ROWS} rows": [kubectl, "get", "--raw", _PATH, *flags],
            f"kubectl-traffic top, {_ROWS} rows": [str(program), "top", *flags],
            f"kubectl traffic top, {_ROWS} rows": [kubectl, "traffic", "top", *flags],
        }
        taken: dict[str, list[float]] = {name: [] for name in lines}
        for _ in range(rounds):
            # In turn, so that what slows the machine down slows all of them.
            for name, line in lines.items():
                taken[name].append(_timed(line, environment))
    table = Table(
        f"plugin: how long commands take, of {rounds} rounds",
        ("command", "median", "fastest"),
        f"kubectl-traffic --help is what it takes to begin: {1000 * _TARGET:.0f} ms at most are wanted.",
    )
    for name, times in taken.items():
        table.add(name, f"{1000 * median(times):.0f} ms", f"{1000 * min(times):.0f} ms")
    table.print()


def _timed(line: Sequence[str], environment: dict[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run(line, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


@contextmanager
def _canned() -> Iterator[str]:
    """A server that has one answer, made up beforehand; its URL."""
    body = json.dumps(list_wire([_row(number) for number in range(_ROWS)], {}, ResourceRef("", "shop", ""))).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _row(number: int) -> TrafficMetrics:
    who = ResourceRef("Deployment", "shop", f"workload-{number}")
    edge = Edge(Direction.FROM, Side.SERVER)
    return TrafficMetrics(
        f"deployment.{who.name}", "shop", who, edge, 1_795_300_000, Window(30), 12_000, 6_000, 3_000, 90_000, 1_000
    )


if __name__ == "__main__":
    begin(quick="--quick" in sys.argv)
