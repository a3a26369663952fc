"""The contract of `cairn.common.bus`, on a real PostgreSQL and a real Apache Kafka alike."""

import asyncio
import itertools
import time
from contextlib import suppress

import pytest

from cairn.common.bus import Fenced, Record, Refused, Subscription, Unreachable
from cairn.common.bus.whole import whole
from cairn.common.events import decode

from .conftest import Transport, make_event, make_events, numbers, read

pytestmark = pytest.mark.integration

KEYS = [f"lrn_{n:02}" for n in range(20)]


async def settle(*members: Subscription) -> None:
    """Until the members hold the four partitions of `credentials` in equal shares, while nothing is written."""
    for _ in range(200):
        assert not any(await asyncio.gather(*(member.fetch(500, 0.1) for member in members)))
        if all(len(member._held) == 4 // len(members) for member in members):
            return
    raise AssertionError("the members do not share the partitions")


async def test_an_event_arrives_as_it_was_said(transport: Transport):
    said = make_event("lrn_é", 1, traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    await (await transport.bus()).publish("credentials", [said])
    (record,) = await read(await transport.member(), 1)
    assert (record.topic, record.key) == ("credentials", "lrn_é")
    heard = decode(record.body)
    assert heard == said
    assert heard.traceparent == said.traceparent


async def test_publishing_nothing_is_nothing(transport: Transport):
    await (await transport.bus()).publish("credentials", [])
    assert await read(await transport.member(), 1, seconds=2) == []


async def test_the_order_of_a_key_is_kept_with_concurrent_publishers(transport: Transport):
    publishers = [await transport.bus() for _ in range(3)]

    async def publish(which: int) -> None:
        # Each writer counts in its own hundreds, under keys that all of them use.
        for start in range(0, 50, 10):
            events = make_events(KEYS[:5], 10, start=which * 100 + start)
            await publishers[which].publish("credentials", events)

    await asyncio.gather(*(publish(which) for which in range(3)))
    found = numbers(await read(await transport.member(), 3 * 50 * 5))
    assert set(found) == set(KEYS[:5])
    for said in found.values():
        for which in range(3):
            assert [n for n in said if n // 100 == which] == [which * 100 + n for n in range(50)]


async def test_a_batch_larger_than_a_request_arrives_whole_and_in_order(transport: Transport):
    # 3 MB under one key: more than Kafka takes in one request.
    events = make_events(["lrn_one"], 1500, filler=2000)
    await (await transport.bus()).publish("credentials", events)
    found = numbers(await read(await transport.member(), 1500))
    assert found == {"lrn_one": list(range(1500))}


async def test_a_key_stays_in_one_partition_and_keys_spread_over_all(transport: Transport):
    await (await transport.bus()).publish("credentials", make_events(KEYS, 3))
    records = await read(await transport.member(), 60)
    places = {key: {r.partition for r in records if r.key == key} for key in KEYS}
    assert all(len(found) == 1 for found in places.values())
    assert set().union(*places.values()) == {0, 1, 2, 3}


async def test_a_waiting_fetch_wakes_when_something_is_published(transport: Transport, monkeypatch: pytest.MonkeyPatch):
    publisher, member = await transport.bus(), await transport.member()
    await settle(member)
    monkeypatch.setattr("cairn.common.bus.postgres_group._REBALANCE", 30.0)  # so that it is not by looking now and then
    waiting = asyncio.ensure_future(member.fetch(10, 20))
    await asyncio.sleep(0.2)
    started = time.monotonic()
    await publisher.publish("credentials", [make_event("lrn_1", 1)])
    assert len(await waiting) == 1
    assert time.monotonic() - started < 5


async def test_fetch_keeps_to_its_limit_and_its_wait(transport: Transport):
    await (await transport.bus()).publish("credentials", make_events(["lrn_1"], 25))
    member = await transport.member()
    assert len(await read(member, 1, limit=10)) == 10
    assert len(await read(member, 15, limit=10)) == 15
    started = time.monotonic()
    assert list(await member.fetch(10, 0.3)) == []
    assert 0.2 < time.monotonic() - started < 2


async def test_what_was_not_committed_is_read_again_after_a_crash(transport: Transport):
    await (await transport.bus()).publish("credentials", make_events(KEYS, 2))
    first = await transport.member()
    records = await read(first, 40, commit=False)
    done = [record for record in records if record.partition == records[0].partition]
    await first.commit(done)
    await transport.evict(first)
    await first.close()
    again = await read(await transport.member(), 40 - len(done))
    assert {(r.partition, r.offset) for r in again} == {(r.partition, r.offset) for r in records} - {
        (r.partition, r.offset) for r in done
    }


async def test_what_was_committed_is_not_read_again(transport: Transport):
    publisher = await transport.bus()
    await publisher.publish("credentials", make_events(KEYS, 2))
    first = await transport.member()
    assert len(await read(first, 40)) == 40
    await first.close()
    await publisher.publish("credentials", make_events(KEYS, 1, start=2))
    assert numbers(await read(await transport.member(), 20)) == {key: [2] for key in KEYS}


async def test_a_part_of_a_batch_can_be_committed(transport: Transport):
    await (await transport.bus()).publish("credentials", make_events(["lrn_1"], 10))
    first = await transport.member()
    records = await read(first, 10, commit=False)
    await first.commit(records[:4])
    await first.close()
    assert numbers(await read(await transport.member(), 6)) == {"lrn_1": list(range(4, 10))}


async def test_rewinding_fetches_again_from_there(transport: Transport):
    await (await transport.bus()).publish("credentials", make_events(["lrn_1"], 10))
    member = await transport.member()
    records = await read(member, 10, commit=False)
    await member.commit(records[:3])
    await member.rewind(records[6:])
    assert numbers(await read(member, 4, commit=False)) == {"lrn_1": [6, 7, 8, 9]}
    await member.rewind(records[3:])
    assert numbers(await read(member, 7)) == {"lrn_1": list(range(3, 10))}


async def test_a_new_group_replays_everything_from_the_start(transport: Transport):
    await (await transport.bus()).publish("credentials", make_events(KEYS, 2))
    first = await read(await transport.member("pathways.one"), 40)
    replayed = await read(await transport.member("pathways.two"), 40)
    assert numbers(first) == numbers(replayed) == {key: [0, 1] for key in KEYS}


async def test_a_group_may_start_with_what_comes_next(transport: Transport):
    publisher = await transport.bus()
    await publisher.publish("credentials", make_events(KEYS, 2))
    first = await transport.member(from_start=False)
    await publisher.publish("credentials", make_events(KEYS, 1, start=2))
    await first.close()  # even one that never fetched has fixed where the group begins
    assert numbers(await read(await transport.member(from_start=False), 20)) == {key: [2] for key in KEYS}


async def test_topics_are_apart_and_can_be_read_together(transport: Transport):
    publisher = await transport.bus()
    await publisher.publish("learning", make_events(["lrn_1"], 3))
    await publisher.publish("credentials", make_events(["lrn_1"], 3, start=10))
    assert numbers(await read(await transport.member("pathways.one"), 3)) == {"lrn_1": [10, 11, 12]}
    both = await read(await transport.member("pathways.both", ["credentials", "learning"]), 6)
    assert {topic: numbers(r for r in both if r.topic == topic) for topic in ("credentials", "learning")} == {
        "credentials": {"lrn_1": [10, 11, 12]},
        "learning": {"lrn_1": [0, 1, 2]},
    }


async def test_lag_is_what_is_not_committed(transport: Transport):
    publisher, member = await transport.bus(), await transport.member()
    await settle(member)
    assert await member.lag() == 0
    await publisher.publish("credentials", make_events(["lrn_1"], 10))
    assert await member.lag() == 10
    records = await read(member, 10, commit=False)
    assert await member.lag() == 10
    await member.commit(records[:7])
    assert await member.lag() == 3


async def test_who_holds_all_partitions_knows_it(transport: Transport):
    one = await transport.member()
    await settle(one)
    assert one.holds_all()
    two = await transport.member()
    await settle(one, two)
    assert not one.holds_all()
    assert not two.holds_all()
    await two.close()
    await settle(one)
    assert one.holds_all()


async def test_r8_a_log_is_not_taken_for_whole_while_its_partitions_are_away(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
):
    """As when the broker that coordinates the group was lost: for a while there is nothing, and nothing seems left."""
    await (await transport.bus()).publish("credentials", make_events(KEYS, 5))
    one = await transport.member()
    fetch, lag, holds_all = one.fetch, one.lag, one.holds_all
    asked, found = 0, 0
    away = range(3, 12)

    async def fetched(limit: int, wait: float):
        nonlocal asked
        asked += 1
        return [] if asked in away else await fetch(10, wait)

    async def left() -> int:
        return 0 if asked in away else await lag()

    monkeypatch.setattr(one, "fetch", fetched)
    monkeypatch.setattr(one, "lag", left)
    monkeypatch.setattr(one, "holds_all", lambda: asked not in away and holds_all(), raising=False)
    async for records, _ in whole(one):
        found += len(records)
    assert found == 100


async def test_two_members_share_the_partitions_and_read_everything_once(transport: Transport):
    members = [await transport.member(), await transport.member()]
    await settle(*members)
    await (await transport.bus()).publish("credentials", make_events(KEYS, 3))
    first, second = await asyncio.gather(*(read(member, 60, seconds=2) for member in members))
    assert {r.partition for r in first}.isdisjoint({r.partition for r in second})
    assert len({r.partition for r in first}) == len({r.partition for r in second}) == 2
    assert numbers(first) | numbers(second) == {key: [0, 1, 2] for key in KEYS}


async def test_a_commit_after_the_partition_moved_is_fenced(transport: Transport):
    await (await transport.bus()).publish("credentials", make_events(KEYS, 2))
    first = await transport.member()
    records = await read(first, 40, commit=False)
    await transport.evict(first)
    second = await transport.member()
    taken: list[Record] = []
    for _ in range(100):  # until the second has some, without the first doing anything
        taken += await second.fetch(10, 0.1)
        if taken:
            break
    with pytest.raises(Fenced):
        await first.commit(records)
    with pytest.raises(Fenced):  # and it stays refused
        await first.commit(records)
    await first.close()
    rest = await read(second, 40 - len(taken), commit=False)
    assert {(r.partition, r.offset) for r in (*taken, *rest)} == {(r.partition, r.offset) for r in records}


async def test_a_fenced_member_goes_on_with_what_it_gets_then(transport: Transport):
    await (await transport.bus()).publish("credentials", make_events(KEYS, 2))
    member = await transport.member()
    records = await read(member, 40, commit=False)
    await transport.evict(member)
    with pytest.raises(Fenced):
        await member.commit(records)
    # Nobody else took the partitions, so the next fetches bring the same again.
    again: list[Record] = []
    for _ in range(100):
        batch = await member.fetch(500, 0.2)
        try:
            await member.commit(batch)
        except Fenced:
            continue
        again += batch
        if len(again) >= 40:
            break
    assert await member.lag() == 0


async def test_a_late_commit_does_not_take_the_group_back(transport: Transport):
    await (await transport.bus()).publish("credentials", make_events(["lrn_1"], 20))
    first = await transport.member()
    old = await read(first, 10, commit=False, limit=10)
    held = first._held
    await transport.evict(first)
    second = await transport.member()
    assert len(await read(second, 20)) == 20
    await second.close()
    with pytest.raises(Fenced):
        await first.commit(old)
    for _ in range(200):
        await first.fetch(500, 0.1)
        if first._held is not held and len(first._held) == 4:  # it has joined anew, and has all back
            break
    with suppress(Fenced):
        await first.commit(old)
    assert await first.lag() == 0
    await first.close()
    assert await read(await transport.member(), 1, seconds=2) == []


async def test_r10_members_come_and_go_in_mid_batch(transport: Transport):
    publisher = await transport.bus()
    committed: list[Record] = []
    stopping = asyncio.Event()

    async def publish() -> None:
        for start in itertools.count(step=1):
            if stopping.is_set():
                return
            await publisher.publish("credentials", make_events(KEYS, 1, start=start))
            published[0] = start + 1
            await asyncio.sleep(0.02)

    async def work(leaving: asyncio.Event) -> None:
        member = await transport.member()
        while not leaving.is_set():
            batch = await member.fetch(30, 0.1)
            await asyncio.sleep(0.03)  # the batch is in hand while others come and go
            try:
                await member.commit(batch)
            except Fenced:
                continue
            committed.extend(batch)
        await member.fetch(10, 0)  # in hand when it leaves: for the others
        await member.close()

    published = [0]
    leaves = [asyncio.Event() for _ in range(3)]
    publishing = asyncio.ensure_future(publish())
    workers: list[asyncio.Future[None]] = []
    for leave in leaves:
        workers.append(asyncio.ensure_future(work(leave)))
        await asyncio.sleep(1.5)
    for leave in leaves[:2]:
        leave.set()
        await asyncio.sleep(1.5)
    stopping.set()
    await publishing
    for _ in range(200):
        if len(committed) >= published[0] * len(KEYS):
            break
        await asyncio.sleep(0.1)
    leaves[2].set()
    await asyncio.gather(*workers)
    assert numbers(committed) == {key: list(range(published[0])) for key in KEYS}


async def test_s33_only_the_owner_writes_a_topic(guarded: Transport):
    stranger = await guarded.bus("pathways")
    with pytest.raises(Refused):
        await stranger.publish("credentials", [make_event("lrn_1", 1)])
    # It is not its connection that fails: what it owns, it can write.
    await stranger.publish("qualifications", [make_event("lrn_1", 2)])
    await (await guarded.bus("issuance")).publish("credentials", [make_event("lrn_1", 3)])
    assert numbers(await read(await guarded.member(), 2, seconds=3)) == {"lrn_1": [3]}


async def test_s33_only_those_listed_read_a_topic(guarded: Transport):
    await (await guarded.bus("issuance")).publish("learning", [make_event("lrn_1", 1)])
    assert len(await read(await guarded.member(topics=["learning"]), 1)) == 1
    stranger = await guarded.bus("verification")
    try:
        member = await stranger.subscribe(["learning"], "verification.test")
    except Refused:
        return
    try:
        assert await read(member, 1, seconds=3) == []
    except Refused:
        pass
    finally:
        await member.close()


async def test_an_unknown_topic_is_not_made_by_naming_it(transport: Transport):
    options = {"deadline": 1.0} if type(transport).__name__ == "KafkaTransport" else {}
    publisher = await transport.bus(**options)
    with pytest.raises((Refused, Unreachable)):
        await publisher.publish("credentails", [make_event("lrn_1", 1)])
    await publisher.publish("credentials", [make_event("lrn_1", 2)])
