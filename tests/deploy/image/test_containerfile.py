"""The Containerfile builds the image with the scripts the tests run, and with nothing else."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.image.containerfile import ROOT, Containerfile, read_containerfile

BUILD = ["deploy/image/fetch", "deploy/image/build", "deploy/image/install"]
FINAL = ["/image/strip"]


def test_every_step_is_one_script_that_the_tests_run(containerfile: Containerfile):
    build, final = containerfile.stages
    assert [step.words[0] for step in build.of("RUN")] == BUILD
    assert [step.words[0] for step in final.of("RUN")] == FINAL
    for step in (*build.of("RUN"), *final.of("RUN")):
        assert not re.search(r"[;&|<>`]|\$\(", step.rest), step.rest
    for script in (*BUILD, "deploy/image/strip", "deploy/image/prune", "deploy/image/settle"):
        assert os.access(ROOT / script, os.X_OK), script


def test_the_script_of_the_last_stage_is_mounted_where_it_is_run(containerfile: Containerfile):
    (step,) = containerfile.stages[-1].of("RUN")
    assert step.options == {"mount": "type=bind,source=deploy/image,target=/image"}


def test_both_stages_are_made_from_one_image_named_by_tag_and_digest(containerfile: Containerfile):
    assert {stage.base for stage in containerfile.stages} == {"${PYTHON_IMAGE}${PYTHON_DIGEST}"}
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim-[a-z]+", containerfile.arguments["PYTHON_IMAGE"])
    assert containerfile.arguments["PYTHON_DIGEST"] == ""


def test_it_runs_as_nobody_and_listens_above_the_ports_of_root(containerfile: Containerfile):
    final = containerfile.stages[-1]
    assert [user.rest for user in final.of("USER")] == ["65532:65532"]
    assert final.instructions.index(final.of("USER")[0]) > max(final.instructions.index(step) for step in final.of("RUN"))
    assert [port.rest for port in final.of("EXPOSE")] == ["6443"]
    (entry,) = final.of("ENTRYPOINT")
    assert entry.words == ["/app/bin/trafficmetrics"]
    assert not final.of("HEALTHCHECK")


def test_the_last_stage_gets_the_finished_folder_alone(containerfile: Containerfile):
    assert [(copy.options, copy.words) for copy in containerfile.stages[-1].of("COPY")] == [({"from": "build"}, ["/app", "/app"])]
    assert not [stage for stage in containerfile.stages if stage.of("ADD")]


def test_labels_say_what_it_is(containerfile: Containerfile):
    (labels,) = containerfile.stages[-1].of("LABEL")
    told = dict(word.partition("=")[::2] for word in labels.words)
    prefix = "org.opencontainers.image."
    assert told[f"{prefix}version"] == "${VERSION}"
    assert told[f"{prefix}revision"] == "${REVISION}"
    assert told[f"{prefix}source"] == "${SOURCE}"
    assert told[f"{prefix}licenses"] == "Apache-2.0"
    arguments = {argument.rest.partition("=")[0] for argument in containerfile.stages[-1].of("ARG")}
    assert {"VERSION", "REVISION", "SOURCE", "SOURCE_DATE_EPOCH"} <= arguments


def test_what_is_copied_is_there_and_is_sent_to_the_builder(containerfile: Containerfile):
    copied = {word for copy in containerfile.stages[0].of("COPY") for word in copy.words[:-1]}
    lines = (ROOT / "deploy" / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert copied == {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert [path for path in copied if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param('ENTRYPOINT ["/a b", "c"]', ["/a b", "c"], id="exec form"),
        pytest.param("RUN --mount=type=bind,target=/x \\\n  # why\n  /x/do it", ["/x/do", "it"], id="continued, with an option"),
    ],
)
def test_the_reader_of_this_test_reads_containerfiles(text: str, words: list[str]):
    (stage,) = read_containerfile(f"ARG A=b\n\nFROM x AS y\n{text}\n").stages
    assert (stage.base, stage.name) == ("x", "y")
    assert stage.instructions[0].words == words


def test_the_deployment_runs_this_image_as_this_user():
    manifest = (ROOT / "deploy" / "base" / "deployment.yaml").read_text(encoding="utf-8")
    assert "runAsUser: 65532" in manifest
    assert "containerPort: 6443" in manifest


@pytest.mark.parametrize(
    ("step", "arguments", "reason"),
    [
        pytest.param("fetch", [], "usage:", id="fetch without a folder"),
        pytest.param("build", ["{empty}", "{empty}/tools"], "run  deploy/image/fetch", id="build of nothing"),
        pytest.param("build", ["{fetched}", "{empty}/tools", "31.41.59"], "asked to build version 31.41.59", id="another version"),
        pytest.param("install", ["{fetched}"], "usage:", id="install nowhere"),
        pytest.param("prune", [], "usage:", id="prune nothing"),
        pytest.param("settle", ["--bytecode"], "usage:", id="settle nothing"),
    ],
)
def test_a_step_that_cannot_be_done_says_why_and_leaves_nothing(step: str, arguments: list[str], reason: str, tmp_path: Path):
    empty, fetched = tmp_path / "empty", tmp_path / "fetched"
    empty.mkdir()
    (fetched / "tools").mkdir(parents=True)
    filled = [each.format(empty=empty, fetched=fetched) for each in arguments]
    done = subprocess.run([ROOT / "deploy" / "image" / step, *filled], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert reason in done.stderr
    assert list(empty.iterdir()) == []
