"""The command ``kubectl-traffic``, which kubectl runs as ``kubectl traffic``: it finds out which command is meant, and loads no other."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from io import TextIOWrapper

from kubectl_traffic.command import USAGE, kubectl_arguments
from kubectl_traffic.commands import COMMANDS, EDGES
from kubectl_traffic.kubectl import KubectlError
from kubectl_traffic.subject import type_of_word
from metrics_api.errors import BadQuery
from metrics_api.resources import RESOURCE_TYPES

__all__ = ["main"]


def main() -> int:
    """Run the command that the arguments name. 0 is success, 1 a failure, 2 a line that makes no sense; ``gate`` has its own codes."""
    arguments = sys.argv[1:]
    if isinstance(sys.stdout, TextIOWrapper):
        # What the terminal has no character for is shown as "?".
        sys.stdout.reconfigure(errors="replace")
    try:
        return _run(arguments)
    except BadQuery as error:
        print(f"kubectl traffic: {error.message}", file=sys.stderr)
        return 2
    except KubectlError as error:
        print(f"kubectl traffic: {error.message}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has enough; what is still buffered must not fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # 128 + SIGPIPE, as a program has it that does not catch it


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    if arguments and arguments[0] in COMMANDS:
        command: Callable[[list[str]], int] = import_module(f"kubectl_traffic.{arguments[0]}").main
        code = command(arguments[1:])
        sys.stdout.flush()
        return code
    if any(word in ("-h", "--help") for word in arguments):
        more = "\n".join(f"  kubectl traffic {name:<16} {what}" for name, what in COMMANDS.items())
        print(f"{USAGE}\nOther commands, each of which tells more with --help:\n\n{more}")
        return 0
    return _become_get(arguments)


def _become_get(arguments: list[str]) -> int:
    """Become the ``kubectl get`` that answers; returns never."""
    try:
        line = kubectl_arguments(arguments)
    except BadQuery:
        _require_known(arguments)
        raise
    try:
        os.execvp("kubectl", ["kubectl", *line])  # noqa: S606, S607 the user's own kubectl, without a shell
    except FileNotFoundError:
        raise KubectlError("there is no kubectl on the PATH") from None


def _require_known(arguments: list[str]) -> None:
    """:class:`BadQuery` for a first word that is neither a command nor a kind."""
    word = next((word for word in arguments if not word.startswith("-")), "")
    if word and arguments[0] == word and word != EDGES and "/" not in word:
        try:
            type_of_word(word)
        except BadQuery as error:
            from difflib import get_close_matches  # noqa: PLC0415 it is needed for mistakes alone

            near = get_close_matches(word, [EDGES, *COMMANDS, *(row.plural for row in RESOURCE_TYPES)], 1)
            told = f'"{word}" is neither a command nor a kind ({near[0]}?): see kubectl traffic --help' if near else ""
            raise BadQuery(told or f"{error.message}; nor is it a command: {', '.join((EDGES, *COMMANDS))}") from None


if __name__ == "__main__":
    sys.exit(main())
