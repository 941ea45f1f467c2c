"""Kubeconfigs as the ``kubernetes`` package reads them, but for the commands that make credentials: they end when nobody waits any more.

The package would leave such a command running, and keys in files for as long as the process lives. It is imported here, so this module is
imported when a client connects, and not before.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
import json
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["Loader", "forget"]

_LONGEST_QUOTE = 300
_LAST_WORDS = 1.0
"""Seconds that a command which was killed has to be gone."""

logger = logging.getLogger(__name__)

# It has annotations here and there, which promise more than its functions keep.
_package: Any = importlib.import_module("kubernetes.aio.config.kube_config")


class _User(msgspec.Struct, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None


class _Credential(msgspec.Struct, rename="camel"):
    """What a command says (``k8s.io/client-go/pkg/apis/clientauthentication/v1``, ExecCredential)."""

    api_version: str
    status: _User


class Loader(_package.KubeConfigLoader):  # type: ignore[misc]  # of what type it is not known
    """The kubeconfig at ``path``; the keys and certificates in it become files in ``folder``."""

    _user: Any

    def __init__(self, path: str, folder: str) -> None:
        super().__init__(_package.KubeConfigMerger(path).config, config_base_path=None, temp_file_path=folder)

    async def load_from_exec_plugin(self) -> bool:
        """Run the command. False when it made no credentials: whatever else the file says of the user is all there is then."""
        try:
            made = await _made(_package.ExecProvider(self._user["exec"]))
        except (_package.ConfigException, OSError, ValueError, TypeError, msgspec.MsgspecError) as error:
            logger.error("the command in the kubeconfig made no credentials: %s", error)  # noqa: TRY400 it says what is wrong
            return False
        if made.token:
            self.token = f"Bearer {made.token}"
        if made.client_certificate_data and made.client_key_data:
            pair = {"client-certificate-data": made.client_certificate_data, "client-key-data": made.client_key_data}
            encoded = {key: b64encode(text.encode()).decode() for key, text in pair.items()}
            self._user = _package.ConfigNode("user", {**self._user.value, **encoded}, self._user.path)
        return True


def forget(folder: str) -> None:
    """Let the package forget the files that it has written to a folder: it would give out their names for what they held."""
    place, remembered = Path(folder).absolute(), _package._temp_files  # noqa: SLF001 it has no other way
    for content in [content for content, file in remembered.items() if Path(file).parent == place]:
        del remembered[content]
    if not remembered:
        # It asks to be called at the end of the process for every first file.
        atexit.unregister(_package._cleanup_temp_files)  # noqa: SLF001


async def _made(provider: Any) -> _User:
    """What a command says."""
    told = {"apiVersion": provider.api_version, "kind": "ExecCredential", "spec": {"interactive": sys.stdout.isatty()}}
    # A person at a terminal may be asked something, for which the command has to stay a part of the session.
    apart = sys.stdin is None or not sys.stdin.isatty()
    process = await asyncio.create_subprocess_exec(
        *provider.args,
        env={**provider.env, "KUBERNETES_EXEC_INFO": json.dumps(told)},
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=apart,
    )
    try:
        said, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            await _end(process, apart=apart)
    if process.returncode:
        raise _package.ConfigException(
            f"exit code {process.returncode}: {complaint.decode('utf-8', 'replace').strip()[:_LONGEST_QUOTE]}"
        )
    credential = msgspec.json.decode(said, type=_Credential)
    if credential.api_version != provider.api_version:
        raise _package.ConfigException(f"it speaks {credential.api_version}, and the kubeconfig {provider.api_version}")
    user = credential.status
    if not user.token and not (user.client_certificate_data and user.client_key_data):
        raise _package.ConfigException("it gives neither a token nor a certificate with its key")
    return user


async def _end(process: Process, *, apart: bool) -> None:
    """Kill a command, and if it has a session of its own, whatever it has started."""
    with suppress(ProcessLookupError):
        if apart:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS):
            await process.wait()
