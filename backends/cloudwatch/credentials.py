"""Who we are to AWS, and in which region: found where the SDK looks for it, certain before anything is asked, and renewed in time.

The chain is that of botocore: the environment, IAM roles for service accounts, profiles, EKS Pod Identity and ECS, the metadata of the
machine (AWS SDKs and Tools Reference Guide, "Standardized credential providers").
"""

from __future__ import annotations

import asyncio
import logging
import os
from functools import cache

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.credentials import ReadOnlyCredentials
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
from metrics_api import BackendRefused, BackendUnavailable, BadConfiguration

__all__ = ["ATTEMPTS", "REGION_VARIABLES", "renew", "sign_in"]

REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
"""Where the region is looked for when configuration has none. EKS sets both in pods with a role; botocore reads the second alone."""

_FIX = (
    "give the pod a role (EKS Pod Identity, or an IAM role for its service account), or set profile, "
    "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
ATTEMPTS = 3
"""How often a request is sent at most."""
_CONNECTING = 3
"""Seconds that making a connection may take: a packet that is lost is sent again after one."""

_FAILURES = (BotoCoreError, ClientError, ResponseParserError, OSError, ValueError, KeyError, TypeError, RuntimeError)
"""What finding credentials raises: it reads files, and answers of others."""


async def sign_in(settings: CloudWatchSettings, attempts: int = ATTEMPTS) -> AioSession:
    """A session that has a region and credentials.

    Raises :class:`metrics_api.errors.BadConfiguration` when it has not, with what to do about it.
    """
    name = settings.name
    logging.getLogger("aiobotocore.credentials").addFilter(_without_quotation)
    try:
        session = AioSession(profile=settings.profile or None)
        session.set_default_client_config(_config(settings.timeout, attempts))
        async with asyncio.timeout(settings.timeout):
            # Reads the files of profiles.
            await asyncio.to_thread(_prepare, session, settings.region)
            await _find(session)
    except TimeoutError as error:
        raise _bad(name, f"the AWS credentials did not come within {settings.timeout}s; {_FIX}") from error
    except NoRegionError as error:
        raise _bad(name, f"no AWS region is configured; set region, or {' or '.join(REGION_VARIABLES)}") from error
    except InvalidRegionError as error:
        raise _bad(name, f'"{error.kwargs["region_name"]}" is not the name of an AWS region, which is as eu-west-1') from error
    except _FAILURES as error:
        heard(name, "signing in", error)
        raise _bad(name, f"{_problem(error)}; {_FIX}") from _speakable(error)
    return session


async def renew(session: AioSession, name: str) -> ReadOnlyCredentials:
    """The credentials of a session, renewed if they are about to expire. ``name`` is that of the source.

    Raises :class:`metrics_api.errors.BackendError`.
    """
    try:
        return await _find(session)
    except TimeoutError:
        # The time of the whole call is over; an OSError for all that.
        raise
    except _FAILURES as error:
        heard(name, "renewing credentials", error)
        kind = BackendRefused if isinstance(error, ClientError) and not is_transient(error) else BackendUnavailable
        raise kind(name, _problem(error)) from _speakable(error)


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


async def _find(session: AioSession) -> ReadOnlyCredentials:
    credentials = await session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    return await credentials.get_frozen_credentials()


def _problem(error: Exception) -> str:
    """What is wrong with the credentials, in a sentence without any of them."""
    match error:
        case ClientError():
            return f"AWS gives no credentials: it refused {error.operation_name} ({code_of(error)}); check the trust policy of the role"
        case NoCredentialsError():
            return "there are no AWS credentials"
        case PartialCredentialsError():
            return f"half of the AWS credentials is missing ({error.kwargs.get('cred_var')})"
        case ProfileNotFound():
            return f'the files of AWS have no profile "{error.kwargs.get("profile")}"'
        case ConfigParseError():
            return f'"{error.kwargs.get("path")}" is not a file of AWS profiles'
        case InvalidConfigError():
            return f"the AWS configuration is wrong: {error.kwargs.get('error_msg')}"
        case CredentialRetrievalError():
            return f"the AWS credentials cannot be retrieved from {error.kwargs.get('provider')}"
        case SdkConnectionError() | HTTPClientError():
            return (
                f"the AWS credentials cannot be retrieved from {error.kwargs.get('endpoint_url', 'AWS')} ({type(error).__name__})"
            )
        case OSError(filename=str() as path):
            return f'the AWS credentials cannot be retrieved, because "{path}" cannot be read'
        case _:
            return f"the AWS credentials cannot be retrieved ({type(error).__name__})"


def _bad(name: str, problem: str) -> BadConfiguration:
    return BadConfiguration([f'source "{name}": {problem}'])
