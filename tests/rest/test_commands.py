"""The command line, as a process of its own beside a MongoDB that a gateway runs, or that is configured."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.auth import Credentials, is_key
from core.demo import DemoCredentials
from core.errors import Unauthenticated
from core.principals import Principal, PrincipalKind
from core.scopes import CLIENT_SCOPES
from core.settings import MongoSettings, Settings
from datasources._embedded import Needs, children
from datasources.mongo import Mongo
from resolvers.principals import Identification
from rest.commands import run

ROOT = Path(__file__).parents[2]
PEPPER = "a pepper that only these tests know"


@dataclass
class Done:
    """What a process left: its exit status, and the lines that it printed."""

    status: int
    out: list[str]
    err: list[str]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out]


class Shell:
    """Runs `python server.py …` with nothing in its environment but what a test gives it."""

    def __init__(self, data_dir: Path, mongo: Mongo) -> None:
        self.data_dir, self.mongo = data_dir, mongo
        self.env = {"KEY_PEPPER": PEPPER, "APP_ENV": "production"}

    async def run(self, *arguments: str) -> Done:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        env = inherited | {"DATA_DIR": str(self.data_dir), "LOGNAME": "somebody-else"} | self.env
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "server.py", *arguments),
            cwd=ROOT,
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return Done(process.returncode, out.decode().splitlines(), err.decode().splitlines())

    async def identify(self, key: str, pepper: str = PEPPER) -> Principal:
        return await Identification((), pepper, None).identify(self.mongo, Credentials(api_key=key))

    async def admits(self, key: str) -> bool:
        try:
            await self.identify(key)
        except Unauthenticated:
            return False
        return True


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    """Beside an empty store that nobody has prepared."""
    async with children(tmp_path, Needs(mongodb=True, temporal=False, sandbox=False)) as endpoints:
        mongo = Mongo.open(MongoSettings(), endpoints.mongodb_uri or "")
        yield Shell(tmp_path, mongo)
        await mongo.aclose()


async def test_a_platform_from_its_first_key_on_an_empty_store_to_its_end(shell: Shell) -> None:
    made = await shell.run("keys", "register-app", "BookMaster", "--scope", "core:read", "core:write", "--server-side")
    assert made.status == 0, made.err
    [key] = made.out
    assert is_key(key)
    assert not [line for line in made.err if key in line]
    principal = await shell.identify(key)
    assert (principal.kind, principal.is_server_side) == (PrincipalKind.PLATFORM, True)
    assert principal.scopes == frozenset({"core:read", "core:write"})
    app_id = principal.client_app_id or ""
    assert [line for line in made.err if app_id in line]

    renewed = await shell.run("keys", "rotate-app", app_id, "--overlap-seconds", "600", "--expires-in-days", "90")
    [new_key] = renewed.out
    assert [await shell.admits(each) for each in (key, new_key)] == [True, True]

    listed = await shell.run("keys", "list")
    [row] = listed.rows
    assert (row["id"], row["name"], row["isActive"], row["isServerSide"]) == (app_id, "BookMaster", True, True)
    assert [(kept["hint"], kept["endsAt"] is not None) for kept in row["keys"]] == [
        (new_key[-4:], True),
        (key[-4:], True),
    ]

    ended = await shell.run("keys", "deactivate-app", app_id)
    assert (ended.status, ended.out) == (0, [])
    assert [await shell.admits(each) for each in (key, new_key)] == [False, False]
    [row] = (await shell.run("keys", "list")).rows
    assert (row["isActive"], row["keys"]) == (False, [])

    audit = await shell.run("audit")
    assert [entry["event"] for entry in audit.rows] == ["app.registered", "key.rotated", "app.deactivated"]
    account = pwd.getpwuid(os.getuid()).pw_name
    assert {json.dumps(entry["actor"]) for entry in audit.rows} == {json.dumps({"kind": "OPERATOR", "name": account})}
    assert {entry["subject"]["id"] for entry in audit.rows} == {app_id}
    assert (await shell.run("audit", "--last", "1")).rows == audit.rows[-1:]
    everything = "\n".join(line for done in (renewed, listed, ended, audit) for line in (*done.err, *done.out[1:]))
    assert key not in everything
    assert new_key not in everything


async def test_all_scopes_are_those_that_a_platform_may_have(shell: Shell) -> None:
    made = await shell.run("keys", "register-app", "All", "--all-scopes")
    principal = await shell.identify(made.out[0])
    assert principal.scopes == CLIENT_SCOPES
    assert not principal.is_server_side


async def test_a_configured_store_is_used_instead_of_a_gateways(shell: Shell, tmp_path: Path) -> None:
    endpoints = json.loads((tmp_path / "endpoints.json").read_text())
    shell.env |= {"MONGODB_URI": endpoints["mongodb"]["address"]}
    shell.data_dir = tmp_path / "elsewhere"
    made = await shell.run("keys", "register-app", "Live", "--all-scopes")
    assert made.status == 0, made.err
    assert await shell.admits(made.out[0])
    assert not shell.data_dir.exists()


async def test_beside_a_development_gateway_its_pepper_is_used(shell: Shell) -> None:
    demo = DemoCredentials()
    demo.save(shell.data_dir)
    shell.env = {}
    made = await shell.run("keys", "register-app", "Local", "--all-scopes")
    assert made.status == 0, made.err
    assert (await shell.identify(made.out[0], demo.key_pepper)).kind is PrincipalKind.PLATFORM


async def test_without_a_pepper_nothing_is_done(shell: Shell) -> None:
    shell.env = {"APP_ENV": "production"}
    DemoCredentials().save(shell.data_dir)
    refused = await shell.run("keys", "register-app", "New", "--all-scopes")
    assert (refused.status, refused.out, len(refused.err)) == (1, [], 1)
    assert "KEY_PEPPER is not set" in refused.err[0]
    assert await shell.mongo.client_apps(limit=1) == []


async def test_without_a_store_it_says_so(tmp_path: Path) -> None:
    shell = Shell(tmp_path, None)  # type: ignore[arg-type]
    refused = await shell.run("audit")
    assert (refused.status, refused.out, len(refused.err)) == (1, [], 1)
    assert "MongoDB is not configured" in refused.err[0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["register-app", "New", "--scope", "everything"], "no platform has the scope 'everything'"),
        (["register-app", " ", "--all-scopes"], "`name` is empty"),
        (["rotate-app", "f" * 24], "there is no such platform"),
        (["deactivate-app", "nonsense"], "there is no such platform"),
    ],
)
async def test_what_cannot_be_done_is_told_in_a_line(shell: Shell, arguments: list[str], told: str) -> None:
    refused = await shell.run("keys", *arguments)
    assert (refused.status, refused.out, len(refused.err)) == (1, [], 1)
    assert told in refused.err[0]
    assert await shell.mongo.client_apps(limit=1) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["keys"],
        ["keys", "register-app", "New"],
        ["keys", "register-app", "New", "--scope", "core:read", "--all-scopes"],
        ["keys", "rotate-app", "x", "--overlap-seconds", "soon"],
        ["audit", "--last", "0"],
        ["serve"],
    ],
)
def test_what_is_not_understood_is_told_by_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(Settings(), arguments)
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    assert told.err.startswith("usage: server.py")
