"""What is made of files that are replaced while we run, as certificates are: made anew when they change.

Kubernetes replaces all files of a Secret in one step, other tools one after the other: a certificate may stand beside the key of the one
before for a moment. What is being used is closed when the last who uses it is done.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from backends.transport import TlsSettings
from metrics_api import BackendRefused

__all__ = ["Rotating", "contexts"]

T = TypeVar("T")

_ADVICE = "check the files that tls names"
_Version = tuple[tuple[int, int, int], ...]


@dataclass(slots=True)
class _Made(Generic[T]):
    """One of them: how the files were when it was made, who uses it, and whether there is a newer one."""

    value: T
    version: _Version
    stack: AsyncExitStack
    users: int = 0
    retired: bool = False

    async def release(self) -> None:
        if self.retired and not self.users:
            await self.stack.aclose()


class Rotating(Generic[T]):
    """What ``make`` makes of the ``files`` named under ``tls`` by a source; no names or empty ones are files that never change."""

    def __init__(self, source: str, files: Sequence[str], make: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._source = source
        self._files = tuple(filter(None, files))
        self._make = make
        self._made: _Made[T] | None = None
        self._making = asyncio.Lock()

    @asynccontextmanager
    async def using(self) -> AsyncIterator[T]:
        """The one that the files make now. :class:`BackendRefused` when they make none: what was made before is used no more."""
        made = await self._current()
        made.users += 1
        try:
            yield made.value
        finally:
            made.users -= 1
            await made.release()

    async def close(self) -> None:
        """Close the newest one, whoever uses it."""
        async with self._making:
            made, self._made = self._made, None
            if made is not None:
                await made.stack.aclose()

    async def _current(self) -> _Made[T]:
        version = await self._version()
        if self._made is not None and self._made.version == version:
            return self._made
        async with self._making:
            version = await self._version()
            if self._made is None or self._made.version != version:
                before, self._made = self._made, await self._new(version)
                if before is not None:
                    before.retired = True
                    await before.release()
            return self._made

    async def _new(self, version: _Version) -> _Made[T]:
        while True:
            stack = AsyncExitStack()
            try:
                return _Made(await stack.enter_async_context(self._make()), version, stack)
            except (OSError, ValueError) as error:
                await stack.aclose()
                # Some were read before they were replaced, and some after that.
                read, version = version, await self._version()
                if version == read:
                    raise BackendRefused(self._source, _broken(self._files, error)) from error

    async def _version(self) -> _Version:
        return await asyncio.to_thread(self._look) if self._files else ()

    def _look(self) -> _Version:
        found = []
        for file in self._files:
            try:
                status = Path(file).stat()
            except OSError as error:
                raise BackendRefused(self._source, f'the file "{file}" of "tls" cannot be read; {_ADVICE}') from error
            if not status.st_size:
                raise BackendRefused(self._source, f'the file "{file}" of "tls" is empty; {_ADVICE}')
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)


def contexts(source: str, tls: TlsSettings) -> Rotating[ssl.SSLContext]:
    """The client contexts of a source."""

    @asynccontextmanager
    async def make() -> AsyncIterator[ssl.SSLContext]:
        # Reading the trusted certificates of the system blocks.
        yield await asyncio.to_thread(tls.context)

    return Rotating(source, tls.files, make)


def _broken(files: Sequence[str], error: Exception) -> str:
    told = ", ".join(f'"{file}"' for file in files)
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return f'the files of "tls" ({told}) are no PEM certificates with the key that belongs to them: {why}; {_ADVICE}'
