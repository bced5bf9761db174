"""`SecretsManager` fetches, caches and renews keys; over a scripted service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from fanout.aws.secrets_manager import (
    DOWN_PAUSE,
    EMPTY_TTL,
    FETCH_TIMEOUT,
    RENEW_PAUSE,
    TTL,
    SecretsLocation,
    SecretsManager,
)
from fanout.secret import Secret
from fanout.transport.engine import EngineError, Incoming, Outgoing
from fanout.wire.http import WireResponse
from tests.support.virtual_clock import now, run

A, B = Secret("A"), Secret("B")
LOCATION = SecretsLocation("https://secrets.test", "eu-west-1", "Stack/")
NO_VALUE = {"__type": "ResourceNotFoundException"}


class Service:
    """Secrets Manager as an engine: `values` by name; `fetched` has the names of each request."""

    def __init__(self, **values: str | None) -> None:
        self.values: dict[str, str | None] = {f"Stack/{k}": v for k, v in values.items()}
        self.fetched: list[str] = []
        self.requests: list[Outgoing] = []
        self.is_down = False
        self.pause: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)

    async def send(self, request: Outgoing) -> WireResponse:
        name = json.loads(request.body)["SecretId"]
        self.fetched.append(name.removeprefix("Stack/"))
        self.requests.append(request)
        await self.pause()
        if self.is_down:
            raise EngineError("unreachable", "down")
        if name not in self.values:
            return json_response(400, {"__type": "AccessDeniedException"})
        value = self.values[name]
        return (
            json_response(400, NO_VALUE)
            if value is None
            else json_response(200, {"SecretString": value})
        )

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        raise NotImplementedError(request)
        yield

    async def aclose(self) -> None:
        """There are no connections to close."""


def json_response(status: int, body: Mapping[str, object]) -> WireResponse:
    return WireResponse(status, {}, json.dumps(body).encode())


class FakeSigner:
    async def headers(self, request: Outgoing, service: str, region: str) -> Mapping[str, str]:
        return {"authorization": f"{service} in {region}"}


class KeySource:
    """A `SecretsManager` over the service, with a clock that the test sets."""

    def __init__(self, service: Service, names: str = "A B", rng: float = 0.0) -> None:
        self.now = 1000.0
        self.service = service
        self.source = SecretsManager(
            service, FakeSigner(), LOCATION, names.split(), rng=lambda: rng, now=lambda: self.now
        )

    async def values(self, secret: Secret = A) -> tuple[str, ...]:
        return tuple(await self.source.values(secret))

    async def values_in_a_request(self, secret: Secret = A) -> tuple[str, ...]:
        """The values that a request gets; its renewals end with it."""
        async with self.source.renewing():
            return await self.values(secret)


def test_the_first_use_fetches_every_key_once() -> None:
    async def main() -> None:
        keys = KeySource(Service(A="a", B="b"))
        assert await asyncio.wait_for(both(keys), 1) == (("a",), ("b",))
        assert sorted(keys.service.fetched) == ["A", "B"]

    asyncio.run(main())


async def both(keys: KeySource) -> tuple[tuple[str, ...], tuple[str, ...]]:
    async with asyncio.TaskGroup() as group:
        first, second = (group.create_task(keys.values(key)) for key in (A, B))
    return first.result(), second.result()


def test_a_request_is_signed_and_names_the_secret_below_its_stack() -> None:
    async def main() -> None:
        keys = KeySource(Service(A="a"), "A")
        await keys.values()
        (request,) = keys.service.requests
        assert request.url == "https://secrets.test/"
        assert json.loads(request.body) == {"SecretId": "Stack/A"}
        assert request.headers["x-amz-target"] == "secretsmanager.GetSecretValue"
        assert request.headers["authorization"] == "secretsmanager in eu-west-1"

    asyncio.run(main())


def test_a_list_is_several_keys_and_anything_else_is_one() -> None:
    async def main() -> None:
        assert await KeySource(Service(A='["a", "b", ""]'), "A").values() == ("a", "b")
        assert await KeySource(Service(A="  a\n"), "A").values() == ("a",)
        assert await KeySource(Service(A="[a"), "A").values() == ("[a",)

    asyncio.run(main())


def test_a_key_in_the_config_is_not_fetched() -> None:
    async def main() -> None:
        keys = KeySource(Service())
        assert await keys.values(Secret("(literal)", "x")) == ("x",)
        assert keys.service.fetched == []

    asyncio.run(main())


@pytest.mark.parametrize(("rng", "ttl"), [(0.0, TTL), (1.0, TTL * 0.8)])
def test_a_stale_key_is_renewed_while_a_request_runs(rng: float, ttl: float) -> None:
    async def main() -> None:
        keys = KeySource(Service(A="old"), "A", rng)
        await keys.values()
        keys.service.values["Stack/A"] = "new"
        keys.now += ttl - 1
        assert await keys.values_in_a_request() == ("old",)
        assert keys.service.fetched == ["A"]
        keys.now += 1
        assert await keys.values_in_a_request() == ("old",)  # it did not wait
        assert await keys.values() == ("new",)
        assert keys.service.fetched == ["A", "A"]

    asyncio.run(main())


def test_the_old_key_is_used_while_renewing_fails() -> None:
    async def main() -> None:
        keys = KeySource(Service(A="old"), "A")
        await keys.values()
        keys.now += TTL
        keys.service.is_down = True
        assert await keys.values_in_a_request() == ("old",)
        assert await keys.values_in_a_request() == ("old",)
        assert keys.service.fetched == ["A", "A"]  # renewing is not tried with every request
        keys.service.is_down = False
        keys.service.values["Stack/A"] = "new"
        keys.now += RENEW_PAUSE
        await keys.values_in_a_request()
        assert await keys.values() == ("new",)

    asyncio.run(main())


def test_a_rejected_key_is_fetched_at_once_however_new_it_is() -> None:
    async def main() -> None:
        keys = KeySource(Service(A="old"), "A")
        await keys.values()
        keys.service.values["Stack/A"] = "new"
        assert await keys.source.renew(A, "old")
        assert await keys.values() == ("new",)

    asyncio.run(main())


def test_a_key_that_stays_rejected_is_fetched_every_30_seconds_at_most() -> None:
    async def main() -> None:
        keys = KeySource(Service(A="old"), "A")
        await keys.values()
        assert not await keys.source.renew(A, "old")
        keys.now += RENEW_PAUSE - 1
        assert not await keys.source.renew(A, "old")
        assert keys.service.fetched == ["A", "A"]
        keys.now += 1
        keys.service.values["Stack/A"] = "new"
        assert await keys.source.renew(A, "old")
        assert keys.service.fetched == ["A", "A", "A"]

    asyncio.run(main())


def test_many_calls_with_the_same_rejected_key_share_one_fetch() -> None:
    async def main() -> None:
        keys = KeySource(Service(A="old"), "A")
        await keys.values()
        keys.service.values["Stack/A"] = "new"
        async with asyncio.TaskGroup() as group:
            tries = [group.create_task(keys.source.renew(A, "old")) for _ in range(5)]
        assert [one.result() for one in tries] == [True] * 5
        assert keys.service.fetched == ["A", "A"]

    asyncio.run(main())


def test_one_rejected_key_of_several_is_no_reason_to_try_again() -> None:
    async def main() -> None:
        keys = KeySource(Service(A='["a", "b"]'), "A")
        await keys.values()
        assert not await keys.source.renew(A, "a")

    asyncio.run(main())


def test_a_secret_without_a_value_is_fetched_again_soon_and_the_hint_says_how_to_set_it() -> None:
    async def main() -> None:
        keys = KeySource(Service(A=None), "A")
        assert await keys.values() == ()
        assert keys.source.hint(A) == "set one with `fanout keys set A --stack Stack`"
        keys.service.values["Stack/A"] = "a"
        assert await keys.values() == ()
        keys.now += EMPTY_TTL
        assert await keys.values() == ("a",)

    asyncio.run(main())


@pytest.mark.parametrize("names", ["A", "A B"])
def test_a_secret_that_cannot_be_read_gives_no_key_and_the_hint_says_so(names: str) -> None:
    async def main() -> None:
        keys = KeySource(Service(B="b"), names)  # access to A is denied
        assert await keys.values() == ()
        assert keys.source.hint(A) == "Secrets Manager could not be read; try again"

    asyncio.run(main())


def test_a_service_that_is_down_at_the_start_is_called_once_a_second() -> None:
    async def main() -> None:
        keys = KeySource(Service(A="a"), "A")
        keys.service.is_down = True
        for _ in range(5):
            assert await keys.values() == ()
        assert keys.service.fetched == ["A"]
        assert keys.source.is_unavailable(A)
        keys.service.is_down = False
        keys.now += DOWN_PAUSE
        assert await keys.values() == ("a",)
        assert not keys.source.is_unavailable(A)

    asyncio.run(main())


def test_a_service_that_never_responds_times_out() -> None:
    async def main() -> None:
        source = SecretsManager(
            Unresponsive(), FakeSigner(), LOCATION, ["A"], rng=lambda: 0.0, now=now
        )
        assert await source.values(A) == ()
        assert (now(), source.is_unavailable(A)) == (FETCH_TIMEOUT, True)

    run(main())


class Unresponsive(Service):
    """Never responds."""

    async def send(self, request: Outgoing) -> WireResponse:
        await asyncio.sleep(3600)
        raise AssertionError(request)


def test_of_requests_at_the_same_time_one_renews_a_key() -> None:
    async def main() -> None:
        keys = KeySource(Service(A="old", B="b"))
        await keys.values()
        keys.now += TTL
        answers = asyncio.Event()
        keys.service.pause = answers.wait
        async with asyncio.TaskGroup() as group:
            for _ in range(64):
                group.create_task(keys.values_in_a_request())
            await asyncio.sleep(0)
            answers.set()
        assert sorted(keys.service.fetched) == ["A", "A", "B", "B"]

    asyncio.run(main())


def test_a_request_that_runs_for_long_does_not_keep_others_from_renewing() -> None:
    async def main() -> None:
        keys = KeySource(Service(A="old"), "A")
        await keys.values()
        keys.now += TTL
        async with keys.source.renewing():
            async with asyncio.timeout(20):
                while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 -- a task sets no event
                    await asyncio.sleep(0)
            keys.now += TTL
            await keys.values_in_a_request()
            assert keys.service.fetched == ["A"] * 3

    asyncio.run(main())


def test_a_renewal_that_is_cancelled_is_made_by_the_next_request() -> None:
    async def main() -> None:
        keys = KeySource(Service(A="old"), "A")
        await keys.values()
        keys.now += TTL
        keys.service.pause = asyncio.Event().wait
        with pytest.raises(ZeroDivisionError):
            await fails(keys)
        keys.service.pause = _at_once
        await keys.values_in_a_request()
        assert len(keys.service.fetched) == 3

    asyncio.run(main())


async def _at_once() -> None:
    """Pause for nothing."""


def test_no_renewal_runs_after_the_end_of_the_request() -> None:
    async def main() -> None:
        keys = KeySource(Service(A="old"), "A")
        await keys.values()
        keys.now += TTL
        stuck = asyncio.Event()
        keys.service.pause = stuck.wait
        with pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(1):
                await fails(keys)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


async def fails(keys: KeySource) -> None:
    try:
        async with keys.source.renewing():
            await asyncio.sleep(0)
            raise ZeroDivisionError
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


@pytest.mark.parametrize(
    ("env", "endpoint"),
    [
        ({"AWS_REGION": "eu-west-1"}, "https://secretsmanager.eu-west-1.amazonaws.com"),
        ({"AWS_REGION": "cn-north-1"}, "https://secretsmanager.cn-north-1.amazonaws.com.cn"),
        ({"AWS_DEFAULT_REGION": "us-east-2"}, "https://secretsmanager.us-east-2.amazonaws.com"),
        ({"AWS_ENDPOINT_URL": "http://localhost:1"}, "http://localhost:1"),
        (
            {
                "AWS_ENDPOINT_URL": "http://localhost:1",
                "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://localhost:2",
            },
            "http://localhost:2",
        ),
    ],
)
def test_the_endpoint_is_the_one_that_botocore_uses(env: dict[str, str], endpoint: str) -> None:
    assert SecretsLocation.from_env(env, "Stack/").endpoint == endpoint
