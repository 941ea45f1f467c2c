"""Every key of the server's own sections, with the flag and the environment variable that repeat it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from apiservice.settings.sections import KubernetesSettings, LoggingSettings, MetricsSettings, ServerSettings, SurfaceSettings
from metrics_api.keys import Key, keys_of, plain

__all__ = ["OPTIONS", "SECTIONS", "Option", "add_options"]

SECTIONS: Mapping[str, type] = {
    "server": ServerSettings,
    "kubernetes": KubernetesSettings,
    "metrics": MetricsSettings,
    "surfaces": SurfaceSettings,
    "logging": LoggingSettings,
}


@dataclass(frozen=True, slots=True)
class Option:
    """One key of the file, and the flag that repeats it. A flag of one letter is written with one dash, too."""

    section: str
    described: Key

    @property
    def key(self) -> str:
        """The key within its section."""
        return self.described.name

    @property
    def name(self) -> str:
        """The flag without its dashes: the key in kebab case, unless Kubernetes calls it differently."""
        return self.described.flag or "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in self.key)

    @property
    def variable(self) -> str:
        """The environment variable that repeats it."""
        return f"TRAFFICMETRICS_{self.name.upper().replace('-', '_')}"

    @property
    def help(self) -> str:
        """What the command says of its flag."""
        default = self.described.default
        written = str(default).lower() if isinstance(default, bool) else default
        allowed = plain(self.described.form.allowed)
        told = f"{plain(self.described.meaning)} ({allowed})" if allowed else plain(self.described.meaning)
        return told if written is None else f"{told}; default {written}"


OPTIONS: tuple[Option, ...] = tuple(Option(section, each) for section, settings in SECTIONS.items() for each in keys_of(settings))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add every flag to a command."""
    for option in OPTIONS:
        short = [f"-{option.name}"] if len(option.name) == 1 else []
        told = option.help.replace("%", "%%")
        parser.add_argument(f"--{option.name}", *short, dest=option.name, metavar="VALUE", help=told)
