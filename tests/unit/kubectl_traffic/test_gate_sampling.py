"""When a gate looks, what it does with what it sees, and what it will not wait for; over a clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

import pytest

from kubectl_traffic.gate import command
from kubectl_traffic.gate.command import judge
from kubectl_traffic.gate.options import Options, read_options
from kubectl_traffic.gate.sampling import Clock, Refused, Sampling, count
from kubectl_traffic.kubectl import KubectlError
from kubectl_traffic.reading import Reading
from metrics_api import BadQuery, Edge, ResourceRef, TrafficMetrics, Window

ROW = TrafficMetrics(
    "web", "shop", ResourceRef("Deployment", "shop", "web"), Edge(), 0, Window(30), p99=1, success=10**6, failure=0
)
NO_WAY = KubectlError("The connection to the server 127.0.0.1:1 was refused")
BUSY = KubectlError("source: did not answer", reason="ServiceUnavailable")
GONE = KubectlError('"web" not found', reason="NotFound")


@dataclass
class Server:
    """Tells of a row, renewed every ``refresh`` seconds of its clock; ``failures`` are raised at these seconds instead."""

    refresh: int = 5
    failures: dict[int, KubectlError] = field(default_factory=dict)
    window: Window = ROW.window
    now: float = 0.0
    looks: list[float] = field(default_factory=list)

    def read(self) -> Reading:
        self.looks.append(self.now)
        if failure := self.failures.get(int(self.now)):
            raise failure
        return Reading((replace(ROW, instant=int(self.now) // self.refresh * self.refresh, window=self.window),))

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def sampling(self) -> Sampling:
        return Sampling((self.read,), Clock(lambda: self.now, self.sleep))


def options(line: str) -> Options:
    found = read_options(["deploy/web", "--success", "99", *line.split()])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("line", "looks"),
    [
        pytest.param("", [0], id="one, now"),
        pytest.param("--for 2m", [0, 30, 60, 90, 120], id="the window of the answers"),
        pytest.param("--for 2m --interval 1m", [0, 60, 120], id="an interval"),
        pytest.param("--for 100s --interval 1m", [0, 60, 120], id="rounded up to whole intervals"),
        pytest.param("--for 1s", [0, 30], id="one window at least"),
    ],
)
def test_a_sample_is_taken_at_the_end_of_every_interval(line: str, looks: list[float]) -> None:
    server = Server()
    report, _ = judge(options(line), server.sampling, tell=False)
    assert (server.looks, report.verdict.value, report.planned) == (looks, "held", max(1, len(looks) - 1))


def test_the_interval_is_the_window_that_the_numbers_really_cover() -> None:
    server = Server(window=Window(60), refresh=60)
    judge(options("--for 2m --window 30s"), server.sampling, tell=False)
    assert server.looks == [0, 60, 120]


def test_samples_do_not_drift_when_answers_take_long() -> None:
    server = Server()
    slow = Sampling((lambda: (server.sleep(7), server.read())[1],), Clock(lambda: server.now, server.sleep))
    judge(options("--for 2m"), slow, tell=False)
    assert server.looks == [7, 44, 74, 104, 134]


def test_what_is_not_renewed_yet_is_waited_for() -> None:
    server = Server(refresh=32)
    report, _ = judge(options("--for 1m"), server.sampling, tell=False)
    # At 30 there is still that of 0, and at 32 there is something newer.
    assert (server.looks, report.verdict.value) == ([0, 30, 31, 32, 60, 61, 62, 63, 64], "held")


def test_what_is_never_renewed_does_not_hold() -> None:
    report, _ = judge(options("--for 1m"), Server(refresh=10**6).sampling, tell=False)
    assert report.verdict.value == "no data"


@pytest.mark.parametrize(
    ("failures", "verdict"),
    [
        pytest.param({0: BUSY}, "held", id="a source that fails for a moment"),
        pytest.param({30: NO_WAY}, "held", id="a connection that fails for a moment"),
        pytest.param(dict.fromkeys(range(30, 40), NO_WAY), "no data", id="a connection that fails for longer"),
        pytest.param(dict.fromkeys(range(200), BUSY), "no data", id="a source that fails all the time"),
    ],
)
def test_what_time_may_cure_is_waited_for(failures: dict[int, KubectlError], verdict: str) -> None:
    report, _ = judge(options("--for 1m"), Server(failures=failures).sampling, tell=False)
    assert report.verdict.value == verdict


@pytest.mark.parametrize(
    "failures",
    [
        pytest.param({0: NO_WAY}, id="no server"),
        pytest.param({0: GONE}, id="no such object"),
        pytest.param({30: GONE}, id="an object that is gone"),
        pytest.param({0: KubectlError("may not", reason="Forbidden")}, id="no right"),
        pytest.param({30: KubectlError("error: You must be logged in to the server (Unauthorized)")}, id="a login that ran out"),
    ],
)
def test_what_waiting_does_not_cure_ends_it(failures: dict[int, KubectlError]) -> None:
    server = Server(failures=failures)
    with pytest.raises(Refused):
        judge(options("--for 1h"), server.sampling, tell=False)
    assert server.looks[-1] in failures


def test_rows_of_several_are_no_answer() -> None:
    many = Sampling((lambda: Reading((ROW, ROW)),), Clock(lambda: 0.0, _never))
    with pytest.raises(Refused, match="2 rows"):
        many.first()


def _never(seconds: float) -> None:
    raise AssertionError(seconds)


@pytest.mark.parametrize(
    ("duration", "interval", "number"), [("120", "30", 4), ("121", "30", 5), ("1", "30", 1), ("0.3", "0.1", 3)]
)
def test_as_many_samples_as_it_takes(duration: str, interval: str, number: int) -> None:
    assert count(Fraction(duration), Fraction(interval)) == number


@pytest.mark.parametrize(
    "line",
    [
        "--success 101",
        "--success -1",
        "--success NaN",
        "--p99 0s",
        "--p99 300",
        "--failures 1e9",
        "--for 0s",
        "--for -1s",
        "--interval 0s",
        "--tolerate 1.5",
        "--success-drop 1",
        "--latency-rise 10%",
        "--compare deploy/web",
        "--compare deploy",
        "--compare ts/split",
        "--compare a/b/c",
        "-o yaml",
        "--window 1d",
        "extra words",
        "--gizmo",
        "--rps",
    ],
)
def test_a_line_that_makes_no_sense_is_refused(line: str) -> None:
    with pytest.raises(BadQuery):
        options(line)


def checks(line: str) -> list[tuple[str, Fraction]]:
    found = read_options(line.split())
    assert found is not None
    return [(check.name, check.limit) for check in found.checks]


CHECKS: list[tuple[str, list[tuple[str, Fraction]]]] = [
    ("deploy/web --p50 300ms --rps 1.5", [("p50", Fraction("0.3")), ("rps", Fraction("1.5"))]),
    ("deploy web --failures=3", [("failures", Fraction(3))]),
    ("sts/db --compare deploy/web", [("success drop", Fraction("0.005")), ("p99 rise", Fraction("0.2"))]),
    ("sts/db --compare deploy/web --success-drop 1% --latency-rise off", [("success drop", Fraction("0.01"))]),
    (
        "sts/db --compare deploy/web --success-drop off --latency-rise 150 --p50 1s",
        [("p50", Fraction(1)), ("p50", Fraction(1)), ("p50 rise", Fraction("1.5"))],
    ),
]


@pytest.mark.parametrize(("line", "expected"), CHECKS, ids=[line for line, _ in CHECKS])
def test_a_line_becomes_checks(line: str, expected: list[tuple[str, Fraction]]) -> None:
    assert checks(line) == expected


@pytest.mark.parametrize("line", ["-h", "--help", "help", "deploy/web --help"])
def test_help_is_help(line: str) -> None:
    assert read_options(line.split()) is None


def test_as_many_requests_as_are_enough() -> None:
    enough: Callable[[str], Fraction] = lambda line: options(line).enough.requests
    assert (enough(""), enough("--compare deploy/x"), enough("--compare deploy/x --requests 7")) == (1, 100, 7)


@pytest.mark.parametrize("failure", [RuntimeError("a mistake of ours"), RecursionError()], ids=["any", "of Python"])
def test_a_mistake_of_ours_is_no_verdict(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise failure

    monkeypatch.setattr(command, "read_options", fail)
    assert command.main(["deploy/web"]) == 3
    assert type(failure).__name__ in capsys.readouterr().err
