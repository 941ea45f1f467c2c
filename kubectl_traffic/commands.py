"""The commands that are modules of their own, each with ``main(arguments) -> exit code``, and what each is for."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["COMMANDS", "EDGES"]

COMMANDS: Mapping[str, str] = {
    "top": "rates and latencies as a table, live with -w",
    "topology": "who talks to whom, as a graph",
    "gate": "does a workload hold what is demanded of it? for pipelines",
    "dashboard": "a page in the browser",
    "sources": "where the numbers come from, and how those sources are",
    "completion": "completion with the tab key",
    "version": "the version of the plugin, and whether the cluster has the API",
}
"""Names of commands, which are those of their modules."""

EDGES = "edges"
"""The command that is no module: it becomes a ``kubectl get``, as the line without a command does."""
