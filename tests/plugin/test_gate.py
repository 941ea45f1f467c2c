"""Verdicts of ``kubectl traffic gate``, over numbers worked out by hand, through the real kubectl and a real server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from metrics_api import BackendTimeout, TrafficMetrics
from tests.apiservice.memory import Door
from tests.plugin.conftest import Outcome, plugin_for
from tests.plugin.rounds import Round, Rounds, seen, told

GATE = ("gate", "deploy/web", "-n", "shop")
QUICK = ("--for", "300ms", "--interval", "100ms")
GOOD = seen(995, 5, 300)
BAD = seen(994, 6, 301)
IDLE = seen(0, 0)
UNKNOWN = seen(None, None)


def web(*rows: TrafficMetrics) -> list[Round]:
    """Rounds in which one workload is told of."""
    return [Round({"web": row}) for row in rows]


async def gate(rounds: list[Round], home: Path, *arguments: str, door: Door | None = None) -> Outcome:
    async with told(Rounds(rounds), home, door) as plugin:
        return await plugin.traffic(*GATE, *arguments)


async def test_what_is_exactly_at_the_limit_holds(tmp_path: Path) -> None:
    got = await gate(web(GOOD), tmp_path, "--success", "99.5", "--p99", "300ms", "--failures", "5", "--rps", "33.3")
    assert got == Outcome(
        0,
        "held     success   99.50% >= 99.50%  (1 sample, 1 000 requests)\n"
        "held     p99       300ms <= 300ms    (1 sample, 1 000 requests)\n"
        "held     failures  5 <= 5            (1 sample, 1 000 requests)\n"
        "held     rps       33.33 >= 33.3     (1 sample, 1 000 requests)\n",
        "",
    )


async def test_what_is_beyond_the_limit_is_broken(tmp_path: Path) -> None:
    got = await gate(web(BAD), tmp_path, "--success", "99.5%", "--p99", "300ms", "--failures", "5")
    assert got == Outcome(
        1,
        "broken   success   99.40% < 99.50%  (1 sample, 1 000 requests)\n"
        "broken   p99       301ms > 300ms    (1 sample, 1 000 requests)\n"
        "broken   failures  6 > 5            (1 sample, 1 000 requests)\n",
        "",
    )


@pytest.mark.parametrize(
    ("row", "arguments", "reason"),
    [
        pytest.param(IDLE, ("--failures", "0"), "no requests", id="no requests"),
        pytest.param(UNKNOWN, ("--success", "1"), "nothing was observed", id="nothing observed"),
        pytest.param(
            seen(10, None), ("--failures", "1"), "the source does not tell how many requests failed", id="no failures known"
        ),
        pytest.param(seen(10, 0), ("--p99", "1s"), "the source does not tell the p99", id="no percentile"),
        pytest.param(
            seen(0, 49), ("--success", "99", "--requests", "50"), "too few requests to judge: fewer than 50 in 30s", id="too few"
        ),
        pytest.param(
            seen(0, 89),
            ("--success", "99", "--rps", "3"),
            "too little traffic to judge: less than 3 requests per second",
            id="too slow",
        ),
    ],
)
async def test_without_enough_to_go_by_there_is_no_data(
    tmp_path: Path, row: TrafficMetrics, arguments: tuple[str, ...], reason: str
) -> None:
    got = await gate(web(row), tmp_path, *arguments)
    assert (got.code, got.err) == (2, "")
    assert {line[:7] for line in got.out.splitlines()} == {"no data"}
    assert all(line.endswith(f": {reason})") for line in got.out.splitlines()), got.out


async def test_what_is_incomplete_decides_nothing_and_says_why(tmp_path: Path) -> None:
    rounds = [Round({"web": GOOD}, incomplete=True, warnings=('source "far" did not answer',))]
    got = await gate(rounds, tmp_path, "--success", "50")
    assert got.code == 2
    assert 'the answer is incomplete, because a source failed (source "far" did not answer)' in got.out


async def test_all_samples_must_hold_and_windows_that_do_not_overlap_are_added_up(tmp_path: Path) -> None:
    # The first is only to see whether there is something to ask: it would have been broken.
    got = await gate(web(BAD, GOOD, GOOD, seen(2000, 0, 200)), tmp_path, "--success", "99.5", *QUICK)
    assert got.out == "held     success  99.50% >= 99.50%  (3 of 3 samples, 4 000 requests)\n"
    assert got.code == 0
    assert got.err.splitlines() == [f"sample {number} of 3: held" for number in (1, 2, 3)]


async def test_the_first_broken_sample_ends_it(tmp_path: Path) -> None:
    got = await gate(web(GOOD, GOOD, BAD, GOOD), tmp_path, "--success", "99.5", *QUICK)
    assert got.code == 1
    assert got.out == "broken   success  99.40% < 99.50%  (1 of 2 samples broke, 1 more not waited for, 2 000 requests)\n"


async def test_so_many_broken_samples_are_tolerated_and_no_more(tmp_path: Path) -> None:
    rounds = web(GOOD, BAD, GOOD, BAD)
    got = await gate(rounds, tmp_path, "--success", "99.5", *QUICK, "--tolerate", "2", "--quiet")
    assert got == Outcome(0, "", "")
    got = await gate(rounds, tmp_path / "again", "--success", "99.5", *QUICK, "--tolerate", "1", "--quiet")
    assert got == Outcome(1, "", "")


async def test_a_gap_is_no_data_however_good_the_rest_is(tmp_path: Path) -> None:
    got = await gate(web(GOOD, GOOD, IDLE, GOOD), tmp_path, "--success", "99.5", *QUICK)
    assert got.code == 2
    assert got.out == "no data  success  99.50% >= 99.50%  (2 of 3 samples held, 1 without data, 2 000 requests: no requests)\n"


async def test_the_same_numbers_again_are_no_sample(tmp_path: Path) -> None:
    rounds = [Round({"web": GOOD}, step=step) for step in (0, 30, 0, 30)]
    got = await gate(rounds, tmp_path, "--success", "99.5", *QUICK)
    assert got.code == 2
    assert "2 of 3 samples held, 1 without data" in got.out
    assert ": still the numbers of 2026-11-21T22:27:10Z: a longer --interval suits this source)" in got.out


async def test_a_source_that_fails_for_a_while_is_a_gap(tmp_path: Path) -> None:
    rounds = [Round({"web": GOOD}), Round(failure=BackendTimeout("mesh", "did not answer", retry_after=0)), Round({"web": GOOD})]
    got = await gate(rounds, tmp_path, "--success", "99.5", *QUICK)
    assert got.code == 2
    assert '(Timeout): Timeout: source "mesh": did not answer' in got.out


async def test_a_canary_is_judged_by_its_baseline(tmp_path: Path) -> None:
    # 99.5 % and 99.0 % are half a point apart; 240 ms are 20 % more than 200 ms.
    rounds = [Round({"web": seen(995, 5, 200), "web-canary": seen(198, 2, 240)})]
    got = await gate(rounds, tmp_path, "--compare", "deploy/web-canary", "--success", "98", "-o", "json")
    assert got.code == 0
    document = json.loads(got.out)
    assert [(check["check"], check["resources"], check["verdict"], check["worst"]) for check in document["checks"]] == [
        ("success", ["deployment/web"], "held", 0.995),
        ("success", ["deployment/web-canary"], "held", 0.99),
        ("success drop", ["deployment/web", "deployment/web-canary"], "held", 0.005),
        ("p99 rise", ["deployment/web", "deployment/web-canary"], "held", 0.2),
    ]
    (sample,) = document["samples"]
    assert [(row["name"], row["successRate"], row["p99Ms"], row["rps"]) for row in sample["rows"]] == [
        ("web", 0.995, 200.0, 1000 / 30),
        ("web-canary", 0.99, 240.0, 200 / 30),
    ]
    assert {row["timestamp"] for row in sample["rows"]} == {"2026-11-21T22:26:40Z"}


async def test_a_canary_that_is_worse_than_it_may_be_breaks_the_gate(tmp_path: Path) -> None:
    rounds = [Round({"web": seen(995, 5, 200), "web-canary": seen(1979, 21, 241)})]
    got = await gate(rounds, tmp_path, "--compare", "deploy/web-canary", "--success", "99")
    assert got == Outcome(
        1,
        "held     deployment/web success              99.50% >= 99.00%           (1 sample, 1 000 requests)\n"
        "broken   deployment/web-canary success       98.95% < 99.00%            (1 sample, 2 000 requests)\n"
        "broken   deployment/web-canary success drop  0.55 points > 0.50 points  (1 sample, 1 000 and 2 000 requests)\n"
        "broken   deployment/web-canary p99 rise      20.50% > 20.00%            (1 sample, 1 000 and 2 000 requests)\n",
        "",
    )


async def test_too_few_requests_of_the_canary_judge_nothing(tmp_path: Path) -> None:
    rounds = [Round({"web": seen(995, 5, 200), "web-canary": seen(0, 99, 900)})]
    got = await gate(rounds, tmp_path, "--compare", "deploy/web-canary")
    assert got.code == 2
    assert got.out.count("web-canary: too few requests to judge: fewer than 100 in 30s)") == 2
    got = await gate(rounds, tmp_path / "again", "--compare", "deploy/web-canary", "--requests", "99", "-q")
    assert got.code == 1


async def test_both_are_read_of_the_same_instant_or_not_compared(tmp_path: Path) -> None:
    both = {"web": seen(995, 5, 200), "web-canary": seen(995, 5, 200)}
    # The numbers are renewed between the first reading and the second, once.
    service = Rounds([Round({"web": both["web"]}), Round(both), Round(both, step=0)])
    async with told(service, tmp_path) as plugin:
        got = await plugin.traffic(*GATE, "--compare", "deploy/web-canary", "-q")
    assert (got.code, service.asked) == (0, ["web", "web-canary", "web", "web-canary"])


async def test_two_that_are_never_told_of_at_the_same_time_are_not_compared(tmp_path: Path) -> None:
    rounds = [Round({"web": GOOD, "web-canary": GOOD}), *(Round({name: GOOD}) for name in ("web", "web-canary") * 20)]
    got = await gate(rounds, tmp_path, "--compare", "deploy/web-canary", "--for", "100ms", "--interval", "100ms")
    assert got.code == 2
    assert "the two were told of at different times: 30s until 2026-11-21T" in got.out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(("gate", "deploy/nobody", "--rps", "1"), '"nobody" not found', id="no such object"),
        pytest.param(("gate", "deploy/secret", "--rps", "1"), 'User "visitor" cannot get resource "deployments"', id="not allowed"),
        pytest.param(("gate", "deploy/web", "--rps", "1", "--window", "25h"), "out of bounds", id="a window too long"),
        pytest.param(
            ("gate", "deploy/web", "--success", "99,5"), '--success "99,5" is not a percentage', id="a number in another tongue"
        ),
        pytest.param(("gate", "deploy/web", "--p99", "300"), '--p99 "300" is not a duration: write it as 300ms', id="no unit"),
        pytest.param(
            ("gate", "deploy/web", "--rps", "1", "--interval", "0s"), '--interval "0s" has to be above 0', id="no interval"
        ),
        pytest.param(("gate", "deploy/web"), "nothing to check", id="no check"),
        pytest.param(("gate", "deploy", "--rps", "1"), "a gate judges one object", id="no name"),
        pytest.param(("gate", "deploy/web", "--rps", "1", "-A"), "one namespace", id="all namespaces"),
        pytest.param(
            ("gate", "deploy/web", "--rps", "1", "--sucess", "1"), "unknown option --sucess (--success?)", id="an option misspelt"
        ),
    ],
)
async def test_what_is_not_judged_looks_like_no_verdict(tmp_path: Path, arguments: tuple[str, ...], reason: str) -> None:
    door = Door(forbidden=frozenset({"/apis/metrics.smi-spec.io/v1alpha1/namespaces/shop/deployments/secret"}))
    async with told(Rounds(web(GOOD)), tmp_path, door) as plugin:
        got = await plugin.traffic(*arguments, *(() if "-A" in arguments else ("-n", "shop")), "--for", "1h")
    assert (got.code, got.out) == (3, "")
    assert got.err.startswith("kubectl traffic gate: ")
    assert reason in got.err


@pytest.mark.parametrize("option", ["--interval", "--tolerate"])
async def test_what_is_about_several_samples_is_refused_for_one(tmp_path: Path, option: str) -> None:
    got = await gate(web(GOOD), tmp_path, "--rps", "1", option, "1s" if option == "--interval" else "1")
    assert got == Outcome(3, "", f"kubectl traffic gate: {option} is about several samples: say with --for how long to watch\n")


async def test_warnings_of_the_server_are_said_once_and_beside_the_verdict(tmp_path: Path) -> None:
    rounds = [Round({"web": GOOD}, warnings=(warning,)) for warning in ("a window of 3s is too short", "slow", "slow")]
    got = await gate(rounds, tmp_path, "--success", "50")
    assert (got.code, got.err) == (0, "Warning: a window of 3s is too short\n")
    got = await gate(rounds, tmp_path / "longer", "--success", "50", "--for", "200ms", "--interval", "100ms")
    assert got.err.splitlines() == [
        "Warning: a window of 3s is too short",
        "Warning: slow",
        "sample 1 of 2: held",
        "sample 2 of 2: held",
    ]
    assert (await gate(rounds, tmp_path / "quiet", "--success", "50", "--quiet")) == Outcome(0, "", "")


async def test_a_server_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    got = await plugin_for(1, tmp_path / "plugin").traffic(*GATE, "--rps", "1", "--for", "1h")
    assert (got.code, got.out) == (3, "")
    assert "127.0.0.1:1" in got.err


async def test_colours_are_those_of_a_terminal_or_wanted(tmp_path: Path) -> None:
    plain = await gate(web(GOOD), tmp_path, "--rps", "1")
    wanted = await gate(web(GOOD), tmp_path / "again", "--rps", "1", "--color", "always")
    assert plain.out == "held     rps  33.33 >= 1  (1 sample, 1 000 requests)\n"
    assert wanted.out == plain.out.replace("held   ", "\x1b[32mheld   \x1b[0m")


async def test_help_is_printed(tmp_path: Path) -> None:
    got = await plugin_for(1, tmp_path / "plugin").traffic("gate", "--help", flags=())
    assert (got.code, got.err) == (0, "")
    assert "Exit codes: 0 held, 1 broken, 2 no data to judge by, 3 not judged" in got.out


async def test_an_interrupt_ends_it_without_a_verdict(tmp_path: Path) -> None:
    async with told(service := Rounds(web(GOOD)), tmp_path) as plugin:
        process = await asyncio.create_subprocess_exec(
            *("kubectl", "traffic", *GATE, "--rps", "1", "--for", "1h", *plugin.flags),
            env=plugin.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        await asyncio.wait_for(service.reached.wait(), 30)
        await asyncio.sleep(0.2)
        # A terminal interrupts all that run in it.
        os.killpg(process.pid, signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out, err) == (130, b"", b"")
