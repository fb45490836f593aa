"""Liars really lie: what a strategy is to bend is sent, and several of them do not undo each other."""

from collections import defaultdict

import pytest

from coterie.protocol.events import FetchFailed
from coterie.protocol.ledger.blocks import Contributors, Void, read_block
from coterie.protocol.messages.envelope import Verified
from coterie.protocol.messages.kinds import (
    Ack,
    Blocks,
    Complaint,
    Deal,
    LeaveRequest,
    Precommit,
    Prevote,
    Proposal,
    SumShare,
)
from coterie.topology.adversaries import STRATEGIES
from coterie.topology.adversaries.collusion import plan_of
from coterie.topology.adversaries.forging import acked, dealing_id, is_stuck
from coterie.topology.engine.simulation import Observer
from coterie.topology.engine.site import Site
from coterie.topology.faults.joins_and_leaves import Coming
from coterie.topology.sweep.scenarios import Scenario, build

VOTES = {"Prevote", "Precommit"}
BENT = {
    "equivocate": {"Proposal", *VOTES},
    "double-vote": VOTES,
    "amnesia": VOTES,
    "burst": {"Deal", *VOTES},
    "stale-lock": {"Proposal"},
    "invalid-value": {"Proposal"},
    "view-flood": VOTES,
    "selective": {"Deal", "Ack", "Proposal", *VOTES},
    "twins": {"Deal", "Ack", "Proposal", *VOTES},
    "mis-deal": {"Deal"},
    "withhold": {"Deal", "Ack", *VOTES},
    "wrong-share": {"SumShare"},
    "forged-certificate": {"Blocks"},
    "false-head": {"Status"},
    "replay": {"Deal", *VOTES},
    "padded-ledger": {"Blocks"},
    "non-encoding": {"Deal", *VOTES},
    "garbage-box": {"Deal", *VOTES},
    "false-complaint": {"Complaint"},
    "wrong-blob": {"Deal", *VOTES},
    "twin-deal": {"Deal", *VOTES},
    "two-acks": {"Ack", *VOTES},
    "two-sums": {"SumShare", *VOTES},
    "two-ledgers": {"Status", *VOTES},
    "two-faced": {"Deal", "Ack", *VOTES},
    "shun": {"Deal", "Ack", *VOTES},
    "shun-in-turn": {"Deal", *VOTES},
    "refuse": {"Deal", *VOTES},
    "fail-and-shun": {"Deal", *VOTES},
    "fail-and-wait": {"Deal", *VOTES},
    "fail-and-vanish": {"Deal"},
    "fail-and-leave": {"Deal", "LeaveRequest"},
    "fail-and-crash": {"Deal", *VOTES},
    "open-and-fail": {"Deal", *VOTES},
    "late-ack": {"Deal", "Ack", *VOTES},
    "bad-terms": {"Deal", *VOTES},
    "false-opening": {"Complaint"},
    "false-keeper": {"Ack", *VOTES},
    "hand-to-colluders": {"Deal", *VOTES},
    "ack-to-dealer": {"Ack", *VOTES},
    "take-in": {"Deal", "Proposal", *VOTES},
    "few-holders": {"Proposal", *VOTES},
    "false-void": {"Proposal", *VOTES},
    "box-flood": {"HandBox"},
    "mask": {"Deal", *VOTES},
    "quiet-complaint": {"Deal", *VOTES},
    "see-saw": {"Ack", *VOTES},
    "late-take-in": {"Deal", "Proposal", *VOTES},
    "single-acks": {"Deal", "Ack"},
    "old-accusation": {"Deal", "Accusation"},
    "future-accusations": {"Deal", "Accusation"},
    "two-complaints": {"Deal", "Ack"},
    "crawl": {"Deal", "Ack"},
    "fail-and-garble": {"Deal", *VOTES},
    "lost-keeper": {"Deal", "Ack"},
    "choosy": {"Deal", "Ack"},
    "mixed-proof": {"Proposal", *VOTES},
    "erase-proof": {"Proposal", *VOTES},
    "false-first": {"Proposal", *VOTES},
    "false-z-to-one": {*VOTES},
    "lie-after-leaving": {"LeaveRequest", *VOTES},
    "return-unseen": {"Deal", *VOTES},
    "false-proof": {"Deal", *VOTES},
    "longest-update": {"Deal", *VOTES},
}
"""What each strategy bends or needs to be let take part; it shows only if messages of these kinds are sent."""


class Liar(Observer):
    """Keeps what the liars send: (milliseconds, receiver, message)."""

    def on_begin(self, simulation: object) -> None:
        self.sent: list[tuple[int, int, Verified]] = []
        self._clock = simulation.clock  # type: ignore[attr-defined]

    def on_send(self, site: Site, receiver: Site, message: Verified, blob: bytes | None) -> None:
        if not site.is_honest:
            self.sent.append((self._clock.elapsed_ms, receiver.number, message))

    @property
    def kinds(self) -> set[str]:
        return {type(message.message).__name__ for _, _, message in self.sent}

    @property
    def has_voted_twice(self) -> bool:
        said = defaultdict(set)
        for _, _, message in self.sent:
            if isinstance(message.message, Prevote | Precommit):
                said[type(message.message), message.height, message.view].add(message.message.block_hash)
        return any(len(blocks) > 1 for blocks in said.values())


def lie(strategies: str, site: int = 1, **changes: object) -> tuple[Liar, str]:
    """What a liar at a site sends in one run, and the run's trace."""
    liar = Liar()
    scenario = Scenario(seed=4, byzantine=(f"{site}={strategies}",), partition="at-votes", **changes)  # type: ignore[arg-type]
    simulation = build(scenario)
    simulation.watch(liar)
    assert simulation.run(600_000) or is_stuck(simulation)
    return liar, simulation.trace


def test_every_strategy_but_silence_says_something_in_particular() -> None:
    assert {*BENT, "silent"} == set(STRATEGIES)


@pytest.mark.parametrize("name", BENT)
def test_what_a_strategy_bends_is_sent(name: str) -> None:
    runs = [lie(name, site)[0] for site in range(4)]
    assert set().union(*(liar.kinds for liar in runs)) >= BENT[name]
    assert all(liar.sent for liar in runs), "as good as silent"


def test_the_silent_say_nothing_whatever_else_they_are() -> None:
    for strategies in ("silent", "burst+silent", "silent+double-vote", "twins+silent"):
        assert lie(strategies)[0].sent == []


def test_the_selective_deal_and_vote_to_half_and_resume_with_all() -> None:
    liar, _ = lie("selective", peers=5)
    spoken = {receiver for _, receiver, message in liar.sent if isinstance(message.message, Deal | Prevote | Precommit)}
    assert len(spoken) == 2
    assert {receiver for _, receiver, _ in liar.sent} == {0, 2, 3, 4}


@pytest.mark.parametrize(
    ("one", "other", "site"),
    [
        ("burst", "double-vote", 1),
        ("stale-lock", "equivocate", 1),
        ("twins", "equivocate", 1),
        ("burst", "twins", 1),
        ("selective", "twins", 1),
        ("withhold", "twins", 2),
        ("replay", "false-head", 2),
    ],
)
def test_two_strategies_do_what_neither_does_alone_in_whatever_order_they_are_named(
    one: str, other: str, site: int
) -> None:
    both = lie(f"{one}+{other}", site)[1]
    assert both == lie(f"{other}+{one}", site)[1]
    assert both not in (lie(one, site)[1], lie(other, site)[1])


def test_who_votes_twice_in_bursts_does_both() -> None:
    liar, _ = lie("double-vote+burst")
    assert liar.has_voted_twice
    assert min(when for when, _, _ in liar.sent) >= 4_000


def test_no_twin_gets_past_the_other_strategies() -> None:
    liar, _ = lie("twins+withhold", site=2)
    said = [message.message for _, _, message in liar.sent]
    assert not any(isinstance(one, SumShare) for one in said)
    assert any(isinstance(one, Proposal | Prevote) for one in said)


def said_twice(liar: Liar, kind: type) -> bool:
    """Whether members were told different things by messages that contradict each other."""
    said = defaultdict(set)
    for _, _, message in liar.sent:
        if isinstance(message.message, kind):
            said[message.message.round].add(message.message)  # type: ignore[attr-defined]
    return any(len(versions) > 1 for versions in said.values())


@pytest.mark.parametrize("name", ["twin-deal", "two-faced"])
def test_who_deals_twice_tells_members_different_things(name: str) -> None:
    assert any(said_twice(lie(name, site)[0], Deal) for site in range(4))


def test_a_split_dealing_has_one_root_and_two_names_so_no_ack_is_of_both() -> None:
    scenario = next(
        one
        for one in (Scenario(seed=seed, rounds=1, byzantine=("1=twin-deal",)) for seed in range(20))
        if build(one).sites[1].adversaries[0]._way == "split"  # type: ignore[attr-defined]
    )
    liar, acks = Liar(), defaultdict(set)

    class Acks(Observer):
        def on_send(self, site: Site, receiver: Site, message: Verified, blob: bytes | None) -> None:
            if isinstance(message.message, Ack) and site.is_honest:
                acks[site.number] |= set(acked(message.message).values())

    simulation = build(scenario)
    simulation.watch(liar, Acks())
    simulation.run(5_000)
    deals = {one.message for _, _, one in liar.sent if isinstance(one.message, Deal) and one.message.round == 1}
    assert len(deals) == 2
    assert len({one.root for one in deals}) == 1
    liar_key = simulation.sites[1].key
    names = {dealing_id(simulation.federation, liar_key, one) for one in deals}
    assert len(names) == 2
    acked_by = [names & acks[site.number] for site in simulation.honest]
    assert all(len(found) <= 1 for found in acked_by)
    assert set().union(*acked_by) == names


def test_who_acks_twice_names_different_dealings() -> None:
    assert any(said_twice(lie("two-acks", site)[0], Ack) for site in range(4))


def test_who_has_two_sums_shows_two_fingerprints_for_one_block() -> None:
    shown = defaultdict(set)
    for site in range(4):
        for _, _, one in lie("two-sums", site)[0].sent:
            if isinstance(one.message, Prevote) and one.message.z is not None:
                shown[site, one.message.block_hash].add(one.message.z)
    assert any(len(fingerprints) > 1 for fingerprints in shown.values())


def test_who_masks_a_second_dealing_shows_it_to_the_victim_alone_behind_two_votes() -> None:
    shown = 0
    for number in range(4):
        simulation, liar = build(Scenario(seed=4, rounds=8, byzantine=(f"{number}=mask",))), Liar()
        simulation.watch(liar)
        assert simulation.run(600_000)
        victim, first, last = plan_of(simulation).victim.number, {}, ""
        for _, receiver, one in liar.sent:
            if isinstance(one.message, Deal) and first.setdefault(one.message.round, one.message) != one.message:
                assert (receiver, last) == (victim, "Prevote")
                shown += 1
            last = type(one.message).__name__
    assert shown


def test_who_complains_quietly_complains_to_the_victim_alone_and_acks_to_all() -> None:
    simulation, liar = build(Scenario(seed=4, peers=7, byzantine=("1=quiet-complaint", "2=quiet-complaint"))), Liar()
    simulation.watch(liar)
    assert simulation.run(600_000)
    victim = plan_of(simulation).victim.number
    complaints = [receiver for _, receiver, one in liar.sent if isinstance(one.message, Complaint)]
    assert complaints
    assert set(complaints) == {victim}
    acks = [(receiver, one.message) for _, receiver, one in liar.sent if isinstance(one.message, Ack)]
    assert {receiver for receiver, one in acks if len(acked(one)) == 7} - {victim}


def test_who_plays_see_saw_names_this_here_and_that_there_and_never_contradicts_itself() -> None:
    liar, _ = lie("see-saw")
    named: dict[tuple[int, int], set[bytes]] = defaultdict(set)
    versions = defaultdict(set)
    for _, _, one in liar.sent:
        if isinstance(one.message, Ack):
            versions[one.message.round].add(frozenset(acked(one.message)))
            for dealer, dealing in acked(one.message).items():
                named[one.message.round, dealer].add(dealing)
    assert all(len(dealings) == 1 for dealings in named.values())
    assert any(not one <= other and not other <= one for found in versions.values() for one in found for other in found)


def test_who_takes_in_late_proposes_its_own_dealing_in_a_later_view() -> None:
    views = {
        message.view
        for site in range(4)
        for _, _, message in lie("late-take-in", site)[0].sent
        if isinstance(message.message, Proposal) and isinstance(read_block(message.message.block).body, Contributors)
    }
    assert views
    assert 0 not in views


def test_colluders_have_one_plan_and_leave_out_the_same_victim() -> None:
    scenario = Scenario(seed=4, peers=7, byzantine=("1=shun", "2=shun"))
    simulation, liar = build(scenario), Liar()
    simulation.watch(liar)
    assert simulation.run(600_000)
    plan = plan_of(simulation)
    assert [site.number for site in plan.liars] == [1, 2]
    victim = plan.victim
    place = simulation.sites[0].node.state.committee.index(victim.key)  # type: ignore[union-attr]
    own = {site.key for site in plan.liars}  # they pass the acks of others on, too
    acks = [one.message for _, _, one in liar.sent if isinstance(one.message, Ack) and one.sender in own]
    assert acks
    assert all(place not in acked(one) for one in acks)
    undealt = {plan.bystander(site).number for site in plan.liars}
    assert len(undealt) == 2
    assert undealt <= {0, 3, 4, 5, 6} - {victim.number}


@pytest.mark.parametrize("trains", [0, 1], ids=["train", "evaluate"])
@pytest.mark.parametrize("setup_sums", [0, 2], ids=["at once", "setup"])
def test_what_is_no_encoding_makes_every_kind_of_round_fail(setup_sums: int, trains: int) -> None:
    scenario = Scenario(
        seed=5, rounds=4, setup_sums=setup_sums, trains=trains, byzantine=("1=fail-and-wait",), latency_ms=(1, 10)
    )
    simulation = build(scenario)
    assert simulation.run(600_000)
    bodies = [read_block(one.block).body for one in simulation.sites[0].disk.blocks]
    assert sum(isinstance(body, Void) for body in bodies) >= 3


def test_who_fails_and_leaves_comes_back() -> None:
    simulation, liar = build(Scenario(seed=4, rounds=12, peers=5, byzantine=("1=fail-and-leave",))), Liar()
    simulation.watch(liar)
    assert simulation.run(600_000)
    assert any(isinstance(one.message, LeaveRequest) for _, _, one in liar.sent)
    assert simulation.sites[1].boots > 1


def test_a_padded_ledger_says_votes_twice() -> None:
    liar, _ = lie("padded-ledger")
    shown = [block for _, _, one in liar.sent if isinstance(one.message, Blocks) for block in one.message.blocks]
    assert any(len(set(block.certificate)) < len(block.certificate) for block in shown)


def test_who_serves_something_else_than_it_promised_is_not_believed() -> None:
    refused = 0

    class Failures(Observer):
        def on_step(self, site: Site, event: object, step: object) -> None:
            nonlocal refused
            refused += isinstance(event, FetchFailed)

    simulation = build(Scenario(seed=4, byzantine=("1=wrong-blob",)))
    simulation.watch(Failures())
    assert simulation.run(600_000)
    assert refused


def test_newcomers_arrive_and_members_leave_when_they_are_to() -> None:
    comings = (Coming(5, 100, "contributors"), Coming(6, 50), Coming(2, 300, "model", leaves=True))
    simulation = build(Scenario(seed=4, peers=5, rounds=4, comings=comings))
    assert [site.outages for site in simulation.sites] == [0, 0, 0, 0, 0, 1, 1]
    assert simulation.run(600_000)
    state = simulation.sites[0].node.state  # type: ignore[union-attr]
    assert {simulation.by_key[key].number for key in state.keys} == {0, 1, 3, 4, 5, 6}
