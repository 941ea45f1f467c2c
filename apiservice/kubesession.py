"""One set of credentials for kube-apiserver and the connections made with it: loaded within a time, leaving no keys behind.

The ``kubernetes`` package takes half a second to import, so it is imported when a client connects: a server without a cluster never pays
for it.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from metrics_api.errors import BadConfiguration

__all__ = ["Session", "load"]

_CONNECTIONS = 32
_NOTABLE = 10.0
"""Seconds after which it is said that credentials are still being loaded."""

_LONGEST = 60.0
"""Seconds after which they are given up: a command that asks a cloud takes seconds, one that waits for a person is of no use here."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Session:
    """``refusal`` is raised when the credentials cannot be read any more. ``users`` are the calls under way."""

    api: Any
    refusal: type[Exception]
    users: int = 0

    @property
    def host(self) -> str:
        """The URL of kube-apiserver."""
        return str(self.api.configuration.host)

    @property
    def verifies(self) -> bool:
        """Whether it is made sure that it is this cluster's kube-apiserver."""
        return bool(self.api.configuration.verify_ssl)

    @property
    def identified(self) -> bool:
        """Whether there are credentials."""
        return bool(self.api.configuration.api_key or self.api.configuration.cert_file)

    async def close(self) -> None:
        """Close the connections."""
        await self.api.close()


async def load(kubeconfig: str) -> Session:
    """The credentials of a kubeconfig file, or of the pod this process runs in when it is empty.

    Raises :class:`metrics_api.errors.BadConfiguration` when they cannot be used, or are not there after a minute.
    """
    where = f"kubeconfig {kubeconfig}" if kubeconfig else "no kubeconfig is configured, and the service account of this pod"
    late = f"{where} is still being loaded after {_NOTABLE:g} s: does the command hang that makes its credentials?"
    telling = asyncio.get_running_loop().call_later(_NOTABLE, logger.warning, "%s", late)
    try:
        async with asyncio.timeout(_LONGEST):
            return await _loaded(kubeconfig, where)
    except TimeoutError as error:
        hint = "does the command hang that makes its credentials?"
        raise BadConfiguration([f"{where} cannot be used: it was not loaded within {_LONGEST:g} s; {hint}"]) from error
    finally:
        telling.cancel()


async def _loaded(kubeconfig: str, where: str) -> Session:
    client, config = [await asyncio.to_thread(importlib.import_module, f"kubernetes.aio.{part}") for part in ("client", "config")]
    configuration = client.Configuration()
    configuration.connection_pool_maxsize = _CONNECTIONS
    # Python 3.13 would refuse cluster authorities that lack extensions RFC 5280 asks for; Kubernetes' own clients do not.
    configuration.disable_strict_ssl_verification = True
    try:
        if kubeconfig:
            api = await _of_file(kubeconfig, client, configuration)
        else:
            config.load_incluster_config(client_configuration=configuration)
            api = client.ApiClient(configuration)
    except (config.ConfigException, OSError, ValueError, TypeError, yaml.YAMLError) as error:
        told = "it is no kubeconfig" if isinstance(error, TypeError) else error
        raise BadConfiguration([f"{where} cannot be used: {told}"]) from error
    if not configuration.host.startswith(("https://", "http://")):
        raise BadConfiguration([f'{where} cannot be used: server "{configuration.host}" is not an address: https://HOST:PORT'])
    api.user_agent = "trafficmetrics"
    return Session(api, config.ConfigException)


async def _of_file(kubeconfig: str, client: Any, configuration: Any) -> Any:
    plugin = importlib.import_module("apiservice.kubeplugin")
    with ExitStack() as stack:
        folder = ""
        # Containers may have no place for it, and it takes none where all keys are in files.
        with suppress(OSError):
            folder = stack.enter_context(TemporaryDirectory(prefix="trafficmetrics-"))
            stack.callback(plugin.forget, folder)
        await plugin.Loader(kubeconfig, folder).load_and_set(configuration)
        # The files are written when nothing is left to wait for, and read here: no other load can come in between.
        return client.ApiClient(configuration)
