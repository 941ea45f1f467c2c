"""The command that a kubeconfig has credentials made by: it may hang or fail, and then kube-apiserver is not to blame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from apiservice.checkup.verdicts import problem
from metrics_api.diagnosis import Finding

__all__ = ["failed", "hanging", "plugin_of"]

_MADE = "the kubeconfig has credentials made by a command, {}, which"


def plugin_of(kubeconfig: str) -> str:
    """The command (``users[].user.exec.command``, without its arguments: they may be secret); "" where there is none, or no such file."""
    try:
        document = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8")) if kubeconfig else {}
        context = _named(document["contexts"], document["current-context"])["context"]
        command = _named(document["users"], context["user"])["user"]["exec"]["command"]
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        return ""
    return str(command)


def hanging(plugin: str, kubeconfig: str, seconds: float) -> Finding:
    """That it was not over after so many seconds."""
    return problem("reach", f"{_MADE.format(plugin)} was not over after {seconds:g}s", _advice(kubeconfig))


def failed(plugin: str, kubeconfig: str) -> Finding:
    """That it gave no credentials. What it says itself is not told: it may be secret."""
    return problem("reach", f"{_MADE.format(plugin)} gave none", _advice(kubeconfig))


def _advice(kubeconfig: str) -> str:
    return f"kubectl --kubeconfig {kubeconfig} get --raw /version runs it in the same way, and shows what it says"


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The entry of this name; LookupError without one."""
    return [entry for entry in entries if entry["name"] == name][0]  # noqa: RUF015 - an error of lookups is wanted
