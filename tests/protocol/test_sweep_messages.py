"""A member may say anything: no signed message makes a node raise, hoard, lie or stop.

One of four members also says random things: messages of every kind with fields that fit the moment, or nearly do, with
blobs of all sizes, replays and envelopes within envelopes; and it proposes sums that could be ones, in many views at
once. The invariants hold among the others, nobody else is accused, and they finish. Only where the liar was one of the
first three, more than the f of that committee, may a failed sum stay without its repetition. A failure names its seed.
"""

import random
from typing import Any

import numpy as np
import pytest
from chains import digest
from cluster import Cluster, Site
from members import START_MS, identity, make_genesis
from watch import Watch

from coterie.crypto.field import P
from coterie.crypto.vectors import add_into
from coterie.protocol.events import Received
from coterie.protocol.jobs import Contribution, Encode
from coterie.protocol.ledger.blocks import (
    Amend,
    Block,
    Contributors,
    Depart,
    Evict,
    Join,
    Membership,
    Model,
    Void,
    block_hash,
    wide_bytes,
)
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.ledger.contribution import layout_of
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.limits import VIEW_WINDOW
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.messages.envelope import Verified, seal, verify
from coterie.protocol.messages.kinds import (
    KINDS,
    Accusation,
    Ack,
    Blocks,
    CertifiedBlock,
    Complaint,
    Deal,
    GetBlocks,
    GetStatus,
    GetWeights,
    HandBox,
    JoinRequest,
    LeaveRequest,
    Message,
    OptionsChange,
    OptionsProposal,
    OptionsVote,
    Precommit,
    Prevote,
    Proposal,
    Refusal,
    SitOut,
    Status,
    SumShare,
    UpheldComplaint,
    Weights,
    Withdrawal,
)
from coterie.protocol.round.summing import Summing

LIAR = 3


class Chatter(Cluster):
    """Four members; peer 3 also says whatever comes to its mind."""

    def __init__(self, seed: int) -> None:
        self.liar = identity(LIAR)
        scheme = random.Random(seed).choice(("shamir", "shamir", "plain"))
        slowest_work_ms = (0, 40, 400)[seed % 3]
        genesis = make_genesis(min_peers=3, rounds=2, scheme=scheme, evict_on_proof=seed % 5 > 0)  # or it is soon out
        super().__init__(4, genesis, seed, (1, 30), slowest_work_ms)
        self.watch = Watch(self, frozenset({self.liar.public}))
        self.said: dict[type, int] = {}
        self.sums = 0

    def go(self) -> None:
        """Run until the honest have finished, or can never go on because there were more liars than f."""
        self.start()
        self.at(1, self._chat)
        honest = self.sites[:LIAR]
        self.run(lambda: all(self._state(site).phase == "finished" or self._stands(site) for site in honest), 300_000)

    def _stands(self, site: Site) -> bool:
        """Whether too few are left to repeat a failed sum. One liar does this to a committee of three, whose f is 0."""
        state = self._state(site)
        if state.phase is not Phase.WAITING or not state.is_stuck:
            return False
        assert Committee(state.repeat.committee).f == 0, "one liar is no more than f"
        assert [one.key for one in state.gone if one.barred] == [self.liar.public]
        assert any(facts["phase"] == "waiting" for facts in site.facts("stuck")), "people were told"
        return True

    def _chat(self) -> None:
        site = self.random.choice(self.sites[:LIAR])
        for _ in range(self.random.choice((1, 1, 3))):
            message, blob = self._something(site)
            self._say(site, message, blob, self._height(site), self._view(site))
        if self.random.random() < 0.1:
            self._propose_sums(site)
        if self.now_ms < START_MS + 20_000:
            self.at(self.random.randint(1, 25), self._chat)

    def _say(self, site: Site, message: Message, blob: bytes | None, height: int, view: int) -> None:
        data = seal(self.liar, self.genesis.federation, height, view, message)
        verified = verify(data, self.genesis.federation)
        if isinstance(verified, Verified):  # what is too large for its kind never comes to a node
            self.said[type(message)] = self.said.get(type(message), 0) + 1
            self.at(
                self.random.randint(*self.latency_ms),
                lambda: site.node and self.hand_in(site.number, Received(verified, blob)),
            )

    def _propose_sums(self, site: Site) -> None:
        """In all of one's views, past and to come, propose the model of a sum that could be one and is not."""
        assert site.node is not None
        ctx, state = site.node.ctx, site.node.state
        if ctx.summing is None or ctx.summing.base is None:
            return
        for view in range(max(0, site.node.view - VIEW_WINDOW), site.node.view + VIEW_WINDOW + 1):
            if state.proposer(view) == self.liar.public:
                vector = self._well_formed(ctx.summing)
                digest = digest_of(vector)
                body = ctx.summing.outcome_of(ctx.summing._job(digest, vector).run())
                block = Block(ctx.height, state.head, body).encode()
                self._say(site, Proposal(block, -1, (), (), digest), vector, ctx.height, view)
                self.sums += 1

    def _well_formed(self, summing: Summing) -> bytes:
        """The sum of as many encodings as there are contributors."""
        layout = summing.terms.layout
        update = np.zeros(layout.parameters, dtype=np.float32) if layout.parameters else None
        total = np.zeros(layout.columns, dtype=np.uint64)
        for _ in summing.body.dealers:
            given = Contribution(10, (1.0,) * (layout.wide - 2), self.random.randbytes(32), update)
            job = Encode(summing.round, layout, given, summing.clip, summing.committee.n, summing.examples_ref)
            add_into(total, np.frombuffer(job.run().vector, dtype=np.uint64))
        return total.tobytes()

    # Fields that fit, or nearly do.

    def _height(self, site: Site) -> int:
        height = self._state(site).height
        return self.random.choice((height + 1,) * 6 + (height, height + 2, 0, 1, 2**53))

    def _view(self, site: Site) -> int:
        assert site.node is not None
        return self.random.choice((site.node.view,) * 6 + (0, site.node.view + 1, 5, 2**31))

    @staticmethod
    def _state(site: Site) -> Any:
        assert site.node is not None
        return site.node.state

    def _round(self, site: Site) -> int:
        now: int = self._state(site).round
        return self.random.choice((now,) * 6 + (now + 1, max(0, now - 1), 0, 2**53))

    def _index(self) -> int:
        return self.random.choice((0, 1, 2, 3, 3, 4, 511))

    def _hash(self, site: Site) -> bytes:
        state = self._state(site)
        known = [state.weights_hash, state.head, state.beacon, digest("x"), bytes(32)]
        if state.contributors is not None:
            known += [state.contributors.digest()] * 3
        agreement = site.node.heights.agreement if site.node else None
        return self.random.choice(known + list(agreement.candidates if agreement else ()))

    def _blob(self, site: Site) -> bytes:
        columns = layout_of(self.genesis, self._state(site).kind).columns
        size = self.random.choice((8 * columns,) * 5 + (0, 1, 8 * columns + 42, 169, 321, 4 * self.genesis.parameters))
        return self.random.choice((bytes(size), b"\xff" * size, self.random.randbytes(size)))

    def _envelope(self) -> bytes:
        """Somebody's, or one's own, or none."""
        if self.log and self.random.random() < 0.8:
            return self.random.choice(self.log[-60:])[3].raw
        return self.random.randbytes(self.random.choice((0, 5, 200)))

    def _envelopes(self, at_most: int = 4) -> tuple[bytes, ...]:
        return tuple(self._envelope() for _ in range(self.random.randrange(at_most + 1)))

    def _z(self) -> tuple[int, int] | None:
        return self.random.choice((None, (0, 1), (P - 1, P), (2**64 - 1, 5)))

    def _key(self, site: Site) -> bytes:
        return self.random.choice((*self._state(site).keys, identity(9).public, self.liar.public))

    def _body(self, site: Site) -> Any:
        state, rnd = self._state(site), self.random
        members = tuple(sorted(rnd.sample(state.keys, rnd.randrange(len(state.keys) + 1))))
        match rnd.randrange(5):
            case 0:
                contradictions = ("double-vote", "double-deal", "double-ack", "false-vector")
                reasons = ("silent", *contradictions, "bad-dealing", "false-proof", "wrong-sum")
                reason = rnd.choice(reasons)
                changes = (
                    Join(self._envelope()),
                    Depart(self._envelope()),
                    Evict(self._key(site), reason, self._envelopes()),
                    Amend(self._envelope(), self._envelopes()),
                )
                return Membership(tuple(rnd.choices(changes, k=rnd.randrange(1, 3))))
            case 1:
                roots = [tuple(ack.message.dealings) for _, _, _, ack in self.log[-80:] if isinstance(ack.message, Ack)]
                dealers = rnd.choice(roots) if roots else ((0, digest("x")),)
                holders = tuple(sorted(rnd.sample(range(4), rnd.randrange(1, 5))))
                return Contributors(
                    self._round(site), self.genesis.scheme, state.weights_hash, dealers or ((0, bytes(32)),), holders
                )
            case 2:
                wide = layout_of(self.genesis, state.kind).wide
                sums = tuple(wide_bytes(rnd.choice((0, 1, 40 * 2**40, -1))) for _ in range(rnd.choice((wide, wide, 2))))
                return Model(self._round(site), self._hash(site), sums, self._hash(site), self._hash(site))
            case 3:
                return Void(self._round(site), "shares", members)
            case _:
                reason = rnd.choice(("sum", "encoding"))
                return Void(self._round(site), reason, members, rnd.choice((None, self._hash(site))))

    def _block(self, site: Site) -> bytes:
        state = self._state(site)
        if self.random.random() < 0.2:
            return self.random.choice((b"", self.random.randbytes(60), Block(0, bytes(32), self._body(site)).encode()))
        return Block(state.height + 1, state.head, self._body(site)).encode()

    def _something(self, site: Site) -> tuple[Message, bytes | None]:
        """A message, with or without a blob."""
        rnd = self.random
        kind = rnd.choice([kind for kind, _, _ in KINDS])
        blob = rnd.choice((None, self._blob(site)))
        message: Message
        if kind is Deal:
            fingerprints = rnd.randbytes(rnd.choice((32, 32, 32, 0, 7)))
            seeded = rnd.choice(((0,), (1,), (2,), (3,), (), (0, 1), (511,)))
            boxes = tuple(digest(f"{holder}") for holder in range(rnd.choice((4, 4, 4, 3, 5))))
            message = Deal(
                self._round(site),
                rnd.choice((self._state(site).weights_hash, self._hash(site))),
                digest("r"),
                fingerprints,
                rnd.choice((bytes(96), rnd.randbytes(96), self._key_of_somebody())),
                seeded,
                boxes,
            )
        elif kind is Ack:
            dealings = tuple((self._index(), self._hash(site)) for _ in range(rnd.randrange(5)))
            kept = tuple((self._index(), self._index()) for _ in range(rnd.choice((0, 0, 1, 3))))
            if rnd.random() < 0.5:
                dealings, kept = tuple(sorted(dict(dealings).items())), tuple(sorted(set(kept)))
            message = Ack(self._round(site), dealings, kept)
        elif kind is HandBox:
            message = HandBox(self._round(site), self._index(), self._hash(site), self._index(), self._hash(site))
        elif kind is SitOut:
            message = SitOut(self._round(site), rnd.choice(("", "tired", "x" * 400)))
        elif kind is Complaint:
            box, secret = self._hash(site), rnd.choice((self._hash(site), self.liar.public))
            deal = self._deal_of_somebody()
            message = Complaint(self._round(site), self._index(), deal, box, secret, rnd.randbytes(64))
        elif kind is UpheldComplaint:
            message = UpheldComplaint(self._round(site), self._index(), self._hash(site), self._envelope())
        elif kind is SumShare:
            message = SumShare(self._round(site), self._hash(site), self._hash(site))
        elif kind is Proposal:
            data = self._block(site)
            vector = rnd.choice((None, self._hash(site)))
            message = Proposal(data, rnd.choice((-1, -1, 0, 1, 2**31)), self._envelopes(), self._envelopes(), vector)
        elif kind is Prevote:
            message = Prevote(rnd.choice((None, self._hash(site), block_hash(self._block(site)))), self._z())
        elif kind is Precommit:
            message = Precommit(rnd.choice((None, self._hash(site))))
        elif kind is JoinRequest:
            message = JoinRequest("x", rnd.choice(("test model", "mine")), b"ticket", b"")
        elif kind is Refusal:
            message = Refusal("no")
        elif kind is LeaveRequest:
            message = LeaveRequest(self._round(site)) if rnd.random() < 0.05 else GetStatus(digest("n"))
        elif kind is Withdrawal:
            message = Withdrawal(rnd.choice((0, self.now_ms, 2**53)))
        elif kind is Accusation:
            message = Accusation(self._envelope()[:900], self._envelope()[:900])
        elif kind is GetBlocks:
            message = GetBlocks(rnd.choice((0, 1, 2, 2**53)))
        elif kind is Blocks:
            message = Blocks(
                tuple(CertifiedBlock(self._block(site), self._envelopes()) for _ in range(rnd.randrange(3)))
            )
        elif kind is GetWeights:
            message = GetWeights(self._hash(site))
        elif kind is Weights:
            message = Weights(self._hash(site))
        elif kind is Status:
            height = rnd.choice((0, self._state(site).height, self._state(site).height + 1, 2**53))
            shown = [rnd.choice((None, self._envelope()[:800])) for _ in range(3)]
            message = Status(digest("n"), height, *shown)
        elif kind is OptionsProposal:
            change = OptionsChange(rounds=rnd.choice((None, 0, 2, 99)), min_peers=rnd.choice((None, 3, 4, 512)))
            number = rnd.choice((1, 1, 2, 2**31))
            message = OptionsProposal(number, self._round(site), rnd.choice((0, self.now_ms, 2**53)), change)
        elif kind is OptionsVote:
            message = OptionsVote(self._hash(site), rnd.random() < 0.5)
        else:
            message = GetStatus(digest("n"))
        return message, blob

    def _key_of_somebody(self) -> bytes:
        """The key of another dealer's boxes."""
        return next((one.message.key for _, _, _, one in self.log if isinstance(one.message, Deal)), bytes(96))

    def _deal_of_somebody(self) -> bytes:
        deals = [message.raw for _, _, _, message in self.log if isinstance(message.message, Deal)]
        return self.random.choice(deals) if deals else self._envelope()


def chat(seed: int) -> Chatter:
    chatter = Chatter(seed)
    try:
        chatter.go()
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
    return chatter


@pytest.mark.parametrize("seed", range(30))
def test_whatever_one_member_says_the_others_finish_and_accuse_nobody_else(seed: int) -> None:
    chat(seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1_000, 3_000))
def test_whatever_one_member_says_the_others_finish_and_accuse_nobody_else_soak(seed: int) -> None:
    chat(seed)


def test_everything_that_can_be_said_is_said() -> None:
    chatters = [chat(seed) for seed in range(14)]
    assert {kind for one in chatters for kind in one.said} == {kind for kind, _, _ in KINDS}
    assert sum(one.sums for one in chatters) > 100
