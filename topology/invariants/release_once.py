"""Release once: one sum a round, and only with the certificate for its contributors in hand."""

from ...protocol.ledger.blocks import Contributors, read_block
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import SumShare
from ..engine.site import Site
from .base import Checker


class ReleaseOnce(Checker):
    """Looks into an honest member's ledger whenever it sends a sum share."""

    name = "release once"

    def __init__(self) -> None:
        self._released: dict[tuple[int, int], tuple[bytes, bytes]] = {}

    def on_send(self, site: Site, receiver: Site, message: Verified, blob: bytes | None) -> None:
        share = message.message
        if not isinstance(share, SumShare) or not site.is_honest or message.sender != site.key:
            return
        first = self._released.get((site.number, share.round))
        if first is None:
            if not self._is_decided(site, share):
                raise self.violated(f"{site.label} released round {share.round} for contributors that nobody decided")
            self._released[(site.number, share.round)] = (share.contributors, share.shares_hash)
        elif first != (share.contributors, share.shares_hash):  # the difference of two sums gives updates away
            raise self.violated(f"{site.label} released two sums of round {share.round}")

    @staticmethod
    def _is_decided(site: Site, share: SumShare) -> bool:
        for record in reversed(site.disk.blocks):
            body = read_block(record.block).body
            if isinstance(body, Contributors):
                return body.round == share.round and body.digest() == share.contributors
        return False
