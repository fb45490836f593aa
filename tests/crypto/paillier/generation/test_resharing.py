"""New holders open what was encrypted for the old ones, and who deals falsely is named."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
from parties import (
    Outcome,
    confirmations,
    dealt_epoch,
    identity,
    in_force,
    lying,
    members,
    plan_seat,
    proved,
    run,
    shares_of,
)

from coterie.crypto.paillier.arithmetic import Draws, integer_lagrange
from coterie.crypto.paillier.encryption import encrypt
from coterie.crypto.paillier.errors import BadPartial, NotConfirmed, WrongKey
from coterie.crypto.paillier.generation import resharing
from coterie.crypto.paillier.generation.epochs import Epoch, certify, read_epoch, why_new_key
from coterie.crypto.paillier.generation.resharing import Participant, Reshared, ResharingPlan, reshare
from coterie.crypto.paillier.group import MAX_HOLDERS, MAX_SHARE_BITS, Group, KeyShare, deal
from coterie.crypto.paillier.integer_sharing import Terms
from coterie.crypto.paillier.keys import generate
from coterie.crypto.paillier.rounds.lockstep import Inbox, Lockstep, Message, Outgoing
from coterie.crypto.paillier.threshold import Agreed, check_partial, open_sum, partial_decrypt

SEED = b"thirty-two secret random bytes.."
SESSION = bytes(32)


@lru_cache(maxsize=1)
def dealt() -> tuple[Group, tuple[KeyShare, ...]]:
    """3 of 5, 512 bits."""
    return deal(generate(SEED, 512), 3, 5, SEED)


def plan_for(
    epoch: Epoch, dealers: Sequence[int], new: Sequence[int | None], others: Sequence[int], tolerated: int = 0
) -> ResharingPlan:
    """The dealers first, by their old numbers, then other parties; new[i] is what participant i will be."""
    parties = [*(parties_of(epoch)[dealer] for dealer in dealers), *others]
    old = [*dealers, *[None] * len(others)]
    rows = zip(old, new, parties, strict=True)
    participants = tuple(Participant(a, b, identity(party).public) for a, b, party in rows)
    return ResharingPlan(SESSION, epoch, participants, epoch.group.threshold, tolerated=tolerated)


def parties_of(plan: Epoch | ResharingPlan) -> list[int]:
    """The numbers of the parties that are the holders or participants."""
    numbers = {identity(party).public: party for party in range(70)}
    return [numbers[member] for member in plan.members]


def participant(plan: ResharingPlan, me: int, share: KeyShare | None, **how: Any) -> Lockstep[Reshared]:
    who = identity(parties_of(plan)[me])
    return reshare(plan, me, share, bytes([me] * 32), plan_seat(plan, me, who), **how)


def all_of(plan: ResharingPlan, shares: Sequence[KeyShare]) -> list[Lockstep[Reshared]]:
    return [participant(plan, i, None if p.old is None else shares[p.old]) for i, p in enumerate(plan.participants)]


def new_shares(outcome: Outcome[Reshared], plan: ResharingPlan) -> list[KeyShare]:
    return sorted(shares_of(outcome, plan).values(), key=lambda share: share.holder)


def opens(group: Group, shares: Sequence[KeyShare]) -> bool:
    """Whether these holders open a sum under this key."""
    encrypted = encrypt(group.key, [5, 2**500], SEED)
    agreed = Agreed(bytes(32), 1, encrypted.digest)
    parts = [partial_decrypt(group, share, proved(group, encrypted), agreed, SEED) for share in shares]
    return open_sum(group, encrypted, agreed, parts).plaintexts == (5, 2**500)


@pytest.mark.parametrize(
    ("dealers", "new", "others"),
    [
        ((0, 1, 2), (0, 1, 2, 3, 4), (3, 4)),  # the same, with new shares
        ((4, 0, 2), (2, 0, 4, 3, 1), (3, 5)),  # one for another
        ((1, 2, 3), (3, 6, 0, 1, 2, 4, 5), (0, 4, 5, 6)),  # more of them
        ((2, 3, 4), (None, 1, 0, 2, 3), (0, 1)),  # fewer: a dealer leaves
    ],
)
def test_the_new_holders_open_what_the_old_ones_could(
    dealers: tuple[int, ...], new: tuple[int | None, ...], others: tuple[int, ...]
) -> None:
    group, shares = dealt()
    plan = plan_for(dealt_epoch(group), dealers, new, others)
    outcome = run(all_of(plan, shares))
    after = in_force(outcome, plan)
    made = after.group
    assert len(outcome.results) == len(new)
    assert all(result.group == made for result in outcome.results.values())
    assert made.key == group.key
    assert (made.holders, made.threshold) == (plan.holders, 3)
    assert (after.before, after.members) == ((members(5),), plan.holder_keys)
    fresh = new_shares(outcome, plan)
    assert all(share.matches(made) for share in fresh)
    assert opens(made, fresh[:3])
    assert opens(made, fresh[-3:])


def test_a_key_is_reshared_again_and_again() -> None:
    group, shares = dealt()
    epoch = dealt_epoch(group)
    for _ in range(4):
        here = parties_of(epoch)
        plan = plan_for(epoch, (0, 2, 4), (1, 4, 0, 2, 3), (here[1], here[3]))
        outcome = run(all_of(plan, shares), loss=0.2)
        bits, epoch, shares = epoch.group.share_bits, in_force(outcome, plan), tuple(new_shares(outcome, plan))
        assert bits < epoch.group.share_bits < bits + 200
    assert len(epoch.before) == 4
    assert opens(epoch.group, shares[1:4])


# Absent and lying holders


def absent(plan: ResharingPlan, shares: Sequence[KeyShare], *who: int) -> Outcome[Reshared]:
    """Some of the participants never say anything."""

    def tamper(sender: int, message: Message) -> bytes | None:
        return None if sender in who or message.to in who else message.data

    outcome = run(all_of(plan, shares), tamper)
    for party in who:
        outcome.results.pop(party, None)
    return outcome


def test_new_holders_that_are_absent_keep_no_other_from_its_share() -> None:
    group, shares = dealt()
    plan = plan_for(dealt_epoch(group), (0, 1, 2), (0, 1, 2, 3, 4), (3, 4), tolerated=1)
    outcome = absent(plan, shares, 4)
    after = in_force(outcome, plan)
    assert opens(after.group, new_shares(outcome, plan)[1:])


def test_one_absent_holder_would_keep_all_others_from_their_shares_if_they_waited_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group, shares = dealt()
    plan = plan_for(dealt_epoch(group), (0, 1, 2), (0, 1, 2, 3, 4), (3, 4), tolerated=1)
    monkeypatch.setattr(ResharingPlan, "speakers", (0, 1, 2, 3, 4))  # the weakness
    assert absent(plan, shares, 4).results == {}


def test_more_absent_holders_than_the_plan_tolerates_leave_the_old_key_in_force() -> None:
    group, shares = dealt()
    plan = plan_for(dealt_epoch(group), (0, 1, 2), (0, 1, 2, 3, 4), (3, 4), tolerated=1)
    with pytest.raises(NotConfirmed, match=r"4 holders have to confirm the key; \[3, 4\] did not"):
        in_force(absent(plan, shares, 3, 4), plan)


def test_a_silent_dealer_is_missing_and_another_takes_its_place() -> None:
    group, shares = dealt()
    plan = plan_for(dealt_epoch(group), (0, 1, 2), (0, 1, 2, 3, 4), (3, 4), tolerated=1)
    machines = all_of(plan, shares)
    messages = [(i, message) for i, party in enumerate(machines) for message in party.start().send]
    for sender, message in messages:
        if sender != 1:
            machines[message.to].receive(sender, message.data)
    assert all(machines[party].missing == (1,) for party in (0, 2, 3, 4))
    again = replace(plan_for(dealt_epoch(group), (0, 3, 2), (0, 3, 2, 1, 4), (1, 4)), session=bytes([1] * 32))
    assert opens(in_force(run(all_of(again, shares)), again).group, new_shares(run(all_of(again, shares)), again)[:3])


# Who has left


def test_old_holders_that_left_would_open_sums_of_today_if_a_key_were_only_shared_anew() -> None:
    """One N has one exponent. Two left in the first epoch; the third one, an honest member's, is stolen."""
    group, shares = dealt()
    later = encrypt(group.key, [7], SEED)  # under the key that is in force after any number of resharings
    agreed = Agreed(bytes(32), 1, later.digest)
    parts = [partial_decrypt(group, share, proved(group, later), agreed, SEED) for share in shares[2:]]
    assert open_sum(group, later, agreed, parts).plaintexts == (7,)


@pytest.mark.parametrize(
    ("before", "here", "gone"),
    [
        ((), (0, 1, 2, 3), None),
        ((), (0, 1, 2), 2),
        ((), (0, 1, 2, 7, 8), 2),
        (((0, 1, 2, 7, 8),), (0, 1, 2, 3, 4), 2),  # in an earlier epoch
        (((0, 1, 2, 7, 4), (0, 1, 2, 3, 8)), (0, 1, 2, 3, 4), None),  # one in each of two
    ],
)
def test_a_key_is_made_anew_once_its_holders_of_any_epoch_have_left_but_for_one_share(
    before: tuple[tuple[int, ...], ...], here: tuple[int, ...], gone: int | None
) -> None:
    group, _ = dealt()
    epoch = dealt_epoch(group, tuple(tuple(identity(party).public for party in row) for row in before))
    now = [identity(party).public for party in here]
    why = why_new_key(epoch, now, 3)
    assert why == (gone and f"{gone} holders of one epoch have left, and 3 shares of it decrypt")
    assert why_new_key(epoch, now, 4) == "the threshold becomes 4, and the key was made for 3"


def test_a_plan_that_leaves_too_many_old_holders_out_is_refused_before_anybody_deals() -> None:
    epoch = dealt_epoch(dealt()[0])
    with pytest.raises(ValueError, match="a new key is due: 2 holders"):
        plan_for(epoch, (0, 1, 2), (0, 1, 2, 3, 4), (5, 6))
    with pytest.raises(ValueError, match="a new key is due: the threshold becomes 2"):
        replace(plan_for(epoch, (0, 1, 2), (0, 1, 2, 3, 4), (3, 4)), threshold=2)


def test_parts_by_old_shares_are_refused_in_the_new_group() -> None:
    group, shares = dealt()
    plan = plan_for(dealt_epoch(group), (0, 1, 2), (0, 1, 2, 3, 4), (3, 4))
    made = in_force(run(all_of(plan, shares)), plan).group
    encrypted = encrypt(group.key, [5], SEED)
    agreed = Agreed(bytes(32), 1, encrypted.digest)
    old = partial_decrypt(group, shares[0], proved(group, encrypted), agreed, SEED)
    with pytest.raises(WrongKey, match="by another group"):
        check_partial(made, encrypted, agreed, old)
    with pytest.raises(BadPartial, match="holder 0"):
        check_partial(made, encrypted, agreed, replace(old, group_id=made.group_id))
    with pytest.raises(WrongKey):
        partial_decrypt(made, shares[0], proved(made, encrypted), agreed, SEED)


def spoiled(liar: int, change: Any, at: int = 0) -> Outcome[Reshared]:
    """Three dealers, of which the third leaves, and three other holders: a participant changes what it sends."""
    _, shares = dealt()
    plan = five()
    parties = all_of(plan, shares)
    share = shares[liar] if liar < 3 else None
    parties[liar] = Lockstep(
        plan_seat(plan, liar, identity(parties_of(plan)[liar])),
        bytes(32),
        lambda run: lying(resharing._script(plan, liar, share, bytes([liar] * 32), run), at, change),
        plan.speakers,
    )
    return run(parties)


def five() -> ResharingPlan:
    return plan_for(dealt_epoch(dealt()[0]), (0, 1, 2), (0, 1, None, 2, 3, 4), (3, 4, 5))


def test_a_dealer_of_another_number_is_named_by_all() -> None:
    _, shares = dealt()
    false = resharing._deal(five(), KeyShare(1, shares[1].value + 1), Draws(SEED, b""))
    outcome = spoiled(1, lambda sent: false)
    for party in (0, 2, 3, 4, 5):
        assert outcome.aborted[party].culprits == (1,)
        assert "another number than its share" in outcome.aborted[party].reason


def test_a_false_share_names_its_dealer_to_all() -> None:
    outcome = spoiled(1, lambda sent: replace(sent, private={**sent.private, 3: bytes(len(sent.private[3]))}))
    for party in (0, 2, 3, 4, 5):
        assert outcome.aborted[party].culprits == (1,)


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
    for party in (0, 2, 3, 4, 5):
        assert outcome.aborted[party].culprits == (1,)


def test_a_false_dealer_would_spoil_the_key_unnamed_if_nobody_looked_at_its_verification_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, shares = dealt()
    false = resharing._deal(five(), KeyShare(1, shares[1].value + 1), Draws(SEED, b""))

    def unchecked(plan: ResharingPlan, inbox: Inbox) -> dict[int, list[int]]:
        square = plan.group.key.square
        return {party: resharing.numbers(party, inbox.public[party], square, plan.threshold) for party in range(3)}

    monkeypatch.setattr(resharing, "_checked_commitments", unchecked)  # the attack
    outcome = spoiled(1, lambda sent: false)
    assert not outcome.results
    assert {aborted.culprits for party, aborted in outcome.aborted.items() if party != 1} == {()}  # nobody is named


def test_more_new_holders_than_a_group_may_have_are_refused_before_anybody_deals() -> None:
    epoch = dealt_epoch(dealt()[0])
    most = range(MAX_HOLDERS)
    assert plan_for(epoch, (0, 1, 2), most, most[3:]).holders == MAX_HOLDERS
    most = range(MAX_HOLDERS + 1)
    with pytest.raises(ValueError, match=f"among {MAX_HOLDERS + 1} holders"):
        plan_for(epoch, (0, 1, 2), most, most[3:])


def test_a_plan_whose_shares_would_be_too_long_is_refused_before_anybody_deals(monkeypatch: pytest.MonkeyPatch) -> None:
    epoch = dealt_epoch(dealt()[0])
    longest = plan_for(epoch, (0, 1, 2), range(5), (3, 4)).share_bits
    monkeypatch.setattr(resharing, "MAX_SHARE_BITS", longest)
    plan_for(epoch, (0, 1, 2), range(5), (3, 4))
    monkeypatch.setattr(resharing, "MAX_SHARE_BITS", longest - 1)
    with pytest.raises(ValueError, match="a new key is due"):
        plan_for(epoch, (0, 1, 2), range(5), (3, 4))


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
    epoch = dealt_epoch(group)
    good = plan_for(epoch, (0, 1, 2), range(5), (3, 4))
    dealer, last = good.participants[0], good.participants[4]
    for change in (
        {"participants": good.participants[1:]},
        {"participants": (*good.participants[:4], replace(last, old=4))},
        {"participants": (replace(dealer, old=1), *good.participants[1:])},
        {"participants": (replace(dealer, old=5), *good.participants[1:])},
        {"participants": (replace(dealer, old=3), *good.participants[1:])},
        {"participants": (*good.participants[:4], replace(last, new=3))},
        {"participants": (*good.participants[:4], replace(last, new=5))},
        {"threshold": 6},
        {"threshold": 1},
        {"tolerated": 2},
        {"tolerated": -1},
    ):
        with pytest.raises(ValueError, match=r"holder|threshold"):
            replace(good, **change)
    with pytest.raises(ValueError, match="comes twice"):
        replace(good, participants=(*good.participants[:4], replace(last, member=dealer.member)))
    with pytest.raises(TypeError, match="only an Epoch"):
        replace(good, epoch=group)
    for nobody in (-1, 5):
        with pytest.raises(ValueError, match="no participant"):
            reshare(good, nobody, shares[0], SEED, plan_seat(good, 0))
    with pytest.raises(ValueError, match="not that of participant 1"):
        reshare(good, 1, shares[1], SEED, plan_seat(good, 0))
    with pytest.raises(WrongKey, match="holder 0"):
        participant(good, 0, shares[1])
    with pytest.raises(WrongKey, match="does not match"):
        participant(good, 0, KeyShare(0, 5))
    with pytest.raises(ValueError, match="32 bytes"):
        reshare(good, 0, shares[0], b"short", plan_seat(good, 0))
    with pytest.raises(ValueError, match="32 bytes"):
        replace(good, session=b"short")


def test_a_record_of_another_key_than_was_planned_is_refused() -> None:
    group, shares = dealt()
    plan = plan_for(dealt_epoch(group), (0, 1, 2), range(5), (3, 4))
    outcome = run(all_of(plan, shares))
    made = outcome.results[0]
    record = certify(plan, made.run, made.group, confirmations(outcome, plan))
    assert read_epoch(plan, record.to_bytes()).group == made.group
    foreign = deal(generate(SEED[::-1], 512), 3, 5, SEED)[0]
    for other in (foreign, group):
        with pytest.raises(WrongKey, match="modulus of the key in force"):
            read_epoch(plan, replace(record, group=other).to_bytes())
