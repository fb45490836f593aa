"""Federations whose dealings prove themselves: no lie about an update is counted, fails a round, or stays unnamed."""

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from coterie.crypto.proof import checks
from coterie.crypto.proof.prover import Prover
from coterie.crypto.proof.statement import falsehood
from coterie.protocol.events import NoticeKind, Send
from coterie.protocol.jobs import Encode
from coterie.protocol.ledger.blocks import Contributors, Evict, Membership, Model, Void, read_block
from coterie.protocol.ledger.contribution import counts_of
from coterie.protocol.ledger.terms import statement
from coterie.protocol.messages.envelope import Verified
from coterie.protocol.messages.kinds import Deal
from coterie.protocol.schemes import shamir
from coterie.protocol.schemes.shamir import DealShares
from coterie.topology.adversaries import STRATEGIES
from coterie.topology.adversaries.false_dealings import FalseProof
from coterie.topology.adversaries.provers import LIES, is_lie, lie_about, one_share_off, with_prover
from coterie.topology.engine.adversary import Adversary
from coterie.topology.engine.simulation import Observer, Simulation
from coterie.topology.engine.site import Site
from coterie.topology.invariants import CHECKERS, Checker, Violation
from coterie.topology.invariants.influence import Influence
from coterie.topology.options import Options, simulate
from coterie.topology.sweep.scenarios import Scenario, build

LIAR = 1
CALM = Scenario(seed=3, peers=4, rounds=4, is_proved=True, latency_ms=(1, 10), byzantine=(f"{LIAR}=false-proof",))


class Told(Observer):
    """Keeps whom honest members find at fault, and what they are told of clipping."""

    def on_begin(self, simulation: Simulation) -> None:
        self.at_fault: dict[int, set[bytes]] = {}
        self.clipped: list[float] = []

    def on_step(self, site: Site, event: Any, step: Any) -> None:
        for notice in step.notify if site.is_honest else ():
            if notice.kind is NoticeKind.FAULT:
                self.at_fault.setdefault(site.number, set()).add(notice.facts["member"])
            if notice.kind is NoticeKind.CLIPPED:
                self.clipped.append(notice.facts["times"])


def simulated(scenario: Scenario = CALM, checkers: Iterable[type[Checker]] = CHECKERS) -> tuple[Simulation, Told]:
    """Run a scenario under checkers, by default all; returns what is left of it."""
    simulation, told = build(scenario), Told()
    simulation.watch(told, *(kind() for kind in checkers))
    assert simulation.run(600_000)
    return simulation, told


def bodies(simulation: Simulation) -> list[Any]:
    return [read_block(block.block).body for block in simulation.honest[0].disk.blocks]


def evictions(simulation: Simulation) -> list[tuple[int, str]]:
    """Who was evicted, and for what."""
    changes = [change for body in bodies(simulation) if isinstance(body, Membership) for change in body.changes]
    return [(simulation.by_key[one.member].number, one.reason) for one in changes if isinstance(one, Evict)]


class Only(FalseProof):
    """Tells one lie in each round in which it is one."""

    lie = ""

    def bend_work(self, work: Any) -> Any:
        if not isinstance(work, DealShares):
            return work
        return lie_about(work, self.random, self.lie) if is_lie(LIES[self.lie][1], work) else work


@pytest.mark.parametrize("lie", LIES)
def test_every_false_proof_is_named_by_all_and_evicted_and_no_round_fails(
    lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STRATEGIES, "false-proof", type("Liar", (Only,), {"lie": lie}))
    simulation, told = simulated()
    key = simulation.sites[LIAR].key
    assert told.at_fault == {site.number: {key} for site in simulation.honest}
    assert evictions(simulation) == [(LIAR, "false-proof")]
    assert not any(isinstance(body, Void) for body in bodies(simulation))
    assert sum(isinstance(body, Model) for body in bodies(simulation)) >= CALM.rounds - 1


@pytest.mark.parametrize("lie", ["1.1 times", "4 times", "an element", "negative weight", "more weight"])
def test_in_a_build_that_takes_proofs_unseen_the_lie_moves_the_model_or_fails_the_round(
    lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STRATEGIES, "false-proof", type("Liar", (Only,), {"lie": lie}))
    monkeypatch.setattr(shamir, "wrong_proof", lambda *_: None)
    with pytest.raises(Violation, match="influence: .*(further than can be proved|was refused|have a weight of -)"):
        simulated(checkers=[Influence])


def test_a_build_without_the_equations_is_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STRATEGIES, "false-proof", type("Liar", (Only,), {"lie": "4 times"}))
    monkeypatch.setattr(checks, "add", lambda *_: checks.ZERO)
    with pytest.raises(Violation, match="influence: .*(further than can be proved|was refused)"):
        simulated(checkers=[Influence])


class ToOne(Only):
    """Shows its false dealing to one member only, and the others another one: a right one, or none."""

    lie = "4 times"
    has_right_one = False

    def bend_work(self, work: Any) -> Any:
        if isinstance(work, DealShares):
            self.right = work.run() if self.has_right_one else None
        return super().bend_work(work)

    def bend_send(self, receiver: Site, message: Verified, send: Send) -> Iterable[Send]:
        if not isinstance(message.message, Deal) or message.sender != self.site.key:
            return (send,)
        if receiver.number == 0:
            return (send,)
        if self.right is None:
            return ()
        envelope = self.sign(self.right.deal)
        place = self.simulation.sites[0].node.state.committee.index(receiver.key)  # type: ignore[union-attr]
        return (replace(send, envelope=envelope, blob=self.right.blobs[place or 0]),)


@pytest.mark.parametrize("has_right_one", [False, True])
def test_what_one_member_alone_is_shown_all_come_to_know(has_right_one: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STRATEGIES, "false-proof", type("Liar", (ToOne,), {"has_right_one": has_right_one}))
    simulation, told = simulated()
    key = simulation.sites[LIAR].key
    assert all(told.at_fault[site.number] == {key} for site in simulation.honest)
    assert [who for who, _ in evictions(simulation)] == [LIAR]
    assert not any(isinstance(body, Void) for body in bodies(simulation))


class ShareOff(Adversary):
    """Deals a false value to a holder that gets values, in one stage of the proof."""

    name = "false-proof"
    stage = 0

    def bend_work(self, work: Any) -> Any:
        if not isinstance(work, DealShares):
            return work
        me = work.committee.index(work.identity.public)
        victim = next(one for one in range(work.committee.n) if one != me and one not in work.seeded)
        return with_prover(work, one_share_off(self.stage, 0, victim), lambda vector, _: vector)


@pytest.mark.parametrize("stage", [0, 1, 2], ids=["vector", "witness", "quotient"])
def test_a_false_share_of_any_stage_is_complained_of_and_judged_by_all(
    stage: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STRATEGIES, "false-proof", type("Liar", (ShareOff,), {"stage": stage}))
    simulation, told = simulated()
    key = simulation.sites[LIAR].key
    assert all(told.at_fault[site.number] == {key} for site in simulation.honest)
    assert evictions(simulation) == [(LIAR, "bad-dealing")]
    assert not any(isinstance(body, Void) for body in bodies(simulation))


@pytest.mark.parametrize("times", [0.99, 1.01, 3.0, 1000.0])
def test_an_update_is_counted_up_to_its_bound_and_not_beyond(times: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 256 columns or fewer, as here, the norm is exact."""

    def longest(work: Encode, made: Any) -> Any:
        vector = np.frombuffer(made.vector, "<u8").copy()
        capped, _ = counts_of(vector, work.layout)
        vector[: work.layout.slots] = 0
        vector[0] = round(times * (2**20 // work.examples_ref) * capped)
        return replace(made, vector=vector.tobytes())

    monkeypatch.setattr("coterie.topology.adversaries.forging.longest", longest)
    simulation, told = simulated(replace(CALM, byzantine=(f"{LIAR}=longest-update",)))
    # Beyond the bound its own node refuses to prove it, and it sits out.
    summed = {len(body.dealers) for body in bodies(simulation) if isinstance(body, Contributors)}
    assert summed == {4 if times < 1 else 3}
    assert sum(isinstance(body, Model) for body in bodies(simulation)) == CALM.rounds
    assert evictions(simulation) == []
    assert told.at_fault == {}


def test_all_members_take_the_same_bound_which_follows_the_updates() -> None:
    simulation, told = simulated(replace(CALM, byzantine=(), rounds=8))
    quarters = {site.node.state.quarters for site in simulation.sites if site.node is not None}
    assert len(quarters) == 1
    assert quarters != {0}
    assert not told.clipped


def test_an_update_that_is_too_long_is_shortened_and_its_operator_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coterie.topology.sweep.scenarios.Bounds", _small_bounds)
    simulation, told = simulated(replace(CALM, byzantine=(), rounds=6))
    assert told.clipped
    assert max(told.clipped) > 10
    # The bound grows by factors of four.
    assert min(told.clipped) < max(told.clipped) / 4**3
    assert not any(isinstance(body, Void) for body in bodies(simulation))


def _small_bounds(**_: Any) -> Any:
    from coterie.protocol.ledger.genesis import Bounds

    return Bounds(quarters=-80)


def test_the_same_seed_makes_the_same_dealing_after_a_restart() -> None:
    made: list[tuple[DealShares, Any]] = []

    class Keeping(Adversary):
        name = "false-proof"

        def bend_result(self, work: Any, result: Any) -> Any:
            if isinstance(work, DealShares):
                made.append((work, result))
            return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STRATEGIES, "false-proof", Keeping)
        simulated(replace(CALM, rounds=1))
    work, dealing = made[0]
    assert work.run() == dealing
    stated = statement(work.terms, work.committee.threshold, 0)
    assert falsehood(stated, np.frombuffer(work.vector, "<u8")) is None


def test_a_dealer_whose_proof_comes_out_false_sits_out_and_is_not_convicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with a fault: one bit of the witness flips while peer 1 proves."""
    honest = Prover.witness

    def faulty(self: Prover, halves: list[int] | None) -> Any:
        cells = honest(self, halves)
        if self.terms.dealer == 1 and not faults:
            faults.append(cells[0])
            cells[0] ^= np.uint64(1)
        return cells

    faults: list[Any] = []
    monkeypatch.setattr(Prover, "witness", faulty)
    simulation, told = simulated(replace(CALM, byzantine=()))
    assert faults
    assert told.at_fault == {}
    assert evictions(simulation) == []
    assert not any(isinstance(body, Void) for body in bodies(simulation))


@pytest.mark.parametrize("lie", ["false-proof", "non-encoding"])
def test_with_ideal_shares_the_vault_stands_for_proofs(lie: str) -> None:
    """A contribution that nobody could prove is refused as with real ones; a prover has nothing to lie about."""
    options = Options(
        topology="complete", peers=4, rounds=6, ideal_crypto=True, norm="auto", byzantine=(f"1:{lie}",), seed=2
    )
    result = simulate(options=options)
    assert result.decided == 6
    assert bool(result.named) == (lie == "non-encoding")


def test_proofs_are_charged_in_time_and_bytes() -> None:
    options = Options(topology="complete", peers=4, rounds=3, ideal_crypto=True, parameters=100_000)
    without, proved = simulate(options=options), simulate(options=replace(options, norm="auto"))
    assert (proved.seconds(0.5) or 0) > (without.seconds(0.5) or 0)
    sent = [sum(site["sent_bytes"] for site in one.sites) for one in (without, proved)]
    assert 1.05 < sent[1] / sent[0] < 1.3


def test_lies_are_drawn_among_those_that_are_lies_in_the_round() -> None:
    works: list[DealShares] = []

    class Looking(Adversary):
        name = "false-proof"

        def bend_work(self, work: Any) -> Any:
            if isinstance(work, DealShares):
                works.append(work)
            return work

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STRATEGIES, "false-proof", Looking)
        simulated(replace(CALM, rounds=3, setup_sums=2))
    setup, train = works[0], works[-1]
    assert setup.terms.layout.is_setup
    assert not is_lie(LIES["4 times"][1], setup)
    assert all(is_lie(bend, train) for _, bend in LIES.values())
    assert isinstance(lie_about(setup, random.Random(1)), DealShares)
