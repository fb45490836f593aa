"""The multiplexer: interoperable with stock yamux, and sound where stock yamux is not.

Wires are in memory and time is virtual, so a stall of a minute takes no time. A test named `stock_…` shows the
trap that the test before it relies on being closed.
"""

import contextlib
import itertools
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import MuxedStreamEOF, MuxedStreamError, MuxedStreamReset
from libp2p.stream_muxer.yamux.yamux import Yamux

from coterie.peer.network.link import STRANGER_BYTES
from coterie.peer.network.transport import send_queue, streams, yamux
from coterie.peer.network.transport.send_queue import ACK, DATA, FIN, GO_AWAY, HEADER, PING, RST, SYN, WINDOW
from coterie.peer.network.transport.streams import INITIAL_WINDOW_BYTES, Stream
from coterie.peer.network.transport.yamux import Muxer

MEGABYTE = 1024 * 1024
PEER = ID(b"peer")


class Pipe:
    """One end of a wire in memory that holds `slots` messages on the way; serves both kinds of multiplexer."""

    def __init__(self, send: Any, receive: Any, is_initiator: bool) -> None:
        self._send, self._receive = send, receive
        self._spare = b""
        self.is_initiator = is_initiator
        self.sent: list[bytes] = []

    # What our multiplexer needs.

    async def receive(self) -> bytes:
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            return b""

    async def send(self, messages: list[bytes]) -> None:
        for message in messages:
            assert 0 < len(message) <= send_queue.MESSAGE_BYTES
            self.sent.append(message)
            await self._send.send(message)

    async def send_eof(self) -> None:
        await self._send.aclose()

    async def aclose(self) -> None:
        await self._send.aclose()
        await self._receive.aclose()

    def remote_address(self) -> tuple[str, int] | None:
        return None

    # What stock yamux needs.

    async def read(self, n: int | None = None) -> bytes:
        while not self._spare:
            self._spare = await self.receive()
            if not self._spare:
                return b""
        taken, self._spare = self._spare[:n], self._spare[n:]
        return taken

    async def write(self, data: bytes) -> None:
        """Byte by byte as far as cancellation is concerned: a cancelled write leaves its first half behind."""
        half = len(data) // 2
        await self._send.send(data[:half])
        await self._send.send(data[half:])

    async def close(self) -> None:
        await self.aclose()

    def get_remote_address(self) -> tuple[str, int] | None:
        return None


def pipes(slots: float = 1000) -> tuple[Pipe, Pipe]:
    one_way, other_way = trio.open_memory_channel[bytes](slots), trio.open_memory_channel[bytes](slots)
    return Pipe(one_way[0], other_way[1], True), Pipe(other_way[0], one_way[1], False)


def ours(pipe: Pipe) -> Muxer:
    return Muxer(pipe, PEER, pipe.is_initiator)


def stock(pipe: Pipe) -> Yamux:
    return Yamux(pipe, PEER, pipe.is_initiator)  # type: ignore[arg-type]


@asynccontextmanager
async def running(*muxers: Any) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        for muxer in muxers:
            nursery.start_soon(muxer.start)
            await muxer.event_started.wait()
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def two_streams(left: Any, right: Any) -> AsyncIterator[tuple[Any, Any]]:
    async with running(left, right):
        near = await left.open_stream()
        far = await right.accept_stream()
        yield near, far


async def read_all(stream: Any, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += await stream.read(count - len(data))
    return data


PAIRS = [(ours, ours), (ours, stock), (stock, ours)]


@pytest.mark.parametrize(("left", "right"), PAIRS)
async def test_bytes_go_both_ways_and_end_where_they_were_ended(left: Any, right: Any, clock: Any) -> None:
    one, other = pipes()
    data = bytes(range(256)) * 8192  # 2 MiB: many windows
    async with two_streams(left(one), right(other)) as (near, far), trio.open_nursery() as nursery:
        for sender, receiver in ((near, far), (far, near)):

            async def send(stream: Any) -> None:
                await stream.write(data)
                await stream.close()

            async def receive(stream: Any) -> None:
                assert await read_all(stream, len(data)) == data
                with pytest.raises(MuxedStreamEOF):
                    await stream.read(1)

            nursery.start_soon(send, sender)
            nursery.start_soon(receive, receiver)


@pytest.mark.parametrize(("left", "right"), PAIRS)
async def test_a_reset_reaches_the_other_side(left: Any, right: Any, clock: Any) -> None:
    one, other = pipes()
    async with two_streams(left(one), right(other)) as (near, far):
        await near.reset()
        with pytest.raises((MuxedStreamReset, MuxedStreamEOF)):
            await far.read(1)


@pytest.mark.parametrize(("left", "right"), PAIRS)
async def test_a_goodbye_ends_the_other_side(left: Any, right: Any, clock: Any) -> None:
    one, other = pipes()
    first, second = left(one), right(other)
    async with two_streams(first, second) as (_, far):
        await first.close()
        await second.event_closed.wait()
        with pytest.raises(MuxedStreamError):
            await far.read(1)


async def test_what_was_written_before_a_goodbye_arrives(clock: Any) -> None:
    one, other = pipes()
    left, right = ours(one), ours(other)
    async with two_streams(left, right) as (near, far):
        await near.write(bytes(100_000))
        await left.close()
        await right.event_closed.wait()
        assert far.buffered == 100_000


async def stall_for_a_minute(near: Any, far: Any) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.write, bytes(MEGABYTE))
        await trio.sleep(60)
        assert len(await read_all(far, MEGABYTE)) == MEGABYTE


async def test_a_reader_that_pauses_for_a_minute_gets_everything(clock: Any) -> None:
    one, other = pipes()
    async with two_streams(ours(one), ours(other)) as (near, far):
        await stall_for_a_minute(near, far)


async def test_stock_yamux_kills_the_sender_of_a_reader_that_pauses(clock: Any) -> None:
    one, other = pipes()
    with pytest.raises(ExceptionGroup):
        async with two_streams(stock(one), stock(other)) as (near, far):
            await stall_for_a_minute(near, far)


async def cancel_a_write_under_way(left: Any, right: Any) -> bytes:
    """Cancel a write that waits for the wire; what another stream then delivers."""
    async with two_streams(left, right) as (near, far):
        second = await left.open_stream()
        second_far = await right.accept_stream()
        with trio.move_on_after(1):
            await near.write(bytes(10 * MEGABYTE))
        with trio.move_on_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(second.write, b"still whole")
                while True:
                    # Make room on the wire, whatever becomes of what was cancelled.
                    with trio.move_on_after(0.1):
                        return await read_all(second_far, len(b"still whole"))
                    with trio.move_on_after(0.1):
                        await far.read(MEGABYTE)
    return b""


async def test_a_cancelled_write_leaves_the_other_streams_whole(clock: Any) -> None:
    assert await cancel_a_write_under_way(*map(ours, pipes(slots=1))) == b"still whole"


async def test_stock_yamux_breaks_the_other_streams_when_a_write_is_cancelled(clock: Any) -> None:
    assert await cancel_a_write_under_way(*map(stock, pipes(slots=1))) == b""


async def flood(pipe: Pipe, total: int) -> None:
    """Send `total` bytes on one stream, heedless of the window, to a multiplexer whose user does not read."""
    await pipe._send.send(HEADER.pack(0, WINDOW, SYN, 1, 0))
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        for _ in range(total // 32768):
            await pipe._send.send(HEADER.pack(0, DATA, 0, 1, 32768) + bytes(32768))


async def test_a_peer_that_sends_beyond_its_window_is_disconnected(clock: Any) -> None:
    one, other = pipes()
    muxer = ours(other)
    async with running(muxer):
        await flood(one, 4 * MEGABYTE)
        await muxer.event_closed.wait()
    assert "granted" in muxer.reason
    assert muxer.bytes_received < INITIAL_WINDOW_BYTES + 2 * 65536


async def test_stock_yamux_takes_any_amount_beyond_the_window(clock: Any) -> None:
    one, other = pipes()
    muxer = stock(other)
    async with running(muxer):
        await flood(one, 4 * MEGABYTE)
        await trio.sleep(1)
        assert len(muxer.stream_buffers[1]) > 3 * MEGABYTE


async def test_a_wider_window_lets_more_be_on_the_way(clock: Any) -> None:
    one, other = pipes()
    async with two_streams(ours(one), ours(other)) as (near, far):
        far.widen(MEGABYTE)
        with trio.move_on_after(1):
            await near.write(bytes(3 * MEGABYTE))
        assert far.buffered == MEGABYTE


async def test_bulk_does_not_hold_up_conversation(clock: Any) -> None:
    one, other = pipes(slots=0)
    left, right = ours(one), ours(other)
    async with two_streams(left, right) as (bulk, bulk_far), trio.open_nursery() as nursery:
        talk = await left.open_stream()
        talk_far = await right.accept_stream()
        bulk.defer()
        nursery.start_soon(bulk.write, bytes(50 * MEGABYTE))
        await trio.testing.wait_all_tasks_blocked()
        await talk.write(b"hello")
        assert await talk_far.read_exactly(5) == b"hello"
        assert bulk_far.buffered <= INITIAL_WINDOW_BYTES
        nursery.cancel_scope.cancel()


async def test_a_stream_that_becomes_bulk_stays_in_order(clock: Any) -> None:
    one, other = pipes(slots=0)
    async with two_streams(ours(one), ours(other)) as (near, far):
        await near.write(b"first ")
        near.defer()
        await near.write(b"second")
        assert await far.read_exactly(12) == b"first second"


async def violate(*frames: bytes) -> str:
    """Why a multiplexer ends after these raw bytes; empty while it goes on."""
    one, other = pipes(slots=100_000)
    muxer = ours(other)
    async with running(muxer):
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            for frame in frames:
                await one._send.send(frame)
        await trio.testing.wait_all_tasks_blocked()
        return muxer.reason if muxer.is_closed else ""


def frame(kind: int, flags: int, stream: int, value: int, payload: bytes = b"", version: int = 0) -> bytes:
    return HEADER.pack(version, kind, flags, stream, value) + payload


@pytest.mark.parametrize(
    ("frames", "complaint"),
    [
        ([frame(WINDOW, 0, 0, 0, version=1)], "version 1"),
        ([frame(9, 0, 0, 0)], "type 9"),
        ([frame(WINDOW, SYN, 2, 0)], "the peer opened stream 2"),
        ([frame(WINDOW, SYN, 3, 0), frame(WINDOW, SYN, 1, 0)], "the peer opened stream 1"),
        ([frame(WINDOW, SYN, 1, 0), frame(WINDOW, SYN, 1, 0)], "the peer opened stream 1"),
        ([frame(DATA, 0, 1, 1, b"x")], "never opened"),
        ([frame(DATA, 0, 2, 1, b"x")], "never opened"),
        ([frame(WINDOW, 0, 0, 1)], "never opened"),
        ([frame(WINDOW, SYN, 1, 0), frame(DATA, 0, 1, 2**31)], "data frame of"),
        ([frame(WINDOW, SYN, 1, 0), frame(DATA, 0, 1, INITIAL_WINDOW_BYTES + 1)], "granted"),
        ([frame(GO_AWAY, 0, 0, 0)], "closed the connection"),
    ],
)
async def test_a_broken_protocol_ends_the_connection_by_name(frames: list[bytes], complaint: str, clock: Any) -> None:
    assert complaint in await violate(*frames)


async def test_frames_of_a_stream_that_was_dropped_are_ignored(clock: Any) -> None:
    closed = [frame(WINDOW, SYN, 1, 0), frame(WINDOW, RST, 1, 0)]
    assert await violate(*closed, frame(DATA, 0, 1, 3, b"abc"), frame(WINDOW, FIN, 1, 5)) == ""


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=20), st.booleans())
def test_any_bytes_end_the_connection_or_are_understood(chunks: list[bytes], opened: bool) -> None:
    opening = [frame(WINDOW, SYN, 1, 0)] if opened else []
    trio.run(violate, *opening, *chunks, clock=trio.testing.MockClock(autojump_threshold=0))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.binary(min_size=1, max_size=200))
def test_however_messages_are_cut_the_same_bytes_arrive(cuts: list[int], data: bytes) -> None:
    raw = frame(WINDOW, SYN, 1, 0) + frame(DATA, 0, 1, len(data), data) + frame(DATA, FIN, 1, 0)
    messages = []
    for cut in cuts:
        messages.append(raw[:cut])
        raw = raw[cut:]
    messages = [message for message in (*messages, raw) if message]

    async def deliver() -> None:
        one, other = pipes()
        muxer = ours(other)
        async with running(muxer):
            for message in messages:
                await one._send.send(message)
            stream = await muxer.accept_stream()
            assert await stream.read_exactly(len(data)) == data
            with pytest.raises(MuxedStreamEOF):
                await stream.read()

    trio.run(deliver, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_a_peer_has_a_bounded_number_of_streams_at_a_time_and_in_all(clock: Any) -> None:
    one, other = pipes()
    muxer = ours(other)
    async with running(muxer):

        async def opened(ids: range) -> int:
            for number in ids:
                await one._send.send(frame(WINDOW, SYN, number, 0))
            await trio.testing.wait_all_tasks_blocked()
            answers = [HEADER.unpack_from(message, at) for message in other.sent for at in range(0, len(message), 12)]
            other.sent.clear()
            return sum(answer[2] == ACK for answer in answers)

        assert await opened(range(1, 41, 2)) == yamux.MAX_INBOUND_STREAMS
        for _ in range(yamux.MAX_INBOUND_STREAMS):
            await (await muxer.accept_stream()).reset()
        rest = yamux.MAX_OPENED_STREAMS - yamux.MAX_INBOUND_STREAMS
        assert await opened(range(41, 41 + 2 * rest, 2)) == min(rest, yamux.MAX_INBOUND_STREAMS)
        for _ in range(rest):
            await (await muxer.accept_stream()).reset()
        assert await opened(range(101, 121, 2)) == 0
        muxer.streams_left = 3
        assert await opened(range(121, 141, 2)) == 3


async def test_pings_are_answered_while_the_peer_reads_and_cost_nothing_when_it_does_not(clock: Any) -> None:
    one, other = pipes(slots=0)
    muxer = ours(other)
    async with running(muxer):
        await one._send.send(frame(PING, SYN, 0, 77))
        assert struct.unpack("!BBHII", await one._receive.receive()) == (0, PING, ACK, 0, 77)
        for number in range(1000):
            await one._send.send(frame(PING, SYN, 0, number))
        assert muxer._outbox.control_frames <= yamux.MAX_QUEUED_REPLIES


async def test_a_peer_that_provokes_answers_and_reads_none_is_disconnected(clock: Any) -> None:
    one, other = pipes(slots=0)
    muxer = ours(other)
    async with running(muxer):
        with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):  # noqa: PT012
            for number in range(1, 2**16, 2):
                await one._send.send(frame(WINDOW, SYN, number, 0))
        await muxer.event_closed.wait()
        assert "does not read" in muxer.reason


async def test_a_stranger_may_send_no_more_than_its_budget(clock: Any) -> None:
    one, other = pipes()
    muxer = ours(other)
    muxer.budget_bytes = 3000
    async with running(muxer):
        await one._send.send(frame(WINDOW, SYN, 1, 0))
        await one._send.send(frame(DATA, 0, 1, 2000, bytes(2000)))
        await muxer.event_closed.wait()
    assert "stranger" in muxer.reason


@pytest.mark.parametrize("weakened", [True, False])
async def test_a_strangers_frames_count_however_small_they_are(
    weakened: bool, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    if weakened:
        monkeypatch.setattr(yamux, "FRAME_COST_BYTES", 0)
    one, other = pipes()
    muxer = ours(other)
    muxer.budget_bytes = STRANGER_BYTES
    handled: list[int] = []
    handle = muxer._handle
    monkeypatch.setattr(muxer, "_handle", lambda *header: handled.append(1) or handle(*header))
    async with running(muxer):
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            for _ in range(20):
                await one._send.send(frame(PING, ACK, 0, 0) * 5000)
        await muxer.event_closed.wait()
    assert "stranger" in muxer.reason
    assert (len(handled) > 2000) is weakened


@pytest.mark.parametrize("weakened", [True, False])
async def test_others_have_their_turn_among_messages_of_a_byte(weakened: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if weakened:
        monkeypatch.setattr(yamux, "MESSAGES_A_TURN", 10**9)
    _, other = pipes()
    muxer = ours(other)
    messages = iter([bytes((byte,)) for byte in frame(PING, ACK, 0, 0) * 100])
    log: list[str] = []

    async def receive() -> bytes:  # as a wire does that has all of it in its buffer
        log.append("message")
        return next(messages, b"")

    monkeypatch.setattr(other, "receive", receive)
    async with trio.open_nursery() as nursery:

        async def others() -> None:
            while True:
                log.append("others")
                await trio.lowlevel.checkpoint()

        nursery.start_soon(others)
        await muxer.start()
        nursery.cancel_scope.cancel()
    in_a_row = max(len(list(group)) for what, group in itertools.groupby(log) if what == "message")
    assert (in_a_row > 1000) is weakened
    assert weakened or in_a_row <= 2 * yamux.MESSAGES_A_TURN


@pytest.mark.parametrize("weakened", [True, False])
async def test_others_have_their_turn_within_a_message_of_many_frames(
    weakened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if weakened:
        monkeypatch.setattr(yamux, "FRAMES_A_TURN", 10**9)
    one, other = pipes()
    muxer = ours(other)
    log: list[str] = []
    handle = muxer._handle
    monkeypatch.setattr(muxer, "_handle", lambda *header: log.append("frame") or handle(*header))
    async with running(muxer), trio.open_nursery() as nursery:

        async def others() -> None:
            while True:
                log.append("others")
                await trio.lowlevel.checkpoint()

        nursery.start_soon(others)
        await one._send.send(frame(PING, ACK, 0, 0) * 5000)
        while log.count("frame") < 5000:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    in_a_row = max(len(list(group)) for what, group in itertools.groupby(log) if what == "frame")
    assert in_a_row == (5000 if weakened else pytest.approx(yamux.FRAMES_A_TURN, rel=1))  # trio draws who is first


async def test_a_few_bytes_do_not_keep_a_whole_message_alive() -> None:
    stream = Stream(1, ours(pipes()[0]), send_queue.SendQueue(), lambda number: None)
    message = bytes(60_000)
    for at in range(1000):
        stream.spend_grant(1)
        stream.deliver(memoryview(message)[at : at + 1], len(message))
    assert stream.buffered == 1000
    assert sum(len(chunk) for chunk in stream._chunks) == 1000
    assert all(isinstance(chunk, bytearray) for chunk in stream._chunks)
    assert len(stream._chunks) == 1


async def test_closing_is_quick_when_the_peer_takes_nothing(clock: Any) -> None:
    one, _ = pipes(slots=0)
    muxer = ours(one)
    async with running(muxer):
        stream = await muxer.open_stream()
        await stream.write(bytes(100_000))
        started = trio.current_time()
        await muxer.close()
        await muxer.event_closed.wait()
        assert trio.current_time() - started < 3
        with pytest.raises(MuxedStreamReset):
            await stream.write(b"x")


def test_the_window_is_what_the_specification_grants() -> None:
    assert streams.INITIAL_WINDOW_BYTES == 256 * 1024


@pytest.mark.soak
@given(
    st.lists(
        st.builds(
            lambda kind, flags, stream, value, payload: HEADER.pack(0, kind, flags, stream, value) + payload,
            st.integers(0, 3),
            st.integers(0, 15),
            st.integers(0, 6),
            st.integers(0, 300) | st.integers(0, 2**32 - 1),
            st.binary(max_size=40),
        ),
        max_size=30,
    )
)
def test_no_frames_crash_the_multiplexer_soak(frames: list[bytes]) -> None:
    trio.run(violate, *frames, clock=trio.testing.MockClock(autojump_threshold=0))
