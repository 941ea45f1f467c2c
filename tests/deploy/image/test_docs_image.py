"""The pages about the image and about releases name what there is."""

from __future__ import annotations

import os
import re

import pytest

from tests.deploy.image.containerfile import ROOT, Containerfile

PAGES = ("image.md", "releasing.md")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_every_script_is_one(name: str):
    named = set(re.findall(r"\b((?:scripts|deploy/image)/[a-z][\w-]+)(?![\w.-])", page(name)))
    assert named
    assert [each for each in named if not os.access(ROOT / each, os.X_OK)] == []


def test_the_steps_are_all_told_in_their_order(containerfile: Containerfile):
    told = re.findall(r"^\| `([a-z]+)` \| ", page("image.md"), re.MULTILINE)
    called = [step.words[0].rpartition("/")[2] for stage in containerfile.stages for step in stage.of("RUN")]
    assert [step for step in told if step in called] == called
    assert set(told) == {path.name for path in (ROOT / "deploy" / "image").iterdir() if not path.suffix}


def test_the_build_arguments_are_all_told(containerfile: Containerfile):
    told = {
        name
        for row in re.findall(r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \| ", page("image.md"), re.MULTILINE)
        for name in row.split("`")
    }
    there = {*containerfile.arguments, *(each.rest.partition("=")[0] for stage in containerfile.stages for each in stage.of("ARG"))}
    assert there == {name for name in told if name.strip(" ,")}


def test_the_base_image_whose_digest_is_looked_up_is_the_one_that_is_used(containerfile: Containerfile):
    assert f"inspect {containerfile.arguments['PYTHON_IMAGE']} " in page("releasing.md")
