"""The command ``kubectl traffic gate``: samples are taken until a check is broken or the time is up, and the verdict is the exit code."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import TextIO

from kubectl_traffic.gate.check import Observation, Outcome
from kubectl_traffic.gate.options import USAGE, Options, read_options
from kubectl_traffic.gate.report import CODES, NOT_JUDGED, Report, progress
from kubectl_traffic.gate.sampling import Clock, Refused, Sampling, count
from kubectl_traffic.gate.verdict import tallies
from kubectl_traffic.kubectl import KubectlError
from kubectl_traffic.reading import read
from kubectl_traffic.screen import has_colours
from kubectl_traffic.sheet import clean
from metrics_api.errors import BadQuery

__all__ = ["judge", "main"]

_PATIENCE = 60  # seconds for an answer: as long as kube-apiserver gives one, so that a gate ends although a server hangs
_WINDOW = 30  # seconds, where nobody has told what the server is set up for: its own default


def main(arguments: Sequence[str]) -> int:
    """Judge, and tell the verdict: 0 held, 1 broken, 2 no data to judge by, 3 for whatever else came in between."""
    try:
        return _run(arguments)
    except (BadQuery, KubectlError, Refused) as error:
        _say(f"kubectl traffic gate: {error.args[0]}", sys.stderr)
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception:  # noqa: BLE001 Python would exit with 1, and a pipeline would read it as a verdict
        traceback.print_exc()
    return NOT_JUDGED


def judge(options: Options, sampling: Sampling, *, tell: bool) -> tuple[Report, Fraction]:
    """What comes out of a gate, and the interval in seconds it took samples at.

    With ``tell`` standard error has each warning of the server once, and each sample of several as it is taken. Raises
    :class:`kubectl_traffic.gate.sampling.Refused`.
    """
    first = sampling.first()
    warned: set[str] = set()
    if tell:
        _warn(first, warned)
    interval = options.interval or Fraction(_window(first, options))
    planned = count(options.duration, interval) if options.duration else 1
    found = iter([first]) if not options.duration else sampling.later(planned, interval, first)
    taken: list[Observation] = []
    tallied = tallies(options.checks, options.enough, taken)
    for observation in found:
        taken.append(observation)
        tallied = tallies(options.checks, options.enough, taken)
        if tell:
            _warn(observation, warned)
        if tell and options.duration:
            _say(progress(tallied, len(taken), planned), sys.stderr)
        if any(tally.verdict(options.tolerated) is Outcome.BROKEN for tally in tallied):
            break
    names = tuple(map(str, options.subjects))
    return Report(names, tallied, tuple(taken), planned, options.tolerated), interval


def _run(arguments: Sequence[str]) -> int:
    options = read_options(arguments)
    if options is None:
        _say(USAGE.removesuffix("\n"), sys.stdout)
        return 0
    report, interval = judge(options, _sampling(options), tell=not options.quiet)
    if options.json and not options.quiet:
        asked = {"window": str(options.window) if options.window else None, "forSeconds": float(options.duration)}
        _say(json.dumps(report.document({**asked, "intervalSeconds": float(interval)}), indent=2), sys.stdout)
    elif not options.quiet:
        _say("\n".join(report.lines(colour=has_colours(options.colour))), sys.stdout)
    return CODES[report.verdict]


def _sampling(options: Options) -> Sampling:
    namespace = options.kubectl.namespace() if any(subject.namespaced for subject in options.subjects) else ""
    parameters = {"window": str(options.window)} if options.window else {}
    kubectl = options.kubectl.within(_PATIENCE)
    reads = tuple(partial(read, kubectl, subject.path(namespace), parameters) for subject in options.subjects)
    return Sampling(reads, Clock(time.monotonic, time.sleep))


def _window(first: Observation, options: Options) -> int:
    """The seconds that the numbers cover: those of the source, which may have whole minutes only."""
    if first.rows:
        return max(row.window.seconds for row in first.rows)
    return options.window.seconds if options.window else _WINDOW


def _warn(observation: Observation, warned: set[str]) -> None:
    """Pass on what the server warned of, of which ``warned`` was said before: a window too short for its source, for example."""
    for warning in observation.warnings:
        if warning not in warned:
            warned.add(warning)
            _say(f"Warning: {clean(warning)}", sys.stderr)


def _say(text: str, stream: TextIO) -> None:
    stream.write(f"{text}\n")
    stream.flush()
