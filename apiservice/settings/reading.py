"""From the text of a configuration file, the environment and flags to settings; every mistake is found before anything starts."""

from __future__ import annotations

from collections.abc import Mapping

from apiservice.settings.options import OPTIONS, SECTIONS
from apiservice.settings.sections import (
    KubernetesSettings,
    LoggingSettings,
    MetricsSettings,
    ServerSettings,
    Settings,
    SurfaceSettings,
)
from apiservice.visibility import LARGEST_REFRESH, PeerVisibility
from metrics_api.document import Node, Problems, parse_document
from metrics_api.keys import keys_of, names_of, read_keys

__all__ = ["read_settings"]


def read_settings(text: str, file: str, flags: Mapping[str, str], environment: Mapping[str, str], problems: Problems) -> Settings:
    """Settings from the text of a configuration file and what overrides it.

    Mistakes are added to ``problems``, so that the caller can let the sources add theirs before giving up; only a text that is not
    YAML raises :class:`BadConfiguration` here. ``flags`` are by option name.
    """
    root = parse_document(text, file, problems)
    _override(root, flags, environment)
    sections = root.mapping((*SECTIONS, "backends"))
    written = {name: _entries(name, sections) for name in SECTIONS}
    settings = Settings(
        server=ServerSettings(**read_keys(ServerSettings, written["server"])),
        kubernetes=KubernetesSettings(**read_keys(KubernetesSettings, written["kubernetes"])),
        metrics=MetricsSettings(**read_keys(MetricsSettings, written["metrics"])),
        logging=LoggingSettings(**read_keys(LoggingSettings, written["logging"])),
        surfaces=SurfaceSettings(**read_keys(SurfaceSettings, written["surfaces"])),
        backends=tuple(sections["backends"].items()) if "backends" in sections else (),
    )
    _Together(settings, written, problems).check()
    return settings


def _override(root: Node, flags: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Put values of flags and environment in the place of what the file says; mistakes then name the flag."""
    if root.value is None:
        # "---" and nothing after it: as good as an empty file.
        root.value = {}
    if not isinstance(root.value, dict):
        return
    for option in OPTIONS:
        for place, value in ((f"--{option.name}", flags.get(option.name)), (option.variable, environment.get(option.variable))):
            if value is None:
                continue
            section = root.value.setdefault(option.section, Node({}, root.file, 0, option.section, root.problems))
            if section.value is None:
                section.value = {}
            if isinstance(section.value, dict):
                section.value[option.key] = Node(value, place, 0, "", root.problems)
            break


def _entries(section: str, sections: Mapping[str, Node]) -> dict[str, Node]:
    return sections[section].mapping(names_of(keys_of(SECTIONS[section]))) if section in sections else {}


def _is_given(node: Node | None) -> bool:
    """Whether a file is named; an empty name takes back that of the configuration file, or says that there is none."""
    return node is not None and node.value not in (None, "")


class _Together:
    """What cannot be, or is not enough, because of what another key says."""

    def __init__(self, settings: Settings, written: Mapping[str, Mapping[str, Node]], problems: Problems) -> None:
        self._settings = settings
        self._written = written
        self._problems = problems

    def check(self) -> None:
        """Report all of it."""
        self._certificates()
        self._ports()
        self._peers()

    def _certificates(self) -> None:
        server, written = self._settings.server, self._written["server"]
        for key, other in (("tlsCertFile", "tlsPrivateKeyFile"), ("tlsPrivateKeyFile", "tlsCertFile")):
            if _is_given(written.get(key)) and not _is_given(written.get(other)):
                self._problem("server", key, f'"{other}" is missing beside it: "tlsCertFile" and "tlsPrivateKeyFile" go together')
        if server.cert_secret and (_is_given(written.get("tlsCertFile")) or _is_given(written.get("tlsPrivateKeyFile"))):
            self._problem("server", "certSecret", 'a certificate is given by "tlsCertFile", or kept in a Secret: not both')
        if server.cert_secret and not self._settings.kubernetes.enabled:
            self._problem("server", "certSecret", "a Secret is kept in a cluster: it needs kubernetes.enabled: true")

    def _ports(self) -> None:
        server, enabled = self._settings.server, self._settings.kubernetes.enabled
        if not enabled and not server.insecure_port:
            told = "without a cluster nobody can be authenticated: set server.insecurePort to serve loopback only"
            self._problem("kubernetes", "enabled", told)
        if enabled and server.insecure_port:
            self._problem(
                "server", "insecurePort", "an unauthenticated port is for standalone use: it needs kubernetes.enabled: false"
            )
        if enabled and not server.secure_port:
            self._problem("server", "securePort", "0 would serve nobody: only a standalone server can do without")

    def _peers(self) -> None:
        if self._settings.server.peer_visibility is not PeerVisibility.AUTHORIZED:
            return
        if not self._settings.kubernetes.enabled:
            told = "authorized asks kube-apiserver who may read what: it needs kubernetes.enabled: true"
            self._problem("server", "peerVisibility", told)
        if self._settings.metrics.refresh > LARGEST_REFRESH:
            told = f"authorized needs a metrics.refresh of {LARGEST_REFRESH}s at most: with it watchers learn of rights taken away"
            self._problem("server", "peerVisibility", told)

    def _problem(self, section: str, key: str, message: str) -> None:
        """Report a mistake where the key was written, or by its name where it was not."""
        node = self._written[section].get(key)
        self._problems.add(f"{section}.{key}" if node is None else node.place, message)
