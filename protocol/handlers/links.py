"""Links to peers: that they come and go, the heads that they tell, and the blobs that come over them or do not."""

from dataclasses import dataclass

from ..context import Context
from ..events import Fetch, NoticeKind
from ..messages.envelope import Verified, blob_digest
from ..messages.kinds import Weights
from ..sync.catchup import CatchUp
from ..sync.resume import Resume
from .ballots import Ballots
from .dealings import Dealings
from .heights import Heights
from .membership import MembershipRequests


@dataclass(slots=True)
class LinkEvents:
    """Tells the parts of a node about links."""

    ctx: Context
    catchup: CatchUp
    resume: Resume
    membership: MembershipRequests
    heights: Heights
    dealings: Dealings
    ballots: Ballots

    def on_up(self, member: bytes) -> None:
        """Ask a peer that has connected for what is missing here, and tell it what it may have missed."""
        ctx = self.ctx
        ctx.on_up(member)
        self.resume.ask_member(member)
        self.membership.ask_to_join()
        if ctx.weights is None:
            self.catchup.want_weights(again=True)
        self.heights.resend(member)
        self.ballots.on_up(member)

    def on_down(self, member: bytes) -> None:
        """Forget what concerned a link, which is lost, and wait less for a proposal over it."""
        ctx = self.ctx
        ctx.on_down(member)
        self.catchup.on_gone(member)
        if not ctx.listens_to(member):
            ctx.early.forget(member)
        if self.heights.agreement is not None:
            self.heights.agreement.on_peer_down(member)

    def on_head(self, member: bytes, height: int) -> None:
        """Take the height of the newest block of a peer."""
        self.ctx.guard.on_head(member, height)
        self.catchup.on_head(member, height)

    def on_blob(self, message: Verified) -> None:
        """Note that a blob came with a message, so that its fetch, if there was one, is over."""
        index = self.ctx.state.committee.index(self.ctx.me)
        self.ctx.out.fetched(message.sender, blob_digest(message, index))

    def on_fetch_failed(self, fetch: Fetch, reason: str) -> None:
        """Note that a source did not deliver a blob."""
        self.ctx.out.fetched(fetch.source, fetch.digest)
        self.ctx.out.notify(NoticeKind.FETCH, f"could not fetch a blob: {reason}", member=fetch.source)
        if isinstance(fetch.message.message, Weights):
            self.catchup.on_fetch_failed(fetch.source)
        else:
            self.dealings.on_fetch_failed(fetch)
