"""What a configuration is read from: files that are followed, pipes that are read once, and what can be no path."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from apiservice.reloading import ConfigurationFiles
from backends.registry import configured, dialect_files
from metrics_api import BadConfiguration

STANDALONE = "server: {insecurePort: 1}\nkubernetes: {enabled: false}\n"
MESH = STANDALONE + "backends:\n- {name: mesh, type: prometheus, url: 'http://127.0.0.1:1', dialect: istio}\n"


def files(config: Path) -> ConfigurationFiles:
    return ConfigurationFiles(str(config), {}, {}, configured, dialect_files)


def pipe(path: Path, text: str) -> threading.Thread:
    """A pipe of that name, and who writes into it once: the second to read it would wait for ever."""
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(text,), daemon=True)
    writer.start()
    return writer


@pytest.mark.parametrize("link", [False, True], ids=["itself", "by a link"])
def test_a_pipe_is_read_once_and_not_followed(tmp_path: Path, *, link: bool):
    writer = pipe(tmp_path / "pipe", MESH)
    (tmp_path / "link").symlink_to("pipe")
    config = files(tmp_path / ("link" if link else "pipe"))
    settings, sources = config.load()
    writer.join()
    assert [source.name for source in sources] == ["mesh"]
    assert not config.changed()
    # As is done after a dialect has changed.
    again, same = config.load()
    assert (again.server, [source.name for source in same]) == (settings.server, ["mesh"])


def test_the_mistakes_of_what_comes_through_a_pipe_are_found(tmp_path: Path):
    pipe(tmp_path / "pipe", MESH.replace("insecurePort: 1", "insecurePort: x"))
    with pytest.raises(BadConfiguration, match=r'pipe:1: server\.insecurePort: "x" is not a whole number'):
        files(tmp_path / "pipe").load()


def test_a_dialect_in_a_pipe_is_read_by_who_wants_to_know_it(tmp_path: Path):
    istio = Path(__file__).parents[3] / "backends" / "dialects" / "files" / "istio.yaml"
    writer = pipe(tmp_path / "dialect.yaml", istio.read_text())
    (tmp_path / "config.yaml").write_text(MESH.replace("dialect: istio", f"dialect: {tmp_path}/dialect.yaml"))
    config = files(tmp_path / "config.yaml")
    _, (source,) = config.load()
    writer.join()
    assert source.name == "mesh"
    assert not config.changed()


def test_what_is_followed_is_what_was_read(tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text(MESH)
    followed = files(config)
    followed.load()
    assert not followed.changed()
    config.write_text(MESH + "# more\n")
    assert followed.changed()
    config.unlink()
    with pytest.raises(BadConfiguration, match="No such file"):
        followed.load()
    assert not followed.changed()
    config.write_text(MESH)
    assert followed.changed()


def test_a_folder_is_no_configuration(tmp_path: Path):
    with pytest.raises(BadConfiguration, match="cannot be read: Is a directory"):
        files(tmp_path).load()


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (r'dialect: "/x\0y"', "dialect: the path of the dialect file has a character in it that no path can have"),
        (r'dialect: istio, tls: {caFile: "/x\0y"}', "there is no file"),
    ],
    ids=["dialect", "certificate"],
)
def test_what_can_be_no_path_is_a_mistake_like_others(tmp_path: Path, entry: str, told: str):
    (tmp_path / "config.yaml").write_text(MESH.replace("dialect: istio", entry))
    with pytest.raises(BadConfiguration, match=told):
        files(tmp_path / "config.yaml").load()
