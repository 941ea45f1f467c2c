"""Targets: the file another program keeps, and the labels targets give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.scrape.series import SeriesIndex
from backends.scrape.targets import Target, TargetsFile, address
from backends.scrape.vocabulary import Vocabulary
from metrics_api import BadConfiguration

GROUPS = [
    {
        "targets": ["10.0.0.1:15090", "web-2.shop:15090"],
        "labels": {"namespace": "shop", "deployment": "web", "__meta_x": "dropped"},
    },
    {"targets": ["[2001:db8::1]:4191"], "labels": {"__metrics_path__": "/metrics", "__scheme__": "https"}},
    {"targets": []},
]
EXPECTED = (
    Target("10.0.0.1:15090", "/stats", "http", (("deployment", "web"), ("namespace", "shop"))),
    Target("web-2.shop:15090", "/stats", "http", (("deployment", "web"), ("namespace", "shop"))),
    Target("[2001:db8::1]:4191", "/metrics", "https"),
)
YAML = """
- targets: [10.0.0.1:15090, web-2.shop:15090]
  labels: {namespace: shop, deployment: web, __meta_x: dropped}
- targets: ["[2001:db8::1]:4191"]
  labels: {__metrics_path__: /metrics, __scheme__: https}
- targets: []
"""


@pytest.mark.parametrize(("name", "text"), [("targets.json", json.dumps(GROUPS)), ("targets.yml", YAML)], ids=["JSON", "YAML"])
def test_a_file_in_file_sd_form_is_read(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text)
    assert TargetsFile(str(tmp_path / name), "/stats", "http").read() == EXPECTED


def test_a_file_is_read_again_when_it_changed_and_only_then(tmp_path: Path):
    path = tmp_path / "targets.json"
    path.write_text('[{"targets": ["a:1"]}]')
    file = TargetsFile(str(path), "/", "http")
    first = file.read()
    assert file.read() is first
    replacement = tmp_path / "new"
    replacement.write_text('[{"targets": ["b:1"]}]')
    replacement.replace(path)
    assert file.read() == (Target("b:1", "/"),)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        pytest.param("t.json", "[{", "not JSON", id="half a JSON"),
        pytest.param("t.json", '{"targets": []}', "must be a list", id="no list"),
        pytest.param("t.json", "[5]", "must be a mapping", id="no mapping"),
        pytest.param("t.json", '[{"labels": {}}]', '"targets" is missing', id="no targets"),
        pytest.param("t.json", '[{"targets": ["http://a:1/metrics"]}]', "no scheme and no path", id="a URL"),
        pytest.param("t.json", '[{"targets": ["a:99999"]}]', "is not a target", id="a port that cannot be"),
        pytest.param("t.json", '[{"targets": [["a:1"]]}]', "single value", id="a list in a list"),
        pytest.param("t.json", '[{"targets": ["a:1"], "labels": {"a-b": "c"}}]', "not a label name", id="a label"),
        pytest.param("t.json", '[{"targets": ["a:1"], "labels": {"__scheme__": "ftp"}}]', "http or https", id="a scheme"),
        pytest.param("t.json", '[{"targets": ["a:1"], "labels": {"__metrics_path__": "x"}}]', 'begins with "/"', id="a path"),
        pytest.param("t.json", "[" * 100_000, "nested too deeply", id="endless nesting"),
        pytest.param("t.yaml", "- targets: [a", "not YAML", id="half a YAML"),
        pytest.param("t.yaml", "- target: [a:1]", 'unknown key "target"', id="an unknown key"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, name: str, text: str, problem: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadConfiguration, match=problem):
        TargetsFile(str(tmp_path / name), "/", "http").read()


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path: Path):
    path = tmp_path / "targets.json"
    with pytest.raises(BadConfiguration, match="No such file"):
        TargetsFile(str(path), "/", "http").read()
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadConfiguration, match="UTF-8"):
        TargetsFile(str(path), "/", "http").read()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "web",
        "web:",
        ":80",
        "web:0",
        "web:65536",
        "a b:80",
        "web:80/",
        "::1:80",
        "web:8x",
        "web..mesh:80",
        f"{'w' * 64}:80",
    ],
)
def test_what_is_no_host_and_port_is_no_address(text: str):
    with pytest.raises(ValueError, match="is not a target"):
        address(text)


def test_who_we_are_to_a_target_is_not_in_its_address():
    with pytest.raises(ValueError, match="credentials do not belong into an address"):
        address("user@web:80")


@pytest.mark.parametrize("text", ["web:80", "10.0.0.7:15090", "web-1.shop.svc:4191", "[::1]:80"])
def test_a_host_and_a_port_are_an_address(text: str):
    assert address(text) == text


def test_a_target_gives_job_and_instance_unless_it_was_told_otherwise():
    assert Target("a:1").labelled("mesh") == {"job": "mesh", "instance": "a:1"}
    told = Target("a:1", labels=(("instance", "web-1"), ("job", ""), ("pod", "web-1")))
    assert told.labelled("mesh") == {"instance": "web-1", "pod": "web-1"}


def test_a_scraped_label_that_the_target_gives_as_well_is_renamed():
    vocabulary = Vocabulary(frozenset({"x"}), frozenset(), ("pod", "exported_pod", "exported_exported_pod", "path"))
    index = SeriesIndex(vocabulary, {"pod": "web-1"})
    index.add(b'x{pod="other",path="/"', 0)
    index.add(b'x{pod="other",exported_pod="third"', 1)
    index.add(b'x{path="/"', 2)
    assert index.counters["x"] == {
        ("web-1", "other", "", "/"): [0],
        ("web-1", "third", "other", ""): [1],
        ("web-1", "", "", "/"): [2],
    }
