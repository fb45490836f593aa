"""Sign once: no honest member signs two votes or proposals for one (height, view), nor deals twice in a round."""

from ...protocol.ledger.blocks import block_hash
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Deal, Precommit, Prevote, Proposal
from ..engine.site import Site
from .base import Checker


class SignOnce(Checker):
    """Remembers what each honest member signed, across its restarts."""

    name = "sign once"

    def __init__(self) -> None:
        self._signed: dict[tuple[int, str, int, int], bytes | None] = {}

    def on_send(self, site: Site, receiver: Site, message: Verified, blob: bytes | None) -> None:
        if not site.is_honest or message.sender != site.key:
            return
        match message.message:
            case Prevote(block_hash=said) | Precommit(block_hash=said):
                key = (site.number, type(message.message).__name__, message.height, message.view)
            case Proposal(block=block):
                key, said = (site.number, "Proposal", message.height, message.view), block_hash(block)
            case Deal(round=round_, root=said):
                key = (site.number, "Deal", round_, 0)
            case _:
                return
        first = self._signed.setdefault(key, said)
        if first != said:
            place = f"height {key[2]}, view {key[3]}" if key[1] != "Deal" else f"round {key[2]}"
            raise self.violated(f"{site.label} signed a second {key[1]} for {place}")
