"""What two peers tell each other first, and when that ends the conversation.

A greeting is the word "coterie", the protocol version in two bytes, and the rest in the layout of that
version: so peers of different versions still understand that they differ.
"""

from typing import Annotated, Final

import msgspec

from ...protocol.limits import MAX_NAME_CHARS, PROTOCOL_VERSION
from .frames import MAX_GREETING_BYTES, BadFrame
from .texts import clean
from .transport.addresses import MAX_RECORD_BYTES, AddressRecord, BadRecord, open_record

MAX_GENESIS_BYTES: Final = 64 * 1024
_MAGIC: Final = b"coterie"
_PREFIX_BYTES: Final = len(_MAGIC) + 2


class Refusal(Exception):
    """Why we do not talk to a peer; the text is for its user too."""


class _Body(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    federation: Annotated[bytes, msgspec.Meta(max_length=32)]
    genesis: Annotated[bytes, msgspec.Meta(max_length=MAX_GENESIS_BYTES)]
    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)]
    record: Annotated[bytes, msgspec.Meta(max_length=MAX_RECORD_BYTES)]


_decoder = msgspec.msgpack.Decoder(_Body)


class Greeting(msgspec.Struct, frozen=True):
    """What a peer says of itself."""

    federation: bytes
    """Its 32-byte id; empty for a newcomer."""
    genesis: bytes
    """The block, or empty."""
    name: str
    record: AddressRecord | None


def encode_greeting(federation: bytes, genesis: bytes, name: str, record: bytes) -> bytes:
    """The body of our greeting. Raises ValueError when a part of it is out of bounds."""
    if len(federation) not in (0, 32) or len(genesis) > MAX_GENESIS_BYTES or len(name) > MAX_NAME_CHARS:
        raise ValueError("a federation id has 32 bytes, a genesis at most 64 KiB, a name at most 64 characters")
    body = msgspec.msgpack.encode(_Body(federation, genesis, name, record))
    return _MAGIC + PROTOCOL_VERSION.to_bytes(2, "big") + body


def decode_greeting(body: bytes, member: bytes) -> Greeting:
    """The greeting of the authenticated peer `member`.

    Raises BadFrame when it is malformed and Refusal when it is of another protocol version.
    """
    if len(body) > MAX_GREETING_BYTES or body[: len(_MAGIC)] != _MAGIC or len(body) < _PREFIX_BYTES:
        raise BadFrame("not a greeting of Coterie's")
    version = int.from_bytes(body[len(_MAGIC) : _PREFIX_BYTES], "big")
    if version != PROTOCOL_VERSION:
        raise Refusal(
            f"protocol versions differ: {version} there, {PROTOCOL_VERSION} here; the older peer must upgrade"
        )
    try:
        decoded = _decoder.decode(body[_PREFIX_BYTES:])
        record = open_record(decoded.record) if decoded.record else None
    except (msgspec.DecodeError, UnicodeDecodeError, BadRecord, RecursionError) as error:
        raise BadFrame(f"malformed greeting: {error}") from None
    if len(decoded.federation) not in (0, 32) or (record is not None and record.member != member):
        raise BadFrame("malformed greeting: a federation id of the wrong length, or somebody else's address")
    name = clean(decoded.name, MAX_NAME_CHARS, instead="")
    return Greeting(decoded.federation, decoded.genesis, name, record)


def check_federation(ours: bytes, theirs: bytes) -> None:
    """Raise Refusal if both belong to a federation, and not to the same one. Newcomers may talk to everybody."""
    if ours and theirs and ours != theirs:
        raise Refusal(f"another federation: {theirs.hex()[:16]}… there, {ours.hex()[:16]}… here")
