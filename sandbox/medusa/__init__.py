"""Medusa 2.21: its store and admin API over the demo shop.

Routes and parameters that Medusa has and this has not answer 501; routes that Medusa has not answer Express's 404 page.
"""

from sandbox.medusa.app import create_app
from sandbox.medusa.seeding import seed

__all__ = ["create_app", "seed"]
