"""Everything at once, for as long as one likes: COTERIE_SOAK_STEPS steps (40) in the order of COTERIE_SOAK_SEED (1)."""

import os
import random

import pytest
from harness import Federation, Peer, assert_alike, assert_nobody_is_accused
from test_crashes import MOMENTS

pytestmark = [pytest.mark.processes, pytest.mark.soak, pytest.mark.timeout(3600)]

STEPS = int(os.environ.get("COTERIE_SOAK_STEPS", "40"))
SEED = int(os.environ.get("COTERIE_SOAK_SEED", "1"))


@pytest.mark.parametrize("scheme", ["shamir", "plain"])
def test_whatever_befalls_one_member_after_the_other_all_end_alike(
    tmp_path_factory: pytest.TempPathFactory, scheme: str
) -> None:
    source = random.Random(SEED)
    with Federation(tmp_path_factory.mktemp(scheme), obedient=True) as five:
        five.found("--min-peers", "5", "--round-interval", "0.1", "--share-deadline", "60", "--scheme", scheme)
        five.grow(5, *(("--allow-plain",) if scheme == "plain" else ()))
        for step in range(STEPS):
            what = source.choice(("kill", "kill", "kill", "freeze", "freeze", "stop", "kill all"))
            moment, who = (
                source.choice(MOMENTS),
                source.choice(("aggregator", *(peer.home.name for peer in five.peers))),
            )
            print(f"{step}: {what} {who} at {moment}, round {five.round}", flush=True)
            befall(five, what, moment, who, source)
            assert_nobody_is_accused(five.peers)
        five.go_on(five.peers)
        assert_alike(five.rest(5))


def befall(five: Federation, what: str, moment: str, who: str, source: random.Random) -> None:
    """Let it happen, see the others go on, and bring the victim back at once or later."""
    if what == "kill all":
        five.order("freeze", moment, who)
        for peer in five.peers:
            peer.kill()
        places = {peer: peer.restart() for peer in source.sample(five.peers, len(five.peers))}
        for peer, place in places.items():
            peer.wait("model", after=place)
        return
    victim = stopped(five, source) if what == "stop" else five.order(what, moment, who)
    agreed = five.round
    if source.random() < 0.7:
        agreed = five.go_on(peer for peer in five.peers if peer is not victim)
    if what == "freeze":
        victim.thaw()
    else:
        victim.restart()
    victim.contributes(after_round=agreed)


def stopped(five: Federation, source: random.Random) -> Peer:
    """Stop somebody."""
    victim = source.choice(five.peers)
    assert victim.stop() == 0, victim.story()
    return victim
