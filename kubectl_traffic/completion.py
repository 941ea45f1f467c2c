"""Completion with the tab key: commands, kinds, names, namespaces, options and their values.

kubectl runs ``kubectl_complete-traffic`` with the words of the line, the last of which is to be completed, and reads candidates, one a
line, an explanation behind a tab, and a last line with a directive (kubernetes/kubernetes:
staging/src/k8s.io/kubectl/pkg/cmd/plugin/plugin_completion.go).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from functools import cache
from importlib import import_module
from io import StringIO
from itertools import pairwise

from kubectl_traffic.commands import COMMANDS, EDGES
from kubectl_traffic.kubectl import SWITCHES, VALUED, Kubectl, KubectlError, read_flags
from kubectl_traffic.options import read_line
from kubectl_traffic.subject import GROUP_VERSION, Subject, type_of_word
from metrics_api.errors import BadQuery
from metrics_api.resources import RESOURCE_TYPES

__all__ = ["SCRIPT", "USAGE", "candidates", "main"]

USAGE = """\
Completion with the tab key, for shells in which that of kubectl is set up (kubectl completion --help).

  kubectl traffic completion

prints the program kubectl asks for candidates. Save it on your PATH, if the installation has not put it there:

  kubectl traffic completion > ~/.local/bin/kubectl_complete-traffic
  chmod +x ~/.local/bin/kubectl_complete-traffic
"""

SCRIPT = """\
#!/bin/sh
exec kubectl traffic completion -- "$@"
"""

_NO_FILES = ":4"
_PATIENCE = 5  # seconds that a shell may stand still
_EDGES = "with whom resources exchange traffic"
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
# In a help, a value stands behind its option, and an explanation further away.
_VALUED = re.compile(r"(?<![\w-])(--[a-z][a-z0-9-]+) (?=[^\s-])")
_WITH_SUBJECT = ("top", "gate", "topology", "dashboard", EDGES)
_WITH_TWO_WORDS = ("top", "gate", "topology")
_KINDS = tuple(row.plural for row in RESOURCE_TYPES)
_OUTPUTS_OF_GET = ("wide", "json", "yaml", "name", "jsonpath=", "custom-columns=")


def main(arguments: list[str] | None = None) -> int:
    """Print candidates for the words of a line, or without ``--`` the program that asks for them; the exit code is 0.

    As ``kubectl_complete-traffic`` it has no ``arguments``: its words are those of the process.
    """
    if arguments is not None and arguments[:1] != ["--"]:
        line = read_line("completion", arguments, {}, {"help": "h"})
        if line.words:
            raise BadQuery(f'completion takes no words, such as "{line.words[0]}"')
        print(USAGE if "help" in line.on else SCRIPT, end="")  # noqa: T201 a command prints
        return 0
    words = sys.argv[1:] if arguments is None else arguments[1:]
    for found in candidates(words or [""]):
        print(found)  # noqa: T201
    print(_NO_FILES)  # noqa: T201
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """What the last of the words may become; empty when nothing is known, for whatever reason: completion never complains."""
    *before, begun = words
    try:
        option, equals, value = begun.partition("=")
        if begun.startswith("--") and equals:
            # The shells put the option and its sign back themselves.
            return [found for found in _values(_command(before), option, before, value) if found.startswith(value)]
        return [found for found in _possible(before, begun) if found.startswith(begun)]
    except (BadQuery, KubectlError, AttributeError, KeyError, TypeError):  # the last three: what answered is no such list
        return []


def _possible(before: Sequence[str], begun: str) -> Iterable[str]:
    command = _command(before)
    if before and _takes_value(command, before[-1]):
        return _values(command, before[-1], before, begun)
    if begun.startswith("-"):
        return _options(command)
    words = list(_plain(command, before))[1 if command else 0 :]
    if command and command not in _WITH_SUBJECT:
        return _sources(before) if command == "sources" and not words else []
    if "/" in begun:
        return _objects(begun, before)
    if not words:
        return _KINDS if command else [*(f"{name}\t{what}" for name, what in COMMANDS.items()), f"{EDGES}\t{_EDGES}", *_KINDS]
    return _names(words[0], before) if command in _WITH_TWO_WORDS and len(words) == 1 and "/" not in words[0] else []


def _command(before: Sequence[str]) -> str:
    """The command of a line; empty for the default form."""
    return before[0] if before and before[0] in (*COMMANDS, EDGES) else ""


def _options(command: str) -> list[str]:
    """The options that the help of a command tells of, and those of kubectl."""
    return sorted({*_OPTION.findall(_help(command)), *VALUED, *SWITCHES, "--namespace", "--all-namespaces", "--help"})


@cache
def _help(command: str) -> str:
    """What a command says about itself; without a command, the default form."""
    if command not in COMMANDS:
        from kubectl_traffic.command import USAGE as GET  # noqa: PLC0415 completion of commands does without it

        return GET
    told = StringIO()
    with redirect_stdout(told):
        import_module(f"kubectl_traffic.{command}").main(["--help"])
    return told.getvalue()


def _takes_value(command: str, word: str) -> bool:
    if word in ("-n", "-o", "-l", "-s", "-v", "--namespace") or word in VALUED or word in _choices(command):
        return True
    return word.startswith("--") and word in _VALUED.findall(_help(command))


def _values(command: str, option: str, before: Sequence[str], begun: str) -> Iterable[str]:
    if option == "--compare":
        return _objects(begun, before) if "/" in begun else _KINDS
    if option in ("-n", "--namespace", "--context"):
        kubectl = read_flags(before[:-1] if before[-1:] == [option] else before)[0]
        return kubectl.contexts() if option == "--context" else _namespaces(kubectl)
    return _choices(command).get(option, ())


def _choices(command: str) -> Mapping[str, Sequence[str]]:
    """The options of a command that take one of a few words, and these words."""
    if command not in COMMANDS:
        return dict.fromkeys(("-o", "--output"), _OUTPUTS_OF_GET)
    chosen: Mapping[str, Sequence[str]] = getattr(import_module(f"kubectl_traffic.{command}"), "CHOICES", {})
    return chosen


def _plain(command: str, before: Sequence[str]) -> Iterator[str]:
    """The words that are neither options nor their values."""
    for last, word in pairwise(["", *before]):
        if not word.startswith("-") and not _takes_value(command, last):
            yield word


def _objects(begun: str, before: Sequence[str]) -> list[str]:
    """What ``KIND/`` and the beginning of a name may become."""
    kind = begun.partition("/")[0]
    return [f"{kind}/{name}" for name in _names(kind, before)]


def _names(kind: str, before: Sequence[str]) -> list[str]:
    """The names of a kind, also of what has no traffic."""
    kubectl = read_flags(before)[0]
    subject = Subject(type_of_word(kind))
    listed = _items(kubectl, subject.path(kubectl.namespace() if subject.namespaced else ""), {"includeIdle": "true"})
    return sorted(set(listed))


def _sources(before: Sequence[str]) -> list[str]:
    return _items(read_flags(before)[0], f"{GROUP_VERSION}/sources", {})


def _namespaces(kubectl: Kubectl) -> list[str]:
    """The namespaces of the cluster, or if these may not be listed (or there is no cluster) those with traffic."""
    try:
        return _items(kubectl, "/api/v1/namespaces", {})
    except KubectlError:
        return _items(kubectl, f"{GROUP_VERSION}/namespaces", {})


def _items(kubectl: Kubectl, path: str, parameters: Mapping[str, str]) -> list[str]:
    document = kubectl.within(_PATIENCE).ask(path, parameters).document
    return [item["metadata"]["name"] for item in document.get("items") or []]
