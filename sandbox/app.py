"""All simulators in one ASGI app: `/medusa`, `/fleetbase`, `/erpnext`, `/stripe`, `/payload`, `/sendgrid`, `/twilio`,
`/openai`, `/waltid`, `/strapi`, `/s3`.

Besides them a control surface for tests and demonstrations, on loopback like everything here:

    GET    /_control/ready                          200 once every simulator is seeded
    GET    /_control/{backend}/calls                what was asked of it, in order
    DELETE /_control/{backend}/calls                forget them
    PUT    /_control/{backend}/faults               replace its fault rules (see faults.py), a JSON list
    GET    /_control/{backend}/rows/{kind}          its rows of a kind, oldest first
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from sandbox import erpnext, fleetbase, medusa, openai, payload, s3, sendgrid, strapi, stripe, twilio, waltid
from sandbox.faults import FaultLine
from sandbox.store import Store

SIMULATORS = {
    module.__name__.removeprefix("sandbox."): module
    for module in (medusa, fleetbase, erpnext, stripe, payload, sendgrid, twilio, openai, waltid, strapi, s3)
}


def create_app(data_dir: Path | None, faults: Mapping[str, list[dict[str, Any]]] | None = None) -> Starlette:
    """The sandbox. `data_dir=None` keeps every row in memory; `faults` are rules by backend, from the start."""
    stores = {name: Store(data_dir / f"{name}.db" if data_dir else None) for name in SIMULATORS}
    for name, module in SIMULATORS.items():
        stores[name].seed(module.seed)
    lines = {name: FaultLine(module.create_app(stores[name])) for name, module in SIMULATORS.items()}
    for name, rules in (faults or {}).items():
        lines[name].replace(rules)

    def backend(request: Request) -> str:
        name: str = request.path_params["backend"]
        if name not in lines:
            raise HTTPException(404, f"no simulator is called {name}")
        return name

    async def ready(request: Request) -> Response:
        return JSONResponse({"ready": sorted(lines)})

    async def calls(request: Request) -> Response:
        line = lines[backend(request)]
        if request.method == "DELETE":
            line.calls.clear()
        return JSONResponse([asdict(call) for call in line.calls])

    async def set_faults(request: Request) -> Response:
        try:
            return JSONResponse(lines[backend(request)].replace(await request.json()))
        except (TypeError, ValueError) as exc:
            return JSONResponse({"error": str(exc)}, 400)

    async def rows(request: Request) -> Response:
        return JSONResponse(stores[backend(request)].rows(request.path_params["kind"]))

    app = Starlette(
        routes=[
            Route("/_control/ready", ready),
            Route("/_control/{backend}/calls", calls, methods=["GET", "DELETE"]),
            Route("/_control/{backend}/faults", set_faults, methods=["PUT"]),
            Route("/_control/{backend}/rows/{kind}", rows),
            *[Mount(f"/{name}", line) for name, line in lines.items()],
        ]
    )
    app.state.lines, app.state.stores = lines, stores
    return app
