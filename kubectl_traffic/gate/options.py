"""The command line of a gate, read: what is judged, by which checks, for how long, and how the verdict is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from kubectl_traffic.gate.amounts import read_count, read_number, read_percent, read_span
from kubectl_traffic.gate.check import Check, Enough
from kubectl_traffic.gate.demands import (
    PERCENTILES,
    at_least_rate,
    at_least_success,
    at_most_drop,
    at_most_failures,
    at_most_latency,
    at_most_rise,
)
from kubectl_traffic.kubectl import Kubectl
from kubectl_traffic.options import COLOURS, read_line
from kubectl_traffic.subject import Subject, read_subject
from metrics_api.errors import BadQuery
from metrics_api.resources import SPLIT_KINDS
from metrics_api.window import Window

__all__ = ["CHOICES", "USAGE", "Options", "read_options"]

USAGE = """\
Does a workload hold what is demanded of it? For pipelines: the answer is the exit code.

  kubectl traffic gate KIND/NAME CHECK... [options]

Checks, each of the requests received in one window:
  --success 99.5         at least so many percent succeed
  --p50, --p90, --p99 300ms   a percentile of latency, at most
  --failures 10          at most so many requests fail
  --rps 5                at least so many requests per second: with fewer there is no judging, and so no data
  --requests 50          at least so many requests, likewise (1; with --compare 100)

A canary beside its baseline:
  --compare deploy/web-canary   the checks are of both, and the canary is judged by KIND/NAME, at the same instants:
  --success-drop 0.5     its success rate is at most so many percentage points below (0.5; "off")
  --latency-rise 20%     its latency is at most so much above, at the percentiles that are checked, or else at p99 (20%; "off")

  --for 2m               hold it for so long: a sample at the end of every interval. Without it, one sample now
  --interval 30s         time between samples (the window)
  --tolerate 1           samples that may break a check, or have no data (0)
  --window 30s           how far each sample looks back (as the server is set up)
  -o, --output json      all of it, for machines
  --color auto           always, never, or on a terminal unless NO_COLOR is set
  -q, --quiet            the exit code alone

Exit codes: 0 held, 1 broken, 2 no data to judge by, 3 not judged (the command line, access, no such object, no server).
All options of kubectl that choose cluster, user and namespace are good here: -n, --context, --kubeconfig, --as, ...

  kubectl traffic gate deploy/web -n shop --success 99.5 --p99 300ms --for 2m
  kubectl traffic gate deploy/web -n shop --success 99 --compare deploy/web-canary --for 5m --window 1m
"""

_VALUED = {
    **dict.fromkeys(("success", *PERCENTILES, "failures", "rps", "requests"), ""),
    **dict.fromkeys(("compare", "success-drop", "latency-rise", "for", "interval", "tolerate", "window", "color"), ""),
    "output": "o",
}
_SWITCHES = {"quiet": "q", "help": "h"}
_OUTPUTS = ("json",)
_COMPARING = ("success-drop", "latency-rise")
_OFF = "off"
_ENOUGH, _ENOUGH_TO_COMPARE = Fraction(1), Fraction(100)
_DROP, _RISE = "0.5", "20%"

CHOICES = {"-o": _OUTPUTS, "--output": _OUTPUTS, "--color": COLOURS}
"""The options that take one of a few words, for completion."""

_Value = TypeVar("_Value")
_Default = TypeVar("_Default")


@dataclass(frozen=True, slots=True)
class Options:
    """A gate as it is wanted. ``subjects`` are the one to be judged, or the baseline and then the candidate.

    ``duration`` and ``interval`` are seconds; without an interval it is the window, and without a window that of the server.
    """

    kubectl: Kubectl
    subjects: tuple[Subject, ...]
    checks: tuple[Check, ...]
    enough: Enough
    duration: Fraction
    interval: Fraction | None
    window: Window | None
    tolerated: int
    json: bool
    quiet: bool
    colour: str


def read_options(arguments: Sequence[str]) -> Options | None:
    """The gate that a command line asks for; None when it asks for help.

    Raises :class:`metrics_api.errors.BadQuery` for a line that makes no sense, above all for one without anything to check.
    """
    line = read_line("gate", arguments, _VALUED, _SWITCHES)
    if "help" in line.on or line.words == ("help",):
        return None
    said = line.values
    subjects = [_subject(" ".join(line.words) or "nothing", line.words)]
    if "compare" in said:
        subjects.append(_subject(f"--compare {said['compare']}", [said["compare"]]))
        if subjects[0] == subjects[1]:
            raise BadQuery(f"--compare {said['compare']}: a workload cannot be compared with itself")
    if line.kubectl.everywhere:
        raise BadQuery("a gate judges one object, which is in one namespace: -n NAMESPACE instead of -A")
    for option in ("interval", "tolerate"):
        if option in said and "for" not in said:
            raise BadQuery(f"--{option} is about several samples: say with --for how long to watch")
    output = said.get("output", "")
    if output not in ("", *_OUTPUTS):
        raise BadQuery(f'-o "{output}": a gate tells its verdict in words, or as json')
    colour = line.one_of("color", COLOURS)
    comparing = len(subjects) > 1
    checks = tuple(check for subject in range(len(subjects)) for check in _absolute(said, subject)) + _relative(said, comparing)
    if not checks:
        raise BadQuery("nothing to check: give --success, --p50, --p90, --p99, --failures or --rps, or --compare")
    return Options(
        kubectl=line.kubectl,
        subjects=tuple(subjects),
        checks=checks,
        enough=Enough(
            requests=_read(said, "requests", read_number, _ENOUGH_TO_COMPARE if comparing else _ENOUGH),
            rate=_read(said, "rps", read_number, Fraction(0)),
        ),
        duration=_read(said, "for", read_span, Fraction(0)),
        interval=_read(said, "interval", read_span, None),
        window=Window.parse(said["window"]) if "window" in said else None,
        tolerated=_read(said, "tolerate", read_count, 0),
        json=output == "json",
        quiet="quiet" in line.on,
        colour=colour,
    )


def _subject(told: str, words: Sequence[str]) -> Subject:
    subject = read_subject(words)
    if subject.type is None or not subject.name:
        raise BadQuery(f"a gate judges one object, KIND/NAME such as deploy/web, not {told}")
    if subject.type.kind in SPLIT_KINDS:
        raise BadQuery(
            f"{told}: a {subject.type.kind} has numbers for each of its backends: judge these, as svc/NAME or deploy/NAME"
        )
    return subject


def _absolute(said: Mapping[str, str], subject: int) -> Iterator[Check]:
    """The checks of one workload, in the order in which the usage lists them."""
    if "success" in said:
        yield at_least_success(read_percent("--success", said["success"]), subject)
    for percentile in PERCENTILES:
        if percentile in said:
            yield at_most_latency(percentile, read_span(f"--{percentile}", said[percentile]), subject)
    if "failures" in said:
        yield at_most_failures(read_number("--failures", said["failures"]), subject)
    if "rps" in said:
        yield at_least_rate(read_number("--rps", said["rps"]), subject)


def _relative(said: Mapping[str, str], comparing: bool) -> tuple[Check, ...]:  # noqa: FBT001
    """The checks of a candidate beside its baseline."""
    for option in _COMPARING:
        if option in said and not comparing:
            raise BadQuery(f"--{option} compares two workloads: name the other one with --compare KIND/NAME")
    if not comparing:
        return ()
    drop, rise = said.get("success-drop", _DROP), said.get("latency-rise", _RISE)
    checks = [] if drop == _OFF else [at_most_drop(read_percent("--success-drop", drop))]
    if rise != _OFF:
        limit = read_percent("--latency-rise", rise, most=None)
        checked = [percentile for percentile in PERCENTILES if percentile in said]
        checks += [at_most_rise(percentile, limit) for percentile in checked or ["p99"]]
    return tuple(checks)


def _read(said: Mapping[str, str], option: str, how: Callable[[str, str], _Value], default: _Default) -> _Value | _Default:
    text = said.get(option)
    return default if text is None else how(f"--{option}", text)
