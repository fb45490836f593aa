"""Boxes that a member keeps for others: no more than may be needed, named only with the dealing that is acked."""

import pytest
from chains import digest

from coterie.protocol.ledger.committee import Committee
from coterie.protocol.round.custody import Custody


def custody(n: int = 7) -> Custody:
    return Custody(Committee(tuple(bytes([number]) * 32 for number in range(n))))


@pytest.mark.parametrize("n", [3, 4, 5, 7, 10, 31])
def test_of_one_dealer_as_many_boxes_are_kept_as_there_may_be_holders_without(n: int) -> None:
    one = custody(n)
    assert one.per_dealer == max(1, n - one.committee.sum_quorum)
    kept = 0
    for holder in range(1, n):
        if one.has_room(0, holder):
            one.keep(0, digest("dealing"), holder, b"box")
            kept += 1
    assert kept == one.per_dealer
    assert one.has_room(1, 0), "one dealer leaves room for the others"


def test_a_box_is_kept_once() -> None:
    one = custody()
    one.keep(0, digest("dealing"), 3, b"box")
    assert not one.has_room(0, 3)


def test_an_ack_names_only_boxes_of_the_dealings_that_it_names() -> None:
    one = custody()
    one.keep(2, digest("its dealing"), 4, b"box")
    one.keep(1, digest("another dealing"), 5, b"box")
    one.keep(1, digest("another dealing"), 4, b"box")
    assert one.named({1: digest("a dealing"), 2: digest("its dealing")}) == ((2, 4),)
    assert one.named({1: digest("another dealing"), 2: digest("its dealing")}) == ((1, 4), (1, 5), (2, 4))
    assert one.named({}) == ()


def test_a_holder_is_served_its_own_boxes_alone() -> None:
    one = custody()
    one.keep(2, digest("2"), 4, b"two for four")
    one.keep(1, digest("1"), 4, b"one for four")
    one.keep(1, digest("1"), 5, b"one for five")
    assert one.boxes_for(4) == [(1, digest("1"), b"one for four"), (2, digest("2"), b"two for four")]
    one.clear()
    assert one.boxes_for(4) == []


def test_boxes_do_not_show_in_a_representation() -> None:
    one = custody()
    one.keep(2, digest("2"), 4, b"sealed bytes")
    assert "sealed bytes" not in repr(one)
