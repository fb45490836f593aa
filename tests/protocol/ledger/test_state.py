"""The ledger as a fold: what each block makes of the state, and why a block is refused. Changes of the members have a
module of their own, :mod:`test_ledger_changes`, and so have certificates, :mod:`test_ledger_certificates`.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
from chains import Chain, digest
from ledgers import (
    OUTSIDER,
    Fault,
    changed,
    double_vote,
    fault_tests,
    finished,
    joined,
    key,
    refusal,
    settled,
    sharing,
    summing,
    waiting,
)
from members import identity

from coterie.protocol.ledger.blocks import Body, Contributors, Evict, Membership, Void, wide_bytes
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.ledger.contribution import WIDE_UNIT
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.ledger.state import LedgerError, Member, apply

# What each block makes of the state.


def test_at_height_0_there_is_the_founder_alone_and_the_ids_are_those_of_the_genesis() -> None:
    chain = Chain(1)
    state = chain.state
    assert (state.height, state.head, state.federation) == (0, chain.genesis.federation, chain.genesis.federation)
    assert (state.keys, state.phase, state.round) == ((key(0),), Phase.WAITING, 1)


def test_a_round_before_training_is_round_0() -> None:
    assert [Chain(1, setup_sums=sums).state.round for sums in (0, 3)] == [1, 0]


def test_a_join_adds_a_member_and_keeps_the_order_of_the_keys() -> None:
    chain = waiting(4)
    assert list(chain.state.keys) == sorted(key(number) for number in range(4))
    assert {member.joined for member in chain.state.members} == {0, 1}


def test_enough_members_begin_a_round_with_a_committee_of_all_of_them() -> None:
    chain = waiting(2)
    assert (chain.state.phase, chain.state.committee.n) == (Phase.WAITING, 2)
    state = chain.append(joined(chain, 5))
    assert (state.phase, state.round, state.committee) == (Phase.SHARING, 1, Committee(state.keys))


def test_members_that_join_during_a_round_belong_to_the_next() -> None:
    chain = sharing()
    state = chain.append(joined(chain, 5))
    assert (len(state.keys), state.committee.n, state.phase) == (5, 4, Phase.SHARING)
    assert chain.append(chain.void()).committee.n == 5


def test_members_that_leave_during_a_round_belong_to_it_to_its_end() -> None:
    chain = Chain(4, min_peers=3)
    state = chain.append(Membership((chain.leave(identity(2)),)))
    assert (len(state.keys), state.committee.n) == (3, 4)
    state = chain.round()
    assert (state.committee.n, state.phase) == (3, Phase.SHARING)


def test_too_few_members_wait_after_the_round() -> None:
    chain = sharing()
    chain.append(Membership((chain.leave(identity(2)),)))
    assert chain.append(chain.void()).phase is Phase.WAITING


def test_contributors_open_the_sum() -> None:
    chain = sharing()
    body = chain.contributors(dealers=(0, 1, 3), holders=(0, 2, 3))
    state = chain.append(body)
    assert (state.phase, state.contributors, state.round) == (Phase.SUMMING, body, 1)


def test_a_model_ends_the_round_with_its_weights_its_beacon_and_its_sums() -> None:
    chain = summing()
    body = chain.model(30, 30, 1, 2)
    state = chain.append(body)
    assert (state.phase, state.round, state.trained, state.contributors) == (Phase.SHARING, 2, 1, None)
    assert (state.weights_hash, state.beacon) == (body.weights_hash, body.beacon)
    assert state.sums == tuple(WIDE_UNIT * one for one in (30, 30, 1, 2))


@pytest.mark.parametrize(
    "sums", [(3.5, 40), (4_096.5, 10**6), (50, 40)], ids=["too few", "above the cap", "more than all"]
)
def test_a_model_with_an_example_count_that_four_contributors_cannot_have_is_refused(sums: tuple[float, float]) -> None:
    chain = summing(examples_ref=1_024)
    with pytest.raises(LedgerError, match="impossible example count"):
        chain.append(chain.model(*sums, 1, 2))
    assert chain.append(chain.model(4_096, 10**6, 1, 2)).trained == 1


def test_a_void_round_leaves_the_model_alone_and_the_next_begins() -> None:
    chain = sharing()
    before = chain.state
    state = chain.append(chain.void(key(2)))
    assert (state.phase, state.round, state.trained) == (Phase.SHARING, 2, 0)
    assert (state.weights_hash, state.sums, state.beacon) == (before.weights_hash, None, before.beacon)
    chain.append(chain.contributors())
    state = chain.append(chain.void())
    assert (state.phase, state.round, state.contributors) == (Phase.SHARING, 3, None)


def test_a_setup_round_gives_totals_and_trains_nothing() -> None:
    chain = summing(setup_sums=2)
    assert chain.state.kind == "setup"
    before = chain.state.weights_hash
    state = chain.append(chain.model(40, 40, 5, 6))
    assert (state.kind, state.trained, state.round, state.weights_hash) == ("train", 0, 1, before)
    assert state.totals == (5 * WIDE_UNIT, 6 * WIDE_UNIT)
    chain.round()
    assert chain.state.totals == state.totals


def test_a_round_that_evaluates_the_last_model_finishes_the_training() -> None:
    chain = Chain(4, rounds=2)
    assert [(chain.state.kind, chain.round().phase) for _ in range(3)] == [
        ("train", Phase.SHARING),
        ("train", Phase.SHARING),
        ("evaluate", Phase.FINISHED),
    ]
    assert chain.state.trained == 2


def test_without_a_number_of_rounds_training_never_finishes() -> None:
    chain = Chain(4, rounds=0)
    for _ in range(5):
        assert chain.state.kind == "train"
        assert chain.round().phase is Phase.SHARING


def test_after_the_training_members_still_come_and_go_and_decide_about_it_at_once() -> None:
    chain = finished()
    assert chain.append(joined(chain, 5)).committee.n == 5
    assert chain.append(Membership((chain.leave(identity(1)),))).committee.n == 4
    assert chain.state.phase is Phase.FINISHED


def test_rounds_are_missed_by_who_is_not_among_the_contributors_and_counted_in_a_row() -> None:
    chain = sharing()
    absent = chain.state.committee.members[2]
    for missed in (1, 2):
        chain.append(chain.contributors(dealers=(0, 1, 3)))
        chain.append(chain.model())
        assert [member.missed for member in chain.state.members] == [0, 0, missed, 0]
    chain.append(chain.void(absent))
    assert chain.state.members[2].missed == 2, "a void round has no contributors to be missing from"
    chain.round()
    assert {member.missed for member in chain.state.members} == {0}


def test_who_joined_during_a_round_has_not_missed_it() -> None:
    chain = sharing()
    chain.append(joined(chain, 5))
    chain.round()
    assert {member.missed for member in chain.state.members} == {0}


def test_every_member_proposes_once_in_as_many_views_as_there_are_members() -> None:
    state = sharing().state
    for start in (0, 1, 7):
        assert {state.proposer(view) for view in range(start, start + 4)} == set(state.keys)


def test_the_turns_go_on_from_height_to_height_and_the_beacon_shuffles_them() -> None:
    chain = sharing()
    state = chain.state
    assert replace(state, height=state.height + 1).proposer(0) == state.proposer(1)
    orders = {state.committee.order(digest(f"{number}")) for number in range(40)}
    assert len(orders) > 15


def test_silent_members_may_come_back_and_cheats_may_not() -> None:
    chain = sharing(evict_after_rounds=1)
    silent = chain.state.committee.members[2]
    number = next(number for number in range(4) if key(number) == silent)
    chain.append(chain.contributors(dealers=(0, 1, 3)))
    chain.append(chain.model())
    chain.append(Membership((Evict(silent, "silent", ()),)))
    assert chain.state.member(silent) is None
    state = chain.append(joined(chain, number))
    assert state.member(silent) == Member(silent, f"peer {silent[:2].hex()}", 0, state.height)

    chain = sharing()
    chain.append(Membership((double_vote(chain, 2),)))
    with pytest.raises(LedgerError, match="a join of somebody who was evicted for cheating"):
        chain.append(joined(chain, 2))


def test_a_member_that_left_may_come_back_with_a_new_request() -> None:
    chain = sharing()
    chain.append(Membership((chain.leave(identity(2)),)))
    assert key(2) in chain.append(joined(chain, 2)).keys
    chain.append(Membership((chain.leave(identity(2)),)))
    assert key(2) not in chain.state.keys


# Every reason for which a block is refused, one at a time.

CONTRIBUTORS = [
    Fault("while waiting", waiting, lambda c: replaced(sharing().contributors(), c), "contributors while waiting"),
    Fault("while a sum is open", summing, lambda c: c.contributors(), "contributors while summing"),
    Fault("after the end", finished, lambda c: c.contributors(), "contributors while finished"),
    Fault("of the last round", settled, lambda c: changed(c.contributors(), round=1), "of round 1 in round 2"),
    Fault("of the next round", sharing, lambda c: changed(c.contributors(), round=2), "of round 2 in round 1"),
    Fault("other base", sharing, lambda c: changed(c.contributors(), base_hash=digest("x")), "another base model"),
    Fault("other scheme", sharing, lambda c: changed(c.contributors(), scheme="plain"), "scheme plain is not"),
    Fault("dealers unordered", sharing, lambda c: c.contributors(dealers=(0, 2, 1)), "not in order"),
    Fault("a dealer twice", sharing, lambda c: c.contributors(dealers=(0, 1, 1, 2)), "not in order"),
    Fault("holders unordered", sharing, lambda c: c.contributors(holders=(3, 1, 2)), "not in order"),
    Fault("a holder twice", sharing, lambda c: c.contributors(holders=(0, 0, 1)), "not in order"),
    Fault("unknown dealer", sharing, lambda c: c.contributors(dealers=(0, 1, 4)), "not of the round"),
    Fault("unknown holder", sharing, lambda c: c.contributors(holders=(0, 1, 4)), "not of the round"),
    Fault("K dealers", sharing, lambda c: c.contributors(dealers=(0, 1)), r"2 contributors, but at least 3 .*\(K\+1\)"),
    Fault("K+f-1 holders", sharing, lambda c: c.contributors(holders=(0, 1)), r"2 holders, but at least 3 .*\(K\+f\)"),
]


def replaced(body: Contributors, chain: Chain) -> Body:
    """The same body in another federation."""
    return changed(body, base_hash=chain.state.weights_hash)


@fault_tests(CONTRIBUTORS)
def test_contributors_are_refused(fault: Fault) -> None:
    refusal(fault)


def sums(*values: float) -> tuple[bytes, ...]:
    return tuple(wide_bytes(int(value * WIDE_UNIT)) for value in values)


MODELS = [
    Fault("while shares go round", sharing, lambda c: changed(summing().model(), round=1), "model while sharing"),
    Fault("after the end", finished, lambda c: changed(summing().model(), round=3), "model while finished"),
    Fault("of another round", summing, lambda c: changed(c.model(), round=2), "of round 2 in round 1"),
    Fault("a sum too many", summing, lambda c: c.model(40, 40, 1, 1, 1), "wrong number of sums"),
    Fault("a sum too few", summing, lambda c: c.model(40, 40, 1), "wrong number of sums"),
    Fault(
        "metrics in a setup round",
        lambda: summing(setup_sums=3, metrics=("m",)),
        lambda c: c.model(40, 40, 1, 1),
        "wrong number of sums",
    ),
    Fault(
        "new weights in a setup round",
        lambda: summing(setup_sums=1),
        lambda c: c.model(weights=digest("x")),
        "a setup round changes the weights",
    ),
    Fault(
        "new weights in the last round",
        lambda: evaluating(),
        lambda c: c.model(weights=digest("x")),
        "an? evaluate round changes the weights",
    ),
    Fault("no examples", summing, lambda c: c.model(0, 40, 1, 1), "impossible example count"),
    Fault("less than no examples", summing, lambda c: c.model(-1, 40, 1, 1), "impossible example count"),
    Fault("more than there are", summing, lambda c: c.model(41, 40, 1, 1), "impossible example count"),
]


def evaluating() -> Chain:
    chain = Chain(4, rounds=1)
    chain.round()
    chain.append(chain.contributors())
    return chain


@fault_tests(MODELS)
def test_a_model_is_refused(fault: Fault) -> None:
    refusal(fault)


VOIDS = [
    Fault("while waiting", waiting, lambda c: Void(1, "shares", ()), "void while waiting"),
    Fault("after the end", finished, lambda c: c.void(), "void while finished"),
    Fault("of another round", sharing, lambda c: changed(c.void(), round=2), "of round 2 in round 1"),
    Fault(
        "for a sum that is not open", sharing, lambda c: changed(c.void(), reason="sum"), "void for sum while sharing"
    ),
    Fault(
        "for shares too late", summing, lambda c: changed(c.void(), reason="shares"), "void for shares while summing"
    ),
    Fault("names unordered", sharing, lambda c: changed(c.void(), names=c.state.keys[::-1]), "not in order"),
    Fault("a name twice", sharing, lambda c: changed(c.void(), names=c.state.keys[:1] * 2), "not in order"),
    Fault("names an outsider", sharing, lambda c: c.void(OUTSIDER.public), "somebody outside the round"),
]


@fault_tests(VOIDS)
def test_a_void_is_refused(fault: Fault) -> None:
    refusal(fault)


# Where a block stands.


def test_a_block_of_another_height_is_refused() -> None:
    chain = sharing()
    for height in (0, 1, 3):
        with pytest.raises(LedgerError, match=f"height 2: the block says height {height}"):
            apply(chain.state, chain.block(chain.contributors(), height=height))


def test_a_block_after_another_block_is_refused() -> None:
    chain = sharing()
    with pytest.raises(LedgerError, match="height 2: the block does not follow from the block before it"):
        apply(chain.state, chain.block(chain.contributors(), previous=digest("another")))


@pytest.mark.parametrize("spoil", [lambda data: data + b"\0", lambda data: data[:-1], lambda data: b""])
def test_bytes_that_are_no_block_are_refused_with_the_height(spoil: Callable[[bytes], bytes]) -> None:
    chain = sharing()
    with pytest.raises(LedgerError, match="height 2: "):
        apply(chain.state, spoil(chain.block(chain.contributors())))
