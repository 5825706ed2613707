"""Fleetbase: deliveries, the couriers who carry them and the places they go, as its public API under `/v1` shows them.

`routes` is the table of contents; `intake` reads what is sent, `orders` holds what can happen to a delivery, `queries`
how lists are asked, `wire` what answers look like, `database` where rows are kept. What the simulator lacks it answers
with 501.
"""

from sandbox.fleetbase.routes import Options, create_app
from sandbox.fleetbase.seeding import seed

__all__ = ["Options", "create_app", "seed"]
