"""Command lines of the plugin's own commands, read as kubectl reads its own (spf13/pflag): ``--sort-by=rps``, ``-o json``, ``-ojson``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kubectl_traffic.kubectl import Kubectl, read_flags
from metrics_api.errors import BadQuery

__all__ = ["COLOURS", "Line", "read_line"]

COLOURS = ("auto", "always", "never")
"""When to colour: on a terminal, always, or never."""

_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")


@dataclass(frozen=True, slots=True)
class Line:
    """A command line, read. ``words`` are what is no option, ``values`` of options by their long names, ``on`` the switches that are on."""

    kubectl: Kubectl
    words: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    on: frozenset[str] = frozenset()

    def one_of(self, option: str, known: Sequence[str], default: str | None = None) -> str:
        """The value of an option that takes one of a few words, the first of them or ``default`` when it is not given.

        Raises :class:`metrics_api.errors.BadQuery` for another word.
        """
        value = self.values.get(option, known[0] if default is None else default)
        if value not in (*known, default):
            raise BadQuery(f'--{option} "{value}" is not one of {", ".join(known)}')
        return value


def read_line(command: str, arguments: Sequence[str], valued: Mapping[str, str], switches: Mapping[str, str]) -> Line:
    """Read the arguments of a command beside which kubectl's own flags may stand.

    ``valued`` and ``switches`` are the command's options by name without dashes, each with its letter or an empty string. Of an option
    that is given twice the last counts. Raises :class:`metrics_api.errors.BadQuery`, which names the command whose help to read.
    """
    letters = {letter: name for name, letter in (*valued.items(), *switches.items()) if letter}
    kubectl, own = read_flags(arguments, "".join(letter for letter in switches.values() if letter))
    words: list[str] = []
    values: dict[str, str] = {}
    on: dict[str, bool] = {}
    left = iter(own)
    for word in left:
        if word == "--":
            words += left
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, value = _option(word, letters)
        if name in switches:
            on[name] = _truth(word, value)
        elif name in valued:
            taken = next(left, None) if value is None else value
            if taken is None:
                raise BadQuery(f"{word} needs a value: see kubectl traffic {command} --help")
            values[name] = taken
        else:
            raise BadQuery(
                f"unknown option {word.partition('=')[0]}{_meant(name, valued, switches)}: see kubectl traffic {command} --help"
            )
    return Line(kubectl, tuple(words), values, frozenset(name for name, given in on.items() if given))


def _option(word: str, letters: Mapping[str, str]) -> tuple[str, str | None]:
    """The name of the option that a word is, and the value that it has with it."""
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        return name, value if equals else None
    return letters.get(word[1], word[1:2]), word[2:].removeprefix("=") if len(word) > 2 else None


def _truth(word: str, value: str | None) -> bool:
    if value is None or value.lower() in _TRUE:
        return True
    if value.lower() not in _FALSE:
        raise BadQuery(f"{word} is a switch, which is on or =false")
    return False


def _meant(name: str, *known: Mapping[str, str]) -> str:
    """What may have been meant by an unknown name."""
    from difflib import get_close_matches  # noqa: PLC0415 it is needed for mistakes alone

    near = get_close_matches(name, [each for names in known for each in names], 1)
    return f" (--{near[0]}?)" if near else ""
