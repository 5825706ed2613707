"""`python -m sandbox`: every simulator on one loopback port.

Settings: `SANDBOX_PORT` (default 8900), `SANDBOX_DIR` (where state is kept; unset: in memory), `SANDBOX_FAULTS` (JSON,
fault rules by backend).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import uvicorn

from sandbox.app import create_app


def main() -> None:
    data_dir = os.environ.get("SANDBOX_DIR")
    if data_dir:
        Path(data_dir).mkdir(parents=True, exist_ok=True)
    app = create_app(Path(data_dir) if data_dir else None, json.loads(os.environ.get("SANDBOX_FAULTS", "{}")))
    # Medusa and Fleetbase close idle connections after five seconds; so does the sandbox.
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ.get("SANDBOX_PORT", "8900")),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=5,
    )


if __name__ == "__main__":
    main()
