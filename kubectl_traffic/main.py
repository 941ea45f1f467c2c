"""The command ``kubectl-traffic``, which kubectl runs as ``kubectl traffic``."""

from __future__ import annotations

import os
import shutil
import sys

from kubectl_traffic.command import USAGE, kubectl_arguments
from metrics_api import BadQuery

__all__ = ["main"]


def main() -> int:  # noqa: RET503 execv does not return
    """Become the ``kubectl get`` that answers the command line; returns only when there is none."""
    arguments = sys.argv[1:]
    if any(word in ("-h", "--help", "help") for word in arguments):
        print(USAGE, end="")
        return 0
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        print("kubectl traffic: there is no kubectl on the PATH", file=sys.stderr)
        return 1
    try:
        line = kubectl_arguments(arguments)
    except BadQuery as error:
        print(f"kubectl traffic: {error.message}", file=sys.stderr)
        return 2
    os.execv(kubectl, [kubectl, *line])  # noqa: S606 the arguments are passed as they are, without a shell


if __name__ == "__main__":
    sys.exit(main())
