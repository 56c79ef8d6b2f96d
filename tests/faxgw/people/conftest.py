"""A gateway with a clock of the test's own, and people who sign in to its API."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from faxgw.config.model import ApiSettings
from faxgw.keys.slots import Password
from tests.faxgw.api.conftest import Client, Connect, app, client, connect, gateway, owner, serving
from tests.faxgw.api.people import PASSWORD, Person

__all__ = ["app", "client", "connect", "gateway", "owner", "serving"]

SignIn = Callable[..., Awaitable[Client]]


@dataclass
class Clock:
    """The time by which sessions, codes and locks expire."""

    now: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **parts: float) -> None:
        """Let time pass: ``pass_(minutes=5)``."""
        self.now += timedelta(**parts)


@pytest.fixture
def settings() -> ApiSettings:
    return ApiSettings(port=0, failures_per_minute=1000, requests_per_second=10_000)


@pytest.fixture
def clock(app: FastAPI) -> Clock:
    """Return the clock of the node that ``connect`` leads to, where passwords cost next to nothing."""
    found = Clock()
    app.state.api.credentials.now = found
    app.state.api.door.password = lambda text: Password(text, memory=64, passes=1)
    return found


@pytest.fixture
def sign_in(connect: Connect, clock: Clock) -> SignIn:
    """Return a function that signs somebody in, and gives a client that carries their session."""

    async def begin(person: Person, password: str = PASSWORD, **more: Any) -> Client:
        client = connect(None)
        answer = await client.post("/v1/sessions", json={"email": person.email, "password": password, **more})
        assert answer.status_code == 201, answer.text
        client.headers["authorization"] = f"Bearer {answer.json()['token']}"
        return client

    return begin
