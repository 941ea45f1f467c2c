"""The commands about configuration files: name the problems of one, and print the schema by which editors know them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from apiservice.reloading import ConfigurationFiles
from metrics_api.document import Problems

__all__ = ["add_config_commands"]

Files = Callable[[str | None, Mapping[str, str], Mapping[str, str]], ConfigurationFiles]


def add_config_commands(commands: Any, files: Files) -> None:
    """Add ``config check`` and ``config schema`` to the subparsers of a command; ``files`` finds what a configuration is made of."""
    config = commands.add_parser("config", help="work with configuration files").add_subparsers(required=True, metavar="COMMAND")
    check = config.add_parser(
        "check", help="name every problem of a file; exits with 2 when there is one", description=_CHECK, allow_abbrev=False
    )
    check.add_argument(
        "file", metavar="FILE", help="configuration file, - is standard input; the dialect files it names are read, too"
    )
    check.add_argument(
        "--elsewhere",
        action="store_true",
        help="the file is for another machine: certificates and kubeconfigs that it names need not be here",
    )
    check.set_defaults(run=lambda options: _check(options, files))
    schema = config.add_parser("schema", help="print the JSON Schema of a configuration file, for editors", allow_abbrev=False)
    schema.set_defaults(run=_schema)


_CHECK = "Names every problem of a file, each with its line, and exits with 2 when there is one. Flags and environment are not looked at."


def _check(options: argparse.Namespace, files: Files) -> int:
    problems = Problems(elsewhere=options.elsewhere)
    try:
        files(options.file, {}, {}).load(problems=problems)
    finally:
        sys.stderr.writelines(f"note: {remark}\n" for remark in problems.remarks)
    sys.stdout.write(f"{'standard input' if options.file == '-' else options.file}: no problems found\n")
    return 0


def _schema(_: argparse.Namespace) -> int:
    sys.stdout.write(resources.files("apiservice.settings").joinpath("schema.json").read_text(encoding="utf-8"))
    return 0
