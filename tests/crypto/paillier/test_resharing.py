"""New holders open what was encrypted for the old ones, and who deals falsely is named."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
from parties import Outcome, lying, run

from coterie.crypto.paillier import resharing
from coterie.crypto.paillier.arithmetic import Draws, integer_lagrange
from coterie.crypto.paillier.encryption import encrypt
from coterie.crypto.paillier.errors import BadPartial, WrongKey
from coterie.crypto.paillier.group import MAX_HOLDERS, MAX_SHARE_BITS, Group, KeyShare, deal
from coterie.crypto.paillier.keys import generate
from coterie.crypto.paillier.resharing import Participant, Reshared, ResharingPlan, reshare
from coterie.crypto.paillier.rounds import Inbox, Lockstep, Outgoing
from coterie.crypto.paillier.sharing import Terms
from coterie.crypto.paillier.threshold import Agreed, check_partial, open_sum, partial_decrypt

SEED = b"thirty-two secret random bytes.."
SESSION = bytes(32)


@lru_cache(maxsize=1)
def dealt() -> tuple[Group, tuple[KeyShare, ...]]:
    """3 of 5, 512 bits."""
    return deal(generate(SEED, 512), 3, 5, SEED)


def plan_for(group: Group, dealers: Sequence[int], new: Sequence[int | None], threshold: int) -> ResharingPlan:
    """The dealers first; new[i] is what participant i will be."""
    old = [*dealers, *[None] * (len(new) - len(dealers))]
    participants = tuple(Participant(a, b) for a, b in zip(old, new, strict=True))
    return ResharingPlan(SESSION, group, participants, threshold)


def all_of(plan: ResharingPlan, shares: Sequence[KeyShare]) -> list[Lockstep[Reshared]]:
    return [
        reshare(plan, i, None if p.old is None else shares[p.old], bytes([i] * 32))
        for i, p in enumerate(plan.participants)
    ]


def new_shares(outcome: Outcome[Reshared]) -> list[KeyShare]:
    shares = [made.share for made in outcome.results.values() if made.share is not None]
    return sorted(shares, key=lambda share: share.holder)


def opens(group: Group, shares: Sequence[KeyShare]) -> bool:
    """Whether these holders open a sum under this key."""
    encrypted = encrypt(group.key, [5, 2**500], SEED)
    agreed = Agreed(bytes(32), 1, encrypted.digest)
    parts = [partial_decrypt(group, share, encrypted, agreed, SEED) for share in shares]
    return open_sum(group, encrypted, agreed, parts).plaintexts == (5, 2**500)


@pytest.mark.parametrize(
    ("dealers", "new", "threshold"),
    [
        ((0, 1, 2), (0, 1, 2, 3, 4), 3),  # one for another
        ((4, 0, 2), (None, None, None, 0, 1), 2),  # to strangers
        ((1, 2, 3), (3, None, 0, 1, 2, 4, 5), 4),  # more of them
        ((2, 3, 4), (1, 0, None), 2),  # fewer
    ],
)
def test_the_new_holders_open_what_the_old_ones_could(
    dealers: tuple[int, ...], new: tuple[int | None, ...], threshold: int
) -> None:
    group, shares = dealt()
    plan = plan_for(group, dealers, new, threshold)
    outcome = run(all_of(plan, shares))
    made = outcome.results[0].group
    assert len(outcome.results) == len(new)
    assert all(result.group == made for result in outcome.results.values())
    assert made.key == group.key
    assert (made.holders, made.threshold) == (plan.holders, threshold)
    fresh = new_shares(outcome)
    assert all(share.matches(made) for share in fresh)
    assert opens(made, fresh[:threshold])
    assert opens(made, fresh[-threshold:])


def test_a_key_is_reshared_again_and_again() -> None:
    group, shares = dealt()
    for _ in range(4):
        outcome = run(all_of(plan_for(group, (0, 2, 4), (1, 4, 0, 2, 3), 3), shares), loss=0.2)
        bits, group, shares = group.share_bits, outcome.results[0].group, tuple(new_shares(outcome))
        assert bits < group.share_bits < bits + 200
    assert opens(group, shares[1:4])


def test_parts_by_old_shares_are_refused_in_the_new_group() -> None:
    group, shares = dealt()
    outcome = run(all_of(plan_for(group, (0, 1, 2), (0, 1, 2, 3, 4), 3), shares))
    made = outcome.results[0].group
    encrypted = encrypt(group.key, [5], SEED)
    agreed = Agreed(bytes(32), 1, encrypted.digest)
    old = partial_decrypt(group, shares[0], encrypted, agreed, SEED)
    with pytest.raises(WrongKey, match="by another group"):
        check_partial(made, encrypted, agreed, old)
    with pytest.raises(BadPartial, match="holder 0"):
        check_partial(made, encrypted, agreed, replace(old, group_id=made.group_id))
    with pytest.raises(WrongKey):
        partial_decrypt(made, shares[0], encrypted, agreed, SEED)


def spoiled(liar: int, change: Any, at: int = 0) -> Outcome[Reshared]:
    group, shares = dealt()
    plan = plan_for(group, (0, 1, 2), (0, 1, None, 2, 3), 3)
    parties = all_of(plan, shares)
    draws = Draws(bytes([liar] * 32), b"resharing|" + plan.lockstep_session())
    share = shares[liar] if liar < 3 else None
    script = lying(resharing._script(plan, liar, share, draws), at, change)
    parties[liar] = Lockstep(plan.lockstep_session(), 5, liar, script)
    return run(parties)


def test_a_dealer_of_another_number_is_named_by_all() -> None:
    group, shares = dealt()
    plan = plan_for(group, (0, 1, 2), (0, 1, None, 2, 3), 3)
    false = resharing._deal(plan, KeyShare(1, shares[1].value + 1), Draws(SEED, b""))
    outcome = spoiled(1, lambda sent: false)
    for party in (0, 2, 3, 4):
        assert outcome.aborted[party].culprits == (1,)
        assert "another number than its share" in outcome.aborted[party].reason


def test_a_false_share_is_named_by_its_receiver() -> None:
    outcome = spoiled(1, lambda sent: Outgoing(sent.public, {**sent.private, 3: bytes(len(sent.private[3]))}))
    assert outcome.aborted[3].culprits == (1,)
    for party in (0, 2, 4):
        assert outcome.aborted[party].suspects == (1, 3)


@pytest.mark.parametrize(
    "change",
    [
        lambda sent: Outgoing(sent.public[:-1], sent.private),
        lambda sent: Outgoing(sent.public + sent.public[:128], sent.private),
        lambda sent: Outgoing(b"\xff" * len(sent.public), sent.private),
    ],
)
def test_malformed_commitments_name_their_dealer(change: Any) -> None:
    outcome = spoiled(1, change)
    for party in (0, 2, 3, 4):
        assert outcome.aborted[party].culprits == (1,)


def test_who_confirms_another_group_is_named() -> None:
    outcome = spoiled(4, lambda sent: Outgoing(bytes(32)), at=1)
    for party in (0, 1, 2, 3):
        assert outcome.aborted[party].culprits == (4,)


def test_a_false_dealer_would_spoil_the_key_unnamed_if_nobody_looked_at_its_verification_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group, shares = dealt()
    plan = plan_for(group, (0, 1, 2), (0, 1, None, 2, 3), 3)
    false = resharing._deal(plan, KeyShare(1, shares[1].value + 1), Draws(SEED, b""))

    def unchecked(plan: ResharingPlan, inbox: Inbox) -> dict[int, list[int]]:
        square = plan.group.key.square
        return {party: resharing.numbers(party, inbox.public[party], square, plan.threshold) for party in range(3)}

    monkeypatch.setattr(resharing, "_checked_commitments", unchecked)  # the attack
    outcome = spoiled(1, lambda sent: false)
    assert not outcome.results
    assert {aborted.culprits for party, aborted in outcome.aborted.items() if party != 1} == {()}  # nobody is named


def test_more_new_holders_than_a_group_may_have_are_refused_before_anybody_deals() -> None:
    group, _ = dealt()
    assert plan_for(group, (0, 1, 2), (None, None, None, *range(MAX_HOLDERS)), 5).holders == MAX_HOLDERS
    with pytest.raises(ValueError, match=f"among {MAX_HOLDERS + 1} holders"):
        plan_for(group, (0, 1, 2), (None, None, None, *range(MAX_HOLDERS + 1)), 5)


def test_a_plan_whose_shares_would_be_too_long_is_refused_before_anybody_deals(monkeypatch: pytest.MonkeyPatch) -> None:
    group, _ = dealt()
    longest = plan_for(group, (0, 1, 2), (0, 1, 2, 3, 4), 3).share_bits
    monkeypatch.setattr(resharing, "MAX_SHARE_BITS", longest)
    plan_for(group, (0, 1, 2), (0, 1, 2, 3, 4), 3)
    monkeypatch.setattr(resharing, "MAX_SHARE_BITS", longest - 1)
    with pytest.raises(ValueError, match="a new key is due"):
        plan_for(group, (0, 1, 2), (0, 1, 2, 3, 4), 3)


@pytest.mark.parametrize(
    ("holders", "threshold", "growth", "times"), [(5, 4, 159, 76), (10, 7, 205, 59), (58, 39, 921, 12)]
)
def test_a_share_grows_and_lasts_as_the_documents_say(holders: int, threshold: int, growth: int, times: int) -> None:
    weights = integer_lagrange(range(1, threshold + 1), 0, holders)
    longest = max(abs(weight) for weight in weights).bit_length()
    bits = [Terms(holders, threshold, 2 * 2048).share_bits(1)]
    while bits[-1] <= MAX_SHARE_BITS:
        bits.append(Terms(holders, threshold, bits[-1] + longest).share_bits(threshold))
    assert {after - before for before, after in itertools.pairwise(bits)} == {growth}
    assert len(bits) - 2 == times


def test_plans_and_shares_that_do_not_fit_are_refused() -> None:
    group, shares = dealt()
    for dealers, new, threshold in (
        ((0, 1), (0, 1), 2),
        ((0, 1, 1), (0, 1, 2), 2),
        ((0, 1, 5), (0, 1, 2), 2),
        ((0, 1, 2), (0, 1, 1), 2),
        ((0, 1, 2), (0, 1, 3), 2),
        ((0, 1, 2), (0, 1, 2), 4),
        ((0, 1, 2), (0, 1, 2), 1),
    ):
        with pytest.raises(ValueError, match=r"holder|threshold"):
            plan_for(group, dealers, new, threshold)
    plan = plan_for(group, (0, 1, 2), (0, 1, 2), 2)
    for nobody in (-1, 3):
        with pytest.raises(ValueError, match="no participant"):
            reshare(plan, nobody, shares[0], SEED)
    with pytest.raises(WrongKey, match="holder 0"):
        reshare(plan, 0, shares[1], SEED)
    with pytest.raises(WrongKey, match="does not match"):
        reshare(plan, 0, KeyShare(0, 5), SEED)
    with pytest.raises(ValueError, match="32 bytes"):
        reshare(plan, 0, shares[0], b"short")
    with pytest.raises(ValueError, match="32 bytes"):
        replace(plan, session=b"short")
