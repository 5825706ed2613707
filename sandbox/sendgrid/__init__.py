"""SendGrid's mail sending: what it refuses, what it takes, and the mails that it would have delivered.

An accepted request becomes one row of kind `mail` per personalization, with every field that counts for it.
"""

from sandbox.sendgrid.routes import Options, create_app, seed

__all__ = ["Options", "create_app", "seed"]
