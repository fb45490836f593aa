"""A sum that was opened and then made to fail is repeated with the same contributors, or it gives one of them away.

Safety rule 4 ends a round with its contributors. The next one is about the same base model, and where training
follows from the model alone, as the sums of a setup round do, about the same updates. So a proposer that has
opened the first sum must not be able to choose who is in the second.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from chains import Chain, digest
from cluster import Cluster, Site, make_genesis

from coterie.crypto.codec import FixedPoint
from coterie.crypto.identity import Identity
from coterie.crypto.robust import decode
from coterie.crypto.shamir import Scheme
from coterie.protocol.blocks import Contributors, read_block
from coterie.protocol.committee import Committee
from coterie.protocol.envelope import Verified
from coterie.protocol.messages import Deal, Precommit, Prevote, Proposal
from coterie.protocol.outbox import Outbox
from coterie.protocol.proposals import wrong_omission
from coterie.protocol.records import BlockDecided
from coterie.protocol.schemes import Choice
from coterie.protocol.sharing import Sharing
from coterie.protocol.summing import Summing
from coterie.protocol.work import Contribution, Train

N, SIZE = 4, 8
VICTIM, WITHOUT_SHARE, LIAR = 1, 2, 3
EXAMPLES = 10
UPDATES = [np.array([0.11 * (i + 1) * (-1) ** k + 0.013 * k for k in range(SIZE)], np.float32) for i in range(N)]


@dataclass
class Attack:
    """The liar opens the sum of round 1, makes it fail, and proposes the next one without the victim."""

    cluster: Cluster
    opened: dict[int, tuple["np.ndarray[Any, Any]", Summing]]
    """What the liar knows of each round's W."""

    @property
    def sets(self) -> list[tuple[int, frozenset[int]]]:
        """The decided contributors, by round, as the numbers of their sites."""
        blocks = [one for one in self.cluster.sites[0].disk.records if isinstance(one, BlockDecided)]
        bodies = [read_block(one.block).body for one in blocks]
        members = sorted(site.identity.public for site in self.cluster.sites)
        sites = [self.cluster.by_key[key].number for key in members]
        return [
            (body.round, frozenset(sites[index] for index, _ in body.dealers))
            for body in bodies
            if isinstance(body, Contributors) and body.round > 0
        ]

    def exposed(self) -> "np.ndarray[Any, Any] | None":
        """The victim's update, if the liar's two sums differ in it alone."""
        if not {1, 2} <= self.opened.keys() or dict(self.sets)[1] - dict(self.sets)[2] != {VICTIM}:
            return None
        sums = []
        for vector, summing in (self.opened[1], self.opened[2]):
            codec = FixedPoint(summing.clip, N)
            slots = summing.terms.layout.slots
            total = codec.decode_sum(vector[:slots].copy(), SIZE, len(summing.body.dealers)) * codec.step
            sums.append(total * summing.examples_ref / EXAMPLES)
        return np.asarray(sums[0] - sums[1])


def trainer(cluster: Cluster, number: int) -> Any:
    """Training that follows from the model alone; what is random in a contribution is not the update."""

    def train(work: Train) -> Contribution:
        update = UPDATES[number].copy() if work.kind == "train" else None
        return Contribution(EXAMPLES, (4.0, 8.0), cluster.random.randbytes(32), update)

    return train


def withholds(cluster: Cluster, sender: Site, receiver: Site, message: Verified) -> bool:
    """In round 1 the liar gives one holder no share, so that its own is needed, and does not help to agree on W."""
    if sender.number != LIAR or sender.node is None:
        return False
    if isinstance(message.message, Deal):
        return message.message.round == 1 and receiver.number == WITHOUT_SHARE
    state = sender.node.state
    is_vote = isinstance(message.message, Prevote | Precommit | Proposal)
    return is_vote and state.round == 1 and state.phase == "summing"


def attack(monkeypatch: pytest.MonkeyPatch, seed: int) -> Attack:
    genesis = make_genesis(
        SIZE, min_peers=N, rounds=1, view_timeout_ms=200, view_delta_ms=50, share_deadline_ms=1_000, setup_sums=0
    )
    cluster = Cluster(N, genesis, seed=seed)
    for site in cluster.sites:
        site.train = trainer(cluster, site.number)
    liar, victim = cluster.sites[LIAR].identity.public, cluster.sites[VICTIM].identity.public
    run = Attack(cluster, {})
    cluster.drop = lambda sender, receiver, message: withholds(cluster, sender, receiver, message)

    def look(site: Site) -> None:
        summing = site.node.ctx.summing if site.node is not None else None
        if site.number != LIAR or summing is None or summing.round in run.opened:
            return
        rows = summing._rows
        if summing.round == 1 and len(rows) >= 2:  # K shares open a sum; that nobody can be sure of it is no comfort
            indices = sorted(rows)
            shares = np.stack([np.frombuffer(rows[index], np.uint64) for index in indices])
            decoded = decode(Scheme(N, 2), indices, shares, 2, bytes(32))
            assert decoded is not None
            run.opened[1] = decoded.secret, summing
        for checked in summing.checked.values():
            if checked is not None:
                run.opened[summing.round] = np.frombuffer(checked.vector, np.uint64), summing

    cluster.after_step = look
    ours = Sharing.choice

    def without_the_victim(self: Sharing) -> Choice | None:
        choice = ours(self)
        if choice is None or self.out.me != liar or self.round == 1:
            return choice
        index = self.committee.index(victim)
        return Choice(tuple(one for one in choice.dealers if one[0] != index), choice.holders)

    with monkeypatch.context() as bent:
        bent.setattr(Sharing, "choice", without_the_victim)
        # It proposes as soon as it can, whoever it leaves out.
        complete = Sharing.is_complete
        bent.setattr(
            Sharing,
            "is_complete",
            lambda self, alive, changes: (
                self.choice() is not None if self.out.me == liar else complete(self, alive, changes)
            ),
        )
        cluster.start()
        cluster.run(lambda: cluster.all_at("finished"), 900_000)
    return run


SEEDS = range(12)


def test_whoever_opens_a_sum_and_makes_it_fail_cannot_have_it_repeated_without_one_member(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for seed in SEEDS:
        run = attack(monkeypatch, seed)
        assert 1 in run.opened, "the liar did open the sum that failed"
        assert [chosen for _, chosen in run.sets[:2]] == [frozenset(range(N))] * 2
        assert run.exposed() is None


def test_a_build_that_lets_the_proposer_choose_gives_the_members_update_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coterie.protocol.agreement.wrong_omission", lambda *arguments: None)
    exposed = [found for seed in SEEDS if (found := attack(monkeypatch, seed).exposed()) is not None]
    assert exposed
    for found in exposed:
        assert np.abs(found - UPDATES[VICTIM]).max() < 1e-3


# What a member votes for.


def sharing(acks: dict[int, set[int]], **changes: Any) -> Sharing:
    """A member's share phase among four, with these acks."""
    me = Identity.from_seed(bytes(32))
    committee = Committee(tuple(sorted((me.public, *(digest(f"{number}") for number in range(N - 1))))))
    one = Sharing(Outbox(me, bytes(32)), 5, "train", committee, None, None, 4.0, 64, 1, **changes)  # type: ignore[arg-type]
    for holder, dealers in acks.items():
        one.acks[holder] = {dealer: digest(f"root {dealer}") for dealer in dealers}
    return one


def proposal(*dealers: int) -> Contributors:
    return Contributors(5, "shamir", bytes(32), tuple((i, digest(f"root {i}")) for i in dealers), (0, 1, 2, 3))


ALL = {holder: set(range(N)) for holder in range(N)}


def omission(one: Sharing, *dealers: int, alive: int = N) -> str | None:
    return wrong_omission(one, proposal(*dealers), one.committee.members[:alive], 1)


def test_nobody_who_is_there_is_left_out_before_the_deadline() -> None:
    assert omission(sharing(ALL), 0, 1, 2, 3) is None
    assert omission(sharing(ALL), 0, 1, 2) == "it leaves out member 3"
    assert omission(sharing({}), 0, 1, 2) == "it leaves out member 3", "also while its acks are on their way"


def test_who_is_gone_sits_out_or_was_caught_may_be_left_out() -> None:
    me = sharing({}).me
    assert me is not None
    gone = next(index for index in range(N) if index not in (me, N - 1))
    one = sharing(ALL)
    alive = [member for index, member in enumerate(one.committee.members) if index != gone]
    left = [index for index in range(N) if index != gone]
    assert wrong_omission(one, proposal(*left), alive, 1) is None
    one = sharing(ALL)
    one.sat_out[gone] = "no data"
    assert omission(one, *left) is None
    one = sharing(ALL)
    one.liars.add(gone)
    assert omission(one, *left) is None


def test_after_the_deadline_only_those_are_due_whom_one_would_choose() -> None:
    acks = {holder: {0, 1, 2} for holder in range(N)}
    assert omission(sharing(acks, deadline_passed=True), 0, 1, 2) is None
    assert omission(sharing(ALL, deadline_passed=True), 0, 1, 2) == "it leaves out member 3"


def test_a_failed_sum_is_repeated_neither_with_fewer_nor_with_more() -> None:
    first_three = frozenset({0, 1, 2})
    for passed in (False, True):
        one = sharing(ALL, failed=first_three, deadline_passed=passed)
        assert omission(one, 0, 1, 2) is None
        assert omission(one, 0, 1, 2, 3) == "it repeats a sum that failed, with member 3 added"
        assert "leaves out member 2" in str(omission(one, 0, 1, 3))
    chosen = sharing(ALL, failed=first_three).choice()
    assert chosen is not None
    assert dict(chosen.dealers).keys() == first_three
    assert chosen.holders == (0, 1, 2, 3)


def test_a_failed_sum_waits_for_those_of_its_contributors_that_are_there_and_for_nobody_else() -> None:
    three = {holder: {0, 1, 2} for holder in (0, 1, 2)}
    everybody = frozenset(range(N))
    late = sharing(three, failed=everybody, unawaited={holder: frozenset({3}) for holder in range(N)})
    assert not late.is_complete(late.committee.members, 1)
    assert omission(late, 0, 1, 2) == "it leaves out member 3", "though nobody waits for acks of what it dealt"
    gone = sharing(three, failed=everybody)
    assert gone.is_complete(gone.committee.members[:3], 1)
    assert omission(gone, 0, 1, 2, alive=3) is None
    slow = sharing(three, failed=everybody, deadline_passed=True)
    assert omission(slow, 0, 1, 2) is None


def test_the_ledger_remembers_the_first_failed_sum_until_a_model_is_decided() -> None:
    chain = Chain(N)
    chain.append(chain.void())
    assert chain.state.failed == (), "no sum was open"
    chain.append(chain.contributors())
    chain.append(chain.void())
    assert chain.state.failed == chain.state.committee.members
    chain.append(chain.contributors(range(3)))
    chain.append(chain.void())
    assert chain.state.failed == chain.state.committee.members, "the first is what later ones are compared with"
    chain.round()
    assert chain.state.failed == ()
