"""Pulled blobs: bounded on both sides, and failures that leave the link usable."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from coterie.peer.network import transfers
from coterie.peer.network.frames import (
    BULK_HEADER_BYTES,
    BulkKind,
    Request,
    decode_bulk_header,
    decode_request,
    encode_bulk_header,
    encode_failed,
    encode_request,
)
from coterie.peer.network.link_events import Disconnected, Frame
from coterie.peer.network.transfers import Bulk, Offers, PullFailed, PullSlots
from coterie.peer.network.transport.send_queue import SendQueue
from coterie.peer.network.transport.streams import Stream
from coterie.protocol.messages.encoding import digest_of


def digest(data: bytes) -> bytes:
    return digest_of(data)


class Side:
    """A `Bulk` whose other side is the test: it reads what was sent and says what it likes."""

    def __init__(self, offers: Offers | None = None, is_member: bool = True, peer: object = None) -> None:
        self.bulk = Bulk(offers or Offers(), lambda: is_member, peer=peer)
        self._outbox = SendQueue()
        self.stream = Stream(1, None, self._outbox, lambda number: None)  # type: ignore[arg-type]
        self.stream.add_credit(2**30)
        self._sent = bytearray()

    def say(self, data: bytes) -> None:
        self.stream.deliver(memoryview(data), len(data))

    def say_chunk(self, transfer: int, data: bytes) -> None:
        self.say(encode_bulk_header(BulkKind.CHUNK, transfer, len(data)) + data)

    async def _take(self, count: int) -> bytes:
        while len(self._sent) < count:
            await self._outbox.wait()
            for message in self._outbox.next_batch():
                position = 0
                while position < len(message):
                    length = int.from_bytes(message[position + 8 : position + 12], "big")
                    self._sent += message[position + 12 : position + 12 + length]
                    position += 12 + length
        taken = bytes(self._sent[:count])
        del self._sent[:count]
        return taken

    async def heard(self) -> tuple[BulkKind, int, bytes]:
        kind, transfer, length = decode_bulk_header(await self._take(BULK_HEADER_BYTES))
        return kind, transfer, await self._take(length)


async def test_a_pull_asks_for_digest_and_size_and_takes_chunks_of_any_size() -> None:
    side, data = Side(), bytes(range(200))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(side.bulk.run, side.stream)

        async def pull() -> None:
            assert await side.bulk.pull(digest(data), len(data), 10) == data
            nursery.cancel_scope.cancel()

        nursery.start_soon(pull)
        kind, transfer, body = await side.heard()
        assert (kind, decode_request(body)) == (BulkKind.REQUEST, Request(digest(data), len(data)))
        for part in (data[:1], data[1:150], data[150:]):
            side.say_chunk(transfer, part)


@pytest.mark.parametrize("chunk", [bytes(101), b""])
async def test_a_peer_that_sends_more_than_was_asked_for_loses_the_link(chunk: bytes, clock: Any) -> None:
    side = Side()
    with pytest.raises(ExceptionGroup, match="nursery"):  # noqa: PT012
        async with trio.open_nursery() as nursery:
            nursery.start_soon(side.bulk.run, side.stream)
            nursery.start_soon(side.bulk.pull, bytes(32), 100, 10)
            _, transfer, _ = await side.heard()
            side.say_chunk(transfer, chunk)


async def test_a_chunk_that_nobody_asked_for_ends_the_link(clock: Any) -> None:
    side = Side()
    side.say_chunk(5, b"unasked")
    with pytest.raises(ExceptionGroup) as caught:
        await side.bulk.run(side.stream)
    assert caught.group_contains(ValueError, match="never asked for", depth=1)


async def test_a_pull_without_progress_fails_and_with_some_it_may_take_its_time(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "MIN_PROGRESS_BYTES", 1)
    side = Side()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(side.bulk.run, side.stream)

        async def pull() -> None:
            with pytest.raises(PullFailed, match="too little progress in 10 s, at 50 of 100 bytes"):
                await side.bulk.pull(digest(b""), 100, 10)
            assert trio.current_time() - started == pytest.approx(50 * 9 + 10)
            nursery.cancel_scope.cancel()

        started = trio.current_time()
        nursery.start_soon(pull)
        _, transfer, _ = await side.heard()
        for _ in range(50):
            await trio.sleep(9)
            side.say_chunk(transfer, b"x")


async def test_a_trickle_is_no_progress(clock: Any) -> None:
    side = Side()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(side.bulk.run, side.stream)

        async def pull() -> None:
            with pytest.raises(PullFailed, match="at 9 of 1000000 bytes"):
                await side.bulk.pull(digest(b""), 1_000_000, 10)
            nursery.cancel_scope.cancel()

        nursery.start_soon(pull)
        _, transfer, _ = await side.heard()
        while True:
            await trio.sleep(1.1)
            side.say_chunk(transfer, b"x")


async def test_a_pull_that_was_called_off_lets_its_late_chunks_pass(clock: Any) -> None:
    side = Side()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(side.bulk.run, side.stream)
        with trio.move_on_after(1):
            await side.bulk.pull(digest(b""), 100, 10)
        _, transfer, _ = await side.heard()
        assert (await side.heard())[0] is BulkKind.CANCEL
        side.say_chunk(transfer, bytes(60))
        side.say(encode_failed(transfer, "called off"))
        await trio.testing.wait_all_tasks_blocked()
        assert side.bulk._pulls == {}
        nursery.cancel_scope.cancel()


async def test_serving_takes_turns_between_the_blobs_that_one_peer_pulls(clock: Any) -> None:
    offers = Offers()
    large, small = bytes(20 * transfers.CHUNK_BYTES), b"small"
    for blob in (large, small):
        offers.add(digest(blob), blob, False)
    side = Side(offers)
    side.say(encode_request(1, Request(digest(large), len(large))))
    side.say(encode_request(2, Request(digest(small), len(small))))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(side.bulk.run, side.stream)
        order = [(await side.heard())[1] for _ in range(21)]
        assert order.index(2) <= 3
        nursery.cancel_scope.cancel()


async def test_requests_beyond_the_bound_are_refused_and_calling_off_makes_room(clock: Any) -> None:
    offers = Offers()
    large = bytes(100 * transfers.CHUNK_BYTES)
    offers.add(digest(large), large, False)
    side = Side(offers)
    wanted = encode_request(0, Request(digest(large), len(large)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(side.bulk.run, side.stream)
        for _ in range(transfers.MAX_SERVED + transfers.MAX_WAITING + 10):
            side.say(wanted)
        await trio.testing.wait_all_tasks_blocked()
        assert len(side.bulk._serving) <= transfers.MAX_SERVED
        assert len(side.bulk._requests) <= transfers.MAX_WAITING
        side.say(encode_bulk_header(BulkKind.CANCEL, 0, 0))
        await trio.testing.wait_all_tasks_blocked()
        assert not side.bulk._requests
        nursery.cancel_scope.cancel()


async def test_a_failure_of_a_transfer_that_is_not_under_way_ends_the_link(clock: Any) -> None:
    side = Side()
    side.say(encode_failed(7, "") * 1000)
    with pytest.raises(ExceptionGroup) as caught:
        await side.bulk.run(side.stream)
    assert caught.group_contains(ValueError, match="not under way", depth=1)


@pytest.mark.parametrize("last_word", ["called off", "failed before", "complete"])
async def test_after_a_transfer_was_called_off_its_last_word_is_taken_once(last_word: str, clock: Any) -> None:
    side = Side()
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with trio.open_nursery() as nursery:
            nursery.start_soon(side.bulk.run, side.stream)
            with trio.move_on_after(1):
                await side.bulk.pull(digest(b""), 100, 10)
            _, transfer, _ = await side.heard()
            if last_word == "complete":
                side.say_chunk(transfer, bytes(100))
            else:
                side.say(encode_failed(transfer, last_word))
            await trio.testing.wait_all_tasks_blocked()
            assert side.bulk._pulls == {}
            side.say(encode_failed(transfer, "again"))
    assert caught.group_contains(ValueError, match="not under way")


async def words_on(cancel_at: str) -> list[BulkKind]:
    """What a server says of a transfer that is called off before, while and after it is served."""
    offers, data = Offers(), bytes(3 * transfers.CHUNK_BYTES)
    offers.add(digest(data), data, False)
    side = Side(offers)
    wanted = data if cancel_at != "refused" else b"another"
    request = encode_request(1, Request(digest(wanted), len(wanted)))
    said: list[BulkKind] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(side.bulk.run, side.stream)
        side.say(request)
        if cancel_at != "at once":
            said.append((await side.heard())[0])
        if cancel_at == "through":
            said += [(await side.heard())[0] for _ in range(2)]
        side.say(encode_bulk_header(BulkKind.CANCEL, 1, 0))
        side.say(encode_request(2, Request(digest(b"no such"), 5)))
        while True:
            kind, transfer, _ = await side.heard()
            if transfer == 2:
                break
            said.append(kind)
        nursery.cancel_scope.cancel()
    return said


@pytest.mark.parametrize("cancel_at", ["at once", "first chunk", "through", "refused"])
async def test_of_each_transfer_there_is_one_last_word(cancel_at: str, clock: Any) -> None:
    said = await words_on(cancel_at)
    chunks, failures = said.count(BulkKind.CHUNK), said.count(BulkKind.FAILED)
    assert (chunks == 3) + failures == 1


async def times_served(links: int, requests: int) -> int:
    """How many of so many requests for one blob, over each of so many links of one peer, are answered with it."""
    offers, data, served = Offers(), b"blob", 0
    offers.add(digest(data), data, False)
    for _ in range(links):
        side = Side(offers, peer="one and the same")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(side.bulk.run, side.stream)
            for number in range(requests):
                side.say(encode_request(number, Request(digest(data), len(data))))
            answers = [(await side.heard())[0] for _ in range(requests)]
            nursery.cancel_scope.cancel()
        side.bulk.close("over")
        served += answers.count(BulkKind.CHUNK)
    return served


async def test_a_blob_is_served_to_a_peer_twice_at_most_however_often_it_is_asked_for(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await times_served(links=1, requests=30) == 2
    assert await times_served(links=3, requests=30) == 2, "also over new links"
    monkeypatch.setattr(transfers, "MAX_TIMES_SERVED", 10**6)
    assert await times_served(links=1, requests=30) == 30


async def test_a_peer_that_had_a_blob_twice_may_ask_anew_after_five_minutes(clock: Any) -> None:
    offers, data = Offers(), b"blob"
    offers.add(digest(data), data, False)
    offer = offers.find(Request(digest(data), len(data)), True)
    assert not isinstance(offer, str)

    def times() -> int:
        return sum(offers.reserve(offer, "a peer") is not None for _ in range(5))

    assert times() == 2
    await trio.sleep(299)
    assert times() == 0
    await trio.sleep(1)
    assert times() == 2


async def test_all_pulls_together_hold_a_gibibyte(clock: Any) -> None:
    slots, half = PullSlots(), 2**29
    await slots.acquire(half, "one")
    await slots.acquire(half, "another")
    with trio.move_on_after(1) as waiting:
        await slots.acquire(1, "a third")
    assert waiting.cancelled_caught
    with pytest.raises(PullFailed, match="are more than the 1073741824 that pulls may hold"):
        await slots.acquire(2**30 + 1, "a fourth")


async def test_a_transfer_that_was_called_off_may_be_repeated_until_the_blob_was_sent_twice(clock: Any) -> None:
    offers, data = Offers(), bytes(100 * transfers.CHUNK_BYTES)
    offers.add(digest(data), data, False)
    side = Side(offers)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(side.bulk.run, side.stream)
        for number in range(20):
            side.say(encode_request(number, Request(digest(data), len(data))))
            assert (await side.heard())[:2] == (BulkKind.CHUNK, number)
            side.say(encode_bulk_header(BulkKind.CANCEL, number, 0))
            while (await side.heard())[0] is not BulkKind.FAILED:
                pass
        nursery.cancel_scope.cancel()


async def test_blobs_under_way_to_a_peer_are_bounded_in_bytes(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "MAX_SERVED_BYTES", 100 * transfers.CHUNK_BYTES)
    offers = Offers()
    blobs = [bytes([number]) * (60 * transfers.CHUNK_BYTES) for number in range(3)]
    side = Side(offers)
    for number, blob in enumerate(blobs):
        offers.add(digest(blob), blob, False)
        side.say(encode_request(number, Request(digest(blob), len(blob))))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(side.bulk.run, side.stream)
        order = [(await side.heard())[1] for _ in range(180)]
        assert order == [0] * 60 + [1] * 60 + [2] * 60
        nursery.cancel_scope.cancel()


async def test_a_peer_that_does_not_take_what_it_asked_for_loses_the_link(clock: Any) -> None:
    offers, data = Offers(), bytes(100 * transfers.CHUNK_BYTES)
    offers.add(digest(data), data, False)
    side = Side(offers)
    side.say(encode_request(1, Request(digest(data), len(data))))
    started = trio.current_time()
    with pytest.raises(ExceptionGroup) as caught:
        await side.bulk.run(side.stream)
    assert caught.group_contains(trio.TooSlowError)
    assert trio.current_time() - started == pytest.approx(transfers.SERVING_SECONDS)


async def test_every_frame_of_the_bulk_stream_waits_for_its_turn(clock: Any) -> None:
    side, turns = Side(), 0

    async def take_turn() -> None:
        nonlocal turns
        turns += 1
        await trio.sleep(1)

    side.bulk._take_turn = take_turn
    for number in range(10):
        side.say(encode_request(number, Request(digest(b"no such"), 5)))
    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(side.bulk.run, side.stream)
        for _ in range(10):
            await side.heard()
        nursery.cancel_scope.cancel()
    assert (turns, trio.current_time() - started) == (10, pytest.approx(10))


async def test_a_large_blob_may_not_crawl(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "MIN_PROGRESS_BYTES", 1)

    async def crawl() -> None:
        side = Side()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(side.bulk.run, side.stream)

            async def say() -> None:
                _, transfer, _ = await side.heard()
                for _ in range(15):
                    await trio.sleep(9)
                    side.say_chunk(transfer, b"x")

            nursery.start_soon(say)
            with pytest.raises(PullFailed) as caught:
                await side.bulk.pull(digest(b"another"), 20, 10)
            nursery.cancel_scope.cancel()
        reasons.append(str(caught.value))

    reasons: list[str] = []
    await crawl()
    monkeypatch.setattr(transfers, "MAX_PROGRESSES", 4)
    await crawl()
    assert "at 15 of 20 bytes" in reasons[0], "no more came"
    assert "too little progress in 10 s, at 1 of 20 bytes" in reasons[1]


async def test_pulls_wait_for_slots_in_order_and_give_them_back(clock: Any) -> None:
    slots = PullSlots(pulls=2, capacity_bytes=100)
    order: list[int] = []

    async def hold(number: int, size: int) -> None:
        await trio.sleep(number / 1000)
        await slots.acquire(size, number)
        order.append(number)
        await trio.sleep(1)
        slots.release(size, number)

    async with trio.open_nursery() as nursery:
        for number, size in enumerate((60, 60, 10, 30)):
            nursery.start_soon(hold, number, size)
        await trio.sleep(0.5)
        assert order == [0], "60 + 60 bytes are too many, and the small ones do not overtake"
    assert order == [0, 1, 2, 3]
    assert (slots._pulls, slots._bytes) == (2, 100)


async def test_a_cancelled_wait_for_a_slot_lets_the_next_one_in(clock: Any) -> None:
    slots = PullSlots(pulls=1, capacity_bytes=100)
    await slots.acquire(1, "a")
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(1):
            await slots.acquire(100, "b")
        nursery.start_soon(slots.acquire, 99, "c")
        await trio.testing.wait_all_tasks_blocked()
        slots.release(1, "a")
    assert slots._bytes == 1


async def test_a_peer_that_lets_its_pulls_crawl_keeps_nobody_else_waiting(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def who_has_slots() -> list[str]:
        slots, order = PullSlots(capacity_bytes=100), []

        async def hold(peer: str, size: int) -> None:
            await slots.acquire(size, peer)
            order.append(peer)
            await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            for peer in ("liar", "liar", "liar", "honest", "other"):
                nursery.start_soon(hold, peer, 40 if peer == "liar" else 20)
                await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        return order

    assert await who_has_slots() == ["liar", "honest", "other"]
    monkeypatch.setattr(transfers, "PARTS_OF_PULL_BYTES", 1)  # as if everybody might have all of it
    assert await who_has_slots() == ["liar", "liar", "honest"], "two have no room any more"


async def test_a_blob_that_is_larger_than_all_slots_fails_at_once(clock: Any) -> None:
    with pytest.raises(PullFailed, match="more than"):
        await PullSlots(capacity_bytes=100).acquire(101, "a")


async def test_a_closed_link_fails_its_pulls_with_the_reason() -> None:
    side = Side()
    async with trio.open_nursery() as nursery:

        async def pull() -> None:
            with pytest.raises(PullFailed, match="gone away"):
                await side.bulk.pull(bytes(32), 100, 10)

        nursery.start_soon(pull)
        await trio.testing.wait_all_tasks_blocked()
        side.bulk.close("gone away")
    with pytest.raises(PullFailed, match="gone away"):
        await side.bulk.pull(bytes(32), 100, 10)


async def test_a_failed_pull_can_be_repeated_and_the_driver_notices_nothing(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        data = bytes(5_000_000)
        for _ in range(3):
            with pytest.raises(PullFailed, match="not offered"):
                await second.network.pull(first.member, digest(data), len(data))
        first.network.offer(digest(data), data)
        with trio.move_on_after(0):
            await second.network.pull(first.member, digest(data), len(data))
        assert await second.network.pull(first.member, digest(data), len(data)) == data
        assert first.network.send(second.member, b"still here")
        await second.event(Frame)
        assert not any(isinstance(event, Disconnected) for event in second.events)
