"""The worker: runs workflows and activities, inside the gateway or alone as `python -m workflows.worker`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker

from core.errors import BackendUnavailable, StartFailed
from core.settings import Settings, TemporalSettings
from core.telemetry import configure_logging
from datasources import Sources, open_sources
from datasources.temporal import connect, register_search_attributes
from workflows.activities import OrderActivities
from workflows.order_fulfillment import OrderFulfillmentWorkflow

LINGER_S = 0.5
"""A process that ends right after its last use of Temporal may crash on the way out (temporalio/sdk-python#300)."""

_log = logging.getLogger(__name__)


def build_worker(client: Client, settings: TemporalSettings, sources: Sources) -> Worker:
    """A worker that is not yet running. `client` must have been connected patiently, not for requests that wait."""
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[OrderFulfillmentWorkflow],
        activities=OrderActivities(sources).all(),
        max_cached_workflows=500,
        max_concurrent_activities=50,
        graceful_shutdown_timeout=timedelta(seconds=10),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        # Cancellations come back on heartbeats, which the SDK would otherwise hold back for most of their timeout.
        max_heartbeat_throttle_interval=timedelta(seconds=1),
    )


@asynccontextmanager
async def embedded_worker(settings: Settings, sources: Sources) -> AsyncIterator[None]:
    """A worker beside whatever the block does, unless the settings leave that to another process. Ends gracefully."""
    if not settings.temporal.embedded_worker:
        yield
        return
    async with _working(sources):
        yield


@asynccontextmanager
async def _working(sources: Sources) -> AsyncIterator[None]:
    settings = sources.settings.temporal
    client = await connect(settings, settings.address or "", brisk=False)
    if not await register_search_attributes(client):
        _log.warning("search attributes cannot be registered; an operator must have done it")
    try:
        async with build_worker(client, settings, sources):
            yield
    finally:
        await asyncio.sleep(LINGER_S)


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then finish what runs. Raises StartFailed, BackendUnavailable."""
    this = asyncio.current_task()
    assert this is not None  # noqa: S101 - a coroutine runs in a task
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, this.cancel)
    _log.info("the worker looks for its backends")
    with suppress(asyncio.CancelledError):
        async with open_sources(settings, attach=True) as sources, _working(sources):
            _log.info("the worker runs")
            await asyncio.Event().wait()
    _log.info("the worker has ended")


def main() -> None:
    settings = Settings()
    configure_logging(settings.log_level)
    try:
        asyncio.run(run(settings))
    except (StartFailed, BackendUnavailable) as exc:
        sys.exit(f"The worker cannot start: {exc}")


if __name__ == "__main__":
    main()
