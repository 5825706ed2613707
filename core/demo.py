"""The demo's credentials, made once per data directory and never in production.

`credentials.json` (mode 0600) holds a service key, a key for each platform and client of the demo world and a token
per role, beside the secrets under which they are verified.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import jwt

from core.auth import new_key

TOKEN_LIFE_S = 30 * 24 * 3600


@dataclass
class DemoCredentials:
    """`keys` by the name of their owner; `tokens` by role; `users` are the tokens' subjects by role."""

    service_key: str = field(default_factory=new_key)
    jwt_secret: str = field(default_factory=lambda: secrets.token_hex(32))
    key_pepper: str = field(default_factory=lambda: secrets.token_hex(32))
    keys: dict[str, str] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "DemoCredentials(…)"

    @classmethod
    def load(cls, data_dir: Path) -> DemoCredentials:
        """Those of this data directory, made on first use."""
        path = data_dir / "credentials.json"
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def save(self, data_dir: Path) -> None:
        """Atomically, readable by the owner alone."""
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = data_dir / "credentials.json"
        unfinished = path.with_suffix(".tmp")
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(self), file, indent=2)
        unfinished.replace(path)

    def complete(self, owners: list[str], users: dict[str, str], jwt_secret: str) -> None:
        """Make what is missing: a key per owner, a fresh token per role, signed with `jwt_secret`."""
        for owner in owners:
            self.keys.setdefault(owner, new_key())
        self.users = users
        now = int(time.time())
        self.tokens = {
            role: jwt.encode(
                {"sub": user_id, "role": role, "iat": now, "exp": now + TOKEN_LIFE_S}, jwt_secret, algorithm="HS256"
            )
            for role, user_id in users.items()
        }
