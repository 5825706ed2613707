"""Stripe's REST API v1, the part that takes a customer's money: holds, captures, refunds, cards, subscriptions.

Answers as an account whose only payment method is the card would, in the shape of the API version
`headers.VERSION`. A pipeline (app.py) authenticates, replays idempotent requests, checks parameters and commits; the
other modules are the resources. What Stripe has and this has not is answered 501.

Time does not work here by itself: a hold that outlived its deadline is found expired when somebody looks at it, and
subscriptions are not renewed.
"""

from sandbox.stripe.app import create_app
from sandbox.stripe.seeding import seed

__all__ = ["create_app", "seed"]
