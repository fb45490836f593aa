"""Liars really lie: what a strategy is to bend is sent, and several of them do not undo each other."""

from collections import defaultdict

import pytest

from coterie.protocol.envelope import Verified
from coterie.protocol.messages import Deal, Precommit, Prevote, Proposal, SumShare
from coterie.topology.adversaries import STRATEGIES
from coterie.topology.observer import Observer
from coterie.topology.scenarios import Scenario, build
from coterie.topology.site import Site

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
                said[type(message.message), message.height, message.view].add(message.message.block)
        return any(len(blocks) > 1 for blocks in said.values())


def lie(strategies: str, site: int = 1, **changes: object) -> tuple[Liar, str]:
    """What a liar at a site sends in one run, and the run's trace."""
    liar = Liar()
    scenario = Scenario(seed=4, byzantine=(f"{site}={strategies}",), partition="at-votes", **changes)  # type: ignore[arg-type]
    simulation = build(scenario)
    simulation.watch(liar)
    assert simulation.run(600_000)
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
