"""Twilio's messages: what it refuses, what it queues, and what becomes of that as time goes by.

Every message is a row of kind `message`, in the words of the API.
"""

from sandbox.twilio.routes import Options, create_app, seed

__all__ = ["Options", "create_app", "seed"]
