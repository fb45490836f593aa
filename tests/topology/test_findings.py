"""What was found once: runs that ended without a decision, and attacks that the sweep did not try.

Each run but one is also made with the rule left out that mends it. All needed a liar and something else at one certain
moment: one in 5,000 random runs met it. Some of the scenarios are not those that were met but their like, since liars
have become better at lying. The rule behind the one run is left out in ``tests/protocol/agreement/test_height.py``.

Each of the attacks is found by the sweep on a build without its mend, within the seeds that ``make test`` runs.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
import numpy as np
import pytest

from coterie.protocol.agreement import choosing, giving_up, proposing, tendermint, validity
from coterie.protocol.agreement.choosing import Choosing
from coterie.protocol.agreement.giving_up import GivingUp
from coterie.protocol.agreement.height import Agreement
from coterie.protocol.agreement.open_sum import OpenSum
from coterie.protocol.agreement.sum_votes import SumVotes
from coterie.protocol.agreement.voting import prevotes_among
from coterie.protocol.context import Context
from coterie.protocol.early_messages import EarlyMessages
from coterie.protocol.events import Event, Send, Step
from coterie.protocol.handlers.votes import Votes
from coterie.protocol.ledger import certificates, contribution
from coterie.protocol.ledger import state as ledger
from coterie.protocol.ledger.blocks import Model, Void, read_block
from coterie.protocol.ledger.evidence import contradiction
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.messages.envelope import Verified, verify
from coterie.protocol.messages.kinds import (
    Accusation,
    CertifiedBlock,
    JoinRequest,
    Precommit,
    Prevote,
    Proposal,
    SumShare,
)
from coterie.protocol.round import acks, complaints, overdue_acks, sharing
from coterie.protocol.round.settling import Settling
from coterie.protocol.round.sum_proofs import SumProofs
from coterie.protocol.round.summing import Summing
from coterie.protocol.schemes import plain
from coterie.protocol.sync import catchup
from coterie.topology.adversaries import Adversary
from coterie.topology.engine import training
from coterie.topology.engine.founded_ledger import make_genesis
from coterie.topology.engine.simulation import Setup, Simulation
from coterie.topology.engine.site import CrashPoint, Site
from coterie.topology.faults.joins_and_leaves import Coming
from coterie.topology.invariants import Checker, Violation, secrecy
from coterie.topology.invariants.barred import Barred
from coterie.topology.invariants.blame import Blame
from coterie.topology.invariants.counted import Counted
from coterie.topology.invariants.evidence import Evidence
from coterie.topology.invariants.liveness import Liveness
from coterie.topology.invariants.named import Named
from coterie.topology.invariants.progress import Progress
from coterie.topology.invariants.secrecy import Secrecy
from coterie.topology.invariants.validity import Validity
from coterie.topology.network.graphs import LinkDefaults, make
from coterie.topology.sweep.scenarios import BOUND_MS, Failure, Scenario, build, run, scenario_of

SWEEP = range(480)

PROOF_SHOWN_TO_SOME = [
    Scenario(
        seed=10553,
        topology="star",
        latency_ms=(20, 150),
        byzantine=("2=twins+view-flood",),
        partition="mid-release",
    ),
]
"""A liar shows its z to some only, and once: these lock a block that they cannot prove to the others."""

A_VIEW_AHEAD = [
    Scenario(
        seed=6916,
        topology="ring",
        peers=5,
        latency_ms=(1, 10),
        byzantine=("3=invalid-value+silent",),
        partition="at-votes",
        crashes=((1, CrashPoint("sending", 3, "VoteCast", 4728)),),
    ),
]
"""A member is restarted after its vote became durable and before it was sent, and goes on to the next view alone."""

LED_AWAY = [
    Scenario(
        seed=19,
        topology="star",
        latency_ms=(1, 10),
        loss=0.05,
        byzantine=("0=selective+wrong-share",),
        partition="at-votes",
    ),
    Scenario(
        seed=105,
        topology="ring",
        latency_ms=(1, 10),
        byzantine=("1=selective+wrong-share",),
        partition="mid-release",
        crashes=((2, CrashPoint("after", 4, "VoteCast", 5576)),),
    ),
]
"""A liar votes in front of one member only: with the others' votes these are a quorum, by which it goes on to the next
view before it has voted in this one, where the others wait for its vote.
"""


def is_stuck(scenario: Scenario) -> bool:
    found = run(scenario)
    if isinstance(found, Failure):
        assert found.invariant == "liveness", found
    return isinstance(found, Failure)


@pytest.mark.parametrize("scenario", PROOF_SHOWN_TO_SOME + A_VIEW_AHEAD + LED_AWAY, ids=lambda one: str(one.seed))
def test_what_once_was_stuck_ends(scenario: Scenario) -> None:
    assert not is_stuck(scenario)


@pytest.mark.parametrize("scenario", A_VIEW_AHEAD, ids=lambda one: str(one.seed))
def test_a_member_that_leaves_a_view_alone_and_takes_its_prevote_with_it_is_missed_there(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    resend, start = Agreement.resend, tendermint.Consensus.start

    def hasty(self: Any) -> list[tendermint.Action]:
        actions = start(self)
        if (self.view, self.stage) == (0, tendermint.Stage.PROPOSE):
            return actions
        return [*actions, tendermint.StartTimeout(self.stage, self.view)]

    def forgetful(self: Any, to: bytes | None) -> None:
        old = self.consensus.prevotes(self.consensus.view - 1)
        mine = old.pop(self.ctx.me, None) if isinstance(old, dict) else None
        resend(self, to)
        if mine is not None:
            assert isinstance(mine.message, Prevote)
            old[self.ctx.me] = mine

    monkeypatch.setattr(tendermint.Consensus, "start", hasty)
    monkeypatch.setattr(Agreement, "resend", forgetful)
    assert is_stuck(scenario)


@pytest.mark.parametrize("scenario", LED_AWAY, ids=lambda one: str(one.seed))
def test_a_member_that_a_liar_leads_on_before_it_has_voted_is_missed_by_the_others(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_view = tendermint.Consensus._start_view

    def without_votes(self: Any, view: int) -> None:
        before = len(self._out)
        start_view(self, view)
        self._out[before:] = [one for one in self._out[before:] if not isinstance(one, tendermint.CastVote)]

    monkeypatch.setattr(tendermint.Consensus, "_start_view", without_votes)
    # The liar's vote carries a false z here, and one that is passed on would reach the others all the same.
    monkeypatch.setattr(SumVotes, "_pass_on", lambda self, vote: None)
    assert is_stuck(scenario)


FORGOT_ITS_DISPUTES = Scenario(
    seed=16,
    peers=5,
    latency_ms=(1, 10),
    byzantine=("2=shun-in-turn",),
    crashes=((1, CrashPoint("sending", 0, "Dealt", 3596)),),
    view_delta_ms=1000,
)
"""A dealer is restarted, forgets which liar refuses its shares, and is not waited for until its own share deadline."""


def test_a_dealer_that_was_left_out_hands_over_at_once_what_was_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run(FORGOT_ITS_DISPUTES, [Counted]), str)
    monkeypatch.setattr(sharing.Sharing, "_learn_left_out", lambda self: None)
    monkeypatch.setattr(sharing.Sharing, "is_late", lambda self: False)  # or it would hand over a little later
    found = run(FORGOT_ITS_DISPUTES, [Counted])
    assert isinstance(found, Failure)
    assert "does without 1" in found.what


ACCUSED_DURING_A_CUT = Scenario(seed=5, latency_ms=(20, 150), byzantine=("1=twin-deal",), partition="one-way")
"""A dealer deals twice, and the proof is lost to one member: it insists on a dealing that the others leave out."""


def test_a_contradiction_that_a_cut_keeps_from_a_member_reaches_it_later(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_stuck(ACCUSED_DURING_A_CUT)
    monkeypatch.setattr(Context, "accuse_again", lambda self, to: None)
    assert is_stuck(ACCUSED_DURING_A_CUT)


BEGAN_LATE = Scenario(seed=9703, peers=4, rounds=1, latency_ms=(1, 10), byzantine=("2=refuse+two-faced",))
"""A liar refuses all shares, and a member that begins the round late has its own deadline after the others decided."""


def test_a_dealer_that_began_late_hands_over_when_the_others_deadline_has_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(run(BEGAN_LATE), str)
    monkeypatch.setattr(sharing.Sharing, "is_late", lambda self: False)
    found = run(BEGAN_LATE)
    assert isinstance(found, Failure)
    assert found.what == "round 1 does without 0, which was there in time"


ACKED_TO_ITS_DEALER = Scenario(
    seed=14878,
    peers=10,
    rounds=1,
    latency_ms=(1, 10),
    byzantine=("3=ack-to-dealer", "1=ack-to-dealer", "9=ack-to-dealer"),
    threshold=6,
    view_delta_ms=1000,
)
"""Colluders ack a dealing to its dealer alone: to the others it is one that too few hold, and nobody asks for it."""


def test_a_dealer_is_shown_that_others_lack_acks_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run(ACKED_TO_ITS_DEALER), str)
    acked_by = Settling.acked_by
    monkeypatch.setattr(
        Settling,
        "acked_by",
        lambda self, least, present: acked_by(self, max(least, self.committee.sum_quorum), present),
    )
    found = run(ACKED_TO_ITS_DEALER)
    assert isinstance(found, Failure)
    assert found.what == "round 1 does without 4, which was there in time"


ANOTHER_VECTOR = Scenario(
    seed=5596,
    peers=10,
    rounds=4,
    latency_ms=(1, 10),
    byzantine=("6=wrong-share",),
    scheme="plain",
    view_delta_ms=1000,
)
"""A liar commits to one vector in each round and sends another one."""


def test_a_plain_vector_that_was_not_dealt_is_proof_against_its_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_stuck(ANOTHER_VECTOR)
    simulation = build(ANOTHER_VECTOR)
    simulation.run(BOUND_MS)
    states = [one.node.state for one in simulation.honest if one.node is not None]
    assert [state.gone[simulation.sites[6].key].barred for state in states] == [True] * 9

    monkeypatch.setattr(OpenSum, "_check_vector", lambda self, share: None)
    assert is_stuck(ANOTHER_VECTOR)


def test_a_plain_round_ends_at_once_when_a_contributor_is_proved_to_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lasts_ms(ANOTHER_VECTOR) < 10_000
    monkeypatch.setattr(GivingUp, "_is_lost", lambda self: False)
    assert lasts_ms(ANOTHER_VECTOR) > 30_000, "2(f+1) views"


def lasts_ms(scenario: Scenario) -> int:
    simulation = build(scenario)
    simulation.run(BOUND_MS)
    return simulation.clock.elapsed_ms


LEARNED_IN_TIME = Scenario(
    seed=26782,
    peers=5,
    rounds=4,
    latency_ms=(1, 10),
    byzantine=("2=shun",),
    crashes=((1, CrashPoint("after", 3, "VoteCast", 1_000)),),
)
"""A dealer that begins late hands over when the others do. In the next round they expect it to do so at once."""


def test_a_dealer_remembers_what_the_others_remember(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run(LEARNED_IN_TIME), str)
    monkeypatch.setattr(
        sharing.Sharing, "hand_over_lacking", lambda self, *there: self._hand_over(self._lacking(*there))
    )
    found = run(LEARNED_IN_TIME)
    assert isinstance(found, Failure)
    assert found.what == "round 4 does without 1, which was there in time"


HURRIED = Scenario(
    seed=35654,
    rounds=4,
    latency_ms=(1, 10),
    byzantine=("2=shun-in-turn",),
    crashes=((1, CrashPoint("sending", 2, None, 300)),),
)
"""A proposal without a member begins the views long before the share deadline: soon nobody would insist on it."""


def test_views_that_begin_early_do_not_make_members_give_up_before_the_share_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(run(HURRIED), str)
    on_deadline = overdue_acks.OverdueAcks.on_deadline
    monkeypatch.setattr(
        overdue_acks.OverdueAcks, "on_deadline", lambda *there: on_deadline(*there[:-1], b"")
    )  # itself, too
    assert isinstance(run(HURRIED), str)
    choice = choosing.wrong_choice
    monkeypatch.setattr(choosing, "wrong_choice", lambda *asked: choice(*asked[:-1], asked[1].out.view < 4))
    found = run(HURRIED)
    assert isinstance(found, Failure)
    assert found.what == "round 2 does without 3, which was there in time"


ACCUSED_OF_OLD = Scenario(seed=1, rounds=6, latency_ms=(1, 10), byzantine=("1=old-accusation",))
"""A liar accuses itself of a contradiction of an old round before all, and shows the victim alone one of this round."""


def test_what_a_member_was_accused_of_before_does_not_hide_what_it_does_now(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run(ACCUSED_OF_OLD), str)
    monkeypatch.setattr(Context, "accuse", accuses_once())
    assert goes_on_and_on(ACCUSED_OF_OLD)


ACKS_ONE_BY_ONE = Scenario(
    seed=14,
    peers=10,
    rounds=6,
    latency_ms=(1, 10),
    byzantine=("1=single-acks", "2=single-acks", "3=single-acks"),
)
"""Liars ack each dealing alone, and not to the victim: a proposal brings it more of their acks than it used to read."""


def test_acks_that_name_one_dealing_each_are_read_as_far_as_liars_can_need_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(run(ACKS_ONE_BY_ONE), str)
    ours = validity.wrong_contributors
    monkeypatch.setattr(
        choosing, "wrong_contributors", lambda *asked: ours(*asked[:3], asked[3][: 2 * asked[1].committee.n])
    )
    carried = validity.acks_behind  # the same come first in each view
    monkeypatch.setattr(proposing, "acks_behind", lambda sharing, body, view: carried(sharing, body, 0))
    monkeypatch.setattr(Settling, "choice_by_proof", lambda self: None)
    assert goes_on_and_on(ACKS_ONE_BY_ONE)


A_FALSE_AND_A_RIGHT_ONE = Scenario(
    seed=0, peers=7, rounds=6, latency_ms=(1, 10), byzantine=("1=two-complaints", "2=two-complaints")
)
"""A liar complains rightly about the other one to a member, and falsely to the others, which hear it no more."""


def test_a_right_complaint_is_believed_whatever_else_its_author_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run(A_FALSE_AND_A_RIGHT_ONE), str)
    monkeypatch.setattr(complaints.Complaints, "_pass_on", lambda self, dealer, complaint, box: None)
    assert goes_on_and_on(A_FALSE_AND_A_RIGHT_ONE)


def goes_on_and_on(scenario: Scenario) -> bool:
    found = run(scenario)
    return isinstance(found, Failure) and found.invariant in ("liveness", "progress")


# Attacks.

Weaken = Callable[[pytest.MonkeyPatch], None]


ALL_ARE_NEEDED = Scenario(
    seed=10815,
    peers=4,
    rounds=4,
    latency_ms=(1, 10),
    byzantine=("3=fail-and-shun",),
    threshold=3,
)
"""K+f are four of four, and a holder refuses a share that others hold for it."""


def test_a_holder_that_keeps_a_sum_from_being_repeated_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run(ALL_ARE_NEEDED), str)
    monkeypatch.setattr(Settling, "withheld", lambda *_: frozenset())
    assert is_stuck(ALL_ARE_NEEDED)


ALL_VOTES_ARE_NEEDED = Scenario(
    seed=6668, rounds=1, latency_ms=(20, 150), byzantine=("1=single-acks",), threshold=3, view_delta_ms=1000
)
"""K+f are four of four, and a holder gives its sum and no vote."""


def test_a_sum_that_is_open_and_cannot_be_proved_is_given_up_as_soon_as_one_that_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert lasts_ms(ALL_VOTES_ARE_NEEDED) < 15_000, "2(f+1) views"
    monkeypatch.setattr(GivingUp, "_is_withheld", lambda self, view: False)
    assert lasts_ms(ALL_VOTES_ARE_NEEDED) > 35_000, "4(f+1) views"


LINKED_WITH_SOME = Scenario(
    seed=34127,
    peers=10,
    rounds=1,
    latency_ms=(1, 10),
    byzantine=("3=choosy", "1=choosy", "4=choosy"),
    threshold=5,
    setup_sums=0,
    view_delta_ms=300,
)
"""K+f are eight of ten. Three give their sums and no votes, and have no link with some of the others."""


def test_an_open_sum_that_cannot_be_proved_is_given_up_though_not_everybody_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert lasts_ms(LINKED_WITH_SOME) < 60_000
    rule = GivingUp.why_not_give_up

    def waits_for_all(self: GivingUp, view: int) -> str | None:
        summing, there = self.summing, self.ctx.alive | {self.ctx.me}
        dealers = {summing.committee.members[index] for index, _ in summing.body.dealers}
        return rule(self, view) if dealers <= there else "not everybody is there to repeat the sum"

    monkeypatch.setattr(GivingUp, "why_not_give_up", waits_for_all)
    assert lasts_ms(LINKED_WITH_SOME) == BOUND_MS, "those without the links wait for ever"


class NoVotes(Adversary):
    """Says nothing for a sum, and nil where it votes, so that views go on."""

    name = "no-votes"

    def bend_send(self, receiver: Site, message: Verified, send: Send) -> Iterable[Send]:
        node, said = self.site.node, message.message
        if message.sender != self.site.key or node is None or node.state.phase is not Phase.SUMMING:
            return (send,)
        if isinstance(said, Proposal):
            return ()
        if isinstance(said, Prevote | Precommit):
            nil = Prevote(None, None) if isinstance(said, Prevote) else Precommit(None)
            return (Send(send.to, self.sign(nil, message.height, message.view)),)
        return (send,)


class NoSum(NoVotes):
    """Nor does it give its sum."""

    name = "no-sum"

    def bend_send(self, receiver: Site, message: Verified, send: Send) -> Iterable[Send]:
        return () if isinstance(message.message, SumShare) else super().bend_send(receiver, message, send)


class NoZ(NoVotes):
    """Votes for a sum, and for its proof says nothing."""

    name = "no-z"

    def bend_send(self, receiver: Site, message: Verified, send: Send) -> Iterable[Send]:
        said = message.message
        if isinstance(said, Prevote) and message.sender == self.site.key and said.z is not None:
            return (Send(send.to, self.sign(Prevote(said.block_hash, None), message.height, message.view)),)
        return () if isinstance(said, Proposal) and said.vector_hash is not None else (send,)


class NoSumForSome(Adversary):
    """Keeps its sum to itself, and from then on no link with one member."""

    name = "no-sum-for-some"

    def bend_step(self, event: Event, step: Step) -> Step:
        node, simulation = self.site.node, self.simulation
        if node is not None and node.state.phase is Phase.SUMMING and self.site.number not in simulation.unlinked:
            simulation.unlinked[self.site.number] = {simulation.honest[0].number}
            simulation.detect_later(1)
        return step

    def bend_send(self, receiver: Site, message: Verified, send: Send) -> Iterable[Send]:
        return () if isinstance(message.message, SumShare) else (send,)


def decided(scenario: Scenario, liars: Iterable[type[Adversary]]) -> list[str]:
    """Return how the rounds of a scenario ended, with these liars in the first places."""
    simulation = build(scenario)
    for site, liar in zip(simulation.sites, liars, strict=False):
        site.adversaries = (liar(simulation, site),)
    simulation.run(BOUND_MS)
    bodies = [read_block(one.block).body for one in simulation.sites[-1].disk.load().blocks]
    return [one.reason if isinstance(one, Void) else "model" for one in bodies if isinstance(one, Void | Model)]


AWAY_FROM_A_SUM = Scenario(
    seed=1, rounds=1, latency_ms=(1, 10), crashes=((3, CrashPoint("after", 0, "Released", 60_000)),)
)
"""A member is down for a minute, and back when 2(f+1) views are long over."""


@pytest.mark.parametrize(
    ("scenario", "liars"),
    [
        (replace(AWAY_FROM_A_SUM, threshold=3), ()),
        (AWAY_FROM_A_SUM, (NoVotes,)),
        (AWAY_FROM_A_SUM, (NoSum,)),
        (AWAY_FROM_A_SUM, (NoZ,)),
        (replace(AWAY_FROM_A_SUM, peers=7), (NoVotes, NoSum)),
    ],
)
def test_who_comes_back_to_a_sum_that_needs_it_has_the_time_to_take_part(
    monkeypatch: pytest.MonkeyPatch, scenario: Scenario, liars: tuple[type[Adversary], ...]
) -> None:
    assert decided(scenario, liars) == ["model"]
    rule, value = GivingUp.why_not_give_up, GivingUp.value

    def looks_at_now_alone(self: GivingUp, view: int) -> str | None:
        self._lacking = -1
        return rule(self, view)

    def proposes_no_old_sum(self: GivingUp, view: int) -> Any:
        found = value(self, view)
        return None if isinstance(found, Model) and not self._has_open_sum(view) else found

    monkeypatch.setattr(GivingUp, "why_not_give_up", looks_at_now_alone)
    monkeypatch.setattr(GivingUp, "value", proposes_no_old_sum)
    assert decided(scenario, liars) == ["sum"], "it is void before the member that is back can have said anything"


def test_a_sum_that_honest_members_can_prove_waits_for_them_though_liars_withhold_their_proof(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert decided(AWAY_FROM_A_SUM, [NoZ]) == ["model"]
    monkeypatch.setattr(GivingUp, "_needs_liars", lambda self: True)
    assert decided(AWAY_FROM_A_SUM, [NoZ]) == ["sum"]


LINKED_WITH_ALL_BUT_ONE = Scenario(seed=1, rounds=1, latency_ms=(1, 10), threshold=3)
"""K+f are four of four."""


def test_a_sum_that_f_plus_1_give_up_is_given_up_by_who_misses_a_liar_that_these_see(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert decided(LINKED_WITH_ALL_BUT_ONE, [NoSumForSome]) == ["sum"]
    monkeypatch.setattr(GivingUp, "_is_given_up_elsewhere", lambda self, view: False)
    assert decided(LINKED_WITH_ALL_BUT_ONE, [NoSumForSome]) == []


@pytest.mark.parametrize("seed", [24164, 37952])
def test_a_plain_sum_whose_proof_lacks_a_vote_is_given_up_in_the_next_view(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Ten members on slow networks, one of which contributes, gives its vector and keeps its vote to itself."""
    scenario = scenario_of(seed)
    assert isinstance(run(scenario), str)
    # Members to which not all vectors came would give it up soon after.
    monkeypatch.setattr(GivingUp, "_patience_with_absence", GivingUp._patience)
    assert isinstance(run(scenario), str)
    rule = GivingUp._is_withheld
    monkeypatch.setattr(
        GivingUp,
        "_is_withheld",
        lambda self, view: self.ctx.state.genesis.scheme != "plain" and rule(self, view),
    )
    found = run(scenario)
    assert isinstance(found, Failure)
    assert found.invariant in ("progress", "liveness")


SHUNNED = scenario_of(5075)
"""Three of ten members first hold up the sharing, and then keep back a plain vector."""


def test_a_plain_sum_that_f_plus_1_honest_aggregators_have_to_miss_lasts_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(run(SHUNNED), str)
    monkeypatch.setattr(GivingUp, "_patience_with_absence", lambda self: 2 * self.ctx.state.committee.f + 1)
    found = run(SHUNNED)
    assert isinstance(found, Failure)
    assert found.invariant == "progress"


WITHHELD = scenario_of(35162)
"""Two of ten members never give their plain vectors; all others are there, and each aggregator misses the same two."""


def test_a_plain_sum_is_given_up_once_two_honest_aggregators_missed_a_vector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(run(WITHHELD), str)
    monkeypatch.setattr(GivingUp, "_patience_with_absence", GivingUp._patience)
    found = run(WITHHELD)
    assert isinstance(found, Failure)
    assert found.invariant == "liveness"


def test_an_aggregator_lets_the_vectors_come_before_it_gives_a_plain_sum_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that have all vectors refuse to give up in a view in which the rest have not yet been aggregators."""
    monkeypatch.setattr(GivingUp, "_is_lost", lambda self: False)
    patient = lasts_ms(ANOTHER_VECTOR)
    monkeypatch.setattr(GivingUp, "_has_no_sum", lambda self, view: True)
    assert lasts_ms(ANOTHER_VECTOR) < patient, "an aggregator proposes it before anything could come, and is refused"


@pytest.mark.parametrize(
    ("scheme", "threshold", "peers"), [("plain", 0, 4), ("plain", 0, 5), ("shamir", 3, 4), ("shamir", 4, 5)]
)
def test_a_proof_from_several_views_proves_a_sum_to_whoever_is_shown_it(
    monkeypatch: pytest.MonkeyPatch, scheme: str, threshold: int, peers: int
) -> None:
    """A liar gives its z of view 0 to one member, which locks, and false ones to the others in each later view."""
    scenario = Scenario(
        seed=2, peers=peers, rounds=8, latency_ms=(1, 10), byzantine=("0=mixed-proof",), scheme=scheme,
        threshold=threshold,
    )  # fmt: skip
    assert isinstance(run(scenario), str)
    monkeypatch.setattr(SumProofs, "_as_brought", lambda self, block: {})
    found = run(scenario)
    assert isinstance(found, Failure)
    assert found.invariant in ("progress", "liveness"), "the member that is locked and the others wait for each other"


ERASED = Scenario(
    seed=4,
    peers=4,
    rounds=3,
    latency_ms=(1, 10),
    byzantine=("0=erase-proof",),
    scheme="plain",
    crashes=((2, CrashPoint("after", 5, "ValueSeen", 300)),),
)
"""A member is restarted once it has locked. A liar proposes its block, with a false W and a false z as its proof."""


def test_a_proposal_that_is_refused_takes_no_proof_from_a_restarted_member(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run(ERASED), str)
    enter = Agreement._enter

    def believing(self: Agreement, proposal: Verified, digest: bytes, is_valid: bool) -> None:
        assert isinstance(proposal.message, Proposal)
        if self.open_sum is not None:
            brought = self.open_sum.summing.proofs.brought
            brought[digest] = prevotes_among(self.ctx, proposal.message.polka) or brought.get(digest, [])
        enter(self, proposal, digest, is_valid)

    monkeypatch.setattr(Agreement, "_enter", believing)
    assert is_stuck(ERASED)


def test_a_false_sum_in_the_first_view_does_not_make_a_plain_round_void(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can prove it. The next aggregator opens the real one, if it waits for the vectors in its turn."""
    scenario = Scenario(
        seed=1, peers=4, rounds=12, latency_ms=(1, 10), byzantine=("0=false-first",), scheme="plain"
    )  # fmt: skip
    assert voids_of(scenario) == 0
    monkeypatch.setattr(GivingUp, "_has_no_sum", lambda self, view: True)
    assert voids_of(scenario) > 0


def voids_of(scenario: Scenario) -> int:
    simulation = build(scenario)
    assert simulation.run(BOUND_MS)
    return sum(isinstance(read_block(one.block).body, Void) for one in simulation.honest[0].disk.blocks)


class Litter(Adversary):
    """Says things of rounds far ahead, and is gone."""

    name = "litter"

    def bend_send(self, receiver: Site, message: Verified, send: Send) -> Iterable[Send]:
        return () if isinstance(message.message, JoinRequest) else (send,)

    def bend_step(self, event: Event, step: Step) -> Step:
        node = self.site.node
        if node is not None and node.state.round == 2 and node.state.phase is Phase.SHARING and step.send:
            for other in self.others:
                for number in range(4):
                    blob = bytes([number]) * 1000
                    self.say(other, self.sign(SumShare(2**40 + number, bytes(32), digest_of(blob))), blob)
            self.simulation.clock.after(2500, self.simulation.crash, self.site, None)
        return step


def test_what_a_member_said_early_is_dropped_once_it_is_no_member_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def kept() -> set[bytes]:
        scenario = Scenario(seed=5, peers=4, rounds=14, evict_after_rounds=2, latency_ms=(1, 10))
        simulation = build(scenario)
        litter = simulation.sites[3]
        litter.adversaries = (Litter(simulation, litter),)
        simulation.goal = lambda site: site is litter or (site.node is not None and site.node.state.round > 12)
        assert simulation.run(BOUND_MS)
        nodes = [one.node for one in simulation.sites[:3] if one.node is not None]
        assert all(node.state.member(litter.key) is None for node in nodes)
        return {key for node in nodes for key in node.ctx.early._kept}

    assert kept() == set()
    monkeypatch.setattr(EarlyMessages, "forget_strangers", lambda self, is_listened_to: None)
    assert len(kept()) == 1


LATE_IN_TURN = scenario_of(39345)
"""Every member's z is needed (K+f = n), and views are short on paths of 0.45 s: another member is late in each."""


def test_a_sum_is_proved_by_what_members_said_of_it_in_different_views(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run(LATE_IN_TURN), str)
    monkeypatch.setattr(SumProofs, "_in_all_views", lambda self, block, heard: {})
    found = run(LATE_IN_TURN)
    assert isinstance(found, Failure)
    assert found.what == "round 2 is void (sum), and nobody answers for it"


CRAWLS = Scenario(seed=1, rounds=5, latency_ms=(1, 10), byzantine=("1=crawl",), parameters=18_000)
"""A dealer lets a holder's pull of its box crawl, has others keep that box, and refuses one ack."""


def test_a_holder_fetches_its_box_from_those_that_keep_it_though_its_dealer_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(run(CRAWLS), str)
    monkeypatch.setattr(sharing.Sharing, "_fetch_from", lambda self, offers: self.out.fetch(offers[0]))
    found = run(CRAWLS)
    assert isinstance(found, Failure)
    assert found.what.endswith("is void (shares), and nobody answers for it")


CRAWLS_TO_A_NEWCOMER = replace(CRAWLS, comings=(Coming(4, 500),))
"""A newcomer pulls the model from a member that lets it crawl, and is needed for each sum from then on."""


def test_a_newcomer_fetches_the_model_from_another_member_when_it_does_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert has_model_everywhere(CRAWLS_TO_A_NEWCOMER)
    monkeypatch.setattr(catchup.CatchUp, "_may_ask_one_more", lambda self: None)
    assert not has_model_everywhere(CRAWLS_TO_A_NEWCOMER)


def has_model_everywhere(scenario: Scenario) -> bool:
    simulation = build(scenario)
    simulation.run(BOUND_MS)
    return all(one.node is not None and one.node.ctx.weights is not None for one in simulation.honest)


PROVED_IN_A_REPETITION = Scenario(seed=1, rounds=12, latency_ms=(1, 10), byzantine=("1=fail-and-garble",))
"""A member has a sum fail, deals garbage while it is repeated, and lets the view fail in which it would be evicted."""


def test_a_member_that_is_proved_to_deal_falsely_in_a_repetition_is_evicted_in_whatever_view(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert lasts_ms(PROVED_IN_A_REPETITION) < 60_000
    monkeypatch.setattr(Choosing, "_heeds_proofs_alone", lambda self, view: view > 0)
    assert lasts_ms(PROVED_IN_A_REPETITION) == BOUND_MS, "it waits for the liar for ever"


SEEN_BY_A_NEWCOMER = Scenario(
    seed=1871,
    topology="ring",
    rounds=4,
    latency_ms=(1, 10),
    byzantine=("1=fail-and-garble",),
    trains=1,
    comings=(Coming(4, 666, "failed"),),
    view_delta_ms=1000,
)
"""A newcomer, which has no part in the repetition, opens a box that somebody complains about."""


def test_a_newcomer_that_finds_a_complaint_right_does_not_say_so_in_a_round_it_is_not_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(run(SEEN_BY_A_NEWCOMER), str)

    def tell(self: Any, dealer: int, to: bytes | None) -> None:
        self.out.send(to, self._told[dealer].envelope, self._told[dealer].blob)

    monkeypatch.setattr(complaints.Complaints, "_tell", tell)
    found = run(SEEN_BY_A_NEWCOMER)
    assert isinstance(found, Failure)
    assert found.what == "3 names 4, which is honest: round 4: a complaint without a dealing"


def believed_without_proof(self: Any, keeper: int, ack: Verified, named: Any) -> None:
    """What an ack says is kept is believed, and nothing shows it to others once a larger ack is there."""
    for dealer, other in ack.message.kept:  # type: ignore[union-attr]
        if keeper not in (dealer, other):
            self._keepers.setdefault((dealer, named[dealer], other), set()).add(keeper)


A_LOST_KEEPER = Scenario(
    seed=1, peers=10, rounds=2, latency_ms=(1, 10), byzantine=("1=lost-keeper", "4=lost-keeper", "7=lost-keeper")
)


def test_what_a_member_was_told_of_kept_boxes_it_can_show_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run(A_LOST_KEEPER), str)
    monkeypatch.setattr(acks.Acks, "_believe_kept", believed_without_proof)
    found = run(A_LOST_KEEPER)
    assert isinstance(found, Failure)
    assert re.search(r"round \d lasted \d+ s, with all honest members there", found.what)


STRUCK_BY_SOME = replace(A_LOST_KEEPER, seed=3)
"""One hears of all boxes in one ack, and the others in so many that its author is no keeper for them."""


def test_who_is_no_keeper_for_some_is_none_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run(STRUCK_BY_SOME), str)
    monkeypatch.setattr(acks.Acks, "take_together", lambda self, acks: None)
    found = run(STRUCK_BY_SOME)
    assert isinstance(found, Failure)
    assert re.search(r"round \d lasted \d+ s, with all honest members there", found.what)


CHOOSES_ITS_LINKS = Scenario(seed=1, peers=7, rounds=2, latency_ms=(1, 10), byzantine=("1=choosy", "4=choosy"))


def test_a_liar_that_chooses_whom_it_keeps_a_link_with_does_not_stop_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run(CHOOSES_ITS_LINKS), str)
    monkeypatch.setattr(Settling, "choice_by_proof", lambda self: None)
    found = run(CHOOSES_ITS_LINKS)
    assert isinstance(found, Failure)
    assert re.search(r"round \d lasted \d+ s, with all honest members there", found.what)


LOST_THOUGH_OPEN = Scenario(
    seed=12117,
    peers=10,
    rounds=1,
    latency_ms=(1, 10),
    byzantine=("0=wrong-share+two-faced",),
    scheme="plain",
    comings=(Coming(10, 5436),),
    view_delta_ms=1000,
)
"""A liar gives its vector to some aggregators, and its fingerprint to nobody."""


def test_a_plain_sum_that_a_liar_lets_some_open_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run(LOST_THOUGH_OPEN), str)
    monkeypatch.setattr(giving_up, "is_private", lambda scheme: True)  # it is insisted on as if something were lost
    monkeypatch.setattr(GivingUp, "_is_withheld", lambda self, view: False)
    found = run(LOST_THOUGH_OPEN)
    assert isinstance(found, Failure)
    assert re.search(r"round 1 lasted \d+ s", found.what)


EVICTED_IN_ITS_ROUND = Scenario(
    seed=28,
    topology="ring",
    peers=7,
    rounds=4,
    latency_ms=(20, 150),
    loss=0.05,
    byzantine=("3=two-faced", "5=equivocate"),
    threshold=5,
    comings=(Coming(7, 1969, "failed"),),
    view_delta_ms=1000,
)
"""A liar is evicted for its dealings, belongs to the round still, and acks this to some and that to others."""


def test_acks_of_an_evicted_member_that_contradict_each_other_are_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_stuck(EVICTED_IN_ITS_ROUND)
    monkeypatch.setattr(Votes, "on_accusation", heeds_members_only)
    assert is_stuck(EVICTED_IN_ITS_ROUND)


def heeds_members_only(self: Votes, accusation: Accusation) -> None:
    """As before: an evicted member cannot be accused again."""
    first = verify(accusation.first, self.ctx.state.federation)
    if isinstance(first, Verified) and self.ctx.state.member(first.sender) is not None:
        ON_ACCUSATION(self, accusation)


ON_ACCUSATION = Votes.on_accusation


ACCUSED_BEFORE = replace(scenario_of(3018), seed=4, has_final_metrics=False)
"""A liar is evicted, is needed to repeat a sum, and contradicts itself in each round of its own."""


def test_a_member_that_contradicts_itself_in_each_round_is_accused_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_stuck(ACCUSED_BEFORE)
    monkeypatch.setattr(Context, "accuse", accuses_once())
    assert is_stuck(ACCUSED_BEFORE)


def accuses_once() -> Callable[[Context, Verified, Verified], None]:
    """As before: whoever was accused in one round is not accused in another."""
    seen: set[object] = set()

    def accuse(self: Context, first: Verified, second: Verified) -> None:
        place = self.me, contradiction((first, second))
        if place not in seen:
            seen.add(place)
            ACCUSE(self, first, second)

    return accuse


ACCUSE = Context.accuse


EVICTED_WHILE_REPEATED = Scenario(
    seed=12631,
    topology="ring",
    peers=5,
    rounds=4,
    latency_ms=(1, 10),
    loss=0.05,
    byzantine=("1=view-flood",),
    flapping=0.2,
    threshold=4,
    setup_sums=2,
    comings=(Coming(site=5, delay_ms=1288, moment="failed", leaves=False),),
)
"""A liar contributed to a sum that failed, and is evicted in the round that is to repeat it: four of five are left."""


def test_a_repeated_round_whose_committee_lost_a_member_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_stuck(EVICTED_WHILE_REPEATED)
    monkeypatch.setattr(Choosing, "_has_to_repeat", lambda self: self.ctx.state.required is not None)
    assert is_stuck(EVICTED_WHILE_REPEATED)


KEEPERS_THAT_FORGET = Scenario(
    seed=9813, peers=4, rounds=1, latency_ms=(1, 10), byzantine=("2=amnesia",), partition="during-join", churn=0.2
)
"""A liar does not ack, the keepers of its boxes are restarted, and their dealer alone knows that they had them."""


def test_a_restarted_keeper_is_handed_its_boxes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_stuck(KEEPERS_THAT_FORGET)
    hand_over = sharing.Sharing._hand_over
    monkeypatch.setattr(sharing.Sharing, "_hand_over", lambda self, holders, to=None: to or hand_over(self, holders))
    monkeypatch.setattr(Settling, "choice_by_proof", lambda self: None)
    monkeypatch.setattr(acks.Acks, "_believe_kept", believed_without_proof)
    assert is_stuck(KEEPERS_THAT_FORGET)


def named_by_its_root(patch: pytest.MonkeyPatch) -> None:
    """A dealing is named by its root, which says nothing of its fingerprints."""
    for module in (sharing, plain):
        patch.setattr(module, "dealing_id", lambda federation, dealer, deal: deal.root)
    contradictions_not_told_apart(patch)


def repeated_by_anybody(patch: pytest.MonkeyPatch) -> None:
    """The ledger does not know which sum it repeats."""
    patch.setattr(ledger, "_decided_sum", lambda state: None)


def chosen_by_the_proposer(patch: pytest.MonkeyPatch) -> None:
    """No box is handed over, and members vote for whatever contributors a proposer names."""
    patch.setattr(sharing.Sharing, "_hand_over", lambda self, holders, to=None: None)
    patch.setattr(sharing.Sharing, "_vouch", lambda self, holder: False)
    patch.setattr(choosing, "wrong_choice", lambda *given: None)


def repeated_by_those_chosen(patch: pytest.MonkeyPatch) -> None:
    repeated_by_anybody(patch)
    chosen_by_the_proposer(patch)


def void_without_proof(patch: pytest.MonkeyPatch) -> None:
    """A sum that is none of encodings has no outcome: the round is given up when everybody has had its turns."""
    outcome = Summing.outcome

    def of_encodings(self: Summing) -> Any:
        found = outcome(self)
        return None if found is None or isinstance(found[0], Void) else found

    patch.setattr(Summing, "outcome", of_encodings)


def summed_by_what_most_acked(patch: pytest.MonkeyPatch) -> None:
    """Dealings contribute though holders lack their shares, so that liars among the other holders are needed."""
    chosen_by_the_proposer(patch)
    patch.setattr(acks.Acks, "unsettled", lambda self, dealings, holders: set())


def contradictions_not_told_apart(patch: pytest.MonkeyPatch) -> None:
    """What a member signed twice is no evidence against it."""
    patch.setattr(Context, "accuse", lambda self, first, second: None)


def any_votes_that_hold_a_quorum(patch: pytest.MonkeyPatch) -> None:
    """A certificate may say more than its quorum of votes."""

    def enough(state: ledger.LedgerState, certified: CertifiedBlock) -> None:
        votes = [verify(raw, state.federation) for raw in certified.certificate]
        if len({vote.sender for vote in votes if isinstance(vote, Verified)}) < state.committee.quorum:
            raise ledger.LedgerError("too few signers")

    patch.setattr(certificates, "check_certificate", enough)


def evicted_though_heard(patch: pytest.MonkeyPatch) -> None:
    """A member that did not contribute for long enough is silent, whatever it says. One that liars leave out does not
    contribute, where the proposer chooses.
    """
    chosen_by_the_proposer(patch)
    patch.setattr(Choosing, "_heard", lambda self: frozenset())


def proved_by_what_was_heard_last(patch: pytest.MonkeyPatch) -> None:
    """What a proposal brings as a proof is not looked at by itself."""
    patch.setattr(SumProofs, "_as_brought", lambda self, block: {})


@dataclass(frozen=True)
class Attack:
    """An attack that once went unnoticed, and where the sweep meets it."""

    name: str
    wanted: Callable[[Scenario], bool]
    checker: type[Checker]
    what: str
    """What the violation says, as a pattern."""
    weaken: Weaken
    """Takes the mend out of the build."""
    seed: int = 0
    """Where the search begins."""

    def __str__(self) -> str:
        return self.name


def lies(*strategies: str) -> Callable[[Scenario], bool]:
    return lambda scenario: any(name in text for text in scenario.byzantine for name in strategies)


def with_newcomers(scenario: Scenario) -> bool:
    return lies("fail-")(scenario) and scenario.arrivals > 0


def shown_to_one_and_soon_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A false z is known to whoever it was shown to, until the next sum."""
    patch.setattr(SumVotes, "_pass_on", lambda self, vote: None)
    patch.setattr(ledger, "_JUDGED_SUMS", 1)


def members_alone_are_evicted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ledger.LedgerState, "may_be_evicted", lambda self, key: self.member(key) is not None)


def a_member_again_was_never_gone(patch: pytest.MonkeyPatch) -> None:
    """Who has no part in a round depends on what a member has lived through."""

    def departed(self: ledger.LedgerState) -> frozenset[int]:
        return frozenset(place for place, key in enumerate(self.committee.members) if self.member(key) is None)

    patch.setattr(ledger.LedgerState, "departed", property(departed))


def added_up_in_each_round(patch: pytest.MonkeyPatch) -> None:
    for module in (contribution, training, secrecy):
        patch.setattr(
            module, "metrics_of", lambda genesis, kind, tells_final=True: genesis.metrics + genesis.final_metrics
        )


ATTACKS = [
    Attack(
        "a dealer frames a holder by two sets of fingerprints under one root",
        lies("twin-deal"),
        Evidence,
        r"which is honest: .*wrong.sum",
        named_by_its_root,
    ),
    Attack(
        "a failed sum is repeated without a victim",
        lies("fail-and-shun", "non-encoding+shun"),
        Secrecy,
        r"the sums of rounds .* give away a combination of the (updates|setup sums) of \d$",
        repeated_by_those_chosen,
    ),
    Attack(
        "a failed sum is repeated with a newcomer",
        with_newcomers,
        Secrecy,
        r"the sums of rounds .* give away",
        repeated_by_anybody,
    ),
    Attack("liars choose whose updates count", lies("shun", "refuse"), Counted, "does without", chosen_by_the_proposer),
    Attack(
        "numbers that are no encoding make rounds void, and nobody answers for it",
        lies("non-encoding", "fail-"),
        Blame,
        r"void \(sum\), and nobody answers",
        void_without_proof,
    ),
    Attack(
        "holders make themselves needed, and withhold what proves the sum",
        lies("open-and-fail"),
        Blame,
        r"void \(sum\), and nobody answers",
        summed_by_what_most_acked,
    ),
    Attack("a holder acks twice", lies("two-acks", "two-faced"), Named, "has two acks", contradictions_not_told_apart),
    Attack(
        "a dealer deals twice", lies("twin-deal", "two-faced"), Named, "has two dealings", contradictions_not_told_apart
    ),
    Attack(
        "a certificate says votes again and again",
        lies("padded-ledger"),
        Validity,
        "with a vote said twice",
        any_votes_that_hold_a_quorum,
    ),
    Attack(
        "a member that a quorum hears is evicted as silent",
        lambda scenario: scenario.evict_after_rounds == 1 and lies("shun", "refuse")(scenario),
        Evidence,
        "a quorum hears it",
        evicted_though_heard,
    ),
    Attack(
        "one member alone is shown what proves a sum",
        lies("mixed-proof"),
        Progress,
        r"round \d lasted \d+ s, with all honest members there",
        proved_by_what_was_heard_last,
    ),
    Attack(
        "what follows from a member's rows alone is added up with it and without it",
        lambda scenario: scenario.has_final_metrics,
        Secrecy,
        r"whatever the model, give away a combination of the final metrics of \d$",
        added_up_in_each_round,
    ),
    Attack(
        "a false z is shown to one member alone",
        lies("false-z-to-one"),
        Barred,
        "has proof against .*, and it is not barred",
        shown_to_one_and_soon_forgotten,
    ),
    Attack(
        "a member lies in the round in which it has left",
        lies("lie-after-leaving"),
        Barred,
        "has proof against .*, and it is not barred",
        members_alone_are_evicted,
    ),
    Attack(
        "a member leaves and comes back while another is away",
        lies("return-unseen"),
        Liveness,
        "no decision within",
        a_member_again_was_never_gone,
    ),
]


def make_graph(peers: int) -> nx.Graph:
    return make("complete", peers, 1, LinkDefaults(latency_ms=(1, 10), jitter_ms=5, loss=0.0))


def shows(attack: Attack, found: Failure | str) -> bool:
    """Whether a run shows the attack."""
    if isinstance(found, str) or not re.search(attack.what, found.what):
        return False
    first = found.scenario.peers
    newcomers = range(first, first + found.scenario.arrivals)
    return attack.wanted is not with_newcomers or any(found.what.endswith(f" {one}") for one in newcomers)


def found_by_the_sweep(attack: Attack) -> Scenario | None:
    """The first run of the sweep in which the attack shows, under the one checker that is to see it."""
    for seed in (*SWEEP[attack.seed :], *SWEEP[: attack.seed]):
        scenario = scenario_of(seed)
        if attack.wanted(scenario) and shows(attack, run(scenario, [attack.checker])):
            return scenario
    return None


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_the_sweep_finds_an_attack_on_a_build_without_its_mend(attack: Attack) -> None:
    with pytest.MonkeyPatch.context() as patch:
        attack.weaken(patch)
        scenario = found_by_the_sweep(attack)
        ledger.apply.cache_clear()
    assert scenario is not None
    print(f"{attack}: seed {scenario.seed}")
    assert isinstance(run(scenario, [attack.checker]), str), "with its mend"


@pytest.mark.parametrize(
    ("sums", "known", "told"),
    [
        ({"setup_sums": 2}, 2, "on one base model, give away a combination of the setup sums of one gone$"),
        (
            {"final_metrics": ("a",), "rounds": 1},
            3,
            "whatever the model, give away .* of the final metrics of one gone$",
        ),
    ],
    ids=["setup", "final"],
)
def test_a_federation_that_sums_again_without_a_member_gives_away_its_numbers(
    sums: dict[str, Any], known: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another one continues it, the totals have to be carried over, and there are no final metrics any more; see
    :mod:`coterie.peer.federation.refounding`.
    """
    monkeypatch.setattr(secrecy, "curious", lambda simulation: [])
    first = Simulation(make_graph(5), Setup(*make_genesis(4, 5, **sums), rounds=known - 1))
    seen = Secrecy()
    first.sites[1].adversaries = (Adversary(first, first.sites[1]),)
    first.watch(seen)
    assert first.run(60_000)
    assert len(seen.given_away) == known
    other = np.ones(4, "<f4").tobytes()
    genesis, _ = make_genesis(4, 4, name="again", weights_hash=digest_of(other), **sums)
    again = Simulation(make_graph(4), Setup(genesis, other, rounds=known - 2 if "setup_sums" in sums else 2))
    again.sites[1].adversaries = (Adversary(again, again.sites[1]),)
    again.watch(Secrecy(seen.given_away))
    with pytest.raises(Violation, match=told):
        again.run(60_000)
