"""A page in headless Chromium, driven over the DevTools protocol with nothing but a WebSocket.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync --remote-debugging-port=0 "
    "--window-size=1400,900"
).split()
PATIENCE_S = 30.0

Event = dict[str, Any]


class Page:
    """One tab and its workers. What went wrong in any of them gathers in `problems`, what was asked in `requests`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.events: list[Event] = []
        """Every event so far, `{method, params, sessionId}`, oldest first."""
        self.session: str | None = None
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def problems(self) -> list[str]:
        """Errors on the console, uncaught exceptions, failed loads and violations of the content security policy."""
        return [problem for event in self.events if (problem := _problem(event))]

    @property
    def requests(self) -> list[str]:
        """Addresses asked for over the network, sockets included, oldest first."""
        urls = [
            event["params"]["request"]["url"] if "request" in event["params"] else event["params"]["url"]
            for event in self.events
            if event["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated")
        ]
        return [url for url in urls if not url.startswith(("data:", "blob:", "about:"))]

    async def open(self, url: str) -> None:
        """Goes there and waits until everything that the page names has loaded."""
        seen = len(self.events)
        await self.call("Page.navigate", url=url)
        await self.event(lambda event: event["method"] == "Page.loadEventFired", after=seen)

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited where it is a promise."""
        async with asyncio.timeout(PATIENCE_S):
            answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"]["exception"].get("description", answer))
        return answer["result"].get("value")

    async def until(self, expression: str) -> Any:
        """The value of a JavaScript expression once it is truthy, looked at on every frame."""
        try:
            return await self.evaluate(
                "new Promise(found => { (function look() {"
                f"const value = (() => {{ try {{ return {expression} }} catch {{ return null }} }})();"
                "value ? found(value) : requestAnimationFrame(look) })() })"
            )
        except TimeoutError:
            raise AssertionError(f"never true: {expression}; problems: {self.problems}") from None

    async def event(self, fits: Callable[[Event], bool], after: int = 0) -> Event:
        """The first event that `fits`, of those numbered `after` and later; waits for it to happen."""
        try:
            async with asyncio.timeout(PATIENCE_S), self._news:
                while True:
                    for event in self.events[after:]:
                        if fits(event):
                            return event
                    after = len(self.events)
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"it never happened; problems: {self.problems}") from None

    async def click(self, element: str) -> None:
        """A real click into the middle of the element that the JavaScript expression gives, once it is there."""
        box = await self.until(
            f"(({element}).scrollIntoView({{block: 'nearest'}}), ({element}).getBoundingClientRect().toJSON())"
        )
        at: dict[str, Any] = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    async def paste(self, text: str) -> None:
        """Pastes `text` over everything in the focused editor. Typed, it would get closing brackets of its own."""
        select_all: dict[str, Any] = {"key": "a", "code": "KeyA", "windowsVirtualKeyCode": 65, "modifiers": 2}
        await self.call("Input.dispatchKeyEvent", type="rawKeyDown", commands=["selectAll"], **select_all)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **select_all)
        await self.evaluate(
            "{ const clipboardData = new DataTransfer();"
            f"clipboardData.setData('text/plain', {json.dumps(text)});"
            "document.activeElement.dispatchEvent(new ClipboardEvent('paste', {clipboardData, bubbles: true})) }"
        )

    async def call(self, method: str, *, session: str | None = None, **params: Any) -> Any:
        number = next(self._numbers)
        self._answers[number] = answer = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params}
        if session or self.session:
            message["sessionId"] = session or self.session
        await self._socket.send(json.dumps(message))
        return await answer

    async def listen(self) -> None:
        """Reads what the browser says until it leaves."""
        try:
            async for text in self._socket:
                await self._hear(json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            for answer in self._answers.values():
                answer.cancel()

    async def _hear(self, message: Event) -> None:
        if "id" in message:
            answer = self._answers.pop(message["id"])
            if "error" in message:
                answer.set_exception(RuntimeError(message["error"]["message"]))
            else:
                answer.set_result(message["result"])
            return
        if message["method"] == "Target.attachedToTarget" and self.session:
            task = asyncio.create_task(self._watch_worker(message["params"]["sessionId"]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        async with self._news:
            self.events.append(message)
            self._news.notify_all()

    async def watch(self) -> None:
        """Reports from the page and, from their first instruction on, its workers."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            await self.call(f"{domain}.enable")
        await self.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True)

    async def _watch_worker(self, session: str) -> None:
        for domain in ("Runtime", "Log", "Network"):
            with contextlib.suppress(RuntimeError):  # not every kind of target has every domain
                await self.call(f"{domain}.enable", session=session)
        await self.call("Runtime.runIfWaitingForDebugger", session=session)


def _problem(event: Event) -> str | None:
    params = event["params"]
    match event["method"]:
        case "Runtime.consoleAPICalled" if params["type"] in ("error", "assert"):
            return " ".join(str(arg.get("value", arg.get("description"))) for arg in params["args"])
        case "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            return str(details.get("exception", {}).get("description", details["text"]))
        case "Log.entryAdded" if params["entry"]["level"] == "error":
            return f"{params['entry']['text']} {params['entry'].get('url', '')}"
        case "Audits.issueAdded" if params["issue"]["code"] == "ContentSecurityPolicyIssue":
            return json.dumps(params["issue"]["details"])
        case _:
            return None


@contextlib.asynccontextmanager
async def open_page(profile: Path) -> AsyncIterator[Page]:
    """An empty page in a browser of its own, which ends with it. `profile` is an empty folder for its data."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    drain: asyncio.Task[bytes] | None = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            address = await _address(process.stderr)
        drain = asyncio.create_task(process.stderr.read())  # a full pipe would stop the browser
        async with connect(address, max_size=None, proxy=None) as socket:
            page = Page(socket)
            listener = asyncio.create_task(page.listen())
            try:
                await page.watch()
                yield page
            finally:
                listener.cancel()
                await asyncio.gather(listener, return_exceptions=True)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        if drain is not None:
            await drain


async def _address(stderr: asyncio.StreamReader) -> str:
    """Where the browser listens, which it says first of all."""
    said = b""
    while line := await stderr.readline():
        if line.startswith(b"DevTools listening on "):
            return line.split()[-1].decode()
        said += line
    raise RuntimeError(said.decode(errors="replace"))
