"""The command line: keys of platforms and the audit, for whoever runs the gateway.

    python server.py keys register-app NAME (--scope SCOPE... | --all-scopes) [--server-side]
    python server.py keys rotate-app ID [--overlap-seconds N] [--expires-in-days N]
    python server.py keys deactivate-app ID
    python server.py keys list
    python server.py audit [--last N]

A new key is all that goes to stdout, once; lists go there as JSON lines. Everything else goes to stderr. Works on the
configured MongoDB, empty or not, and otherwise on that of the gateway which runs in the data directory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pwd
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
from pydantic import SecretStr

from core import operation
from core.demo import DemoCredentials
from core.errors import BadUserInput, GatewayError, StartFailed
from core.operation import Operation
from core.principals import Principal, PrincipalKind
from core.scopes import ALL_SCOPES, CLIENT_SCOPES
from core.settings import Settings
from datasources import Core, Sources, open_core
from datasources.mongo import ClientAppRecord, Keyset
from resolvers import clients
from resolvers.context import Context
from resolvers.keys import Issued

APPS_AT_ONCE = 100


def run(settings: Settings, arguments: Sequence[str]) -> int:
    """Do what the arguments say. The exit status; what went wrong is told in one line."""
    asked = _parser().parse_args(arguments)
    try:
        asyncio.run(_run(settings, asked))
    except (GatewayError, StartFailed) as exc:
        print(f"{asked.command}: {exc}", file=sys.stderr)
        return 1
    return 0


async def _run(settings: Settings, asked: argparse.Namespace) -> None:
    async with open_core(_with_pepper(settings)) as core:
        operation.enter(Operation())
        principal = Principal(PrincipalKind.SERVICE, ALL_SCOPES)
        # What these commands call touches nothing else of the sources.
        ctx = Context(cast("Sources", core), principal, operator=_account())
        match asked.command, getattr(asked, "what", None):
            case "keys", "register-app":
                _show(await _register(ctx, asked))
            case "keys", "rotate-app":
                _show(
                    await clients.rotate_client_app_key(
                        ctx, asked.id, overlap_s=asked.overlap_seconds, expires_in_days=asked.expires_in_days
                    )
                )
            case "keys", "deactivate-app":
                app = await clients.set_client_app_active(ctx, asked.id, False)
                print(f"{app.name} ({app.id}) is not active; its keys have ended", file=sys.stderr)
            case "keys", "list":
                await _list_apps(core)
            case _:
                for entry in await core.mongo.audit(last=asked.last):
                    _print_line(msgspec.to_builtins(entry, builtin_types=(datetime,)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="server.py", description="Without arguments: serve.")
    commands = parser.add_subparsers(dest="command", required=True)
    what = commands.add_parser("keys", help="keys of platforms").add_subparsers(dest="what", required=True)

    register = what.add_parser("register-app", help="make a platform and print its key")
    register.add_argument("name")
    scopes = register.add_mutually_exclusive_group(required=True)
    scopes.add_argument("--scope", nargs="+", action="extend", metavar="SCOPE", help="such as core:read")
    scopes.add_argument("--all-scopes", action="store_true", help="every scope that a platform may have")
    register.add_argument("--server-side", action="store_true", help="its key never leaves a server")

    rotate = what.add_parser("rotate-app", help="print a new key of a platform and end its others")
    rotate.add_argument("id")
    rotate.add_argument("--overlap-seconds", type=int, default=0, metavar="N", help="the others work so much longer")
    rotate.add_argument("--expires-in-days", type=int, metavar="N", help="else the new key has no end")

    what.add_parser("deactivate-app", help="end a platform's keys and let nobody in by it").add_argument("id")
    what.add_parser("list", help="platforms and their keys, without the keys themselves")

    audit = commands.add_parser("audit", help="what was done to keys and access")
    audit.add_argument("--last", type=_count, default=20, metavar="N", help="so many entries (20)")
    return parser


def _count(written: str) -> int:
    count = int(written)
    if count < 1:
        raise ValueError
    return count


def _with_pepper(settings: Settings) -> Settings:
    """With the pepper that the gateway uses. Raises BadUserInput when it is not known here."""
    if settings.key_pepper is not None:
        return settings
    is_kept = settings.app_env == "development" and (settings.data_dir / "credentials.json").exists()
    if not is_kept:
        raise BadUserInput("KEY_PEPPER is not set: without it no gateway would know the keys again")
    pepper = SecretStr(DemoCredentials.load(settings.data_dir).key_pepper)
    return settings.model_copy(update={"key_pepper": pepper})


def _account() -> str:
    """Whose shell this is, by the system and not by its environment, which says whatever one likes."""
    user_id = os.getuid()
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


async def _register(ctx: Context, asked: argparse.Namespace) -> Issued[ClientAppRecord]:
    scopes = sorted(CLIENT_SCOPES) if asked.all_scopes else asked.scope
    return await clients.register_client_app(ctx, name=asked.name, scopes=scopes, is_server_side=asked.server_side)


def _show(issued: Issued[ClientAppRecord]) -> None:
    app = issued.owner
    end = f" until {app.key_expires_at.isoformat()}" if app.key_expires_at is not None else ""
    print(f"{app.name} has the id {app.id}; this is its key{end}, shown once:", file=sys.stderr, flush=True)
    print(issued.api_key)


async def _list_apps(core: Core) -> None:
    """Every platform with its keys that have not ended, the newest first."""
    after, now = None, datetime.now(UTC)
    while page := await core.mongo.client_apps(limit=APPS_AT_ONCE, after=after):
        for app in page:
            alive = [key for key in await core.mongo.keys_of(app.id) if key.ends_at is None or key.ends_at > now]
            keys = [{"hint": key.hint, "createdAt": key.created_at, "endsAt": key.ends_at} for key in alive]
            _print_line(
                {
                    "id": app.id,
                    "name": app.name,
                    "isActive": app.is_active,
                    "isServerSide": app.is_server_side,
                    "scopes": app.scopes,
                    "keys": keys,
                }
            )
        after = Keyset(page[-1].created_at, page[-1].id)


def _print_line(row: dict[str, Any]) -> None:
    print(json.dumps(row, default=datetime.isoformat, ensure_ascii=False))
