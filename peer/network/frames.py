"""Typed, length-prefixed frames: how the control stream and the bulk stream of two peers are cut into messages.

A control frame is a 4-byte big-endian length (of all that follows), a kind byte and a body. A bulk frame is a
kind byte, a 4-byte transfer number, a 4-byte length and as many bytes. Each kind has a bound on its size, for some a
lower one while the sender is a stranger. It is checked before a byte of the body is read. Decoding accepts exactly
what encoding makes and raises BadFrame for everything else.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from ...protocol.limits import INLINE_BLOB_BYTES, MAX_ENVELOPE_BYTES
from .texts import clean
from .transport.addresses import MAX_RECORD_BYTES, MAX_RECORDS

MAX_STATUS_BYTES: Final = 256
MAX_REASON_BYTES: Final = 512
MAX_GREETING_BYTES: Final = 72 * 1024
MAX_CHUNK_BYTES: Final = 1024 * 1024
DIGEST_BYTES: Final = 32

_STRANGER_ENVELOPE_BYTES: Final = 16 * 1024
_LENGTH: Final = struct.Struct("!IB")
_BEAT: Final = struct.Struct("!Q")
_ENVELOPE: Final = struct.Struct("!BI")
_RECORD: Final = struct.Struct("!H")
_BULK: Final = struct.Struct("!BII")
_REQUEST: Final = struct.Struct(f"!{DIGEST_BYTES}sQ")
BULK_HEADER_BYTES: Final = _BULK.size


class BadFrame(ValueError):
    """Bytes that no correct peer sends; the message says what is wrong with them."""


class Kind(IntEnum):
    """What a control frame is."""

    GREETING = 1
    REFUSED = 2
    WELCOME = 3
    BEAT = 4
    BEAT_REPLY = 5
    ENVELOPE = 6
    ADDRESSES = 7
    GOODBYE = 8


class BulkKind(IntEnum):
    """What a bulk frame is."""

    REQUEST = 1
    CHUNK = 2
    FAILED = 3
    CANCEL = 4


MAX_BODY_BYTES: Final[dict[Kind, int]] = {
    Kind.GREETING: MAX_GREETING_BYTES,
    Kind.REFUSED: MAX_REASON_BYTES,
    Kind.WELCOME: 0,
    Kind.BEAT: _BEAT.size + MAX_STATUS_BYTES,
    Kind.BEAT_REPLY: _BEAT.size,
    Kind.ENVELOPE: _ENVELOPE.size + MAX_ENVELOPE_BYTES + INLINE_BLOB_BYTES,
    Kind.ADDRESSES: MAX_RECORDS * (_RECORD.size + MAX_RECORD_BYTES),
    Kind.GOODBYE: MAX_REASON_BYTES,
}
STRANGER_BODY_BYTES: Final[dict[Kind, int]] = MAX_BODY_BYTES | {
    Kind.ENVELOPE: _ENVELOPE.size + _STRANGER_ENVELOPE_BYTES,
    Kind.ADDRESSES: 8 * (_RECORD.size + MAX_RECORD_BYTES),
}
MAX_BULK_BODY_BYTES: Final[dict[BulkKind, int]] = {
    BulkKind.REQUEST: _REQUEST.size,
    BulkKind.CHUNK: MAX_CHUNK_BYTES,
    BulkKind.FAILED: MAX_REASON_BYTES,
    BulkKind.CANCEL: 0,
}


class Source(Protocol):
    """A stream to read frames from."""

    async def read_exactly(self, count: int) -> bytes:
        """Exactly `count` bytes, or an exception."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat: `token` comes back in the reply, `status` is what the sender's driver says."""

    token: int
    status: bytes


@dataclass(frozen=True, slots=True)
class Enveloped:
    """An envelope, whose bytes the network does not look into, and the blob that travels with it."""

    envelope: bytes
    blob: bytes | None


@dataclass(frozen=True, slots=True)
class Request:
    """A request for the blob of this digest and exact size."""

    digest: bytes
    size: int


def encode(kind: Kind, body: bytes = b"") -> bytes:
    """A control frame. Raises ValueError when the body is larger than the kind allows."""
    if len(body) > MAX_BODY_BYTES[kind]:
        raise ValueError(f"{kind.name} frame of {len(body)} bytes; at most {MAX_BODY_BYTES[kind]} fit")
    return _LENGTH.pack(1 + len(body), kind) + body


class Bounds(Protocol):
    """The largest body of each kind of frame."""

    def __getitem__(self, kind: Kind, /) -> int:
        """The bound for a kind; looked up when a frame has begun."""


async def read_frame(source: Source, bounds: Bounds) -> tuple[Kind, bytes]:
    """The next control frame. Raises BadFrame, and whatever `source` raises at its end."""
    length, code = _LENGTH.unpack(await source.read_exactly(_LENGTH.size))
    kind = check_header(length, code, bounds)
    return kind, await source.read_exactly(length - 1) if length > 1 else b""


def check_header(length: int, code: int, bounds: Bounds) -> Kind:
    """The kind of a control frame whose body may be read. Raises BadFrame."""
    try:
        kind = Kind(code)
    except ValueError:
        raise BadFrame(f"unknown frame kind {code}") from None
    bound = bounds[kind]
    if not 1 <= length <= 1 + bound:
        raise BadFrame(f"{kind.name} frame of {length - 1} bytes; at most {bound} are allowed")
    return kind


def encode_beat(token: int, status: bytes) -> bytes:
    """A heartbeat frame."""
    return encode(Kind.BEAT, _BEAT.pack(token) + status)


def decode_beat(body: bytes) -> Beat:
    """The body of a heartbeat. Raises BadFrame."""
    if not _BEAT.size <= len(body) <= MAX_BODY_BYTES[Kind.BEAT]:
        raise BadFrame(f"heartbeat of {len(body)} bytes")
    return Beat(_BEAT.unpack_from(body)[0], body[_BEAT.size :])


def encode_beat_reply(token: int) -> bytes:
    """The answer to a heartbeat."""
    return encode(Kind.BEAT_REPLY, _BEAT.pack(token))


def decode_beat_reply(body: bytes) -> int:
    """The token of the heartbeat that this answers. Raises BadFrame."""
    if len(body) != _BEAT.size:
        raise BadFrame(f"heartbeat reply of {len(body)} bytes")
    token: int = _BEAT.unpack(body)[0]
    return token


def encode_envelope(envelope: bytes, blob: bytes | None) -> bytes:
    """A frame with an envelope (up to MAX_ENVELOPE_BYTES) and perhaps a blob (up to INLINE_BLOB_BYTES)."""
    if len(envelope) > MAX_ENVELOPE_BYTES or len(blob or b"") > INLINE_BLOB_BYTES:
        raise ValueError(f"envelope of {len(envelope)} bytes with a blob of {len(blob or b'')} bytes")
    return encode(Kind.ENVELOPE, _ENVELOPE.pack(blob is not None, len(envelope)) + envelope + (blob or b""))


def decode_envelope(body: bytes) -> Enveloped:
    """The body of an envelope frame. Raises BadFrame."""
    if len(body) < _ENVELOPE.size:
        raise BadFrame(f"envelope frame of {len(body)} bytes")
    has_blob, length = _ENVELOPE.unpack_from(body)
    end = _ENVELOPE.size + length
    if has_blob > 1 or length > MAX_ENVELOPE_BYTES or end > len(body) or len(body) - end > INLINE_BLOB_BYTES:
        raise BadFrame("envelope frame whose lengths do not fit")
    if not has_blob and end != len(body):
        raise BadFrame("bytes behind the envelope")
    return Enveloped(body[_ENVELOPE.size : end], body[end:] if has_blob else None)


def encode_records(records: Sequence[bytes]) -> bytes:
    """A frame with signed address records, at most MAX_RECORDS of at most MAX_RECORD_BYTES."""
    return encode(Kind.ADDRESSES, b"".join(_RECORD.pack(len(record)) + record for record in records))


def decode_records(body: bytes) -> list[bytes]:
    """The records in the body of an addresses frame, unchecked. Raises BadFrame."""
    records: list[bytes] = []
    position = 0
    while position < len(body):
        start = position + _RECORD.size
        if start > len(body):
            raise BadFrame("addresses frame cut off")
        (length,) = _RECORD.unpack_from(body, position)
        position = start + length
        if not 0 < length <= MAX_RECORD_BYTES or position > len(body) or len(records) == MAX_RECORDS:
            raise BadFrame("addresses frame whose lengths do not fit")
        records.append(body[start:position])
    return records


def encode_reason(kind: Kind, reason: str) -> bytes:
    """A REFUSED or GOODBYE frame; a longer reason is cut."""
    return encode(kind, reason.encode()[:MAX_REASON_BYTES])


def decode_reason(body: bytes) -> str:
    """A reason that a peer gave: one printable line, whatever it sent."""
    return clean(body[:MAX_REASON_BYTES].decode("utf-8", "replace"))


def encode_bulk_header(kind: BulkKind, transfer: int, length: int) -> bytes:
    """The header of a bulk frame."""
    return _BULK.pack(kind, transfer, length)


def decode_bulk_header(header: bytes) -> tuple[BulkKind, int, int]:
    """(kind, transfer number, length of the body). Raises BadFrame."""
    if len(header) != _BULK.size:
        raise BadFrame(f"bulk header of {len(header)} bytes")
    code, transfer, length = _BULK.unpack(header)
    try:
        kind = BulkKind(code)
    except ValueError:
        raise BadFrame(f"unknown bulk frame kind {code}") from None
    if length > MAX_BULK_BODY_BYTES[kind] or (kind is BulkKind.CHUNK and length == 0):
        raise BadFrame(f"{kind.name} frame of {length} bytes")
    return kind, transfer, length


def encode_request(transfer: int, request: Request) -> bytes:
    """A bulk frame that asks for a blob."""
    return encode_bulk_header(BulkKind.REQUEST, transfer, _REQUEST.size) + _REQUEST.pack(request.digest, request.size)


def decode_request(body: bytes) -> Request:
    """The body of a request. Raises BadFrame."""
    if len(body) != _REQUEST.size:
        raise BadFrame(f"request of {len(body)} bytes")
    digest, size = _REQUEST.unpack(body)
    return Request(digest, size)


def encode_failed(transfer: int, reason: str) -> bytes:
    """A bulk frame that says why a transfer does not go on."""
    body = reason.encode()[:MAX_REASON_BYTES]
    return encode_bulk_header(BulkKind.FAILED, transfer, len(body)) + body


def encode_cancel(transfer: int) -> bytes:
    """A bulk frame that calls a transfer off."""
    return encode_bulk_header(BulkKind.CANCEL, transfer, 0)
