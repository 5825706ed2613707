"""The demo's credentials."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from core.auth import TokenVerifier
from core.demo import DemoCredentials
from core.errors import Unauthenticated

SECRET = "a secret of at least thirty-two bytes"


def made() -> DemoCredentials:
    demo = DemoCredentials()
    demo.complete(["BookMaster", "SKBK01"], {"STAFF": "5f" * 12}, SECRET)
    return demo


def test_they_are_kept_for_the_owner_alone(tmp_path: Path) -> None:
    demo, folder = made(), tmp_path / "data" / "dir"
    demo.save(folder)
    path = folder / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert DemoCredentials.load(folder) == demo
    assert [file.name for file in folder.iterdir()] == ["credentials.json"]


def test_without_a_file_they_are_new(tmp_path: Path) -> None:
    assert DemoCredentials.load(tmp_path) != DemoCredentials.load(tmp_path)


def test_completing_keeps_the_keys_that_are_there_and_makes_those_that_are_missing() -> None:
    demo = made()
    before = dict(demo.keys)
    demo.complete(["BookMaster", "SKBK01", "New"], {"ADMIN": "6f" * 12}, SECRET)
    assert before.items() <= demo.keys.items()
    assert set(demo.keys) == {"BookMaster", "SKBK01", "New"}
    assert set(demo.tokens) == {"ADMIN"}


async def test_each_role_gets_a_token_of_its_user() -> None:
    demo = made()
    read = await TokenVerifier(SECRET).verify(demo.tokens["STAFF"])
    assert (read.subject, read.role, read.scope) == ("5f" * 12, "STAFF", None)
    with pytest.raises(Unauthenticated):
        await TokenVerifier(demo.jwt_secret).verify(demo.tokens["STAFF"])


def test_none_of_them_is_in_a_repr() -> None:
    demo = made()
    secrets = [demo.service_key, demo.jwt_secret, demo.key_pepper, *demo.keys.values(), *demo.tokens.values()]
    assert not [secret for secret in secrets if secret in f"{demo!r} {demo}"]
