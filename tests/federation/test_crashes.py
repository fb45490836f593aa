"""Peers are killed at exact moments and restarted; the others go on, and who returns catches up, never voting twice."""

from collections.abc import Iterator

import pytest
from harness import Federation, Peer, assert_alike, assert_nobody_is_accused, proofs

pytestmark = pytest.mark.processes

MOMENTS = (
    "training",  # before it dealt
    "dealing",  # its dealing is durable, and was not sent
    "proposing",  # its prevote for its own Contributors block is durable, and was not sent
    "contributing",  # the contributors are decided, and it is the next aggregator
    "releasing",  # its release of the sum is durable, and its share of the sum was not sent
    "summing",  # its prevote for its own Model block is durable, and was not sent
    "voting",  # its Model proposal went out: another one's prevote for it came in
    "deciding",  # the model is decided, and it has told nobody
)


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    with Federation(tmp_path_factory.mktemp("crashes"), obedient=True) as running:
        running.found("--min-peers", "5", "--round-interval", "0.3", "--share-deadline", "60")
        running.grow(5)
        yield running


def assert_back(peer: Peer, place: int, agreed: int) -> None:
    """The peer resumed, caught up with what was agreed without it, and takes part again."""
    peer.wait("resuming", after=place)
    peer.contributes(after_round=agreed)


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_aggregator_is_killed_and_the_others_go_on(five: Federation, moment: str) -> None:
    victim = five.order("kill", moment)
    agreed = five.go_on(peer for peer in five.peers if peer is not victim)
    assert_back(victim, victim.restart(), agreed)
    assert_nobody_is_accused(five.peers)


def test_everybody_is_killed_in_the_middle_of_a_round_and_goes_on_with_that_round(five: Federation) -> None:
    five.order("freeze", "dealing")
    for peer in five.peers:
        peer.process.kill()
    places = {peer: (peer.exit_code(), peer.restart())[1] for peer in five.peers}
    resumed = max(peer.wait("resuming", after=place)["round"] for peer, place in places.items())
    for peer, place in places.items():
        ended = peer.wait("model", after=place)["round"], *[event["round"] for event in peer.told("void")]
        assert resumed in ended, "it goes on with that round"
    assert_nobody_is_accused(five.peers)


def test_one_after_the_other_is_stopped_and_started_again(five: Federation) -> None:
    for peer in five.peers:
        assert peer.stop() == 0, peer.story()
        assert f"peer start --home {peer.home}" in peer.told("stopped")[-1]["text"]
        agreed = five.go_on(other for other in five.peers if other is not peer)
        assert_back(peer, peer.restart(), agreed)
    assert_nobody_is_accused(five.peers)


def test_any_one_living_address_is_enough_to_come_back(five: Federation) -> None:
    """All were invited by the founder, and it is gone when they come back."""
    founder, *two = five.peers[:3]
    for one in two:
        assert one.stop() == 0, one.story()
    founder.kill()
    places = [one.restart() for one in two]
    for one, place in zip(two, places, strict=True):
        one.wait("model", after=place)
    assert_back(founder, founder.restart(), five.round)


def test_after_all_that_every_home_holds_the_same_ledger_and_model(five: Federation) -> None:
    five.go_on(five.peers)
    stayed = five.rest(5)
    assert_alike(stayed)
    proofs(five.peers)
    assert_nobody_is_accused(five.peers)
