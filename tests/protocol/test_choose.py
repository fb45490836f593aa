"""Contributors U and holders J: what is chosen obeys the rules, and liars cannot keep it from being found."""

from itertools import combinations

import pytest
from chains import digest
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie.protocol.committee import Committee
from coterie.protocol.schemes import Choice
from coterie.protocol.schemes.choosing import choose

Acks = dict[int, dict[int, bytes]]


def root(dealer: int, which: int = 0) -> bytes:
    return digest(f"root {which} of {dealer}")


def committee(n: int) -> Committee:
    return Committee(tuple(digest(f"{number}") for number in range(n)))


@st.composite
def any_acks(draw: st.DrawFn, n: int | None = None) -> Acks:
    """Each holder acks any dealers, a few of them with another root."""
    n = draw(st.integers(3, 6)) if n is None else n
    which = st.sampled_from([None, None, 0, 0, 0, 0, 1])
    rows = draw(st.lists(st.lists(which, min_size=n, max_size=n), min_size=n, max_size=n))
    return {
        holder: {dealer: root(dealer, one) for dealer, one in enumerate(row) if one is not None}
        for holder, row in enumerate(rows)
    }


def assert_admissible(choice: Choice, acks: Acks, min_dealers: int, min_holders: int) -> None:
    dealers = [dealer for dealer, _ in choice.dealers]
    assert dealers == sorted(set(dealers))
    assert list(choice.holders) == sorted(set(choice.holders))
    assert len(dealers) >= min_dealers
    assert len(choice.holders) >= min_holders
    assert all(acks[holder].get(dealer) == root for holder in choice.holders for dealer, root in choice.dealers)


def sets_exist(acks: Acks, min_dealers: int, min_holders: int) -> bool:
    """By trying all of them; a dealer counts with its most acked root, the least of them where several are."""
    roots: dict[int, bytes] = {}
    for dealer in range(len(acks)):
        seen = [row[dealer] for row in acks.values() if dealer in row]
        if seen:
            roots[dealer] = min(set(seen), key=lambda one: (-seen.count(one), one))
    return any(
        sum(all(acks[holder].get(dealer) == roots[dealer] for dealer in dealers) for holder in acks) >= min_holders
        for dealers in combinations(sorted(roots), min_dealers)
    )


@given(any_acks(), st.data())
def test_sets_are_found_where_there_are_any_and_obey_the_minima(acks: Acks, data: st.DataObject) -> None:
    n = len(acks)
    min_dealers, min_holders = data.draw(st.integers(1, n)), data.draw(st.integers(1, n))
    doubts = data.draw(st.none() | st.dictionaries(st.integers(0, n - 1), st.integers(1, 9)))
    choice = choose(acks, min_dealers, min_holders, tuple(range(n)), doubts)
    assert (choice is not None) == sets_exist(acks, min_dealers, min_holders)
    if choice is not None:
        assert_admissible(choice, acks, min_dealers, min_holders)


@pytest.mark.parametrize("n", range(3, 12))
def test_where_all_acked_all_everybody_contributes_and_holds(n: int) -> None:
    acks = {holder: {dealer: root(dealer) for dealer in range(n)} for holder in range(n)}
    rules = committee(n)
    choice = choose(acks, rules.min_contributors, rules.sum_quorum, tuple(range(n)))
    assert choice is not None
    assert [dealer for dealer, _ in choice.dealers] == list(range(n)) == list(choice.holders)


def test_a_dealer_that_only_some_hold_goes_before_a_holder_does() -> None:
    acks = {holder: {dealer: root(dealer) for dealer in range(5) if dealer != 4 or holder < 2} for holder in range(5)}
    choice = choose(acks, 4, 4, tuple(range(5)))
    assert choice is not None
    assert [dealer for dealer, _ in choice.dealers] == [0, 1, 2, 3]
    assert choice.holders == (0, 1, 2, 3, 4)


def test_a_liar_cannot_leave_out_whom_it_likes_by_not_acking_them_once_somebody_is_doubted() -> None:
    """It is the first of those that nobody doubts, and acked all but the first honest dealer."""
    acks = {holder: {dealer: root(dealer) for dealer in range(7) if (holder, dealer) != (0, 1)} for holder in range(7)}
    choice = choose(acks, 4, 5, tuple(range(7)), {6: 4})
    assert choice is not None
    assert [dealer for dealer, _ in choice.dealers] == list(range(7))
    assert choice.holders == (1, 2, 3, 4, 5, 6)


def test_who_was_caught_is_not_chosen() -> None:
    acks = {holder: {dealer: root(dealer) for dealer in range(5)} for holder in range(5)}
    choice = choose(acks, 4, 4, (0, 1, 2, 4))
    assert choice is not None
    assert [dealer for dealer, _ in choice.dealers] == [0, 1, 2, 4]
    assert choice.holders == (0, 1, 2, 3, 4), "and holds, for that does no harm"


def test_holders_of_another_root_do_not_hold_the_chosen_one() -> None:
    acks = {holder: {dealer: root(dealer) for dealer in range(4)} for holder in range(4)}
    acks[3][0] = root(0, 1)
    choice = choose(acks, 4, 3, tuple(range(4)))
    assert choice is not None
    assert choice.holders == (0, 1, 2)
    assert dict(choice.dealers)[0] == root(0)


def test_nothing_is_chosen_from_nothing() -> None:
    assert choose({}, 3, 2, (0, 1, 2)) is None
    assert choose({0: {}, 1: {}, 2: {}}, 3, 2, (0, 1, 2)) is None


def clique_with_liars(n: int, deals_to: list[set[int]], liars_ack: list[set[int]]) -> Acks:
    """The first n-f members deal to all and ack what they hold; liar i deals to and acks whom it likes."""
    f = (n - 1) // 3
    honest = range(n - f)
    acks: Acks = {holder: {dealer: root(dealer) for dealer in honest} for holder in honest}
    for liar, (holders, acked) in enumerate(zip(deals_to, liars_ack, strict=True), n - f):
        for holder in holders & set(honest):
            acks[holder][liar] = root(liar)
        acks[liar] = {dealer: root(dealer) for dealer in acked}
    return acks


def assert_found(n: int, acks: Acks) -> None:
    rules = committee(n)
    choice = choose(acks, rules.min_contributors, rules.sum_quorum, tuple(range(n)))
    assert choice is not None
    assert_admissible(choice, acks, rules.min_contributors, rules.sum_quorum)


@pytest.mark.parametrize("n", [4, 7, 10, 13, 22, 31])
def test_liars_that_ack_only_each_other_and_deal_to_all_but_one_cannot_prevent_a_choice(n: int) -> None:
    """They have more acks than anybody, and no two of them leave out the same holder."""
    f = (n - 1) // 3
    liars = set(range(n - f, n))
    assert_found(n, clique_with_liars(n, [set(range(n - f)) - {which} for which in range(f)], [liars] * f))


@settings(max_examples=300)
@given(st.sampled_from([4, 5, 7, 9, 10, 13, 16, 25]), st.data())
def test_whatever_f_liars_ack_and_to_whomever_they_deal_the_honest_are_found(n: int, data: st.DataObject) -> None:
    f = (n - 1) // 3
    some = st.sets(st.integers(0, n - 1)) | st.just(set(range(n)))
    deals_to = [data.draw(some, "deals to") for _ in range(f)]
    liars_ack = [data.draw(some, "acks") for _ in range(f)]
    assert_found(n, clique_with_liars(n, deals_to, liars_ack))


@settings(max_examples=25)
@given(st.data())
def test_the_search_ends_however_the_acks_are_laid_out(data: st.DataObject) -> None:
    n = 30
    rows = data.draw(st.lists(st.integers(0, 2**n - 1), min_size=n, max_size=n))
    acks = {h: {d: root(d) for d in range(n) if row >> d & 1} for h, row in enumerate(rows)}
    choice = choose(acks, 12, 20, tuple(range(n)))
    if choice is not None:
        assert_admissible(choice, acks, 12, 20)
