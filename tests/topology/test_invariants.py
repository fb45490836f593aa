"""The invariants hold in every sampled run, and each checker finds the bug that is planted for it.

A planted bug is looked for in scenarios of the same sweep, so a checker that never looks would fail here.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from members import make_genesis
from msgspec.structs import replace as replace_struct
from watch import Watch

from coterie.protocol import early_messages, node
from coterie.protocol.agreement import tendermint
from coterie.protocol.agreement.open_sum import OpenSum
from coterie.protocol.agreement.proposing import Proposing
from coterie.protocol.agreement.voting import Voting
from coterie.protocol.effects import Effects
from coterie.protocol.events import Notice, NoticeKind, Send, Step
from coterie.protocol.handlers.heights import Heights
from coterie.protocol.jobs import SumShares
from coterie.protocol.ledger import certificates
from coterie.protocol.ledger import state as ledger
from coterie.protocol.ledger.blocks import Change, Contributors, Evict
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.ledger.state import LedgerError
from coterie.protocol.messages.envelope import Verified
from coterie.protocol.messages.kinds import Accusation, Complaint, Message, Proposal, SumShare, UpheldComplaint
from coterie.protocol.pending_changes import PendingChanges
from coterie.protocol.records import BlockDecided, Dealt, Memory, Released, ValueSeen, VoteCast
from coterie.protocol.round.settling import Settling
from coterie.protocol.round.sum_proofs import SumProofs
from coterie.protocol.round.summing import Summing
from coterie.protocol.schemes import Choice, shamir
from coterie.protocol.vote_guard import VoteGuard
from coterie.topology.adversaries import STRATEGIES
from coterie.topology.adversaries.voting import other_block
from coterie.topology.engine.disk import Disk
from coterie.topology.engine.site import CrashPoint
from coterie.topology.faults.joins_and_leaves import MOMENTS
from coterie.topology.faults.partitions import PARTITIONS
from coterie.topology.invariants import CHECKERS, Checker, Violation
from coterie.topology.invariants.accountability import Accountability
from coterie.topology.invariants.barred import Barred
from coterie.topology.invariants.blame import Blame
from coterie.topology.invariants.counted import Counted
from coterie.topology.invariants.exact_sum import ExactSum
from coterie.topology.invariants.influence import Influence
from coterie.topology.invariants.named import Named
from coterie.topology.invariants.progress import Progress
from coterie.topology.invariants.release_once import ReleaseOnce
from coterie.topology.invariants.secrecy import Secrecy, _is_multiple, _secrets_in_span
from coterie.topology.reporting.transcript import Transcript
from coterie.topology.sweep.scenarios import COLLUSIONS, Failure, Scenario, build, run, scenario_of, shrink

SEEDS = int(os.environ.get("COTERIE_SEEDS", "480"))
SWEEP = range(480)
"""The seeds in which planted bugs are looked for: those that are run."""


@pytest.mark.parametrize("start", range(0, SEEDS, 16))
def test_no_invariant_is_violated_with_any_strategy(start: int) -> None:
    for seed in range(start, start + 16):
        found = run(scenario_of(seed))
        if isinstance(found, Failure):
            pytest.fail(f"seed {seed}: {found.what}\n{shrink(found)}", pytrace=False)


def test_the_sweep_samples_every_strategy_and_every_partition() -> None:
    scenarios = [scenario_of(seed) for seed in SWEEP]
    said = "+".join(text.split("=")[1] for scenario in scenarios for text in scenario.byzantine)
    assert set(said.split("+")) == set(STRATEGIES)
    assert {scenario.partition for scenario in scenarios} == {*PARTITIONS, ""}


def test_the_sweep_samples_small_and_large_federations_schemes_thresholds_and_whatever_fails() -> None:
    scenarios = [scenario_of(seed) for seed in SWEEP]
    assert {scenario.peers for scenario in scenarios} == {3, 4, 5, 7, 10}
    assert {scenario.scheme for scenario in scenarios} == {"shamir", "plain"}
    assert {len(scenario.byzantine) for scenario in scenarios} == {0, 1, 2, 3}
    for name in ("loss", "churn", "flapping", "threshold", "crashes", "setup_sums", "trains", "comings"):
        assert any(getattr(scenario, name) for scenario in scenarios)
        assert not all(getattr(scenario, name) for scenario in scenarios)


def test_the_sweep_samples_plans_of_all_liars_newcomers_that_follow_a_failure_and_members_that_leave() -> None:
    scenarios = [scenario_of(seed) for seed in SWEEP]
    plans = {text.split("=")[1] for scenario in scenarios for text in scenario.byzantine}
    assert set(COLLUSIONS) <= plans
    assert any(len({text.split("=")[1] for text in one.byzantine}) == 1 < len(one.byzantine) for one in scenarios)
    moments = {coming.moment for scenario in scenarios for coming in scenario.comings}
    assert moments == {"", *MOMENTS}
    assert any(coming.leaves for scenario in scenarios for coming in scenario.comings)
    for scenario in scenarios:
        gone = sum(coming.leaves for coming in scenario.comings)
        bearable = 1 if scenario.beyond_f else max(0, scenario.peers - gone - 1) // 3
        assert len(scenario.byzantine) <= bearable


def first_failure(
    wanted: Callable[[Scenario], bool], invariants: Iterable[str], checkers: Iterable[type[Checker]] = CHECKERS
) -> Failure:
    """The first scenario of the sweep that violates one of the invariants."""
    for seed in SWEEP:
        scenario = scenario_of(seed)
        found = run(scenario, checkers) if wanted(scenario) else None
        if isinstance(found, Failure) and found.invariant in invariants:
            return found
    raise AssertionError("the sweep did not find the planted bug")


def has(strategy: str) -> Callable[[Scenario], bool]:
    return lambda scenario: any(strategy in text for text in scenario.byzantine)


def test_a_build_without_the_lock_rule_is_found_by_agreement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tendermint.Consensus, "locked", property(lambda self: None, lambda self, value: None))
    found = first_failure(lambda one: one.partition == "lone-decision", ["agreement", "accountability"])
    # Votes that a lock forbids are evidence against whoever cast them, so somebody answers for it.
    assert found.invariant == "agreement"


def test_a_quorum_of_f_plus_1_is_found_by_accountability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Committee, "quorum", property(lambda self: self.f + 1))
    # Two such quorums share nobody: the ledger forks and no signature speaks against anybody.
    found = first_failure(lambda one: one.partition == "halves", ["accountability"], [Accountability])
    assert "the evidence names 0 members" in found.what


def test_a_decision_of_too_few_is_found_by_validity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Committee, "quorum", property(lambda self: self.f + 1))
    first_failure(lambda one: one.partition == "halves", ["validity"])


def counting_votes_and_not_signers(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(state: Any, certified: Any) -> None:
        if len(certified.certificate) < state.committee.quorum:
            raise LedgerError("too few votes")

    monkeypatch.setattr(certificates, "check_certificate", careless)


def test_a_certificate_that_counts_votes_and_not_signers_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    counting_votes_and_not_signers(monkeypatch)
    first_failure(has("forged-certificate"), ["agreement", "validity"])


def forgetting(monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    keep = Disk.apply
    monkeypatch.setattr(Disk, "apply", lambda self, record: None if isinstance(record, kind) else keep(self, record))


def test_a_vote_that_is_not_durable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    forgetting(monkeypatch, VoteCast)
    first_failure(lambda one: not one.byzantine, ["durable first"])


def releasing_what_is_only_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    remember = Voting.remember

    def hasty(self: Any, action: tendermint.Remember) -> None:
        remember(self, action)
        ctx, body = self.ctx, self.candidates[action.value].block.body
        if not isinstance(body, Contributors) or ctx.sharing is None:
            return
        choice = Choice(body.dealers, body.holders)
        held = ctx.sharing.holds(body.dealers)
        rows = ctx.sharing.scheme.own_row(ctx.sharing.terms, choice, ctx.sharing.vector, held)
        if rows:
            data, digest = SumShares(body.round, body.digest(), rows).run()
            ctx.out.persist(Released(body.round, body.digest()))
            ctx.out.send(ctx.state.proposer(action.view), SumShare(body.round, body.digest(), digest), data)

    monkeypatch.setattr(Voting, "remember", hasty)


def test_a_release_for_contributors_that_are_locked_but_not_decided_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    releasing_what_is_only_locked(monkeypatch)
    found = first_failure(lambda one: not one.byzantine, ["release once"])
    assert "nobody decided" in found.what


def test_a_second_release_after_a_restart_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Disk.load

    def forgetful(self: Disk) -> Memory:
        memory = load(self)
        return replace(memory, shares=memory.shares[:-1])

    def what_there_is(self: Any, terms: Any, choice: Choice, own: Any, held: Any) -> tuple[bytes, ...]:
        return tuple(held[dealer] for dealer, _ in choice.dealers if dealer in held)

    monkeypatch.setattr(Disk, "load", forgetful)
    monkeypatch.setattr(shamir.ShamirScheme, "own_row", what_there_is)
    found = first_failure(lambda one: bool(one.crashes), ["release once"], [ReleaseOnce])
    assert "two sums" in found.what


def test_a_release_without_a_decision_on_the_disk_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    forgetting(monkeypatch, BlockDecided)
    first_failure(lambda one: not one.byzantine and one.is_founded, ["release once"])


def test_a_member_that_votes_without_its_journal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    cast = Voting.cast

    def hasty(self: Any, action: tendermint.CastVote) -> None:
        cast(self, action)
        if action.view == 1 and action.value is None:
            self.ctx.guard = VoteGuard()
            cast(self, tendermint.CastVote(action.stage, 1, bytes(32)))

    monkeypatch.setattr(Voting, "cast", hasty)
    first_failure(lambda one: bool(one.partition), ["sign once"])


def counting_one_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    add = SumShares.run

    def mistaken(self: SumShares) -> tuple[bytes, bytes]:
        return add(SumShares(self.round, self.contributors, (*self.rows[:-1], self.rows[0])))

    monkeypatch.setattr(SumShares, "run", mistaken)


def test_a_contribution_counted_twice_in_the_sum_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    counting_one_twice(monkeypatch)
    first_failure(lambda one: not one.byzantine, ["exact sum"])


@pytest.mark.parametrize("moment", ["after", "sending"])
def test_what_a_member_writes_down_before_it_crashes_is_checked_like_the_rest(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting_one_twice(monkeypatch)
    found = run(Scenario(seed=3, rounds=1, crashes=((2, CrashPoint(moment, 0, "Dealt", 300)),)))
    assert isinstance(found, Failure)
    assert found.invariant == "exact sum"


def test_a_build_that_takes_proofs_of_dealings_unseen_is_found_by_influence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shamir, "wrong_proof", lambda *_: None)
    first_failure(lambda one: one.is_proved and bool(one.byzantine), ["influence"], [Influence])


def test_a_sum_over_a_dealing_that_nobody_wrote_down_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    step = node.Node.step

    def careless(self: node.Node, event: Any, now_ms: int) -> Step:
        done = step(self, event, now_ms)
        return replace(done, persist=tuple(one for one in done.persist if not isinstance(one, Dealt)))

    monkeypatch.setattr(node.Node, "step", careless)
    found = run(Scenario(seed=3, rounds=1), [ExactSum])
    assert isinstance(found, Failure)
    assert "never wrote down" in found.what


def test_a_fork_is_found_where_the_one_that_decides_by_itself_crashes_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tendermint.Consensus, "locked", property(lambda self: None, lambda self, value: None))
    crash = (3, CrashPoint("after", 0, "BlockDecided", 2_000))
    found = run(replace(scenario_of(19), crashes=(crash,)))
    assert isinstance(found, Failure)
    assert found.invariant == "agreement"


def test_blame_that_is_off_by_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = SumProofs.found

    def off_by_one(self: SumProofs, block: bytes) -> list[Verified]:
        lies, members = found(self, block), self.committee.members
        blamed = [members[(members.index(lie.sender) + 1) % len(members)] for lie in lies]
        votes = self._said[block].votes if lies else {}
        return [votes[member][0] for member in blamed if member in votes]

    monkeypatch.setattr(SumProofs, "found", off_by_one)
    first_failure(has("wrong-share"), ["evidence"])


def test_views_without_a_bound_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tendermint.Consensus, "_keeps", lambda self, view: True)
    first_failure(has("view-flood"), ["memory"])


def test_sums_without_a_bound_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_once(self: Any, proposal: Verified, digest: bytes, blob: bytes | None) -> None:
        self._waiting[proposal.view] = (proposal, digest)
        self._examine(proposal, digest, blob)

    monkeypatch.setattr(OpenSum, "on_claim", at_once)
    monkeypatch.setattr(Summing, "_make_room", lambda self, vector_hash: True)
    first_failure(has("invalid-value"), ["memory"])


def test_a_threshold_that_is_too_low_is_found_by_the_rank_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Committee, "threshold", property(lambda self: 2))
    first_failure(lambda one: one.peers == 7 and len(one.byzantine) == 2, ["secrecy"])


def test_members_that_never_repeat_themselves_are_found_by_liveness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Heights, "resend", lambda self, to: None)
    found = first_failure(lambda one: one.partition in ("halves", "ring-only") and not one.byzantine, ["liveness"])
    assert found.scenario.partition


def test_a_sum_that_liars_can_compute_before_it_is_decided_is_found_by_the_rank_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    releasing_what_is_only_locked(monkeypatch)
    found = first_failure(lambda one: bool(one.byzantine), ["secrecy"], [Secrecy])
    assert "decided by" in found.transcript[-1]  # at the end the same sum may be known


def test_a_member_that_proposes_two_blocks_in_a_view_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    publish = Proposing._publish

    def twice(self: Any, message: Proposal, vector: bytes | None, view: int) -> None:
        publish(self, message, vector, view)
        data = other_block(message.block)
        if data is not None:
            self.ctx.out.send(None, self.ctx.out.sealed(replace_struct(message, block=data)).raw)

    monkeypatch.setattr(Proposing, "_publish", twice)
    found = first_failure(lambda one: not one.byzantine, ["sign once"])
    assert "a second Proposal" in found.what


def test_a_proposal_without_a_prevote_on_the_disk_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(self: Any, message: Proposal, vector: bytes | None, view: int) -> None:
        self._turn = None
        self.ctx.out.enter(self.ctx.height, view)
        self.ctx.out.send(None, self.ctx.out.sealed(message).raw, vector)

    monkeypatch.setattr(Proposing, "_publish", hasty)
    found = first_failure(lambda one: not one.byzantine, ["durable first"])
    assert "its disk holds no vote of that view" in found.what


def test_a_valid_value_that_is_not_durable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    forgetting(monkeypatch, ValueSeen)
    found = first_failure(lambda one: one.partition == "lone-decision", ["durable first"])
    assert "proposed again what its disk does not hold" in found.what


def test_early_messages_without_a_bound_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_messages, "MAX_FUTURE_MESSAGES_PER_MEMBER", 10**6)
    found = first_failure(has("view-flood"), ["memory"])
    assert "early messages of one member" in found.what


def test_an_exception_in_a_node_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, member: bytes, height: int) -> None:
        raise KeyError(member)

    monkeypatch.setattr("coterie.protocol.sync.catchup.CatchUp.on_head", broken)
    first_failure(lambda one: bool(one.crashes), ["no exception"])


def test_an_iteration_over_a_set_is_found_by_running_under_another_hash_seed() -> None:
    code = (
        "from coterie.protocol.context import Context\n"
        "from coterie.topology.sweep.scenarios import Scenario, run\n"
        "fair = Context.audience\n"
        "Context.audience = property(lambda self: tuple(set(fair.fget(self))))\n"
        "print(run(Scenario(seed=1, rounds=1)))"
    )
    traces = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(traces) > 1


def calm(scenario: Scenario) -> bool:
    """Nothing happens that explains why a member does not count, or a round fails."""
    return not (
        scenario.byzantine
        or scenario.crashes
        or scenario.partition
        or scenario.churn
        or scenario.flapping
        or scenario.comings
    )


def test_a_member_that_is_left_out_for_no_reason_is_found_by_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    choose = Settling.choice

    def unfair(self: Any, *given: Any) -> Choice | None:
        choice = choose(self, *given)
        if choice is None or len(choice.dealers) <= self.committee.min_contributors:
            return choice
        return replace(choice, dealers=choice.dealers[1:])

    monkeypatch.setattr(Settling, "choice", unfair)
    for name in ("due", "due_by_proof"):
        monkeypatch.setattr(Settling, name, lambda self, *given: frozenset())
    found = first_failure(calm, ["counted"], [Counted])
    assert "which was there in time" in found.what


def test_a_round_that_fails_for_no_reason_is_found_by_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Summing, "try_open", lambda self, *given, **named: None)
    found = first_failure(calm, ["blame"], [Blame])
    assert "nobody answers for it" in found.what


def test_members_that_tell_nobody_of_a_contradiction_are_found_by_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Effects, "fault", lambda self, member, what, /, **facts: None)
    first_failure(has("twin-deal"), ["named"], [Named])


def test_proof_that_nobody_proposes_an_eviction_for_is_found_by_barred(monkeypatch: pytest.MonkeyPatch) -> None:
    possible = PendingChanges.changes

    def without_evictions(self: PendingChanges, *given: Any, **named: Any) -> tuple[Change, ...]:
        return tuple(one for one in possible(self, *given, **named) if not isinstance(one, Evict))

    monkeypatch.setattr(PendingChanges, "changes", without_evictions)
    first_failure(has("false-z-to-one"), ["barred"], [Barred])


def test_rounds_in_which_nobody_proposes_are_found_by_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Proposing, "_value", lambda self, view: None)
    found = first_failure(calm, ["progress"], [Progress])
    assert "with all honest members there" in found.what


def test_a_failed_sum_that_is_repeated_with_others_is_found_by_the_rank_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_decided_sum", lambda state: None)
    found = first_failure(has("fail-"), ["secrecy"], [Secrecy])
    assert "on one base model" in found.what


def test_what_the_rank_test_takes_for_granted_of_shares_is_what_elimination_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []
    learned = Secrecy._learned

    def both(self: Any, round_: int) -> Any:
        found = learned(self, round_)
        seen = self._seen.get(round_)
        slow = _secrets_in_span(self._rows(seen)) if seen is not None else []
        compared.append(len(found))
        assert len(found) == len(slow)
        assert all(_is_multiple(one, other) for one, other in zip(slow, found, strict=True))
        return found

    monkeypatch.setattr(Secrecy, "_learned", both)
    for seed in range(60):
        found = run(scenario_of(seed), [Secrecy])
        assert isinstance(found, str) or found.invariant == "secrecy", found
    assert {0, 1} <= set(compared)


def test_a_failure_is_shrunk_to_the_faults_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    forgetting(monkeypatch, VoteCast)
    found = run(scenario_of(3))
    assert isinstance(found, Failure)
    smallest = shrink(found).scenario
    assert (smallest.byzantine, smallest.crashes, smallest.partition, smallest.rounds) == ((), (), "", 1)
    assert "PREVOTE" in str(found)


def test_a_failure_is_shrunk_to_one_strategy_few_members_and_a_simpler_network(monkeypatch: pytest.MonkeyPatch) -> None:
    counting_votes_and_not_signers(monkeypatch)
    liar = "1=twins+forged-certificate"
    found = run(Scenario(seed=3, peers=7, topology="star", latency_ms=(20, 150), byzantine=(liar,)))
    assert isinstance(found, Failure)
    smallest = shrink(found).scenario
    assert (smallest.topology, smallest.peers, smallest.byzantine) == ("complete", 4, ("1=forged-certificate",))
    quick = replace(found.scenario, latency_ms=(1, 10))
    assert quick in found.scenario.faults()


def test_a_transcript_tells_of_broadcasts_cuts_losses_crashes_and_decisions() -> None:
    crash = (1, CrashPoint("after", 0, "Dealt", 300))
    transcript = Transcript(most=10_000)
    simulation = build(Scenario(seed=3, partition="at-votes", crashes=(crash,)))
    simulation.watch(transcript)
    assert simulation.run(600_000)
    text = "\n".join(transcript.lines)
    for line in (
        r"^ +\d+ peer 0  (.*\n +)?-> all: here is your share of my update for round 1",
        r"^ +\d+ peer 1  (.*\n +)*crashes$",
        r"^ +\d+ peer 1  starts again$",
        r"^ +\d+ network  the network is cut: at-votes$",
        r"-> all: PREVOTE in view 0: [0-9a-f]{4}  \(lost on the way to \d.*\)$",
        r"^ +\d+ peer \d  writes down block 2, decided by 3 precommits: ",
    ):
        assert re.search(line, text, re.MULTILINE), line


@pytest.mark.parametrize(
    ("held", "what", "entry"),
    [
        ("_boxes", "boxes kept for others", lambda number: {(number, 1): (bytes(32), b"box")}),
        ("_early", "boxes before their dealing", lambda number: {(bytes([number]), 1, 2): None}),
    ],
)
def test_boxes_of_others_without_a_bound_are_found(held: str, what: str, entry: Callable[[int], Any]) -> None:
    cluster = Cluster(4, make_genesis(min_peers=4, rounds=1))
    Watch(cluster)
    cluster.start()
    cluster.run(lambda: cluster.all_at("sharing") and all(site.node.ctx.sharing for site in cluster.sites if site.node))
    node = cluster.sites[0].node
    assert node is not None
    assert node.ctx.sharing is not None
    for number in range(100, 200):
        getattr(node.ctx.sharing.custody, held).update(entry(number))
    with pytest.raises(Violation, match=f"memory: 0 holds 1.. {what}"):
        cluster.run_for(20_000)


Accuse = Callable[[node.Node, Verified, Step], Step]
"""What a build does with a dealing of an honest member, and with the step in which it has it."""


def tells(**facts: Any) -> Accuse:
    return lambda self, deal, done: replace(done, notify=(*done.notify, Notice(NoticeKind.FAULT, "a lie", facts)))


def says(said: Callable[[node.Node, Verified], Message]) -> Accuse:
    def accuse(self: node.Node, deal: Verified, done: Step) -> Step:
        return replace(done, send=(*done.send, Send(None, self.ctx.out.seal(said(self, deal)))))

    return accuse


def complaint(self: node.Node, deal: Verified) -> Complaint:
    assert self.ctx.sharing is not None
    dealer = self.ctx.sharing.committee.members.index(deal.sender)
    return Complaint(self.ctx.sharing.round, dealer, deal.raw, bytes(32), bytes(32), bytes(64))


def upheld(self: node.Node, deal: Verified) -> UpheldComplaint:
    own = complaint(self, deal)
    return UpheldComplaint(own.round, own.dealer, own.box_hash, self.ctx.out.seal(own))


def would_evict(self: node.Node, deal: Verified, done: Step) -> Step:
    self.ctx.pool.add_eviction(Evict(deal.sender, "double-deal", (deal.raw, deal.raw)))
    return done


@pytest.mark.parametrize(
    ("accuse", "found"),
    [
        (tells(), "0 names somebody that is no site, and nobody lies: a lie"),
        (lambda self, deal, done: tells(member=deal.sender)(self, deal, done), "0 names ., which is honest: a lie"),
        (says(lambda self, deal: Accusation(deal.raw, deal.raw)), "0 names ., which is honest: Accusation to"),
        (says(lambda self, deal: Accusation(deal.raw, None)), "0 names ., which is honest: Accusation to"),
        (says(complaint), "0 names ., which is honest: Complaint to"),
        (says(upheld), "0 names ., which is honest: UpheldComplaint to"),
        (would_evict, "0 names ., which is honest: it would be evicted for double-deal"),
    ],
)
def test_a_build_that_names_honest_members_is_found_in_a_watched_test(
    accuse: Accuse, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(4, make_genesis(min_peers=4, rounds=1))
    Watch(cluster)
    honestly = node.Node.step

    def step(self: node.Node, event: Any, now_ms: int) -> Step:
        done = honestly(self, event, now_ms)
        deals = self.ctx.sharing.deals.values() if self.ctx.sharing is not None else ()
        others = [deal for deal in deals if deal.sender != self.ctx.me]
        return accuse(self, others[0], done) if others and self is cluster.sites[0].node else done

    monkeypatch.setattr(node.Node, "step", step)
    cluster.start()
    with pytest.raises(Violation, match=f"evidence: {found}"):
        cluster.run(lambda: cluster.all_at("finished"))


def test_every_checker_has_a_bug_planted_here() -> None:
    own = Path(__file__).read_text(encoding="utf-8")
    found = {
        name for names in re.findall(r"first_failure\(.*?\[([^]]*)\]", own) for name in re.findall(r'"(.+?)"', names)
    }
    assert {kind.name for kind in CHECKERS} <= found
