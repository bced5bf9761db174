"""Keys out of Secrets Manager: fetched together, kept, renewed; over a scripted service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from fanout.aws.secrets_manager import (
    DOWN_PAUSE,
    EMPTY_TTL,
    LOOK_UP,
    RENEW_PAUSE,
    TTL,
    Place,
    SecretsManager,
)
from fanout.secret import Secret
from fanout.transport.engine import EngineError, Incoming, Outgoing
from fanout.wire.http import WireResponse
from tests.support.virtual_clock import now, run

A, B = Secret("A"), Secret("B")
PLACE = Place("https://secrets.test", "eu-west-1", "Stack/")
NO_VALUE = {"__type": "ResourceNotFoundException"}


class Service:
    """Secrets Manager as an engine: `values` by name; `asked` is who was looked up, in order."""

    def __init__(self, **values: str | None) -> None:
        self.values: dict[str, str | None] = {f"Stack/{k}": v for k, v in values.items()}
        self.asked: list[str] = []
        self.requests: list[Outgoing] = []
        self.is_down = False
        self.pause: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)

    async def send(self, request: Outgoing) -> WireResponse:
        name = json.loads(request.body)["SecretId"]
        self.asked.append(name.removeprefix("Stack/"))
        self.requests.append(request)
        await self.pause()
        if self.is_down:
            raise EngineError("unreachable", "down")
        if name not in self.values:
            return answer(400, {"__type": "AccessDeniedException"})
        value = self.values[name]
        return answer(400, NO_VALUE) if value is None else answer(200, {"SecretString": value})

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        raise NotImplementedError(request)
        yield

    async def aclose(self) -> None:
        """Nothing is open."""


def answer(status: int, body: Mapping[str, object]) -> WireResponse:
    return WireResponse(status, {}, json.dumps(body).encode())


class Signs:
    async def headers(self, request: Outgoing, service: str, region: str) -> Mapping[str, str]:
        return {"authorization": f"{service} in {region}"}


class Scene:
    """A source over the service, on a clock of its own."""

    def __init__(self, service: Service, names: str = "A B", draw: float = 0.0) -> None:
        self.now = 1000.0
        self.service = service
        self.source = SecretsManager(
            service, Signs(), PLACE, names.split(), draw=lambda: draw, now=lambda: self.now
        )

    async def texts(self, secret: Secret = A) -> tuple[str, ...]:
        return tuple(await self.source.texts(secret))

    async def texts_in_a_request(self, secret: Secret = A) -> tuple[str, ...]:
        """As a request sees them, whose renewals are over with it."""
        async with self.source.fresh():
            return await self.texts(secret)


def test_every_name_is_fetched_at_the_first_question_and_once() -> None:
    async def law() -> None:
        scene = Scene(Service(A="a", B="b"))
        assert await asyncio.wait_for(both(scene), 1) == (("a",), ("b",))
        assert sorted(scene.service.asked) == ["A", "B"]

    asyncio.run(law())


async def both(scene: Scene) -> tuple[tuple[str, ...], tuple[str, ...]]:
    async with asyncio.TaskGroup() as group:
        first, second = (group.create_task(scene.texts(key)) for key in (A, B))
    return first.result(), second.result()


def test_a_request_is_signed_and_names_the_secret_below_its_stack() -> None:
    async def law() -> None:
        scene = Scene(Service(A="a"), "A")
        await scene.texts()
        (request,) = scene.service.requests
        assert request.url == "https://secrets.test/"
        assert json.loads(request.body) == {"SecretId": "Stack/A"}
        assert request.headers["x-amz-target"] == "secretsmanager.GetSecretValue"
        assert request.headers["authorization"] == "secretsmanager in eu-west-1"

    asyncio.run(law())


def test_a_list_is_several_keys_and_anything_else_is_one() -> None:
    async def law() -> None:
        assert await Scene(Service(A='["a", "b", ""]'), "A").texts() == ("a", "b")
        assert await Scene(Service(A="  a\n"), "A").texts() == ("a",)
        assert await Scene(Service(A="[a"), "A").texts() == ("[a",)

    asyncio.run(law())


def test_a_literal_is_not_looked_up() -> None:
    async def law() -> None:
        scene = Scene(Service())
        assert await scene.texts(Secret("(literal)", "x")) == ("x",)
        assert scene.service.asked == []

    asyncio.run(law())


@pytest.mark.parametrize(("draw", "lasts"), [(0.0, TTL), (1.0, TTL * 0.8)])
def test_a_key_is_renewed_when_it_is_due_beside_a_request(draw: float, lasts: float) -> None:
    async def law() -> None:
        scene = Scene(Service(A="old"), "A", draw)
        await scene.texts()
        scene.service.values["Stack/A"] = "new"
        scene.now += lasts - 1
        assert await scene.texts_in_a_request() == ("old",)
        assert scene.service.asked == ["A"]
        scene.now += 1
        assert await scene.texts_in_a_request() == ("old",)  # it did not wait
        assert await scene.texts() == ("new",)
        assert scene.service.asked == ["A", "A"]

    asyncio.run(law())


def test_an_old_key_serves_while_it_cannot_be_renewed() -> None:
    async def law() -> None:
        scene = Scene(Service(A="old"), "A")
        await scene.texts()
        scene.now += TTL
        scene.service.is_down = True
        assert await scene.texts_in_a_request() == ("old",)
        assert await scene.texts_in_a_request() == ("old",)
        assert scene.service.asked == ["A", "A"]  # nor is it tried with every request
        scene.service.is_down = False
        scene.service.values["Stack/A"] = "new"
        scene.now += RENEW_PAUSE
        await scene.texts_in_a_request()
        assert await scene.texts() == ("new",)

    asyncio.run(law())


def test_a_refused_key_is_looked_up_at_once_however_new_it_is() -> None:
    async def law() -> None:
        scene = Scene(Service(A="old"), "A")
        await scene.texts()
        scene.service.values["Stack/A"] = "new"
        assert await scene.source.renew(A, "old")
        assert await scene.texts() == ("new",)

    asyncio.run(law())


def test_a_key_that_stays_refused_is_looked_up_each_half_minute_at_most() -> None:
    async def law() -> None:
        scene = Scene(Service(A="old"), "A")
        await scene.texts()
        assert not await scene.source.renew(A, "old")
        scene.now += RENEW_PAUSE - 1
        assert not await scene.source.renew(A, "old")
        assert scene.service.asked == ["A", "A"]
        scene.now += 1
        scene.service.values["Stack/A"] = "new"
        assert await scene.source.renew(A, "old")
        assert scene.service.asked == ["A", "A", "A"]

    asyncio.run(law())


def test_of_many_with_the_same_refused_key_one_looks_and_all_have_the_new_one() -> None:
    async def law() -> None:
        scene = Scene(Service(A="old"), "A")
        await scene.texts()
        scene.service.values["Stack/A"] = "new"
        async with asyncio.TaskGroup() as group:
            tries = [group.create_task(scene.source.renew(A, "old")) for _ in range(5)]
        assert [one.result() for one in tries] == [True] * 5
        assert scene.service.asked == ["A", "A"]

    asyncio.run(law())


def test_one_refused_key_of_several_is_no_reason_to_try_again() -> None:
    async def law() -> None:
        scene = Scene(Service(A='["a", "b"]'), "A")
        await scene.texts()
        assert not await scene.source.renew(A, "a")

    asyncio.run(law())


def test_a_secret_without_a_value_is_looked_up_again_soon_and_the_advice_is_to_set_it() -> None:
    async def law() -> None:
        scene = Scene(Service(A=None), "A")
        assert await scene.texts() == ()
        assert scene.source.advice(A) == "give it one: `fanout keys set A --stack Stack`"
        scene.service.values["Stack/A"] = "a"
        assert await scene.texts() == ()
        scene.now += EMPTY_TTL
        assert await scene.texts() == ("a",)

    asyncio.run(law())


@pytest.mark.parametrize("names", ["A", "A B"])
def test_what_cannot_be_read_is_no_key_and_the_advice_says_so(names: str) -> None:
    async def law() -> None:
        scene = Scene(Service(B="b"), names)  # A is somebody else's
        assert await scene.texts() == ()
        assert scene.source.advice(A) == "Secrets Manager could not be read just now"

    asyncio.run(law())


def test_what_was_down_at_the_start_is_asked_again_soon_but_not_by_everybody() -> None:
    async def law() -> None:
        scene = Scene(Service(A="a"), "A")
        scene.service.is_down = True
        for _ in range(5):
            assert await scene.texts() == ()
        assert scene.service.asked == ["A"]
        assert scene.source.is_down(A)
        scene.service.is_down = False
        scene.now += DOWN_PAUSE
        assert await scene.texts() == ("a",)
        assert not scene.source.is_down(A)

    asyncio.run(law())


def test_a_service_that_never_answers_is_down_soon() -> None:
    async def law() -> None:
        source = SecretsManager(Silent(), Signs(), PLACE, ["A"], draw=lambda: 0.0, now=now)
        assert await source.texts(A) == ()
        assert (now(), source.is_down(A)) == (LOOK_UP, True)

    run(law())


class Silent(Service):
    """It takes the question, and that is all."""

    async def send(self, request: Outgoing) -> WireResponse:
        await asyncio.sleep(3600)
        raise AssertionError(request)


def test_nothing_is_left_running_when_the_request_is_over() -> None:
    async def law() -> None:
        scene = Scene(Service(A="old"), "A")
        await scene.texts()
        scene.now += TTL
        stuck = asyncio.Event()
        scene.service.pause = stuck.wait
        with pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(1):
                await fails(scene)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(law())


async def fails(scene: Scene) -> None:
    try:
        async with scene.source.fresh():
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
def test_the_service_is_where_botocore_would_look(env: dict[str, str], endpoint: str) -> None:
    assert Place.of(env, "Stack/").endpoint == endpoint
