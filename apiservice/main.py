"""The command ``trafficmetrics``, and the one place that knows all the parts: settings, sources, identity, the app, its sockets."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from apiservice.answers import Answers
from apiservice.app import AppOptions, build_app
from apiservice.certificates import ensure_serving_pair, service_names
from apiservice.checkup import UNSEEN, Subject, examine_cluster, parse_address, reachable, subject_of, with_lifetimes
from apiservice.clock import SYSTEM_CLOCK
from apiservice.cluster import cluster_of
from apiservice.configuring import add_config_commands
from apiservice.doctor import FORMS, render
from apiservice.federation.fanout import Fanout
from apiservice.federation.fanouts import Federation, home_of
from apiservice.health import PING, Check, Health
from apiservice.issuance import Issuer, issuing
from apiservice.lifecycle import Lifecycle, until_stopped
from apiservice.logformat import LogFormat
from apiservice.logs import level_of, writing_log
from apiservice.objects import Objects, StandaloneObjects
from apiservice.paging import Pager
from apiservice.question import parse_question
from apiservice.reloading import ConfigurationFiles, CurrentSources, Reloader
from apiservice.server import LOOPBACK, background, forever, listening
from apiservice.serving import ServingTLS
from apiservice.settings import KubernetesSettings, MetricsSettings, ServerSettings, Settings, add_options
from apiservice.sources.examination import Examined, examine
from apiservice.sources.examinations import Examinations
from apiservice.sources.page import Sources
from apiservice.surfaces.configured import groups_of, surfaces_of
from apiservice.telemetry import Telemetry
from apiservice.tuning import tune
from apiservice.visibility import AuthorizedPeers, PeerVisibility
from backends.registry import configured, dialect_files
from metrics_api import BadConfiguration, Source, TrafficError
from metrics_api.diagnosis import Diagnosis, Level
from metrics_api.document import Problems, parse_document
from metrics_api.resources import API_VERSION

__all__ = ["load", "main", "serving"]

# By name: run with python -m, this module is called __main__.
logger = logging.getLogger("apiservice.main")

VERSION = metadata.version("trafficmetrics")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except BadConfiguration as error:
        print(error.message, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except (TrafficError, BaseExceptionGroup) as error:
        known = _first_known(error)
        if known is None:
            raise
        print(f"trafficmetrics: {known.message}", file=sys.stderr)
        return 1


def _first_known(error: BaseException) -> TrafficError | None:
    """The error to tell of those a group of tasks ended with: one this project raises on purpose."""
    if isinstance(error, BaseExceptionGroup):
        return next((known for each in error.exceptions if (known := _first_known(each)) is not None), None)
    return error if isinstance(error, TrafficError) else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trafficmetrics", description="One API for the golden metrics of every service mesh.")
    parser.add_argument("--version", action="version", version=f"trafficmetrics {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the API server", allow_abbrev=False)
    _add_settings(serve)
    serve.set_defaults(run=_serve)

    doctor = commands.add_parser(
        "doctor",
        help="test the cluster and every source, and say what is wrong and what to do",
        description=(
            "Tests the way from kube-apiserver to the server, what it may do, and every source that serve would use."
            " Exits with 1 when there is a problem, with 2 when there is nothing to test."
        ),
        allow_abbrev=False,
    )
    _add_settings(doctor)
    doctor.add_argument("-o", "--output", choices=FORMS, default=FORMS[0], help="text, or json for programs")
    doctor.add_argument(
        "--only", choices=("cluster", "sources"), help="test only these; a cluster can be tested without any source"
    )
    doctor.add_argument(
        "--server-address",
        type=parse_address,
        metavar="HOST:PORT",
        help="where the server is reached from here, to look at its certificate; found out by default where that is possible",
    )
    doctor.set_defaults(run=_doctor)

    demo = commands.add_parser("demo", help="a small mesh of real Envoys, scraped directly, served to kubectl", allow_abbrev=False)
    demo.add_argument("--port", type=_port, default=0, metavar="PORT", help="port on loopback to serve on; a free one by default")
    demo.add_argument("--simulate", action="store_true", help="simulate the proxies instead of starting Envoys")
    demo.set_defaults(run=_demo)

    add_config_commands(commands, _files)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Add what says how a server is configured."""
    parser.add_argument("--config", metavar="FILE", help="configuration file; flags and environment override it")
    parser.add_argument("--prometheus-url", metavar="URL", help="a Prometheus-compatible source, without a file")
    parser.add_argument(
        "--dialect", metavar="NAME", help="its dialect: a built-in name, the path of a dialect file, or auto (default)"
    )
    add_options(parser)


def _written(options: argparse.Namespace) -> ConfigurationFiles:
    flags = {name.replace("_", "-"): value for name, value in vars(options).items() if isinstance(value, str)}
    return _files(options.config, flags, os.environ)


def _doctor(options: argparse.Namespace) -> int:
    settings, sources = _written(options).load(sources_needed=options.only != "cluster")
    wanted = [] if options.only == "cluster" else sources
    looked_at = options.only != "sources" and reachable(settings, os.environ)
    subject = subject_of(settings, options.server_address or "") if looked_at else None
    if subject is None and not wanted:
        raise BadConfiguration([UNSEEN])
    # What is wrong with a source is printed; the log says the same once more, and is for those who ask for it.
    verbosity = settings.logging.verbosity
    with writing_log(sys.stderr, settings.logging.format, level_of(verbosity) if verbosity else logging.CRITICAL):
        cluster, examined = asyncio.run(_examine(settings, wanted, subject))
    remark = UNSEEN if subject is None and settings.kubernetes.enabled and options.only != "sources" else ""
    print(render(examined, settings.metrics.window, options.output, cluster=cluster, remark=remark))
    levels = [*([cluster.level] if cluster is not None else []), *(each.level for each in examined)]
    return 1 if Level.PROBLEM in levels else 0


async def _examine(
    settings: Settings, sources: Sequence[Source], subject: Subject | None
) -> tuple[Diagnosis | None, list[Examined]]:
    """What is found in the cluster, None where there is none to be looked at, and in the sources."""
    home = home_of(sources, settings.kubernetes.cluster_name, standalone=not settings.kubernetes.enabled)

    async def examined() -> list[Examined]:
        return await with_lifetimes(await examine(sources, settings.metrics.window, home), SYSTEM_CLOCK.now())

    if subject is None:
        return None, await examined()
    return await asyncio.gather(examine_cluster(subject), examined())


def _serve(options: argparse.Namespace) -> int:
    files = _written(options)
    settings, sources = files.load()
    with writing_log(sys.stderr, settings.logging.format, level_of(settings.logging.verbosity)):
        _run(_serve_until_stopped(settings, sources, files))
    return 0


def _demo(options: argparse.Namespace) -> int:
    # What the demonstration prints is for people to read; a log beside it is for when something is wrong.
    with writing_log(sys.stderr, LogFormat.TEXT, logging.WARNING):
        _run(_show(options.port, simulate=options.simulate))
    return 0


async def _show(port: int, *, simulate: bool) -> None:
    """Run the demonstration until told to stop: the mesh, a scrape source over its proxies, and a standalone server."""
    from apiservice.demo import ShopObjects, kubectl_lines, plugin_lines, run_mesh  # noqa: PLC0415 only the demonstration needs it

    lifecycle = Lifecycle()
    async with until_stopped(lifecycle), run_mesh(simulate=simulate) as mesh:
        problems = Problems()
        source = mesh.source("sidecars", "2s")
        sources = configured(parse_document(json.dumps([source]), "demo", problems).items())
        problems.raise_if_any()
        settings = Settings(ServerSettings(insecure_port=port), KubernetesSettings(enabled=False), MetricsSettings(refresh=2), ())
        async with serving(settings, sources, lifecycle, ShopObjects(mesh.shop)) as (url,), background([mesh.watch]):
            print("\n".join(mesh.describe()))
            print(f"\nServed at {url}. The first numbers come after some seconds, a full window after 30. Try:\n")
            print("\n".join(f"  {line}" for line in (*kubectl_lines(url), "", *plugin_lines(url))))
            print("\nCtrl-C ends it all.", flush=True)
            await forever()


def load(file: str | None, flags: Mapping[str, str], environment: Mapping[str, str]) -> tuple[Settings, list[Source]]:
    """Settings and sources, from a file and what overrides it; :class:`BadConfiguration` lists every mistake."""
    return _files(file, flags, environment).load()


def _files(file: str | None, flags: Mapping[str, str], environment: Mapping[str, str]) -> ConfigurationFiles:
    return ConfigurationFiles(file, flags, environment, configured, dialect_files)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'"{text}" is not a port: a number from 0 to 65535')
    return int(text)


def _run(main_task: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where it exists: it doubles what one core can serve over TLS."""
    tune()
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with suppress(ImportError):
        from uvloop import new_event_loop as factory  # noqa: PLC0415 optional
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main_task)


async def _serve_until_stopped(settings: Settings, sources: Sequence[Source], files: ConfigurationFiles) -> None:
    lifecycle = Lifecycle()
    ending = until_stopped(lifecycle, settings.server.shutdown_delay_duration, exit_on_second=True)
    async with ending, serving(settings, sources, lifecycle, files=files) as urls:
        for url in urls:
            logger.info("serving %s", url)
        await forever()


@asynccontextmanager
async def serving(
    settings: Settings,
    sources: Sequence[Source],
    lifecycle: Lifecycle,
    objects: Objects | None = None,
    files: ConfigurationFiles | None = None,
) -> AsyncIterator[list[str]]:
    """The whole server, running; yields the URLs it is reached at.

    ``objects`` stand in for those of a cluster. ``files`` are where ``sources`` are written, and are followed.
    """
    async with AsyncExitStack() as stack:
        telemetry = Telemetry(VERSION)
        cluster = await stack.enter_async_context(
            cluster_of(settings.kubernetes, settings.metrics.default_workload_kind, telemetry)
        )
        examinations = Examinations(sources, settings.metrics.window)
        elsewhere = StandaloneObjects(settings.metrics.default_workload_kind)
        opening = CurrentSources.opened(
            sources,
            lambda members: _federation(settings, members, telemetry),
            lambda federation: federation.service(objects or cluster.objects, elsewhere),
            (telemetry, examinations),
        )
        current = await stack.enter_async_context(opening)
        answers = Answers(current, settings.metrics.refresh, sharing=telemetry.sharing.answers)
        server = settings.server
        authorized = server.peer_visibility is PeerVisibility.AUTHORIZED
        peers = AuthorizedPeers(answers, cluster.authorizer, objects or cluster.objects) if authorized else None
        issuer = await stack.enter_async_context(_issuer(settings)) if server.cert_secret else None
        serving_files = issuer.files if issuer else _serving_files(server)
        tls = ServingTLS(serving_files, cluster.authorities, SYSTEM_CLOCK) if settings.kubernetes.enabled else None
        checks = [*cluster.checks, *([Check("serving-cert", tls.unusable)] if tls else [])]
        # Who has been trusted so far still is: serving does not depend on it.
        bundled = [Check("ca-bundle", issuer.trouble, required=False)] if issuer else []
        app = build_app(
            service=peers or answers,
            parse=lambda info, query: parse_question(info, query, settings.metrics.window),
            authenticator=cluster.authenticator,
            authorizer=cluster.authorizer,
            options=AppOptions(
                VERSION,
                settings.metrics.latency_unit,
                settings.server.spec_literal_discovery,
                settings.server.max_requests_inflight,
                settings.server.max_watches,
                settings.metrics.refresh,
                settings.surfaces.numbers,
                groups_of(settings.surfaces),
            ),
            health=Health(
                healthz=(PING, *checks),
                readyz=lambda: (PING, *checks, *bundled, *_troubles(current), Check("shutdown", lifecycle.shutdown)),
                observe=telemetry.checked,
            ),
            telemetry=telemetry,
            # Replicas that serve with one certificate take each other's continue tokens.
            pager=Pager(secret=tls.secret) if tls else None,
            peers=peers,
            sources=Sources(examinations, current),
            surfaces=partial(surfaces_of, settings, cluster.ready_pods),
        )
        app.on_response_prepare.append(lifecycle.say_goodbye)
        chores = list(cluster.chores)
        if files is not None:
            chores.append(Reloader(files, settings, current, telemetry.reloads).run)
        if tls is not None:
            telemetry.certificate.follow(tls.expires)
            chores += [tls.keep_fresh, partial(tls.follow, cluster.trust_changed)]
            if issuer is not None:
                chores += [issuer.keep, partial(tls.follow, issuer.changed)]
        # The socket is closed first: what is under way then still finds an inventory that is followed.
        await stack.enter_async_context(background(chores))
        urls: list[str] = []
        if tls is None:
            port = await stack.enter_async_context(listening(app, LOOPBACK, server.insecure_port, None))
            urls.append(f"http://{LOOPBACK}:{port}")
        else:
            socket = listening(app, server.bind_address, server.secure_port, tls.context, telemetry.handshake_failed)
            port = await stack.enter_async_context(socket)
            host = f"[{server.bind_address}]" if ":" in server.bind_address else server.bind_address
            urls.append(f"https://{host}:{port}")
        yield urls


def _troubles(current: CurrentSources) -> list[Check]:
    """A check for each source that is in force."""
    return [Check(f"source-{source.name}", partial(current.trouble, source.name), required=False) for source in current.sources]


def _federation(settings: Settings, sources: Sequence[Source], telemetry: Telemetry) -> Federation:
    metrics = settings.metrics
    home = home_of(sources, settings.kubernetes.cluster_name, standalone=not settings.kubernetes.enabled)
    told = telemetry.sources, metrics.refresh, telemetry.sharing.samples, metrics.deadline
    if settings.kubernetes.cluster_name and all(source.terms.cluster not in ("", home) for source in sources):
        logger.warning('no source tells of cluster "%s", which kubernetes.clusterName says this is', home)
    return Federation(sources, home, lambda members: Fanout(members, *told), telemetry.sources)


def _issuer(settings: Settings) -> AbstractAsyncContextManager[Issuer]:
    """Who keeps a certificate in a Secret, and the APIServices of all groups that are served at its authority."""
    others = [version.api_version for group in groups_of(settings.surfaces) for version in group.versions]
    return issuing(settings.server, settings.kubernetes, [API_VERSION, *others])


def _serving_files(server: ServerSettings) -> Callable[[], tuple[Path, Path]]:
    """Where certificate and key are, each time they are read: those given, or a self-signed pair that is renewed in time."""
    if server.tls_cert_file:
        return lambda: (Path(server.tls_cert_file), Path(server.tls_private_key_file))

    def own() -> tuple[Path, Path]:
        names = service_names(server.service_name, server.service_namespace)
        pair = ensure_serving_pair(Path(server.cert_dir), names, SYSTEM_CLOCK.now())
        return pair.certificate, pair.key

    return own


if __name__ == "__main__":
    sys.exit(main())
