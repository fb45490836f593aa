"""Frames: what is encoded is decoded, and no input does anything else than raise BadFrame."""

import contextlib

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from coterie.peer.network import frames
from coterie.peer.network.frames import BadFrame, BulkKind, Kind
from coterie.protocol.limits import INLINE_BLOB_BYTES, MAX_ENVELOPE_BYTES


class End(Exception):
    """The source of a test has no more bytes."""


class Bytes:
    """A stream that holds certain bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.largest_read = 0

    async def read_exactly(self, count: int) -> bytes:
        self.largest_read = max(self.largest_read, count)
        if count > len(self.data):
            raise End
        taken, self.data = self.data[:count], self.data[count:]
        return taken


def read_all(data: bytes, bounds: dict[Kind, int]) -> tuple[list[tuple[Kind, bytes]], Bytes]:
    source = Bytes(data)
    found = []

    async def read() -> None:
        while source.data:
            found.append(await frames.read_frame(source, bounds))

    trio.run(read)
    return found, source


@given(st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=40)), max_size=5))
def test_frames_come_back_as_they_were_encoded(items: list[tuple[Kind, bytes]]) -> None:
    items = [(kind, body[: frames.MAX_BODY_BYTES[kind]]) for kind, body in items]
    data = b"".join(frames.encode(kind, body) for kind, body in items)
    assert read_all(data, frames.MAX_BODY_BYTES)[0] == items


@given(st.binary(max_size=300))
def test_reading_any_bytes_gives_frames_or_a_named_error(data: bytes) -> None:
    for bounds in (frames.MAX_BODY_BYTES, frames.STRANGER_BODY_BYTES):
        with contextlib.suppress(BadFrame, End):
            read_all(data, bounds)


@given(st.integers(0, 2**32 - 1), st.integers(0, 255))
def test_a_body_is_read_only_after_its_length_was_found_to_be_allowed(length: int, code: int) -> None:
    source = Bytes(length.to_bytes(4, "big") + bytes([code]))
    with contextlib.suppress(BadFrame, End):
        trio.run(frames.read_frame, source, dict.fromkeys(Kind, 10))
    assert source.largest_read <= 10


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_has_a_bound_that_a_stranger_never_exceeds(kind: Kind) -> None:
    assert 0 <= frames.STRANGER_BODY_BYTES[kind] <= frames.MAX_BODY_BYTES[kind] <= 2**21
    with pytest.raises(ValueError, match="at most"):
        frames.encode(kind, bytes(frames.MAX_BODY_BYTES[kind] + 1))
    frames.check_header(1 + frames.STRANGER_BODY_BYTES[kind], kind, frames.STRANGER_BODY_BYTES)
    with pytest.raises(BadFrame, match="at most"):
        frames.check_header(2 + frames.STRANGER_BODY_BYTES[kind], kind, frames.STRANGER_BODY_BYTES)


def body_of(frame: bytes) -> bytes:
    return frame[5:]


@given(st.binary(max_size=200), st.none() | st.binary(max_size=200))
def test_an_envelope_comes_back_with_its_blob(envelope: bytes, blob: bytes | None) -> None:
    decoded = frames.decode_envelope(body_of(frames.encode_envelope(envelope, blob)))
    assert (decoded.envelope, decoded.blob) == (envelope, blob)


def test_an_envelope_and_a_blob_of_the_largest_size_fit_and_no_larger_ones() -> None:
    largest = frames.encode_envelope(bytes(MAX_ENVELOPE_BYTES), bytes(INLINE_BLOB_BYTES))
    assert len(frames.decode_envelope(body_of(largest)).envelope) == MAX_ENVELOPE_BYTES
    for envelope, blob in ((MAX_ENVELOPE_BYTES + 1, 0), (0, INLINE_BLOB_BYTES + 1)):
        with pytest.raises(ValueError, match="envelope of"):
            frames.encode_envelope(bytes(envelope), bytes(blob))


@given(st.integers(0, 2**64 - 1), st.binary(max_size=frames.MAX_STATUS_BYTES))
def test_a_heartbeat_comes_back_and_so_does_its_reply(token: int, status: bytes) -> None:
    assert frames.decode_beat(body_of(frames.encode_beat(token, status))) == frames.Beat(token, status)
    assert frames.decode_beat_reply(body_of(frames.encode_beat_reply(token))) == token


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=20))
def test_address_records_come_back(records: list[bytes]) -> None:
    assert frames.decode_records(body_of(frames.encode_records(records))) == records


@given(st.text(max_size=700))
def test_a_reason_arrives_as_one_printable_line(reason: str) -> None:
    text = frames.decode_reason(body_of(frames.encode_reason(Kind.REFUSED, reason)))
    assert text.isprintable()
    if reason.isprintable() and len(reason.encode()) <= frames.MAX_REASON_BYTES:
        assert text == reason


@given(st.integers(0, 2**32 - 1), st.binary(min_size=32, max_size=32), st.integers(0, 2**64 - 1))
def test_a_request_comes_back(transfer: int, digest: bytes, size: int) -> None:
    encoded = frames.encode_request(transfer, frames.Request(digest, size))
    head, body = encoded[: frames.BULK_HEADER_BYTES], encoded[frames.BULK_HEADER_BYTES :]
    assert frames.decode_bulk_header(head) == (BulkKind.REQUEST, transfer, len(body))
    assert frames.decode_request(body) == frames.Request(digest, size)


@pytest.mark.parametrize(
    "decode",
    [
        frames.decode_envelope,
        frames.decode_beat,
        frames.decode_beat_reply,
        frames.decode_records,
        frames.decode_request,
        frames.decode_bulk_header,
    ],
)
@given(data=st.binary(max_size=400) | st.binary(max_size=12))
def test_a_decoder_raises_nothing_but_bad_frame(decode: object, data: bytes) -> None:
    with contextlib.suppress(BadFrame):
        decode(data)  # type: ignore[operator]


@given(st.binary(max_size=1000))
def test_any_bytes_make_a_printable_reason(data: bytes) -> None:
    assert frames.decode_reason(data).isprintable()


@given(st.binary(max_size=60), st.none() | st.binary(max_size=60), st.binary(min_size=1, max_size=3))
def test_bytes_behind_an_envelope_without_blob_are_refused(envelope: bytes, blob: bytes | None, more: bytes) -> None:
    body = body_of(frames.encode_envelope(envelope, None)) + more
    with pytest.raises(BadFrame, match="behind the envelope"):
        frames.decode_envelope(body)
    cut = body_of(frames.encode_records([envelope + b"x"])) + more[:1]
    with pytest.raises(BadFrame):
        frames.decode_records(cut)


@given(st.sampled_from(BulkKind), st.integers(0, 2**32 - 1))
def test_a_bulk_frame_is_never_larger_than_its_kind_allows(kind: BulkKind, length: int) -> None:
    header = frames.encode_bulk_header(kind, 7, length)
    allowed = (1 if kind is BulkKind.CHUNK else 0) <= length <= frames.MAX_BULK_BODY_BYTES[kind]
    if allowed:
        assert frames.decode_bulk_header(header) == (kind, 7, length)
    else:
        with pytest.raises(BadFrame):
            frames.decode_bulk_header(header)


@pytest.mark.soak
@given(st.binary(max_size=2000))
def test_no_bytes_crash_a_decoder_soak(data: bytes) -> None:
    for decode in (
        frames.decode_envelope,
        frames.decode_beat,
        frames.decode_beat_reply,
        frames.decode_records,
        frames.decode_request,
        frames.decode_bulk_header,
    ):
        with contextlib.suppress(BadFrame):
            decode(data)
    with contextlib.suppress(BadFrame, End):
        read_all(data, frames.STRANGER_BODY_BYTES)
