"""Payload CMS 3 on Postgres: collections that a configuration declares, behind Payload's REST routes.

Documents are rows of the kind that their collection's slug names. Who shows a wrong key is anonymous, not refused.
"""

from sandbox.payload.app import create_app
from sandbox.payload.seeding import seed

__all__ = ["create_app", "seed"]
