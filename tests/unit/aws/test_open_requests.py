"""Environments cancel and renew each other's requests through a table, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fanout.aws.credentials import AWSSigner
from fanout.aws.dynamodb import DynamoDB, TableUnavailable
from fanout.aws.open_requests import INTERVAL, PATIENCE, OpenRequestsTable
from fanout.errors import LeaseExpired, RequestCancelled
from fanout.http.open_requests import OpenRequest, OpenRequests
from fanout.transport.engine import EngineError
from tests.support.dynamodb_engine import ENV, DynamoDBEngine, requests_table
from tests.support.virtual_clock import now, run

KEY = ("mine", "r-1")
EPOCH = 1_795_953_600.0


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with requests_table() as made:
        yield made


@pytest.fixture(autouse=True)
def _empty(client: Any) -> None:
    for item in client.scan(TableName="requests")["Items"]:
        client.delete_item(TableName="requests", Key={"id": item["id"]})


class Environment:
    """A process with its own connection to the table, and the requests that are open in it."""

    def __init__(self, client: Any, seconds: Callable[[], float] = lambda: 0.01) -> None:
        self.engine = DynamoDBEngine(client, seconds)
        self.reported: list[str] = []
        self.table = OpenRequestsTable(
            "requests",
            DynamoDB(ENV, self.engine, AWSSigner(ENV)),
            lambda _, error: self.reported.append(str(error)),
            lambda: EPOCH + now(),
        )
        self.requests = OpenRequests(self.table)

    def request(
        self, key: tuple[str, str] = KEY, lease: float | None = None, received: float | None = None
    ) -> OpenRequest:
        return OpenRequest(self.requests, key, _connected, lease=lease, received=received)


async def _connected() -> dict[str, Any]:
    """The client stays connected."""
    await asyncio.Event().wait()
    raise AssertionError


@asynccontextmanager
async def open_(request: OpenRequest) -> Any:
    """Hold a request open for the block; yields how it ends, and when its calls are cancelled."""
    ended: list[tuple[str, float]] = []
    cancelled: list[float] = []

    async def hold() -> None:
        try:
            async with request:
                try:
                    await asyncio.Event().wait()
                finally:
                    cancelled.append(now())
        except RequestCancelled as error:
            ended.append((type(error).__name__, cancelled[0]))

    task = asyncio.ensure_future(hold())
    await asyncio.sleep(0)
    try:
        yield ended
    finally:
        task.cancel()
        await asyncio.wait([task])


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that runs in virtual time."""

    def run_test(client: Any) -> None:
        run(test(client))

    run_test.__name__ = test.__name__
    return run_test


@virtual
async def test_a_request_of_another_environment_is_cancelled(client: Any) -> None:
    holder, other = Environment(client), Environment(client)
    async with open_(holder.request()) as ended:
        await asyncio.sleep(5)
        assert await other.requests.cancel(KEY)
        ((how, when),) = ended
        assert how == "RequestCancelled"
        assert when <= 5 + INTERVAL + 0.05
        assert not await other.requests.cancel(KEY)
    assert holder.engine.open == other.engine.open == 0


@virtual
async def test_an_unknown_and_a_foreign_request_are_answered_alike(client: Any) -> None:
    holder, other = Environment(client), Environment(client)
    async with open_(holder.request()) as ended:
        for key in (("others", "r-1"), ("mine", "r-2")):
            started = now()
            assert not await other.requests.cancel(key)
            assert now() - started == pytest.approx(PATIENCE, abs=0.2)
            assert not await other.requests.renew(key)
        assert ended == []
    assert client.scan(TableName="requests")["Items"] == []


@virtual
async def test_a_cancel_is_within_two_seconds_at_any_moment(client: Any) -> None:
    """At random moments of the request, with calls to the table of 5 to 300 ms."""
    rng = random.Random(15)  # noqa: S311 -- the same in each run
    delays = []
    for number in range(40):
        key = ("mine", f"r-{number}")
        holder = Environment(client, lambda: rng.uniform(0.005, 0.3))
        other = Environment(client, lambda: rng.uniform(0.005, 0.3))
        async with open_(holder.request(key)) as ended:
            await asyncio.sleep(rng.uniform(0, 4))
            asked = now()
            assert await other.requests.cancel(key)
            await asyncio.sleep(0.3)
            ((_, when),) = ended
            delays.append(when - asked)
    assert max(delays) < 2.0
    assert min(delays) >= 0


@virtual
async def test_an_idle_environment_and_a_fast_request_cost_nothing(client: Any) -> None:
    holder = Environment(client)
    await asyncio.sleep(3_600)
    for _ in range(10):
        async with holder.request():
            await asyncio.sleep(0.99)
    await asyncio.sleep(3_600)
    assert holder.engine.operations == []


@virtual
async def test_an_open_request_costs_one_read_a_second(client: Any) -> None:
    holder = Environment(client)
    async with holder.request():
        await asyncio.sleep(60.5)
    await asyncio.sleep(3_600)
    times = [time for time, _ in holder.engine.operations]
    assert holder.engine.count("BatchGetItem") == len(times) == 60
    assert times == pytest.approx([float(second) for second in range(1, 61)], abs=0.05)


@virtual
async def test_many_open_requests_share_one_read_a_second(client: Any) -> None:
    holder, other = Environment(client), Environment(client)

    async def hold(number: int) -> None:
        async with holder.request(("mine", f"other-{number}")):
            await asyncio.sleep(10.5 + number / 100)

    async with asyncio.TaskGroup() as group, open_(holder.request()) as ended:
        for number in range(64):
            group.create_task(hold(number))
        await asyncio.sleep(5.5)
        assert await other.requests.cancel(KEY)
        assert len(ended) == 1
    reads = holder.engine.count("BatchGetItem")
    assert reads <= 12
    assert holder.engine.count("UpdateItem") == 1  # the acknowledgement


@virtual
async def test_over_a_hundred_requests_are_read_in_batches(client: Any) -> None:
    holder, other = Environment(client), Environment(client)

    async def hold(number: int) -> None:
        async with holder.request(("mine", f"r-{number}")):
            await asyncio.sleep(1.5)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(hold(number)) for number in range(250)]
        await asyncio.sleep(0.1)
        assert len(tasks) == 250
    assert holder.engine.count("BatchGetItem") == 3
    assert other.engine.operations == []


@virtual
async def test_if_the_reading_request_ends_another_one_goes_on(client: Any) -> None:
    holder, other = Environment(client), Environment(client)
    async with open_(holder.request(("mine", "first"))):
        await asyncio.sleep(0.5)
        async with open_(holder.request()) as ended:
            await asyncio.sleep(0.505)  # the first one's read is under way
            asked = now()
            cancelling = asyncio.ensure_future(other.requests.cancel(KEY))
            assert await other.requests.cancel(("mine", "first"))
            assert await cancelling
            ((_, when),) = ended
            assert when - asked < 2.0


@virtual
async def test_a_cancel_before_the_first_read_is_seen_by_it(client: Any) -> None:
    holder, other = Environment(client), Environment(client)
    async with open_(holder.request()) as ended:
        await asyncio.sleep(0.02)
        assert await other.requests.cancel(KEY)
        assert [how for how, _ in ended] == ["RequestCancelled"]


@virtual
async def test_a_cancel_that_overtakes_the_request_is_seen(client: Any) -> None:
    """The environment of the request starts while another one is asked to cancel it."""
    holder, other = Environment(client), Environment(client)
    received = EPOCH + now()
    cancelling = asyncio.ensure_future(other.requests.cancel(KEY))
    await asyncio.sleep(0.7)
    async with open_(holder.request(received=received)) as ended:
        assert await cancelling
        assert [how for how, _ in ended] == ["RequestCancelled"]


@virtual
async def test_an_old_cancel_does_not_reach_a_new_request_of_the_same_id(client: Any) -> None:
    holder, other = Environment(client), Environment(client)
    for lease in (None, 5):
        async with open_(holder.request(lease=lease)) as ended:
            await asyncio.sleep(1.5)
            assert await other.requests.cancel(KEY)
        async with open_(holder.request(lease=lease)) as ended:
            await asyncio.sleep(2.5)
            assert ended == []


@virtual
async def test_a_request_that_ends_before_it_is_cancelled_is_unknown(client: Any) -> None:
    holder, other = Environment(client), Environment(client)
    async with open_(holder.request()):
        await asyncio.sleep(1.2)
        cancelling = asyncio.ensure_future(other.requests.cancel(KEY))
        await asyncio.sleep(0.1)
    assert not await cancelling
    assert client.scan(TableName="requests")["Items"] == []


@virtual
async def test_a_lease_is_kept_by_renewals_and_ends_without_them(client: Any) -> None:
    holder, other = Environment(client), Environment(client)
    async with open_(holder.request(lease=5)) as ended:
        for _ in range(12):
            await asyncio.sleep(4.9)
            assert await other.requests.renew(KEY)
        assert ended == []
        last = now()
        await asyncio.sleep(20)
        ((how, when),) = ended
        assert how == LeaseExpired.__name__
        assert 5 <= when - last <= 5 + holder.table.grace + INTERVAL + 0.1
        assert not await other.requests.renew(KEY)
    assert client.scan(TableName="requests")["Items"] == []


@virtual
async def test_a_request_that_ends_while_its_lease_is_registered_leaves_nothing(
    client: Any,
) -> None:
    holder, other = Environment(client, lambda: 0.1), Environment(client)
    for seconds in (0.0, 0.04, 0.06):  # before and after DynamoDB has written it
        async with holder.request(lease=5):
            await asyncio.sleep(seconds)
        assert client.scan(TableName="requests")["Items"] == []
        assert not await other.requests.renew(KEY)
    durations = iter([1.9])  # written before the call is given up
    holder = Environment(client, lambda: next(durations, 0.01))
    async with holder.request(lease=5):
        await asyncio.sleep(0.5)
    assert client.scan(TableName="requests")["Items"] == []


@virtual
async def test_a_registration_that_another_requests_task_repeats_ends_with_its_own_request(
    client: Any,
) -> None:
    for tenths in range(2, 22):  # before, amid and after the second write
        holder = Environment(client, lambda: 0.4)
        async with holder.request(("mine", "r-2")):  # its task reads for both
            await asyncio.sleep(0.9)
            holder.engine.fault = EngineError("down")
            async with holder.request(lease=5):
                await asyncio.sleep(0.3)
                holder.engine.fault = None
                await asyncio.sleep(tenths / 10)
            await asyncio.sleep(2)
            assert client.scan(TableName="requests")["Items"] == [], tenths


@virtual
async def test_a_request_that_has_ended_is_not_cancelled_by_an_older_mark(client: Any) -> None:
    holder, other = Environment(client, lambda: 0.1), Environment(client)
    cancelling = asyncio.ensure_future(other.requests.cancel(KEY))
    await asyncio.sleep(0.01)
    async with holder.request(lease=5, received=EPOCH):
        await asyncio.sleep(0.04)
    assert not await cancelling


@virtual
async def test_a_request_with_a_lease_is_cancelled_too(client: Any) -> None:
    holder, other = Environment(client), Environment(client)
    async with open_(holder.request(lease=5)) as ended:
        await asyncio.sleep(0.5)
        assert await other.requests.cancel(KEY)
        assert [how for how, _ in ended] == ["RequestCancelled"]
        assert not await other.requests.renew(KEY)


@virtual
async def test_two_requests_of_one_id_are_cancelled_together(client: Any) -> None:
    first, second, other = (Environment(client) for _ in range(3))
    async with open_(first.request()) as one, open_(second.request()) as two:
        await asyncio.sleep(3.3)
        assert await other.requests.cancel(KEY)
        await asyncio.sleep(1.1)
        assert [how for how, _ in [*one, *two]] == ["RequestCancelled"] * 2


@virtual
async def test_the_environment_that_is_asked_may_have_one_of_two_requests(client: Any) -> None:
    """On Managed Instances, it serves other requests while it is asked."""
    asked, other = Environment(client), Environment(client)
    async with open_(asked.request()) as one, open_(other.request()) as two:
        await asyncio.sleep(3.3)
        assert await asked.requests.cancel(KEY)
        assert now() < 3.4  # it waits for no other environment
        await asyncio.sleep(1.1)
        assert [how for how, _ in [*one, *two]] == ["RequestCancelled"] * 2


@virtual
async def test_a_request_of_the_environment_that_is_asked_needs_no_table(client: Any) -> None:
    asked = Environment(client)
    async with open_(asked.request()) as ended:
        await asyncio.sleep(0.5)
        asked.engine.fault = EngineError("no connection")
        assert await asked.requests.cancel(KEY)
        await asyncio.sleep(0)
        assert [how for how, _ in ended] == ["RequestCancelled"]
        assert len(asked.reported) == 1


@virtual
async def test_requests_go_on_without_the_table_and_leases_are_kept(client: Any) -> None:
    holder = Environment(client)
    async with open_(holder.request(lease=5)) as ended, open_(holder.request(("a", "b"))) as also:
        await asyncio.sleep(1.5)
        holder.engine.fault = EngineError("no connection")
        await asyncio.sleep(60)
        assert (ended, also) == ([], [])
        (reported,) = holder.reported
        assert "EngineError" in reported
        holder.engine.fault = None
        await asyncio.sleep(10)
        assert [how for how, _ in ended] == ["LeaseExpired"]


@virtual
async def test_a_lease_is_registered_as_soon_as_the_table_can_be_used(client: Any) -> None:
    holder, other = Environment(client), Environment(client)
    holder.engine.rejection = "ProvisionedThroughputExceededException"
    async with open_(holder.request(lease=5)):
        await asyncio.sleep(2.5)
        assert not await other.requests.renew(KEY)
        holder.engine.rejection = None
        await asyncio.sleep(1.1)
        assert await other.requests.renew(KEY)


@pytest.mark.parametrize("broken", ["fault", "rejection", "slow"])
def test_without_the_table_a_cancel_is_a_503_with_awss_code(client: Any, broken: str) -> None:
    async def main() -> None:
        other = Environment(client, lambda: 5.0 if broken == "slow" else 0.01)
        expected = {"fault": "EngineError", "rejection": "AccessDenied", "slow": "TimeoutError"}
        if broken == "fault":
            other.engine.fault = EngineError("no connection")
        if broken == "rejection":
            other.engine.rejection = "AccessDenied"
        with pytest.raises(TableUnavailable, match=expected[broken]) as raised:
            await other.requests.cancel(KEY)
        assert raised.value.status == 503
        with pytest.raises(TableUnavailable):
            await other.requests.renew(KEY)
        assert other.engine.open == 0

    run(main())


@virtual
async def test_every_call_is_signed_for_dynamodb_and_names_no_client(client: Any) -> None:
    holder, other = Environment(client), Environment(client)
    async with open_(holder.request(lease=5)):
        await asyncio.sleep(1.5)
        await other.requests.renew(KEY)
        await other.requests.cancel(KEY)
    for request in [*holder.engine.sent, *other.engine.sent]:
        assert request.url == "https://dynamodb.eu-west-1.amazonaws.com/"
        assert "/eu-west-1/dynamodb/aws4_request" in request.headers["authorization"]
        assert b"mine" not in request.body


@virtual
async def test_items_expire(client: Any) -> None:
    holder, other = Environment(client), Environment(client)
    async with open_(holder.request(lease=5)):
        await asyncio.sleep(1.5)
        (registered,) = client.scan(TableName="requests")["Items"]
        assert await other.requests.cancel(KEY)
    (ended,) = client.scan(TableName="requests")["Items"]
    for item in (registered, ended):
        assert EPOCH < int(item["ttl"]["N"]) <= EPOCH + now() + 3_600
