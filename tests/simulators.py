"""All HTTP backends in a test: the real datasources, as the gateway opens them, before the simulators in process."""

from __future__ import annotations

import httpx
from starlette.applications import Starlette

from core.settings import Settings
from core.signals import LocalSignals, Signals
from datasources import HttpBackends, _sandboxed, open_backends


def open_simulated(app: Starlette, *, signals: Signals | None = None, **timeouts_s: float) -> HttpBackends:
    """Whoever opens them closes them. `timeouts_s` by settings block, for backends that tests let hang."""
    asked = Settings()
    blocks = _sandboxed(asked, "http://sandbox")
    for name, timeout_s in timeouts_s.items():
        blocks[name] = blocks[name].model_copy(update={"timeout_s": timeout_s})
    backends = open_backends(asked.model_copy(update=blocks), signals or LocalSignals())
    for backend in backends.each():
        wired = backend._client
        backend._client = httpx.AsyncClient(
            base_url=wired.base_url, headers=wired.headers, transport=httpx.ASGITransport(app)
        )
    return backends
