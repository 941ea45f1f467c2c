"""Who we are to AWS, and in which region: found where the SDK looks for it, certain before anything is asked, and renewed in time.

A mistake in what is written keeps a source from being opened. Who gives credentials and cannot be reached now does not: it is asked again
when they are needed.

The chain is that of botocore: the environment, IAM roles for service accounts, profiles, EKS Pod Identity and ECS, the metadata of the
machine (AWS SDKs and Tools Reference Guide, "Standardized credential providers").
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from functools import cache

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.credentials import Credentials, ReadOnlyCredentials, RefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    CredentialRetrievalError,
    HTTPClientError,
    InvalidConfigError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import (
    ConnectionError as SdkConnectionError,
)
from botocore.loaders import Loader, create_loader
from botocore.parsers import ResponseParserError
from botocore.utils import validate_region_name

from backends.cloudwatch.direct import DirectSession
from backends.cloudwatch.failures import code_of, heard, is_transient
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import BackendError, BackendRefused, BackendTimeout, BackendUnavailable, BadConfiguration
from metrics_api.flight import SingleFlight

__all__ = ["ATTEMPTS", "PAUSE", "REGION_VARIABLES", "Account"]

logger = logging.getLogger(__name__)

REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
"""Where the region is looked for when configuration has none. EKS sets both in pods with a role; botocore reads the second alone."""

_FIX = (
    "give the pod a role (EKS Pod Identity, or an IAM role for its service account), or set profile, "
    "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
_REACH = "may we connect to who gives them? check the network, and for STS its VPC endpoint and AWS_ENDPOINT_URL_STS"
_LOGGED = "what is wrong is in the log"
ATTEMPTS = 3
"""How often a request is sent at most."""
_CONNECTING = 3
"""Seconds that making a connection may take: a packet that is lost is sent again after one."""

_AT_START = 8
"""Seconds that opening a source waits for credentials: less than an examination may take."""
PAUSE = 3.0
"""Seconds for which nobody is asked for credentials who has just failed to give them."""
_LAST_MOMENT = 600
"""Seconds before they expire from when on credentials are not used without having been renewed, as the SDK has it."""

_FAILURES = (BotoCoreError, ClientError, ResponseParserError, OSError, ValueError, KeyError, TypeError, RuntimeError)
"""What finding credentials raises: it reads files, and answers of others."""
_MISTAKES = (NoCredentialsError, PartialCredentialsError, ProfileNotFound, ConfigParseError, InvalidConfigError)
"""What is wrong with what is written here: nobody has been asked, and time does not mend it."""


class Account:
    """Who a source is to AWS: one session, whose credentials are asked for by one at a time.

    ``attempts`` is how often a request is sent at most; ``clock`` gives seconds, and never goes back.
    """

    def __init__(self, settings: CloudWatchSettings, attempts: int = ATTEMPTS, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._attempts = attempts
        self._clock = clock
        self._session: AioSession | None = None
        self._credentials: Credentials | None = None
        self._flight: SingleFlight[ReadOnlyCredentials] = SingleFlight()
        self._trouble: tuple[type[BackendError], str] | None = None
        self._again_at = 0.0

    @property
    def signed_in(self) -> bool:
        """Whether there were credentials when they were last needed."""
        return self._credentials is not None and self._trouble is None

    async def open(self) -> AioSession:
        """The session, which has a region, and credentials if somebody gives them now.

        Raises :class:`metrics_api.errors.BadConfiguration` when there is no region, or nothing that says where credentials are, with
        what to do about it.
        """
        name, settings = self._settings.name, self._settings
        logging.getLogger("aiobotocore.credentials").addFilter(_without_quotation)
        try:
            session = AioSession(profile=settings.profile or None)
            session.set_default_client_config(_config(settings.timeout, self._attempts))
            # Reads the files of profiles.
            await asyncio.to_thread(_prepare, session, settings.region)
        except NoRegionError as error:
            raise _bad(name, f"no AWS region is configured; set region, or {' or '.join(REGION_VARIABLES)}") from error
        except InvalidRegionError as error:
            raise _bad(name, f'"{error.kwargs["region_name"]}" is not the name of an AWS region, which is as eu-west-1') from error
        except _FAILURES as error:
            heard(name, "signing in", error)
            raise _bad(name, _problem(error)) from _speakable(error)
        self._session = session
        try:
            await self._find(session, min(_AT_START, settings.timeout))
        except _MISTAKES as error:
            heard(name, "signing in", error)
            raise _bad(name, _problem(error)) from error
        except BackendError as error:
            logger.warning("%s (the source is open all the same, and signs in when it is asked)", error.message)
        return session

    async def credentials(self) -> ReadOnlyCredentials:
        """The credentials, renewed if they are about to expire. Of those who need them at the same time one gets them for all.

        Raises :class:`metrics_api.errors.BackendError`; the same again for some seconds, without asking anybody.
        """
        if self._session is None:
            raise BackendUnavailable(self._settings.name, "is closed")
        session = self._session
        if self._credentials is not None and not _must_be_renewed(self._credentials):
            # While one renews them, before it is time, the SDK lets the others go on.
            return await self._found(session)
        return await self._flight.once("", lambda: self._found_again(session))

    async def _found_again(self, session: AioSession) -> ReadOnlyCredentials:
        if self._trouble is not None and self._clock() < self._again_at:
            kind, told = self._trouble
            raise kind(self._settings.name, told)
        return await self._found(session)

    async def _found(self, session: AioSession) -> ReadOnlyCredentials:
        try:
            return await self._find(session, self._settings.timeout)
        except _MISTAKES as error:
            raise self._failed(error) from error

    async def _find(self, session: AioSession, seconds: float) -> ReadOnlyCredentials:
        """Look for credentials. Raises :data:`_MISTAKES` as they are, and all else as :class:`metrics_api.errors.BackendError`."""
        try:
            async with asyncio.timeout(seconds):
                credentials = await session.get_credentials()
                if credentials is None:
                    raise NoCredentialsError
                frozen: ReadOnlyCredentials = await credentials.get_frozen_credentials()
        except _MISTAKES:
            raise
        except TimeoutError as error:
            told = f"the AWS credentials did not come within {seconds:g}s; {_REACH}"
            raise self._failed(error, BackendTimeout, told) from error
        except _FAILURES as error:
            raise self._failed(error) from _speakable(error)
        self._credentials, self._trouble = credentials, None
        return frozen

    def _failed(self, error: Exception, kind: type[BackendError] | None = None, told: str = "") -> BackendError:
        """The error to tell of, now and for a while."""
        heard(self._settings.name, "signing in", error)
        refused = isinstance(error, ClientError) and not is_transient(error)
        self._trouble = kind or (BackendRefused if refused else BackendUnavailable), told or _problem(error)
        self._again_at = self._clock() + PAUSE
        kind, told = self._trouble
        return kind(self._settings.name, told)


def _config(timeout: int, attempts: int) -> AioConfig:
    """How every service is asked, that which gives credentials too."""
    return AioConfig(
        http_session_cls=DirectSession,
        # The models of a service are megabytes of JSON: to be read in a thread.
        warm_up_loader_caches=True,
        connect_timeout=min(_CONNECTING, timeout),
        # Nothing is asked again for being slow: what is asked is paid for.
        read_timeout=timeout,
        # The adaptive mode would keep callers waiting on its own account.
        retries={"mode": "standard", "total_max_attempts": attempts},
    )


def _prepare(session: AioSession, region: str) -> None:
    session.get_scoped_config()
    found = region or next(filter(None, map(os.environ.get, REGION_VARIABLES)), None) or session.get_config_variable("region")
    if not found:
        raise NoRegionError
    validate_region_name(found)
    # STS is asked in the same region.
    session.set_config_variable("region", found)
    session.register_component("data_loader", _models(session.get_config_variable("data_path")))


@cache
def _models(folder: str | None) -> Loader:
    """The models of services, which all sources share: megabytes that take a tenth of a second to read."""
    return create_loader(folder)


def _speakable(error: Exception) -> Exception | None:
    """An error that may be shown. What gives credentials and cannot be read is quoted in this one, credentials and all."""
    return None if isinstance(error, ResponseParserError) else error


def _without_quotation(record: logging.LogRecord) -> bool:
    """Keeps a line of the log of the SDK, without the error in it."""
    if record.exc_info and record.exc_info[0] is not None:
        record.msg, record.args = f"{record.getMessage()} ({record.exc_info[0].__name__})", ()
        record.exc_info = record.exc_text = None
    return True


def _must_be_renewed(credentials: Credentials) -> bool:
    return isinstance(credentials, RefreshableCredentials) and credentials.refresh_needed(_LAST_MOMENT)


def _problem(error: Exception) -> str:
    """What is wrong with the credentials, in a sentence without any of them, and what to do about it."""
    if isinstance(error, _MISTAKES):
        return f"{_mistake(error)}; {_FIX}"
    what, advice = _failure(error)
    return f"{what}; {advice}"


def _mistake(error: Exception) -> str:
    match error:
        case PartialCredentialsError():
            return f"half of the AWS credentials is missing ({error.kwargs.get('cred_var')})"
        case ProfileNotFound():
            return f'the files of AWS have no profile "{error.kwargs.get("profile")}"'
        case ConfigParseError():
            return f'"{error.kwargs.get("path")}" is not a file of AWS profiles'
        case InvalidConfigError():
            return f"the AWS configuration is wrong: {error.kwargs.get('error_msg')}"
        case _:
            return "there are no AWS credentials"


def _failure(error: Exception) -> tuple[str, str]:
    match error:
        case ClientError() if is_transient(error):
            told = f"AWS gives no credentials: it could not answer {error.operation_name} ({code_of(error)})"
            return told, "it is asked again with the next question"
        case ClientError():
            told = f"AWS gives no credentials: it refused {error.operation_name} ({code_of(error)})"
            return told, "check the trust policy of the role"
        case CredentialRetrievalError(kwargs={"provider": "container-role"}):
            told = "the AWS credentials cannot be retrieved from container-role"
            return told, "does the agent that gives them, of EKS Pod Identity say, run on this node, and does it know this pod?"
        case CredentialRetrievalError():
            return f"the AWS credentials cannot be retrieved from {error.kwargs.get('provider')}", _LOGGED
        case SdkConnectionError() | HTTPClientError():
            where = error.kwargs.get("endpoint_url", "AWS")
            return f"the AWS credentials cannot be retrieved from {where} ({type(error).__name__})", _REACH
        case OSError(filename=str() as path):
            told = f'the AWS credentials cannot be retrieved, because "{path}" cannot be read'
            return told, "is the token of the service account mounted there?"
        case _:
            return f"the AWS credentials cannot be retrieved ({type(error).__name__})", _LOGGED


def _bad(name: str, problem: str) -> BadConfiguration:
    return BadConfiguration([f'source "{name}": {problem}'])
