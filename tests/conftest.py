"""What every test may use: a clean environment, the embedded MongoDB with the demo world, and callers of every kind."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest
from pydantic_settings import BaseSettings
from pymongo import monitoring

from core import operation
from core.auth import Credentials, TokenVerifier, hash_key
from core.backends import BackendName
from core.demo import DemoCredentials
from core.operation import Operation, UpstreamCall
from core.principals import Principal
from core.scopes import CLIENT_SCOPES
from core.settings import MongoSettings, Settings
from datasources._embedded import Needs, children
from datasources.mongo import Mongo
from resolvers.context import Context
from resolvers.principals import Identification
from sandbox import omnistack
from tests.gatehouse import Gatehouse, core_sources

PLATFORM, SERVER_SIDE_PLATFORM, CLIENT = "BookMaster", "Dakkah", "DKTR01"
"""Of the demo world; the tokens' users and the client are of the server-side platform."""


def _variables(block: type[BaseSettings]) -> Iterator[str]:
    prefix = block.model_config.get("env_prefix", "")
    for name, setting in block.model_fields.items():
        yield str(setting.validation_alias or f"{prefix}{name}").upper()
        kind = setting.annotation
        if isinstance(kind, type) and issubclass(kind, BaseSettings):
            yield from _variables(kind)


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Nothing that a developer has set reaches the settings under test, nor the processes that tests start."""
    names = set(_variables(Settings))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper() in names]:
            patch.delenv(name)
        yield


# -- the core store ----------------------------------------------------------------------------------------------------


class Commands(monitoring.CommandListener):
    """The commands that really went to MongoDB."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name != "endSessions":
            self.sent.append((event.command_name, str(event.command[event.command_name])))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass

    def forget(self) -> None:
        self.sent.clear()


def told(calls: Sequence[UpstreamCall]) -> list[tuple[str, str]]:
    """A trace's calls to MongoDB in the words of `Commands`."""
    return [(call.method, call.path) for call in calls if call.backend is BackendName.OMNISTACK]


@asynccontextmanager
async def _store(folder: Path, commands: Commands) -> AsyncIterator[Mongo]:
    """A prepared store: an engine of its own, for the embedded one keeps all databases in one; or a database of its own
    in the real MongoDB that TEST_MONGODB_URI names."""
    async with AsyncExitStack() as stack:
        uri = os.environ.get("TEST_MONGODB_URI")
        if uri is None:
            endpoints = await stack.enter_async_context(children(folder, Needs(True, temporal=False, sandbox=False)))
            uri = endpoints.mongodb_uri or ""
        store = Mongo.open(MongoSettings(database=f"test_{uuid4().hex}"), uri, event_listeners=[commands])
        stack.push_async_callback(store.aclose)
        await store.prepare()
        yield store
        await store._client.drop_database(store._db.name)


@pytest.fixture(scope="session")
def commands() -> Commands:
    return Commands()


@pytest.fixture(scope="session")
async def mongo(
    tmp_path_factory: pytest.TempPathFactory, commands: Commands, demo: DemoCredentials
) -> AsyncIterator[Mongo]:
    """Filled with the demo world, once: for tests that only read, or write what nobody else looks at."""
    async with _store(tmp_path_factory.mktemp("demo"), commands) as store:
        await store.insert(demo_documents(demo))
        yield store


@pytest.fixture(scope="session")
async def _other_store(tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> AsyncIterator[Mongo]:
    async with _store(tmp_path_factory.mktemp("empty"), commands) as store:
        yield store


@pytest.fixture
async def empty_mongo(_other_store: Mongo) -> AsyncIterator[Mongo]:
    """Prepared and empty, for tests that write."""
    yield _other_store
    for name in await _other_store._db.list_collection_names():
        await _other_store._db[name].delete_many({})


# -- callers -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def demo() -> DemoCredentials:
    credentials = DemoCredentials()
    credentials.complete(omnistack.key_owners(), omnistack.token_users(), credentials.jwt_secret)
    return credentials


def demo_documents(demo: DemoCredentials) -> dict[str, list[dict[str, Any]]]:
    hashes = {owner: hash_key(demo.key_pepper, key) for owner, key in demo.keys.items()}
    hints = {owner: key[-4:] for owner, key in demo.keys.items()}
    return omnistack.documents(sorted(CLIENT_SCOPES), hashes, hints)


@pytest.fixture(scope="session")
def identification(demo: DemoCredentials) -> Identification:
    return Identification((demo.service_key,), demo.key_pepper, TokenVerifier(demo.jwt_secret))


@dataclass(frozen=True)
class Callers:
    """Every kind of caller of the demo world, by the name that the fixtures below have."""

    demo: DemoCredentials
    identified: dict[str, Principal]

    def __getitem__(self, name: str) -> Principal:
        return self.identified[name]


@pytest.fixture(scope="session")
async def callers(mongo: Mongo, demo: DemoCredentials, identification: Identification) -> Callers:
    shown = {
        "service": Credentials(api_key=demo.service_key),
        "platform": Credentials(api_key=demo.keys[PLATFORM]),
        "server_side_platform": Credentials(api_key=demo.keys[SERVER_SIDE_PLATFORM]),
        "client": Credentials(api_key=demo.keys[SERVER_SIDE_PLATFORM], client_api_key=demo.keys[CLIENT]),
        **{role.lower(): Credentials(bearer=token) for role, token in demo.tokens.items()},
    }
    return Callers(
        demo, {name: await identification.identify(mongo, credentials) for name, credentials in shown.items()}
    )


@pytest.fixture
def service(callers: Callers) -> Principal:
    return callers["service"]


@pytest.fixture
def platform(callers: Callers) -> Principal:
    """One whose key stands in browsers."""
    return callers["platform"]


@pytest.fixture
def server_side_platform(callers: Callers) -> Principal:
    return callers["server_side_platform"]


@pytest.fixture
def client(callers: Callers) -> Principal:
    return callers["client"]


@pytest.fixture
def customer(callers: Callers) -> Principal:
    return callers["customer"]


@pytest.fixture
def staff(callers: Callers) -> Principal:
    return callers["staff"]


@pytest.fixture
def manager(callers: Callers) -> Principal:
    return callers["manager"]


@pytest.fixture
def admin(callers: Callers) -> Principal:
    return callers["admin"]


class MakeContext(Protocol):
    def __call__(self, principal: Principal, **wishes: Any) -> Context: ...


@pytest.fixture
def make_context(mongo: Mongo, demo: DemoCredentials) -> MakeContext:
    """A context as an entrance makes one, in an operation of its own; of the backends it has the core store."""
    sources = core_sources(mongo, demo)

    def make(principal: Principal, **wishes: Any) -> Context:
        operation.enter(Operation())
        return Context(sources, principal, **wishes)

    return make


@pytest.fixture
async def gatehouse(empty_mongo: Mongo, demo: DemoCredentials, identification: Identification) -> Gatehouse:
    await empty_mongo.insert(demo_documents(demo))
    return Gatehouse(empty_mongo, demo, identification)
