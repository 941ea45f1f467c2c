"""A real Chromium without a window, driven over the DevTools protocol.

Methods and events are those of https://chromedevtools.github.io/devtools-protocol/.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

__all__ = ["Tab", "find_chromium", "run_browser"]

_FLAGS = (
    *("--headless=new", "--no-first-run", "--no-default-browser-check", "--disable-extensions", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"),
)
_MODIFIERS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}
_CODES = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, " ": 32}


def find_chromium() -> str | None:
    """The path of the browser; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Tab:
    """One page. ``requests`` are the URLs it has asked for, ``complaints`` what its console holds against it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.requests: list[str] = []
        self.complaints: list[str] = []

    async def call(self, method: str, **parameters: Any) -> Any:
        """The result of a method of the protocol; raises RuntimeError when the browser refuses."""
        self._number += 1
        answer = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        return await asyncio.wait_for(answer, 30)

    async def listen(self) -> None:
        """Take what the browser sends, until it closes."""
        async for message in self._socket:
            event = message.json()
            if "id" in event:
                answer = self._waiting.pop(event["id"])
                if "error" in event:
                    answer.set_exception(RuntimeError(event["error"]["message"]))
                else:
                    answer.set_result(event["result"])
            else:
                self._note(event["method"], event["params"])

    def _note(self, method: str, told: Mapping[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(argument.get("value")) for argument in told["args"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}".strip())

    async def go(self, url: str) -> None:
        """Open an address."""
        await self.call("Page.navigate", url=url)

    async def run(self, expression: str) -> Any:
        """The value of an expression in JavaScript, awaited; raises RuntimeError when it throws."""
        told = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            raise RuntimeError(told["exceptionDetails"].get("exception", {}).get("description", told["exceptionDetails"]["text"]))
        return told["result"].get("value")

    async def until(self, expression: str, seconds: float = 15) -> Any:
        """The value of an expression as soon as it is a true one; fails with what the page shows when it does not become so."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    with contextlib.suppress(RuntimeError):  # the page may just be loading
                        if found := await self.run(expression):
                            return found
                    await asyncio.sleep(0.03)
        except TimeoutError:
            shown = await self.run("document.body?.innerText")
            raise AssertionError(f"not within {seconds} s: {expression}\n{shown}\n{self.complaints}") from None

    async def press(self, key: str, *modifiers: str) -> None:
        """Press a key and let it go."""
        text = {"Enter": "\r", "Tab": ""}.get(key, key if len(key) == 1 else "")
        code = _CODES.get(key, ord(key[0].upper()))
        bits = sum(_MODIFIERS[each] for each in modifiers)
        common = {"key": key, "windowsVirtualKeyCode": code, "modifiers": bits}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    async def write(self, text: str) -> None:
        """Type a text into what has the focus."""
        await self.call("Input.insertText", text=text)

    async def look(self, width: int = 1440, height: int = 900, scheme: str = "light") -> None:
        """Be a window of that size, in that colour scheme."""
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def picture(self, path: Path) -> None:
        """Write what is seen as a PNG."""
        told = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(told["data"]))  # noqa: ASYNC240 a file of some kilobytes


class Browser:
    """A running Chromium, at the HTTP address of its DevTools."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[Tab]:
        """A new page, which is closed in the end."""
        async with self._session.put(f"{self._address}/json/new?about:blank") as response:
            target = await response.json()
        async with self._session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            tab = Tab(socket)
            listening = asyncio.ensure_future(tab.listen())
            try:
                for domain in ("Page", "Runtime", "Network", "Log", "Accessibility"):
                    await tab.call(f"{domain}.enable")
                await tab.look()
                yield tab
            finally:
                async with self._session.get(f"{self._address}/json/close/{target['id']}") as response:
                    await response.read()
                await socket.close()
                await listening


async def _forget(profile: Path) -> None:
    """Remove a profile; the browser's other processes may write to it for a moment longer than the first one lives."""
    for _ in range(60):
        await asyncio.to_thread(shutil.rmtree, profile, ignore_errors=True)
        await asyncio.sleep(0.05)
        if not await asyncio.to_thread(profile.exists):
            return


@asynccontextmanager
async def run_browser(chromium: str) -> AsyncIterator[Browser]:
    """A Chromium with a profile of its own, which is gone in the end."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        # As root there is no sandbox; these pages are our own.
        flags = [*_FLAGS, *(["--no-sandbox"] if os.getuid() == 0 else []), f"--user-data-dir={profile}"]
        environment = {**os.environ, "HOME": profile, "XDG_CONFIG_HOME": profile, "XDG_CACHE_HOME": profile}
        process = await asyncio.create_subprocess_exec(
            *(chromium, *flags, "about:blank"),
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            port_file = Path(profile) / "DevToolsActivePort"
            async with asyncio.timeout(60):
                while not (port_file.exists() and port_file.read_text().count("\n")):
                    assert process.returncode is None, f"{chromium} ended with {process.returncode}"
                    await asyncio.sleep(0.05)
            address = f"http://127.0.0.1:{port_file.read_text().split()[0]}"
            async with aiohttp.ClientSession() as session:
                yield Browser(session, address)
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
            await _forget(Path(profile))
