"""kubectl as the way to the API: it has the user's clusters, logins and flags, so that this plugin needs none of its own.

The flags that every command of kubectl takes are those of ``kubectl options`` (kubernetes/kubernetes:
staging/src/k8s.io/cli-runtime/pkg/genericclioptions/config_flags.go).
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode

from kubectl_traffic.running import PROMPT, Outcome, run
from metrics_api.errors import BadQuery
from metrics_api.resources import GROUP, VERSION

__all__ = ["SWITCHES", "VALUED", "Answer", "Kubectl", "KubectlError", "read_flags"]

VALUED = frozenset(
    f"--{name}"
    for name in (
        *(
            "as",
            "as-group",
            "as-uid",
            "as-user-extra",
            "cache-dir",
            "certificate-authority",
            "client-certificate",
            "client-key",
            "cluster",
            "context",
        ),
        *("kubeconfig", "kuberc", "log-flush-frequency", "password", "profile", "profile-output", "request-timeout", "server"),
        *("tls-server-name", "token", "user", "username", "v", "vmodule"),
    )
)
"""The flags of every command of kubectl that take a value, but for the namespace."""

SWITCHES = frozenset(
    f"--{name}" for name in ("disable-compression", "insecure-skip-tls-verify", "match-server-version", "warnings-as-errors")
)
"""Those that take none."""

_SHORT = {"s": "--server", "v": "--v"}
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_PATIENCE = "--request-timeout="
_REFUSED = "Error from server ("
_NAMESPACE = re.compile(r"/namespaces/([^/?]+)/")


class KubectlError(Exception):
    """kubectl failed; ``code`` is its exit code, ``message`` what to tell the user, and ``reason`` the server's (``NotFound``), if any."""

    def __init__(self, message: str, code: int = 1, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason


class Answer(NamedTuple):
    """A JSON document, and the warnings that came with it: sentences, without the word."""

    document: Any
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl with the flags its user gave.

    ``flags`` go before everything that is asked; ``chosen`` is the namespace given with ``-n``, empty when none was, and ``everywhere``
    tells that ``-A`` was given.
    """

    flags: tuple[str, ...] = ()
    chosen: str = ""
    everywhere: bool = False

    def within(self, seconds: int) -> Kubectl:
        """The same, for questions that nobody may wait longer for than this, unless its user has said how long; kubectl waits for ever."""
        if any(flag.startswith(_PATIENCE) for flag in self.flags):
            return self
        return replace(self, flags=(*self.flags, f"{_PATIENCE}{seconds}s"))

    def namespace(self) -> str:
        """The namespace asked about: of ``-n``, else of the context, else ``default``; empty with ``-A``.

        Asks kubectl when it has to, which takes it some 50 ms. Raises :class:`KubectlError`, for example for a context there is not.
        """
        if self.everywhere or self.chosen:
            return "" if self.everywhere else self.chosen
        return self._viewed("jsonpath={..namespace}").split(" ")[0].strip() or _own_namespace()

    def config(self) -> Mapping[str, Any]:
        """The part of the kubeconfig that is in use (``kubectl config view --minify``); empty without one. Raises :class:`KubectlError`."""
        document: Mapping[str, Any] = json.loads(self._viewed("json") or "{}")
        return document

    def _viewed(self, form: str) -> str:
        """The part of the kubeconfig that is in use; nothing where no context is."""
        seen = self._run("config", "view", "--minify", "-o", form)
        if not seen.code:
            return seen.out.decode().strip()
        if "current-context must exist" not in seen.err:
            raise KubectlError(seen.err.strip(), seen.code)
        return ""

    def get_raw(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """The JSON document at a path of the API server; warnings go to standard error. Raises :class:`KubectlError`."""
        answer = self.ask(path, parameters)
        for warning in answer.warnings:
            print(f"Warning: {warning}", file=sys.stderr)  # noqa: T201 as kubectl does
        return answer.document

    def ask(self, path: str, parameters: Mapping[str, str] | None = None) -> Answer:
        """The JSON document at a path of the API server, and its warnings. Raises :class:`KubectlError`."""
        # With --output, which a kuberc may set for every "get", kubectl refuses --raw, but not with an empty one.
        told = self._run("get", "--raw", f"{path}?{urlencode(parameters)}" if parameters else path, "--output=")
        if told.code:
            raise _failure(told, path)
        try:
            document = json.loads(told.out)
        except ValueError as error:
            raise KubectlError(f"{path} answered what is not JSON: {told.out[:60].decode(errors='replace')!r}") from error
        return Answer(document, tuple(_warnings(told.err)))

    def contexts(self) -> list[str]:
        """The names of the contexts of the kubeconfig. Raises :class:`KubectlError` when it cannot be read."""
        seen = self._run("config", "get-contexts", "-o", "name")
        if seen.code:
            raise KubectlError(seen.err.strip(), seen.code)
        return seen.out.decode().split()

    def _run(self, *arguments: str) -> Outcome:
        try:
            return run(["kubectl", *self.flags, *arguments])
        except FileNotFoundError as error:
            raise KubectlError("there is no kubectl on the PATH") from error


def read_flags(arguments: Sequence[str], switches: str = "") -> tuple[Kubectl, list[str]]:
    """Take the flags of kubectl out of a command line; what is left is the command's own.

    ``switches`` are the letters of the command's own short options without a value, so that ``-wA`` can be told from ``-o`` with a value.
    Raises :class:`metrics_api.errors.BadQuery` for a flag without its value.
    """
    flags: list[str] = []
    own: list[str] = []
    found = {"namespace": "", "everywhere": ""}
    words = iter(arguments)
    for word in words:
        option, equals, value = word.partition("=")
        if word == "--":
            own += [word, *words]
        elif option == "--namespace":
            found["namespace"] = value if equals else _next(words, option)
        elif option == "--all-namespaces":
            found["everywhere"] = "yes" if not equals or value in _TRUE else ""
        elif option in VALUED:
            flags.append(word if equals else f"{option}={_next(words, option)}")
        elif option in SWITCHES:
            flags.append(word)
        elif word.startswith("-") and not word.startswith("--") and len(word) > 1:
            _read_letters(word[1:], words, switches, flags, own, found)
        else:
            own.append(word)
    return Kubectl(tuple(flags), found["namespace"], bool(found["everywhere"])), own


def _read_letters(
    letters: str, words: Iterator[str], switches: str, flags: list[str], own: list[str], found: dict[str, str]
) -> None:
    """Short options behind one dash, as pflag reads them: the first that takes a value has all that follows for it."""
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter == "A":
            found["everywhere"] = "yes"
        elif letter == "n" or letter in _SHORT:
            value = letters.removeprefix("=") if letters else _next(words, f"-{letter}")
            if letter == "n":
                found["namespace"] = value
            else:
                flags.append(f"{_SHORT[letter]}={value}")
            return
        elif letter in switches:
            own.append(f"-{letter}")
        else:
            own.append(f"-{letter}{letters}")
            return


def _next(words: Iterator[str], option: str) -> str:
    value = next(words, None)
    if value is None:
        raise BadQuery(f"{option} needs a value")
    return value


def _own_namespace() -> str:
    """Where no context says it: the namespace of the pod we run in, as client-go finds it, or else ``default``."""
    if "KUBERNETES_SERVICE_HOST" in os.environ and _IN_CLUSTER.is_file():
        return os.environ.get("POD_NAMESPACE") or _IN_CLUSTER.read_text(encoding="utf-8").strip() or "default"
    return "default"


def _warnings(err: str) -> Iterator[str]:
    """The warnings among what kubectl said; the rest (``-v``) is passed on as it is."""
    for line in err.splitlines():
        if line.startswith("Warning: "):
            yield line.removeprefix("Warning: ")
        else:
            print(line, file=sys.stderr)  # noqa: T201 kubectl's own words


def _failure(told: Outcome, path: str) -> KubectlError:
    """What kubectl said at its end, in one line where the reason is known; what it said before (``-v``) is passed on."""
    before, found, message = told.err.strip().rpartition(_REFUSED)
    if told.out.startswith(PROMPT) and told.err.strip().endswith("EOF"):
        return KubectlError("this context has no credentials, and there is nobody whom kubectl could ask for them", told.code)
    if not found:
        return KubectlError(before or message or f"kubectl failed without a word ({told.code})", told.code)
    for line in before.splitlines():
        print(line, file=sys.stderr)  # noqa: T201 kubectl's own words
    reason, _, sentence = message.partition("): ")
    if reason == "NotFound" and "could not find the requested resource" in sentence:
        text = f"this cluster has nothing at {path}: is TrafficMetrics installed, and is this the right context?"
    elif reason == "ServiceUnavailable" and "unable to handle the request" in sentence:
        text = f"{GROUP} is registered but does not answer: kubectl get apiservice {VERSION}.{GROUP} tells why"
    elif reason == "NotFound" and sentence.endswith(" not found") and (place := _NAMESPACE.search(path)):
        text = f"{sentence} in namespace {unquote(place[1])}"
    else:
        text = sentence if reason in ("Forbidden", "NotFound") else f"{_REFUSED}{message}"
    return KubectlError(text, told.code, reason)
