"""Following the configuration on disk: what can be taken is taken, and what is broken changes nothing."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from apiservice.main import load
from apiservice.reloading import ConfigurationFiles, CurrentSources, Reloader
from apiservice.reloading.reloader import PERIOD, SETTLING
from backends import registry
from backends.registry import configured, dialect_files
from metrics_api import Backend, BadConfiguration
from metrics_api.document import Node
from tests.controlplane.pki import Authority
from tests.unit.reloading.sources import Noted, opened, source

STANDALONE = "server: {insecurePort: 1}\nkubernetes: {enabled: false}\n"
MESH = "{name: mesh, type: prometheus, url: 'http://127.0.0.1:1', dialect: istio}"
EDGE = "{name: edge, type: prometheus, url: 'http://127.0.0.1:1', dialect: linkerd}"


class Counts:
    """What became of each reading."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def loaded(self) -> None:
        self.told.append("loaded")

    def refused(self) -> None:
        self.told.append("refused")


class Pauses:
    """Stands for time: what is done ``meanwhile`` is done in the pauses that come, one after the other, and then nothing is."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.meanwhile: list[Callable[[], object]] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        if self.meanwhile:
            self.meanwhile.pop(0)()


class Rig:
    """A configuration file that is followed."""

    # Small files, written by tests: nobody waits for them.
    # ruff: noqa: ASYNC240

    def __init__(self, config: Path, current: CurrentSources, reloader: Reloader, counts: Counts, pauses: Pauses) -> None:
        self.config = config
        self.pauses = pauses
        self.current = current
        self.reloader = reloader
        self.counts = counts

    async def write(self, text: str) -> None:
        """Changes the file, and lets the server look."""
        self.config.write_text(text)
        await self.reloader.look()

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.current.sources]


def backends(*entries: str, more: str = "") -> str:
    return STANDALONE + more + "backends:\n" + "".join(f"- {entry}\n" for entry in entries)


@asynccontextmanager
async def rig(config: Path, text: str) -> AsyncIterator[Rig]:
    config.write_text(text)
    files = ConfigurationFiles(str(config), {}, {}, configured, dialect_files)
    settings, sources = files.load()
    counts, pauses = Counts(), Pauses()
    async with opened(*sources) as current:
        yield Rig(config, current, Reloader(files, settings, current, counts, pauses), counts, pauses)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


async def test_sources_come_and_go_with_the_file(config: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    async with rig(config, backends(MESH)) as running:
        await running.write(backends(EDGE, MESH))
        assert running.names == ["edge", "mesh"]
        await running.write(backends(EDGE))
        assert running.names == ["edge"]
        assert running.counts.told == ["loaded", "loaded"]
    assert "the configuration was read again: added: edge" in caplog.text
    assert "the configuration was read again: removed: mesh" in caplog.text


async def test_a_file_that_did_not_change_is_not_read_again(config: Path):
    async with rig(config, backends(MESH)) as running:
        await running.reloader.look()
        os.utime(config, (1, 1))
        await running.reloader.look()
        assert running.counts.told == []
        assert running.pauses.taken == []


async def test_a_file_that_is_being_written_is_taken_when_it_is_done(config: Path, caplog: pytest.LogCaptureFixture):
    """What is there of it meanwhile may well be a configuration, with a source less or with none."""
    caplog.set_level(logging.INFO)
    whole = backends(MESH, EDGE)
    async with rig(config, whole) as running:
        before = [each.backend for each in running.current.sources]
        done = whole + "# done\n"
        parts = (backends(MESH), "---\n", whole.replace("dialect: linkerd", "dialect: li"), done)
        running.pauses.meanwhile = [lambda part=part: config.write_text(part) for part in parts]  # type: ignore[misc] # bound
        await running.write("")
        assert [each.backend for each in running.current.sources] == before
        assert running.counts.told == ["loaded"]
        assert running.pauses.taken == [SETTLING] * 5
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO] == [
        "the configuration was read again: the sources are as they were"
    ]


async def test_a_change_is_taken_within_eleven_seconds(config: Path):
    """Whether it is exchanged as a whole, as the kubelet does it, or written in place."""
    async with rig(config, backends(MESH)) as running:
        running.pauses.meanwhile = [lambda: config.write_text(backends(EDGE)), lambda: None, lambda: 1 / 0]
        with pytest.raises(ZeroDivisionError):
            await running.reloader.run()
        assert running.names == ["edge"]
        assert running.pauses.taken == [PERIOD, SETTLING, PERIOD]
    assert (PERIOD, SETTLING) == (10, 1)


async def test_a_dialect_that_is_being_written_is_waited_for_with_the_configuration_that_names_it(config: Path, tmp_path: Path):
    dialect = tmp_path / "mine.yaml"
    entry = own_dialect(dialect, "one")
    whole = dialect.read_text()
    dialect.write_text(whole.splitlines()[0])
    async with rig(config, backends(EDGE)) as running:
        running.pauses.meanwhile = [lambda: dialect.write_text(whole)]
        await running.write(backends(entry))
        assert (running.names, running.counts.told) == (["mesh"], ["loaded"])


async def test_whatever_is_wrong_with_a_look_the_next_one_comes(
    config: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async with rig(config, backends(MESH)) as running:

        def broken(_: ConfigurationFiles) -> bool:
            raise MemoryError("no more")

        with monkeypatch.context() as patched:
            patched.setattr(ConfigurationFiles, "changed", broken)
            await running.reloader.look()
        assert running.counts.told == ["refused"]
        await running.write(backends(EDGE))
        assert (running.names, running.counts.told) == (["edge"], ["refused", "loaded"])
    assert "stays in force: MemoryError: no more" in caplog.text


async def test_an_entry_that_means_the_same_keeps_its_source(config: Path):
    async with rig(config, backends(MESH)) as running:
        (before,) = running.current.sources
        await running.write("# moved\n" + backends(EDGE, MESH.replace(", type", ",   type")))
        assert running.current.sources[1].backend is before.backend
        await running.write(backends(EDGE, MESH.replace("istio", "linkerd")))
        assert running.current.sources[1].backend is not before.backend


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        pytest.param(": [", "not YAML", id="no YAML"),
        pytest.param(STANDALONE, "no source is configured", id="no source"),
        pytest.param(backends("{name: mesh, type: prometheus}"), "url", id="an entry without a URL"),
        pytest.param(backends(MESH, more="metrics: {widow: 1m}\n"), 'unknown key "widow"', id="a mistake elsewhere"),
    ],
)
async def test_a_broken_file_changes_nothing_and_says_so_once(
    config: Path, caplog: pytest.LogCaptureFixture, broken: str, told: str
):
    async with rig(config, backends(MESH)) as running:
        (before,) = running.current.sources
        await running.write(broken)
        await running.reloader.look()
        await running.write(broken + "# and still broken\n")
        assert running.current.sources == (before,)
        assert set(running.counts.told) == {"refused"}
        (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert line.startswith("the configuration that was read before stays in force: ")
        assert told in line
        # What it was before is in force again, although nothing had to be done for it.
        await running.write(backends(MESH))
        assert running.counts.told[-1] == "loaded"
        await running.write(broken)
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 2


async def test_what_was_refused_is_tried_again_until_it_can_be_taken(config: Path, tmp_path: Path):
    """What is missing may be no configuration: a ConfigMap and the Secret it speaks of reach a pod one after the other."""
    authority = tmp_path / "ca.crt"
    secured = f"{{name: edge, type: prometheus, url: 'https://127.0.0.1:1', dialect: istio, tls: {{caFile: {authority}}}}}"
    async with rig(config, backends(MESH)) as running:
        await running.write(backends(secured))
        assert running.counts.told == ["refused"]
        authority.write_bytes(Authority("store-ca").certificate)
        await running.reloader.look()
        assert running.counts.told == ["refused", "loaded"]
        assert running.names == ["edge"]
        await running.reloader.look()
        assert running.counts.told == ["refused", "loaded"]


async def test_standard_input_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dialect = tmp_path / "mine.yaml"
    text = backends(own_dialect(dialect, "one"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    files = ConfigurationFiles("-", {}, {}, configured, dialect_files)
    settings, sources = files.load()
    counts = Counts()
    async with opened(*sources) as current:
        own_dialect(dialect, "two")
        await Reloader(files, settings, current, counts, Pauses()).look()
        assert current.sources[0].backend is not sources[0].backend
    assert counts.told == ["loaded"]


async def test_a_dialect_that_changes_while_it_is_read_is_taken_at_the_next_look(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dialect = tmp_path / "mine.yaml"
    make = registry.TYPES["prometheus"]

    def made(node: Node, name: str) -> Backend | None:
        backend = make(node, name)
        own_dialect(dialect, "two")
        return backend

    monkeypatch.setitem(registry.TYPES, "prometheus", made)
    async with rig(config, backends(own_dialect(dialect, "one"))) as running:
        (before,) = running.current.sources
        await running.reloader.look()
        assert running.current.sources[0].backend is not before.backend


async def test_a_file_that_is_gone_changes_nothing(config: Path, caplog: pytest.LogCaptureFixture):
    async with rig(config, backends(MESH)) as running:
        config.unlink()
        await running.reloader.look()
        assert running.names == ["mesh"]
    assert f"{config}: cannot be read: No such file or directory" in caplog.text


async def test_a_volume_of_kubernetes_is_followed(tmp_path: Path):
    """The kubelet swaps a symbolic link to a folder; the file itself is never written to."""
    for name, entry in (("one", MESH), ("two", EDGE)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(backends(entry))
    (tmp_path / "..data").symlink_to("one")
    config = tmp_path / "config.yaml"
    config.symlink_to("..data/config.yaml")
    files = ConfigurationFiles(str(config), {}, {}, configured, dialect_files)
    settings, sources = files.load()
    async with opened(*sources) as current:
        (tmp_path / "..swap").symlink_to("two")
        (tmp_path / "..swap").replace(tmp_path / "..data")
        await Reloader(files, settings, current, Counts(), Pauses()).look()
        assert [each.name for each in current.sources] == ["edge"]


def own_dialect(path: Path, fine: str) -> str:
    istio = (Path(__file__).parents[3] / "backends" / "dialects" / "files" / "istio.yaml").read_text()
    path.write_text(f"{istio}# {fine}\n")
    return f"{{name: mesh, type: prometheus, url: 'http://127.0.0.1:1', dialect: {path}}}"


async def test_a_dialect_file_is_followed_as_well(config: Path, tmp_path: Path):
    dialect = tmp_path / "mine.yaml"
    async with rig(config, backends(own_dialect(dialect, "one"), EDGE)) as running:
        mesh, edge = running.current.sources
        own_dialect(dialect, "two")
        await running.reloader.look()
        assert running.current.sources[0].backend is not mesh.backend
        assert running.current.sources[1].backend is edge.backend
        dialect.write_text("name: broken\n")
        await running.reloader.look()
        assert running.counts.told == ["loaded", "refused"]
        assert running.names == ["mesh", "edge"]


def test_a_dialect_of_the_command_line_is_followed(tmp_path: Path):
    dialect = tmp_path / "mine.yaml"
    own_dialect(dialect, "one")
    flags = {"prometheus-url": "http://127.0.0.1:1", "dialect": str(dialect), "kubernetes-enabled": "false", "insecure-port": "1"}
    files = ConfigurationFiles(None, flags, {}, configured, dialect_files)
    files.load()
    assert not files.changed()
    own_dialect(dialect, "two")
    assert files.changed()


async def test_what_takes_a_restart_is_told(config: Path, caplog: pytest.LogCaptureFixture):
    async with rig(config, backends(MESH)) as running:
        await running.write(backends(EDGE, more="metrics: {window: 2m, refresh: 10s}\nlogging: {verbosity: 3}\n"))
        assert running.names == ["edge"]
    assert (
        "metrics.window, metrics.refresh, logging.verbosity changed: that takes effect when the server is started again"
        in caplog.text
    )


async def test_a_source_that_does_not_fit_the_refresh_in_force_is_refused(config: Path, caplog: pytest.LogCaptureFixture):
    """The refresh written beside it would fit, and is not in force before a restart."""
    viz = "{name: viz, type: linkerd, address: '127.0.0.1:1'}"
    config.write_text(backends(viz, more="metrics: {refresh: 2m}\n"))
    with pytest.raises(BadConfiguration, match=r'metrics\.refresh: source "viz" cannot be asked about more than 60s ago'):
        load(str(config), {}, {})
    async with rig(config, backends(MESH, more="metrics: {refresh: 2m}\n")) as running:
        await running.write(backends(viz))
        assert running.names == ["mesh"]
        assert running.counts.told == ["refused"]
    assert 'metrics.refresh: source "viz" cannot be asked about more than 60s ago' in caplog.text


async def test_a_source_that_breaks_on_opening_is_refused_with_a_trace(config: Path, caplog: pytest.LogCaptureFixture):
    config.write_text(backends(MESH))
    files = ConfigurationFiles(str(config), {}, {}, lambda _: [source(Noted("bad", broken=True))], dialect_files)
    settings, _ = files.load()
    counts = Counts()
    async with opened(source(Noted("mesh"))) as current:
        config.write_text(backends(EDGE))
        await Reloader(files, settings, current, counts, Pauses()).look()
        assert [each.name for each in current.sources] == ["mesh"]
    assert counts.told == ["refused"]
    assert "stays in force: OSError: no" in caplog.text
