"""Which of a table's columns are not the federation's, if its description has no room for their names.

The description then holds their number, one hash over all, and this sketch: each name falls into one of 256 buckets
by its hash, and a bucket holds the exclusive or of 24 more bits of the hashes of its names. Where two tables differ
in one name of a bucket, its two values differ by the hash of just that name, which the table that has it recognises.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Any, Final

__all__ = ["sketch_of", "unknown_to"]

_BUCKETS: Final = 256
_BYTES: Final = 3


def sketch_of(columns: Sequence[str]) -> str:
    """The sketch of a set of names, 1024 letters."""
    return base64.b64encode(_folded(columns)).decode()


def unknown_to(sketch: Any, columns: Sequence[str]) -> tuple[list[str], int]:
    """The names of ``columns`` that the sketch's set lacks, and how many that set at least has besides.

    With many differences some names fall into one bucket; these are not recognised.
    """
    try:
        theirs = base64.b64decode(sketch, validate=True)
    except (binascii.Error, TypeError, ValueError):
        theirs = b""
    if len(theirs) != _BUCKETS * _BYTES:
        return [], 0
    mine = _folded(columns)
    gaps = {
        bucket: bytes(a ^ b for a, b in zip(theirs[at : at + _BYTES], mine[at : at + _BYTES], strict=True))
        for bucket, at in enumerate(range(0, len(mine), _BYTES))
    }
    extra = [name for name in columns if any(gaps[_hash(name)[0]]) and gaps[_hash(name)[0]] == _hash(name)[1:]]
    explained = {_hash(name)[0] for name in extra}
    return extra, sum(any(gap) for bucket, gap in gaps.items() if bucket not in explained)


def _hash(name: str) -> bytes:
    return hashlib.sha256(b"coterie/column\x00" + name.encode()).digest()[: 1 + _BYTES]


def _folded(columns: Sequence[str]) -> bytes:
    folded = bytearray(_BUCKETS * _BYTES)
    for name in columns:
        bucket, *rest = _hash(name)
        for place, value in enumerate(rest):
            folded[bucket * _BYTES + place] ^= value
    return bytes(folded)
