"""Catching up: the blocks that others decided, with their certificates, and the model that the ledger names.

A member believes no peer: it checks blocks by their certificates, from genesis on, and weights by the hash in the
ledger. One request is under way at a time. It is repeated, to another member, until this member is level with the
highest head that it heard of. What a newcomer holds back at first is in :mod:`.checkpoint`.
"""

from dataclasses import dataclass, field

from ..context import Context
from ..events import Fetch
from ..jobs import ReadBlocks
from ..ledger.blocks import read_block
from ..ledger.certificates import Forged, extend
from ..ledger.state import LedgerError, LedgerState
from ..limits import SYNC_BATCH_BLOCKS, SYNC_BATCH_BYTES, SYNC_RETRY_MS
from ..messages.encoding import DecodeError, digest_of
from ..messages.envelope import Verified
from ..messages.kinds import Blocks, CertifiedBlock, GetBlocks, GetWeights, Weights
from ..timers import RetryBlocks, RetryWeights
from .checkpoint import Extension, Proving, Trial
from .forks import Forks


@dataclass(slots=True)
class CatchUp:
    """How far the others are, as far as this member knows, and what it asked them for."""

    ctx: Context
    proving: Proving | None = None
    """The check of the ledger against this peer's invite; None once that is done, or if there is no invite."""
    forks: Forks = field(init=False)
    heads: dict[bytes, int] = field(default_factory=dict)
    """By peer, the height of the head that it told last."""
    _asking: int | None = None
    """The height after which blocks were asked for; None if no request is under way."""
    _retrying: int | None = None
    """The height for which a timer to ask again is under way."""
    _refused: set[bytes] = field(default_factory=set)
    """Peers that answered with no blocks; they are not asked again before the next retry."""
    _helped: dict[bytes, int] = field(default_factory=dict)
    """By reader of the ledger, up to which height it was given blocks unasked."""
    _given: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    """By linked peer, the model that it was sent last, and when."""
    _turn: int = 0
    _wanting: bytes | None = None
    """The hash of the model that is missing here and was asked for."""
    _sources: set[bytes] = field(default_factory=set)
    """Members from which the wanted model is being fetched."""
    _may_ask: int = 1
    """From how many members at once: one more each time that it has not come in time, up to f+1."""
    _failed: set[bytes] = field(default_factory=set)
    """Members that offered the wanted model and did not deliver it."""
    _reading: dict[bytes, int | None] = field(default_factory=dict)
    """By peer for which blocks are being read, the last height that it may see, None if it may see all. There is one
    answer at a time to a peer, however often it asks.
    """
    _closed: dict[bytes, int] = field(default_factory=dict)
    """By member that is gone, the height at which its last round ended, if this member saw that."""

    def __post_init__(self) -> None:
        self.forks = Forks(self.ctx.out)

    # Blocks.

    @property
    def _trial(self) -> Trial | None:
        return None if self.proving is None else self.proving.trial

    @property
    def _front(self) -> LedgerState:
        """The state that the next blocks have to continue."""
        return self.ctx.state if self._trial is None else self._trial.state

    def on_head(self, member: bytes, height: int) -> None:
        """Take the height of a peer's head. If the peer lies, that costs one request."""
        if member not in self.ctx.alive and member not in self.ctx.state.audience:
            return
        self.heads[member] = height
        if height > self.ctx.state.height:
            self.ask()

    def on_gone(self, member: bytes) -> None:
        """Forget what concerned the link to a peer, which is lost."""
        self.heads.pop(member, None)
        self._refused.discard(member)
        self._given.pop(member, None)
        self._sources.discard(member)
        self._end_trial(member)

    def ask(self) -> None:
        """Ask a peer that is ahead for the next blocks, unless a request is under way."""
        ctx, height = self.ctx, self._front.height
        if self._asking == height:
            return
        ahead = self._ahead()
        if ahead:
            self._asking = height
            self._turn += 1
            source = ahead[self._turn % len(ahead)]
            if self.proving is not None:
                self.proving.begin(source, ctx.state)
            ctx.out.send(source, GetBlocks(height + 1))
            if self._retrying != height:  # one timer for each height, however many peers have no blocks
                self._retrying = height
                ctx.out.timer(SYNC_RETRY_MS, RetryBlocks(height))

    def _ahead(self) -> list[bytes]:
        """Return the peers that may be asked for the next blocks.

        For a newcomer that is one peer until it has shown the block of the invite.
        """
        peers, least = self.ctx.alive - self._refused, self.ctx.state.height + 1
        if self._trial is not None:
            return [self._trial.source]
        if self.proving is not None:
            peers, least = peers - self.proving.strangers, self.proving.checkpoint.height
        return sorted(peer for peer in peers if self.heads.get(peer, 0) >= least)

    def _end_trial(self, source: bytes) -> None:
        if self.proving is not None and self.proving.give_up(source):
            self._asking = None
            self.ask()

    def on_retry(self, height: int) -> None:
        """If no answer brought the ledger further meanwhile, ask the next peer."""
        if self._retrying == height:
            self._retrying = None
        if height == self._front.height:
            self._asking = None
            self._refused.clear()
            if self.proving is not None:
                self.proving.on_silence()
            self.ask()

    def on_checkpoint_wait(self) -> None:
        """See whether any peer has shown the ledger of the invite meanwhile."""
        if self.proving is not None:
            self.proving.on_timer(self.ctx.alive)

    def may_read(self, member: bytes) -> bool:
        """Whether a peer may see ledger and model: members, keys of the roster, and newcomers with a good request."""
        ctx = self.ctx
        return (
            member in ctx.state.audience
            or member in ctx.pool.candidates
            or (ctx.state.genesis.admit == "roster" and member in ctx.state.genesis.roster)
        )

    def on_get_blocks(self, asker: bytes, height: int) -> None:
        """Have blocks read for a peer that asked; for a member that is gone, only those that it may still see.

        A member that was removed while it was away has to learn that from others: by its own ledger it is a member.
        """
        last = self.ctx.state.height if self.may_read(asker) else self._last_of(asker)
        if last == 0 or height > last:
            self.ctx.out.send(asker, Blocks(()))
        else:
            self._read(asker, max(1, height), None if self.may_read(asker) else last)

    def _last_of(self, gone: bytes) -> int:
        """Return the last height that a member that is gone may see; 0 for a stranger.

        It is that of its removal, or of the end of the round that it still belonged to.
        """
        removal = self.ctx.state.gone.get(gone)
        return max(0 if removal is None else removal.height, self._closed.get(gone, 0))

    def help(self, member: bytes, height: int) -> None:
        """Give a member that is still at a decided height the block unasked, once for each height."""
        if self._helped.get(member, -1) < height and self.may_read(member):
            if member not in self._helped:
                readers = {*self.ctx.state.audience, *self.ctx.pool.candidates}
                self._helped = {one: given for one, given in self._helped.items() if one in readers}
            self._helped[member] = height
            self._read(member, height)

    def welcome(self, newcomer: bytes, members: tuple[bytes, ...]) -> None:
        """Give a newcomer the block that admitted it; two members do so, in case one of them is gone."""
        first = newcomer[0] % len(members)
        if self.ctx.me in (members[first], members[(first + 1) % len(members)]):
            self._read(newcomer, self.ctx.state.height)

    def farewell(self, leaver: bytes) -> None:
        """Give a member that is gone the blocks that ended its last round, and remember how far it may read."""
        self._closed[leaver] = self.ctx.state.height
        if leaver in self.ctx.alive:
            self._read(leaver, max(1, self.ctx.state.height - 1), self.ctx.state.height)

    def _read(self, to: bytes, start: int, last: int | None = None) -> None:
        if to not in self._reading:
            self._reading[to] = last
            self.ctx.out.work(ReadBlocks(to, start))

    def on_read(self, to: bytes, blocks: tuple[CertifiedBlock, ...]) -> None:
        """Send blocks that the driver has read, as many as fit one message."""
        last = self._reading.pop(to, None)
        if last is not None:
            blocks = tuple(one for one in blocks if (_height_of(one) or 0) <= last)
        total, count = 0, 0
        for one in blocks[:SYNC_BATCH_BLOCKS]:
            total += len(one.block) + sum(map(len, one.certificate))
            if count and total > SYNC_BATCH_BYTES:
                break
            count += 1
        if not count:
            return
        self.ctx.out.send(to, Blocks(blocks[:count]))
        if self.ctx.state.member(to) is not None and _height_of(blocks[count - 1]) == self.ctx.state.height:
            # It may be the next proposer, so it has to know which newcomers wait.
            for request in self.ctx.pool.requests:
                self.ctx.out.send(to, request)

    def on_blocks(self, sender: bytes, blocks: Blocks) -> Extension:
        """Check blocks that a peer sent; return those that continue the ledger, each with the state after it."""
        if not blocks.blocks:  # it has none for this member, or may not give any yet: ask the next peer
            self._refused.add(sender)
            if self._trial is None or self._trial.source == sender:
                self._end_trial(sender)
                self._asking = None
                self.ask()
        if self.proving is not None:
            return self._prove(self.proving, sender, blocks)
        accepted, _ = self._continue(self.ctx.state, sender, blocks)
        if accepted:
            self._asking = None
            self._refused.clear()
        return accepted

    def _continue(self, state: LedgerState, sender: bytes, blocks: Blocks) -> tuple[Extension, bool]:
        """Return the blocks that continue a state, up to the first wrong one, and whether none was wrong."""
        continued: Extension = []
        for certified in blocks.blocks:
            height = _height_of(certified)
            if height is not None and height <= state.height:
                self.forks.compare(sender, certified, height, self.ctx.state)
                continue
            if height is not None and height > state.height + 1:
                self.on_head(sender, height)
                break
            try:
                state = extend(state, certified)
            except LedgerError as error:
                facts = {"certain": True} if isinstance(error, Forged) else {}
                self.ctx.out.fault(sender, f"sent a wrong ledger: {error}", **facts)
                return continued, False
            continued.append((certified, state))
        return continued, True

    def _prove(self, proving: Proving, sender: bytes, blocks: Blocks) -> Extension:
        """Hold back the ledger that one peer shows until the block of the invite is there; then return all of it."""
        trial = proving.trial
        if trial is None or trial.source != sender:
            if blocks.blocks:  # nobody asked for them, but they tell how far the sender's ledger goes
                self.on_head(sender, _height_of(blocks.blocks[-1]) or 0)
            return []
        before = trial.state
        accepted = proving.hold_back(trial, *self._continue(before, sender, blocks))
        if proving.trial is None or trial.state is not before:  # the trial ended, or it came further: ask for more
            self._asking = None
        if accepted:
            self.proving = None
            self._refused.clear()
        else:
            self.ask()
        return accepted

    # Weights.

    def want_weights(self, again: bool = False) -> None:
        """Ask all linked peers for the model that the ledger names, if it is not here.

        ``again``: also if that model was asked for before. Sources that failed or are delivering are left out.
        """
        ctx = self.ctx
        wanted = ctx.state.weights_hash
        if ctx.weights is not None or not ctx.is_member or (self._wanting == wanted and not again):
            return
        if self._wanting != wanted:
            self._wanting, self._may_ask = wanted, 1
            self._sources.clear()
            self._failed.clear()
            ctx.out.timer(SYNC_RETRY_MS, RetryWeights(wanted))
        for source in sorted(ctx.alive - self._failed - self._sources):
            ctx.out.send(source, GetWeights(wanted))

    def on_weights_timer(self, wanted: bytes) -> None:
        """Ask again while this is still the model that is missing.

        The first source may be slow, or let the transfer crawl, so the model may be fetched from one more beside it.
        """
        if self._wanting == wanted == self.ctx.state.weights_hash and self.ctx.weights is None:
            self._may_ask_one_more()
            self.want_weights(again=True)
            self.ctx.out.timer(SYNC_RETRY_MS, RetryWeights(wanted))

    def _may_ask_one_more(self) -> None:
        self._may_ask = min(self._may_ask + 1, self.ctx.state.committee.f + 1)

    def on_fetch_failed(self, source: bytes) -> None:
        """Note that a source did not deliver the model, and ask the others; once all failed, all again at the timer."""
        self._sources.discard(source)
        self._failed.add(source)
        if self.ctx.alive <= self._failed:
            self._failed.clear()
        else:
            self.want_weights(again=True)

    def on_get_weights(self, asker: bytes, wanted: bytes) -> None:
        """Send the model, if it is the one that this member has and the asker was not sent it just now.

        An honest member asks again after SYNC_RETRY_MS. The limit is half of it, since one request may take longer on
        its way than the next.
        """
        ctx = self.ctx
        if not self.may_read(asker) or ctx.weights is None or wanted != ctx.state.weights_hash:
            return
        given, at_ms = self._given.get(asker, (b"", 0))
        if given != wanted or ctx.now_ms - at_ms >= SYNC_RETRY_MS // 2:
            self._given[asker] = wanted, ctx.now_ms
            ctx.out.send(asker, Weights(wanted), ctx.weights)

    def on_weights(self, message: Verified, blob: bytes | None) -> bool:
        """Take the model, or fetch it from a member that offers it. Returns whether it was taken."""
        ctx = self.ctx
        assert isinstance(message.message, Weights)
        if ctx.weights is not None or message.message.weights_hash != ctx.state.weights_hash:
            return False
        if ctx.state.member(message.sender) is None:  # strangers would take the few places of sources
            return False
        size = 4 * ctx.state.genesis.parameters
        if blob is None:
            # The model is fetched from few sources at a time; when they fail, the others are asked again.
            if message.sender in self._failed:
                return False
            self._sources &= ctx.alive
            is_free = message.sender in self._sources or len(self._sources) < self._may_ask
            if is_free and ctx.out.fetch(Fetch(message.sender, ctx.state.weights_hash, size, message)):
                self._sources.add(message.sender)
            return False
        if len(blob) != size or digest_of(blob) != ctx.state.weights_hash:
            ctx.out.fault(message.sender, "sent a model with another hash")
            return False
        ctx.take_weights(blob)
        return True


def _height_of(certified: CertifiedBlock) -> int | None:
    try:
        return read_block(certified.block).height
    except DecodeError:
        return None
