"""Programs are run to their end, and what they ask their user meanwhile is shown at once."""

from __future__ import annotations

import pytest

from kubectl_traffic.running import Outcome, run


def test_output_errors_and_the_code_are_kept_apart(capfd: pytest.CaptureFixture[str]):
    assert run(["sh", "-c", "echo out; echo err >&2; exit 3"]) == Outcome(3, b"out\n", "err\n")
    assert capfd.readouterr() == ("", "")


def test_much_output_does_not_block(capfd: pytest.CaptureFixture[str]):
    told = run(["sh", "-c", "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero | tr '\\0' x >&2"])
    assert (len(told.out), len(told.err), capfd.readouterr().out) == (1_000_000, 1_000_000, "")


def test_a_prompt_is_shown_while_the_program_waits_and_a_warning_is_kept(capfd: pytest.CaptureFixture[str]):
    told = run(
        ["sh", "-c", "echo 'Warning: late' >&2; printf 'open the browser: ' >&2; sleep 0.6; echo out; echo failed >&2; exit 1"]
    )
    assert told == Outcome(1, b"out\n", "Warning: late\nfailed\n")
    assert capfd.readouterr().err == "open the browser: "


def test_what_it_asks_for_on_its_output_is_shown_and_no_part_of_the_answer(capfd: pytest.CaptureFixture[str]):
    told = run(["sh", "-c", "printf 'Please enter Username: '; sleep 0.6; printf 'Please enter Password: '; sleep 0.6; echo '{}'"])
    assert told == Outcome(0, b"{}\n", "")
    assert capfd.readouterr() == ("", "Please enter Username: Please enter Password: ")


def test_a_program_that_is_not_there_is_no_outcome():
    with pytest.raises(FileNotFoundError):
        run(["/nonexistent/kubectl"])
