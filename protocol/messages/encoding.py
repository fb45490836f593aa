"""Strict bytes: one encoding of every value, and decoders that refuse everything else.

The encoding is MessagePack, through msgspec. A decoder accepts exactly the bytes that the encoder makes: it refuses
trailing bytes, unknown fields, another integer width and values out of their bounds. So two different byte strings
never mean the same message, and a hash of the bytes is a hash of the value.
"""

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import msgspec

from ..limits import MAX_MEMBERS, PROTOCOL_VERSION

T = TypeVar("T")

Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
"""A SHA-256 digest."""

Key = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
"""An Ed25519 public key, by which a member is named."""

Signature = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
Height = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
View = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
Round = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Index = Annotated[int, msgspec.Meta(ge=0, le=MAX_MEMBERS - 1)]
"""A member's place in the sorted members of a round."""

Element = Annotated[int, msgspec.Meta(ge=0)]
"""A field element; code that uses one checks that it is below p."""

_BLOB: Final = b"coterie/blob/%d\x00" % PROTOCOL_VERSION

_encoder = msgspec.msgpack.Encoder()
_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


def digest_of(data: bytes | bytearray) -> bytes:
    """Return the digest by which messages and blocks name a blob: SHA-256 under a domain string."""
    found = hashlib.sha256(_BLOB)
    found.update(data)
    return found.digest()


class DecodeError(ValueError):
    """Bytes that are not the encoding of the expected type; says which type, and what is wrong."""


def encode(value: object) -> bytes:
    """Return the one encoding of ``value``."""
    return _encoder.encode(value)


def decode(data: bytes, kind: type[T], limit_bytes: int, encoded: Callable[[T], bytes] = encode) -> T:
    """Return the value of type ``kind`` that ``data`` encodes.

    Args:
        data: the bytes.
        kind: a type that msgspec can decode.
        limit_bytes: the largest size to look at.
        encoded: makes the one encoding of a value, with which ``data`` is compared.

    Raises:
        DecodeError: longer than ``limit_bytes``, malformed, out of bounds, or not the canonical encoding.
    """
    if len(data) > limit_bytes:
        raise DecodeError(f"{kind.__name__}: {len(data)} bytes exceed the limit of {limit_bytes}")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        value: T = decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"{kind.__name__}: {error}") from None
    if encoded(value) != data:
        raise DecodeError(f"{kind.__name__}: not in canonical form")
    return value
