"""walt.id's community stack of the first generation: `/issuer`, `/verifier` and `/wallet`, as three services that know
of each other only what goes over their protocols.

Tokens are really signed and really checked, with keys that identifiers hold themselves. Rows: `account`, `wallet`,
`did` and `held` of the wallets, `offer` of the issuer, `session` of the verifier.
"""

from sandbox.waltid.app import Options, create_app
from sandbox.waltid.seeding import seed

__all__ = ["Options", "create_app", "seed"]
