"""GraphiQL as a newcomer uses it, in a real browser."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from graphiql.page import DIST
from tests.end_to_end.browser import CHROMIUM, Event, Page, open_page
from tests.end_to_end.gateway import Gateway

IN_CI = bool(os.environ.get("CI"))
"""There a missing browser or bundle fails: nobody would notice that this was skipped."""

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None and not IN_CI, reason="Chromium is not installed"),
    pytest.mark.skipif(not (DIST / "manifest.json").exists() and not IN_CI, reason="not bundled: make setup, with npm"),
]

EXECUTE = "document.querySelector('.graphiql-execute-button')"
RESULT = """[...document.querySelectorAll('.result-window .view-line')]
    .sort((one, other) => parseFloat(one.style.top) - parseFloat(other.style.top))
    .map(line => line.textContent.replaceAll('\\u00a0', ' ')).join('\\n')"""
"""What the result pane shows, top to bottom."""


async def check_graphiql(url: str, profile: Path) -> None:
    """Opens the page at `url` (.../graphql) and works through its tabs as somebody who knows nothing would."""
    async with open_page(profile) as page:
        await page.open(url)
        await open_tab(page, "Dashboard")
        await dashboard_shows_rows(page)

        await open_tab(page, "FulfillOrder")
        started = await run(page)
        workflow_id = started["data"]["fulfillOrder"]["id"]
        await page.until(f"({RESULT}).includes({json.dumps(workflow_id)})")

        await open_tab(page, "WorkflowStatus")
        await set_variables(page, {"id": workflow_id})
        events = await subscribe(page)
        assert [event.get("errors") for event in events] == [None] * len(events)
        assert events[-1]["data"]["workflowStatus"]["status"] == "COMPLETED"
        await page.until(f'({RESULT}).includes(\'"status": "COMPLETED"\')')

        tabs = await page.evaluate("document.querySelectorAll('[role=tab]').length")
        assert "Bearer" not in await page.evaluate("JSON.stringify(localStorage)")
        await page.open(url)
        await open_tab(page, "Dashboard")
        assert await page.evaluate("document.querySelectorAll('[role=tab]').length") == tabs
        await dashboard_shows_rows(page)

        assert page.problems == []
        assert {urlsplit(request).netloc for request in page.requests} == {urlsplit(url).netloc}


async def dashboard_shows_rows(page: Page) -> None:
    answer = await run(page)
    assert "errors" not in answer
    rows = answer["data"]["orders"]["nodes"]
    assert len(rows) > 1
    await page.until(f"({RESULT}).includes({json.dumps(rows[0]['id'])})")


async def open_tab(page: Page, operation: str) -> None:
    """Switches to the tab of that operation, once there is an editor, and waits until GraphiQL has parsed it."""
    await page.until("document.querySelector('.graphiql-query-editor .view-line')")
    await page.click(
        f"[...document.querySelectorAll('[role=tab]')].find(tab => tab.textContent.includes('{operation}'))"
    )
    await page.until(f"localStorage.getItem('graphiql:query').includes('{operation}')")


async def run(page: Page) -> Any:
    """Presses the play button; the answer as it came over the wire, `{data, errors?}`."""
    seen = len(page.events)
    await page.click(EXECUTE)
    sent = await page.event(
        lambda event: event["method"] == "Network.requestWillBeSent" and event["params"]["request"]["method"] == "POST",
        after=seen,
    )
    request_id = sent["params"]["requestId"]
    await page.event(
        lambda event: event["method"] == "Network.loadingFinished" and event["params"]["requestId"] == request_id,
        after=seen,
    )
    return json.loads((await page.call("Network.getResponseBody", requestId=request_id))["body"])


async def subscribe(page: Page) -> list[Any]:
    """Presses the play button; what the socket's `next` messages held until its `complete`, at least one."""
    seen = len(page.events)
    await page.click(EXECUTE)
    await page.event(lambda event: _frame(event).get("type") in ("complete", "error"), after=seen)
    frames = [_frame(event) for event in page.events[seen:]]
    events = [frame["payload"] for frame in frames if frame.get("type") == "next"]
    assert events, frames
    return events


async def set_variables(page: Page, variables: dict[str, Any]) -> None:
    await page.click("document.querySelector('.graphiql-editor-tool .monaco-editor .view-lines')")
    await page.paste(json.dumps(variables))


def _frame(event: Event) -> dict[str, Any]:
    """The message of a socket that the page received, {} for any other event."""
    if event["method"] != "Network.webSocketFrameReceived":
        return {}
    frame: dict[str, Any] = json.loads(event["params"]["response"]["payloadData"])
    return frame


async def test_graphiql_runs_its_examples_with_no_other_host(gateway: Gateway, tmp_path: Path) -> None:
    await check_graphiql(f"{gateway.url}/graphql", tmp_path)
