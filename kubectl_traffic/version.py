"""``kubectl traffic version``: which version the plugin is of, and whether the cluster has the API it speaks."""

from __future__ import annotations

from kubectl_traffic.options import read_line
from kubectl_traffic.subject import GROUP_VERSION
from metrics_api.errors import BadQuery
from metrics_api.resources import API_VERSION

__all__ = ["USAGE", "main", "plugin_version"]

USAGE = """\
The version of the plugin, and whether the cluster has the API that it speaks.

  kubectl traffic version [--client] [options]

  --client             the version of the plugin alone, without asking the cluster
"""


def plugin_version() -> str:
    """The version of the installed distribution."""
    from importlib.metadata import version  # noqa: PLC0415 it takes longer than all else

    return version("trafficmetrics")


def main(arguments: list[str]) -> int:
    """Print the versions; the exit code is 0. Raises :class:`kubectl_traffic.kubectl.KubectlError` when the cluster has no such API."""
    if any(word in ("-h", "--help") for word in arguments):
        print(USAGE, end="")  # noqa: T201 a command prints
        return 0
    line = read_line("version", arguments, {}, {"client": ""})
    if line.words:
        raise BadQuery(f'version takes no words, such as "{line.words[0]}"')
    print(f"Plugin version: v{plugin_version()}", flush=True)  # noqa: T201
    if "client" not in line.on:
        told = line.kubectl.get_raw(GROUP_VERSION)
        served = len([each for each in told.get("resources") or [] if "/" not in each["name"]])
        print(f"API: {API_VERSION}, {served} resources")  # noqa: T201
    return 0
