"""Who contributes and who opens the sum, by the acks: a missing one is settled by boxes that others keep."""

import random
from collections.abc import Iterable

import pytest
from chains import digest
from hypothesis import given, settings
from hypothesis import strategies as st
from signing import members, signed

from coterie.protocol.ledger.committee import Committee
from coterie.protocol.ledger.evidence import contradiction
from coterie.protocol.limits import MAX_KEEPER_ACKS
from coterie.protocol.messages.kinds import Ack
from coterie.protocol.round.acks import Acks, wrong_ack

Pairs = Iterable[tuple[int, int]]


def id_of(dealer: int, which: int = 0) -> bytes:
    return digest(f"dealing {which} of {dealer}")


class Table:
    """The acks of a round of n, as they come in at one member."""

    def __init__(self, n: int) -> None:
        self.people = members(n)
        self.acks = Acks(Committee(tuple(one.public for one in self.people)))

    @property
    def committee(self) -> Committee:
        return self.acks.committee

    def ack(self, holder: int, dealers: Iterable[int] | dict[int, int], kept: Pairs = ()) -> object:
        """``holder`` acks; ``dealers`` with another dealing of theirs where that is a dictionary. What `take` says."""
        which = dealers if isinstance(dealers, dict) else dict.fromkeys(dealers, 0)
        named = tuple((dealer, id_of(dealer, which[dealer])) for dealer in sorted(which))
        return self.acks.take(holder, signed(self.people[holder], Ack(1, named, tuple(sorted(kept)))))

    def all_but(self, *missing: tuple[int, int]) -> None:
        """Everybody acks all, but for these (holder, dealer)."""
        for holder in range(self.committee.n):
            self.ack(holder, [one for one in range(self.committee.n) if (holder, one) not in missing])

    def settled(self, holders: Iterable[int] | None = None) -> set[int]:
        """The dealers whose dealings are settled for these holders, by default for all."""
        dealings = self.acks.dealings(range(self.committee.n))
        there = range(self.committee.n) if holders is None else holders
        return dealings.keys() - self.acks.unsettled(dealings, there)


SIZES = [3, 4, 5, 7, 10, 13, 31]


# Settled dealings.


@pytest.mark.parametrize("n", SIZES)
def test_where_all_acked_all_everybody_contributes_and_holds(n: int) -> None:
    table = Table(n)
    table.all_but()
    assert table.settled() == set(range(n))
    choice = table.acks.choose(table.acks.dealings(range(n)))
    assert choice is not None
    assert [dealer for dealer, _ in choice.dealers] == list(range(n)) == list(choice.holders)


@pytest.mark.parametrize("n", [4, 7, 10])
def test_a_missing_ack_is_settled_by_f_plus_one_keepers_and_not_by_f(n: int) -> None:
    table = Table(n)
    victim, liar = 0, n - 1
    table.all_but((liar, victim))
    assert table.settled() == set(range(1, n))
    for count, keeper in enumerate(range(1, table.committee.f + 2), 1):
        table.ack(keeper, range(n), [(victim, liar)])
        assert (victim in table.settled()) == (count > table.committee.f)
    assert table.settled() == set(range(n))


def test_dealer_and_holder_count_as_no_keepers_of_their_own_box() -> None:
    table = Table(4)
    table.all_but((3, 0))
    table.ack(0, range(4), [(0, 3)])
    table.ack(3, [1, 2, 3], [(0, 3)] if wrong_ack(Ack(1, (), ((0, 3),)), 4) is None else ())
    table.ack(1, range(4), [(0, 3)])
    assert table.settled() == {1, 2, 3}, "one honest keeper is one of two"
    table.ack(2, range(4), [(0, 3)])
    assert table.settled() == set(range(4))


def test_keepers_of_another_dealing_of_the_dealer_settle_nothing() -> None:
    table = Table(4)
    table.all_but((3, 0))
    table.ack(1, range(4), [(0, 3)])
    table.ack(2, {0: 1, 1: 0, 2: 0, 3: 0}, [(0, 3)])
    assert 0 not in table.settled()


def test_a_holder_that_is_away_settles_no_dispute_and_makes_none() -> None:
    table = Table(5)
    table.all_but(*((4, dealer) for dealer in range(4)))
    assert table.settled() == {4}
    assert table.settled(range(4)) == set(range(5))


def test_keeping_a_box_is_not_taken_back_by_a_later_ack() -> None:
    table = Table(4)
    for holder in (0, 3):
        table.ack(holder, range(4) if holder == 0 else [1, 2, 3])
    for keeper in (1, 2):
        table.ack(keeper, [0, 1], [(0, 3)])
    table.ack(1, range(4))
    assert 0 in table.settled()


@st.composite
def lies(draw: st.DrawFn) -> tuple[int, list[int], random.Random]:
    n = draw(st.sampled_from([4, 5, 7, 8, 10, 13]))
    liars = draw(st.permutations(range(n)))[: (n - 1) // 3]
    return n, liars, draw(st.randoms(use_true_random=False))


@settings(max_examples=300)
@given(lies())
def test_no_acks_of_f_liars_keep_out_a_dealer_whose_boxes_honest_members_keep(
    given_: tuple[int, list[int], random.Random],
) -> None:
    """Liars ack whom they like, with whatever id, and claim to keep whatever; honest dealers hand over what lacks."""
    n, liars, rnd = given_
    table = Table(n)
    honest = [one for one in range(n) if one not in liars]
    named: dict[int, dict[int, int]] = {}
    for liar in liars:
        named[liar] = {dealer: rnd.randrange(2) for dealer in range(n) if rnd.random() < 0.6}
    dealt_to = {liar: {holder for holder in honest if rnd.random() < 0.7} for liar in liars}
    missing = [(dealer, liar) for dealer in honest for liar in liars if named[liar].get(dealer) != 0]
    for liar in liars:
        kept = [(d, h) for d in named[liar] for h in range(n) if liar not in (d, h) and rnd.random() < 0.3]
        table.ack(liar, named[liar], kept)
    for one in honest:
        held = {*honest, *(liar for liar in liars if one in dealt_to[liar])}
        table.ack(one, held, [(d, h) for d, h in missing if d != one])
    settled = table.settled()
    assert set(honest) <= settled
    for liar in set(liars) & settled:
        lacking = set(honest) - dealt_to[liar]
        keepers = [
            {one for one in liars if (liar, h) in dict.fromkeys(_kept(table, one)) and one != liar} for h in lacking
        ]
        assert all(len(one) > table.committee.f for one in keepers), "f liars alone keep no box for anybody"
    choice = table.acks.choose({one: id_of(one) for one in settled if id_of(one) == _named(table, one)})
    if choice is not None:
        assert set(choice.holders) >= {one for one in honest if settled <= table.acks.of(one).keys()}


def _kept(table: Table, holder: int) -> tuple[tuple[int, int], ...]:
    message = table.acks.latest[holder].message
    assert isinstance(message, Ack)
    return message.kept


def _named(table: Table, dealer: int) -> bytes:
    return table.acks.dealings([dealer])[dealer]


# The sets.


def test_a_choice_smaller_than_the_minima_is_none() -> None:
    table = Table(4)
    assert table.acks.choose({}) is None
    table.all_but()
    rules = table.committee
    assert table.acks.choose({one: id_of(one) for one in range(rules.min_contributors)}) is not None
    assert table.acks.choose({one: id_of(one) for one in range(rules.min_contributors - 1)}) is None
    few = Table(4)
    for holder in range(rules.sum_quorum - 1):
        few.ack(holder, range(4))
    assert few.acks.choose(few.acks.dealings(range(4))) is None


def test_of_two_dealings_of_one_dealer_the_one_that_more_hold_counts_and_only_its_holders() -> None:
    table = Table(5)
    for holder in range(5):
        table.ack(holder, {0: int(holder in (3, 4)), 1: 0, 2: 0, 3: 0, 4: 0})
    assert table.acks.dealings([0]) == {0: id_of(0)}
    assert table.acks.holders_of(table.acks.dealings(range(5))) == (0, 1, 2)


def test_two_dealings_with_as_many_holders_are_the_same_one_for_all_members() -> None:
    tables = [Table(4), Table(4)]
    for table, order in zip(tables, (range(4), reversed(range(4))), strict=True):
        for holder in order:
            table.ack(holder, {0: int(holder in (2, 3)), 1: 0})
    assert tables[0].acks.dealings([0]) == tables[1].acks.dealings([0])


# Acks that replace each other.


def test_an_ack_that_names_another_dealing_is_handed_back_with_the_earlier_one_and_not_taken() -> None:
    table = Table(4)
    table.all_but()
    before = table.acks.latest[2]
    assert table.ack(2, {0: 1, 1: 0}) is before
    assert table.acks.of(2)[0] == id_of(0)
    assert table.acks.latest[2] is before
    second = signed(table.people[2], Ack(1, ((0, id_of(0, 1)),)))
    assert contradiction((before, second)) == (table.people[2].public, "double-ack")


def test_an_older_ack_that_comes_late_takes_nothing_back() -> None:
    table = Table(4)
    table.ack(1, range(4), [(0, 2)])
    assert table.ack(1, [0, 1]) is None
    assert table.ack(1, range(4)) is None
    assert set(table.acks.of(1)) == set(range(4))
    assert table.acks.keeps(1, 0, id_of(0), 2)


def test_an_ack_that_names_fewer_kept_boxes_still_says_what_is_kept() -> None:
    """A keeper's room is used again for other holders, once those that its boxes were for have acked."""
    table = Table(4)
    table.ack(1, range(4), [(0, 2), (0, 3), (3, 2)])
    table.ack(1, range(4), [(2, 3)])
    assert table.acks.keeps(1, 2, id_of(2), 3)
    assert table.acks.keeps(1, 0, id_of(0), 3)


def shown(table: Table) -> Table:
    """What another member has of the acks when it is shown all that this one can show."""
    other = Table(table.committee.n)
    for holder in table.acks.latest:
        shown = [*table.acks.proofs(holder), *table.acks.proof_against(holder)]
        for ack in shown:
            other.acks.take(holder, ack)
        other.acks.take_together((holder, ack) for ack in shown)
    return other


def test_whatever_a_member_was_told_of_kept_boxes_it_can_show() -> None:
    """A liar says so in an ack that its next one replaces."""
    table = Table(10)
    table.all_but((8, 7))
    for keeper in (0, 1, 2):
        table.ack(keeper, range(10), [(7, 8)])
    table.ack(9, [7], [(7, 8)])
    table.ack(9, range(10))
    assert table.settled() == shown(table).settled() == set(range(10))
    assert [len(table.acks.proofs(holder)) for holder in range(10)] == [1] * 9 + [2]


def test_a_keeper_that_says_so_in_ever_other_acks_is_none_for_anybody() -> None:
    table = Table(31)
    table.all_but((30, 29))
    for keeper in range(table.committee.f):
        table.ack(keeper, range(31), [(29, 30)])
    for other in range(MAX_KEEPER_ACKS):
        table.ack(28, range(31), [(29, 30), (other, 30)])
    assert table.settled() == shown(table).settled() == set(range(31)), "an honest one may have been restarted so often"
    for other in range(MAX_KEEPER_ACKS, 3 * MAX_KEEPER_ACKS):
        table.ack(28, range(31), [(29, 30), (other, 30)])
        assert 29 not in table.settled()
        assert 29 not in shown(table).settled()
        assert len(table.acks.proofs(28)) + len(table.acks.proof_against(28)) <= MAX_KEEPER_ACKS + 2


def test_a_keeper_that_told_one_member_all_at_once_is_none_for_it_either() -> None:
    """What it told the others covers nothing that this one does not know, and is proof all the same."""
    pairs = [(29, 30), *((other, 30) for other in range(MAX_KEEPER_ACKS))]
    tables = [Table(31), Table(31)]
    for table, kept in zip(tables, ([pairs], [[pair] for pair in pairs]), strict=True):
        table.all_but((30, 29))
        for keeper in range(table.committee.f):
            table.ack(keeper, range(31), [(29, 30)])
        for some in kept:
            table.ack(28, range(31), some)
    all_at_once, one_by_one = tables
    assert 29 in all_at_once.settled()
    assert 29 not in one_by_one.settled()
    for ack in (proof := one_by_one.acks.proof_against(28)):
        all_at_once.acks.take(28, ack)
    assert 29 in all_at_once.settled(), "in whatever order it hears them"
    all_at_once.acks.take_together((28, ack) for ack in proof)
    assert 29 not in all_at_once.settled()
    assert all_at_once.acks.proof_against(28) == proof


@given(st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 3))), max_size=30))
def test_support_counts_what_the_latest_acks_name(said: list[tuple[int, set[int]]]) -> None:
    table = Table(4)
    for holder, dealers in said:
        table.ack(holder, dealers)
    for dealer in range(4):
        holders = tuple(h for h in range(4) if dealer in table.acks.of(h))
        assert bool(table.acks.dealings([dealer])) == bool(holders)
        if holders:
            assert table.acks.holders_of(table.acks.dealings([dealer])) == holders


# Acks that no honest member sends.


WRONG = [
    Ack(1, ((1, id_of(1)), (0, id_of(0)))),
    Ack(1, ((1, id_of(1)), (1, id_of(1, 1)))),
    Ack(1, ((4, id_of(4)),)),
    Ack(1, ((0, id_of(0)),), ((1, 2),)),
    Ack(1, ((0, id_of(0)),), ((0, 4),)),
    Ack(1, ((0, id_of(0)),), ((0, 2), (0, 1))),
    Ack(1, ((0, id_of(0)),), ((0, 2), (0, 2))),
]


@pytest.mark.parametrize("message", WRONG, ids=range(len(WRONG)))
def test_a_malformed_ack_is_told_apart(message: Ack) -> None:
    assert wrong_ack(message, 4) is not None


def test_honest_acks_are_well_formed() -> None:
    assert wrong_ack(Ack(1, ()), 4) is None
    assert wrong_ack(Ack(1, ((0, id_of(0)), (3, id_of(3))), ((0, 1), (0, 2), (3, 0))), 4) is None
