"""The status in a heartbeat: how far the ledger of its sender has come."""

from functools import lru_cache
from typing import Annotated

import msgspec

from ...protocol.limits import MAX_NAME_CHARS
from ...protocol.messages.encoding import DecodeError, Height, Round, decode, encode


class BeatStatus(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The height of the newest block, the current round, and the name of its phase."""

    height: Height
    round: Round
    phase: Annotated[str, msgspec.Meta(max_length=16)]


@lru_cache(maxsize=8)
def encode_beat(height: int, round: int, phase: str) -> bytes:
    """Return the status bytes of a heartbeat. Cached: the driver asks after every step."""
    return encode(BeatStatus(height, round, phase))


def decode_beat(data: bytes) -> BeatStatus | None:
    """Return the status in a heartbeat; None if it is empty or malformed."""
    try:
        return decode(data, BeatStatus, 2 * MAX_NAME_CHARS)
    except DecodeError:
        return None
