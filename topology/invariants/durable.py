"""Durable first: everything that an honest member sends follows from what its disk holds already.

The messages of a step are sent after all of its records are on the disk. In the step in which a member resumes it may
ack, hear that the round is void, and forget its shares; so an ack of a round that is over is not judged.

A complaint needs no record: it shows what the dealer signed, and a restarted member that has forgotten its complaint
checks the same share again.
"""

from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Ack, Deal, Precommit, Prevote, Proposal, SumShare
from ..engine.site import Site
from .base import Checker


class Durable(Checker):
    """Looks for the record behind each vote, proposal, dealing, ack and release."""

    name = "durable first"

    def __init__(self) -> None:
        self._seen: set[tuple[int, bytes]] = set()

    def on_send(self, site: Site, receiver: Site, message: Verified, blob: bytes | None) -> None:
        if not site.is_honest or message.sender != site.key or (site.number, message.raw) in self._seen:
            return
        self._seen.add((site.number, message.raw))
        disk, node = site.disk, site.node
        done = bool(disk.blocks) and disk.blocks[-1].height >= message.height
        match message.message:
            case Proposal(block=block, valid_view=valid_view) if not done:
                self._check_proposal(site, message, block, valid_view)
            case Prevote() | Precommit():
                if not done and all(vote.envelope != message.raw for vote in disk.votes):
                    raise self.violated(
                        f"{site.label} sent a vote of height {message.height} that its disk does not hold"
                    )
            case Deal(round=round_):
                if disk.dealt is None or disk.dealt.round != round_:
                    raise self.violated(f"{site.label} sent a dealing of round {round_} that its disk does not hold")
            case SumShare(round=round_, contributors=contributors):
                if disk.released.get(round_) != contributors:
                    raise self.violated(f"{site.label} released round {round_} and its disk does not say so")
            case Ack(round=round_, dealings=dealings) if node is not None and node.state.round == round_:
                members = node.state.committee.members
                held = {share.dealer for share in disk.shares if share.round == round_} | {site.key}
                if any(members[dealer] not in held for dealer, _ in dealings):
                    raise self.violated(f"{site.label} acked a share of round {round_} that its disk does not hold")
            case _:
                pass

    def _check_proposal(self, site: Site, message: Verified, block: bytes, valid_view: int) -> None:
        """Look for the record behind a proposal.

        A block that is proposed again must be a valid value on the disk. For a new block the prevote of that view must
        be there, which keeps a restarted member from proposing a second new block in it.
        """
        if valid_view >= 0:
            # The step in which it resumes may take it through several views: the disk keeps the newest value only.
            had = (message.height, block, valid_view) in site.disk.had_values
            if not had or all(one.view < valid_view for one in site.disk.values):
                raise self.violated(f"{site.label} proposed again what its disk does not hold, height {message.height}")
            return
        place = (message.height, message.view, 0)
        if all((vote.height, vote.view, vote.kind) != place for vote in site.disk.votes):
            raise self.violated(
                f"{site.label} proposed at height {message.height} and its disk holds no vote of that view"
            )
