"""Lies about shares and sums: what the round's checks are to find."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace as structs_replace

from ...protocol.envelope import Verified
from ...protocol.events import Send
from ...protocol.messages import SumShare
from ...protocol.schemes.base import Dealing, blob_digests
from ...protocol.work import SumShares
from .base import Adversary

if TYPE_CHECKING:
    from ..site import Site


class MisDeal(Adversary):
    """Deals falsely: in turns off its own polynomials, and to one holder a box that does not open."""

    name = "mis-deal"

    def bend_result(self, work: Any, result: Any) -> Any:
        if not isinstance(result, Dealing) or not result.deal.fingerprints:
            return result
        if result.deal.round % 2:
            return replace(
                result, deal=structs_replace(result.deal, fingerprints=bytes(7) + b"\1" + result.deal.fingerprints[8:])
            )
        holders = [index for index, blob in enumerate(result.blobs) if blob]
        victim = holders[self.random.randrange(len(holders))]
        spoilt = bytes([result.blobs[victim][0] ^ 1]) + result.blobs[victim][1:]
        blobs = (*result.blobs[:victim], spoilt, *result.blobs[victim + 1 :])
        return replace(result, blobs=blobs, deal=structs_replace(result.deal, boxes=blob_digests(blobs)))


class Withhold(Adversary):
    """Acks every dealing and then never sends its sum share."""

    name = "withhold"

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        return () if isinstance(message.message, SumShare) else (send,)


class WrongShare(Adversary):
    """Sends a wrong sum share, and a fingerprint that fits it."""

    name = "wrong-share"

    def bend_result(self, work: Any, result: Any) -> Any:
        if not isinstance(work, SumShares):
            return result
        data = bytes([result[0][0] ^ 1]) + result[0][1:]
        return data, hashlib.sha256(data).digest()
