"""The command ``config check``: every problem of a file at once, each with its line, and nothing but problems."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from apiservice.main import main
from tests.doubles.authority import Authority

BAD = """server:
  securePort: 99999
  certSecret: Under_score
  tlsCertFile: /nowhere/tls.crt
surfaces: {grafana: perhaps, pageSize: 3}
metrics:
  refresh: 1h
backends:
- name: mesh
  type: prometheus
  url: ftp://x
  dialect: istio
  overrides:
    failure: {http: ["5yy"]}
- name: mesh
  type: scrape
  dialect: nosuch
  targets: ["a"]
  covers: {namespaces: []}
- name: viz
  type: linkerd
  address: http://x
- name: aws
  type: cloudwatch
  source: appmesh
- name: labels
  type: prometheus
  url: http://x
  dialect: istio
  overrides:
    labels: {nosuch: x}
"""

TOLD = {
    2: "server.securePort: ",
    3: "server.certSecret: ",
    4: 'server.tlsCertFile: there is no file "/nowhere/tls.crt"',
    5: "surfaces.grafana: ",
    7: "metrics.refresh: ",
    11: "backends[0].url: ",
    14: "backends[0].overrides.failure.http[0]: ",
    15: 'backends[1].name: "mesh" is the name of another source',
    17: 'backends[1].dialect: there is no dialect "nosuch"',
    18: "backends[1].targets[0]: ",
    19: "backends[1].covers.namespaces: ",
    22: "backends[2].address: ",
    23: 'backends[3]: "mesh" is missing',
    31: 'backends[4].overrides.labels.nosuch: dialect istio uses no label "nosuch"',
}

GOOD = 'backends: [{name: mesh, type: prometheus, url: "http://x", dialect: istio, %s}]\n'


def test_every_problem_is_named_at_once_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "config.yaml"
    file.write_text(BAD)
    assert main(["config", "check", str(file)]) == 2
    out, told = capsys.readouterr()
    assert out == ""
    for line, problem in TOLD.items():
        assert f"{file}:{line}: {problem}" in told
    assert f'{file}:5: surfaces.pageSize: unknown key "pageSize"' in told
    assert f'{file}:4: server.tlsCertFile: "tlsPrivateKeyFile" is missing beside it' in told
    assert len(told.splitlines()) == len(TOLD) + 2


def test_a_file_without_problems_is_said_to_have_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "config.yaml"
    file.write_text(GOOD % "timeout: 5s")
    assert main(["config", "check", str(file)]) == 0
    assert capsys.readouterr() == (f"{file}: no problems found\n", "")


@pytest.mark.parametrize(
    ("text", "code", "told"), [(GOOD % "timeout: 5s", 0, "standard input: no problems found\n"), (BAD, 2, "")], ids=["good", "bad"]
)
def test_what_comes_in_by_a_pipe_is_checked(text: str, code: int, told: str):
    command = [sys.executable, "-m", "apiservice.main", "config", "check", "-"]
    run = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stdout) == (code, told)
    assert ("standard input:2: server.securePort" in run.stderr) is bool(code)


def test_a_file_that_is_not_there_is_a_problem(capsys: pytest.CaptureFixture[str]):
    assert main(["config", "check", "/nowhere.yaml"]) == 2
    assert capsys.readouterr().err == "/nowhere.yaml: cannot be read: No such file or directory\n"


def test_files_of_another_machine_are_worth_a_note_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "config.yaml"
    file.write_text(GOOD % "tls: {caFile: /nowhere/ca.crt}")
    assert main(["config", "check", str(file)]) == 2
    assert f'{file}:1: backends[0].tls.caFile: there is no file "/nowhere/ca.crt"' in capsys.readouterr().err
    assert main(["config", "check", "--elsewhere", str(file)]) == 0
    assert capsys.readouterr().err == f'note: {file}:1: backends[0].tls.caFile: there is no file "/nowhere/ca.crt" here\n'


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("bearerTokenFile: /nowhere/secret", "bearerTokenFile"),
        ("basicAuth: {username: ali, passwordFile: /nowhere/secret}", "basicAuth.passwordFile"),
        ("headerFiles: {X-Api-Key: /nowhere/secret}", "headerFiles.X-Api-Key"),
    ],
    ids=["token", "password", "header"],
)
def test_secrets_may_come_later_and_a_note_says_that_they_are_not_there(
    key: str, path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "config.yaml"
    file.write_text(GOOD % key)
    assert main(["config", "check", str(file)]) == 0
    out, told = capsys.readouterr()
    assert out == f"{file}: no problems found\n"
    assert told == f'note: {file}:1: backends[0].{path}: there is no file "/nowhere/secret" here; without it nothing is asked\n'


def test_files_that_are_no_certificates_are_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "ca.crt").write_text(Authority("one").pem[:-50])
    file = tmp_path / "config.yaml"
    file.write_text(GOOD % f"tls: {{caFile: {tmp_path / 'ca.crt'}}}")
    assert main(["config", "check", str(file)]) == 2
    assert f"{file}:1: backends[0].tls: the files are no PEM certificates" in capsys.readouterr().err


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]):
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Configuration of TrafficMetrics"
