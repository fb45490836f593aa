"""Keys without a dealer: any number of parties make one that works, and who spoils it is named."""

import copy
import pickle  # noqa: TID251
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import gmpy2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parties import (
    Outcome,
    bent_party,
    confirmations,
    identity,
    in_force,
    key_party,
    lying,
    machine,
    members,
    plan_seat,
    proved,
    run,
    seat,
    seed,
    shares_of,
    small_plan,
)

from coterie.crypto.paillier.arithmetic import integer_lagrange, primes, size_of
from coterie.crypto.paillier.encryption import encrypt
from coterie.crypto.paillier.errors import BadGroup, BadModulus, NotConfirmed
from coterie.crypto.paillier.generation import biprimality, exponent, joint, sieving
from coterie.crypto.paillier.generation.audit import Attempt
from coterie.crypto.paillier.generation.joint import JointKey, Plan, joint_key, read_group
from coterie.crypto.paillier.generation.openings import openly
from coterie.crypto.paillier.generation.resharing import Participant, ResharingPlan, reshare
from coterie.crypto.paillier.generation.sieving import sieve_of
from coterie.crypto.paillier.group import MAX_HOLDERS, Group, deal
from coterie.crypto.paillier.keys import PrivateKey
from coterie.crypto.paillier.rounds.lockstep import (
    MAX_MESSAGE_BYTES,
    Aborted,
    Fault,
    Inbox,
    Message,
    Outgoing,
    Script,
    Step,
)
from coterie.crypto.paillier.rounds.statements import private_hash
from coterie.crypto.paillier.threshold import Agreed, open_sum, partial_decrypt
from coterie.crypto.prng import derive

TWO_ATTEMPTS = 4  # of two attempts of four parties with 30 candidates, this plan has its first one succeed
LAST = 14  # the number of the last round of `three` and `four`

Change = Callable[[Outgoing], Outgoing]


@cache
def three() -> Plan:
    """Of three parties, small; the first attempt finds a modulus."""
    return small_plan(10, 3, 2, 150)


@cache
def four() -> Plan:
    """The same for four."""
    return small_plan(3, 4, 2, 150)


def generated(plan: Plan, **how: Any) -> Outcome[JointKey]:
    return run([key_party(plan, i) for i in range(plan.parties)], **how)


def spoiled(plan: Plan, liar: int, at: int, change: Change, loss: float = 0.0) -> Outcome[JointKey]:
    """All parties honest but one, who changes what it sends in one round."""
    parties = [key_party(plan, i) for i in range(plan.parties)]
    parties[liar] = bent_party(plan, liar, lambda script: lying(script, at, change))
    outcome = run(parties, loss=loss, seed=at)
    outcome.results.pop(liar, None)
    outcome.aborted.pop(liar, None)
    return outcome


def other_public(sent: Outgoing) -> Outgoing:
    """One bit of the last byte of the public part changed."""
    return replace(sent, public=sent.public[:-1] + bytes([sent.public[-1] ^ 1]))


def other_private(to: int) -> Change:
    """One bit of the last byte of what that party gets changed."""

    def change(sent: Outgoing) -> Outgoing:
        data = sent.private[to]
        return replace(sent, private={**sent.private, to: data[:-1] + bytes([data[-1] ^ 1])})

    return change


def factors(outcome: Outcome[JointKey], plan: Plan) -> tuple[int, int]:
    """The primes of N, from the shares of all parties together: the exponent is a multiple of φ(N)."""
    shares = [share for _, share in sorted(shares_of(outcome, plan).items())]
    group = outcome.results[0].group
    points = [share.holder + 1 for share in shares]
    exponent = sum(a * share.value for a, share in zip(integer_lagrange(points, 0, len(points)), shares, strict=True))
    odd = exponent >> gmpy2.bit_scan1(exponent)
    for base in range(2, 100):
        root = gmpy2.powmod(base, odd, group.key.modulus)
        while root not in (1, group.key.modulus - 1):
            square = root * root % group.key.modulus
            if square == 1:
                p = gmpy2.gcd(root - 1, group.key.modulus)
                return int(p), int(group.key.modulus // p)
            root = square
    raise AssertionError("no base shows the factors")


@pytest.mark.parametrize(("parties", "threshold", "lucky"), [(3, 2, 10), (4, 2, 3), (5, 3, 4), (7, 4, 6), (10, 5, 2)])
def test_all_parties_get_one_key_and_shares_that_open_sums(parties: int, threshold: int, lucky: int) -> None:
    plan = small_plan(lucky, parties, threshold, 100 if parties > 4 else 150)
    outcome = generated(plan)
    epoch, shares = in_force(outcome, plan), shares_of(outcome, plan)
    group = epoch.group
    assert all(outcome.results[i].group == group for i in range(parties))
    assert all(shares[i].matches(group) for i in range(parties))
    assert [epoch.holder(member) for member in members(parties)] == list(range(parties))
    assert (group.holders, group.threshold, group.key.bits) == (parties, threshold, 512)
    encrypted = encrypt(group.key, [5, 2**500], seed(0))
    agreed = Agreed(bytes(32), 1, encrypted.digest)
    parts = [
        partial_decrypt(group, shares[i], proved(group, encrypted), agreed, seed(i))
        for i in range(parties - threshold, parties)
    ]
    assert open_sum(group, encrypted, agreed, parts).plaintexts == (5, 2**500)


def test_the_modulus_is_a_product_of_two_primes_of_half_its_size() -> None:
    p, q = factors(generated(three()), three())
    fixed = int(sieve_of(512, 3).fixed)
    for prime in (p, q):
        assert gmpy2.is_prime(prime)
        assert prime.bit_length() == 256
        assert prime % fixed == fixed - 1


def test_a_group_is_read_as_a_joint_one_only_if_its_modulus_has_the_residue_that_all_joint_ones_have(
    private: PrivateKey,
) -> None:
    group = generated(three()).results[0].group
    assert read_group(group.to_bytes()) == group
    dealt, _ = deal(private, 2, 3, seed(0))
    assert Group.from_bytes(dealt.to_bytes()) == dealt
    with pytest.raises(BadGroup, match="not 1 mod K"):
        read_group(dealt.to_bytes())


def test_messages_that_are_lost_repeated_or_late_change_nothing() -> None:
    calm, rough = generated(three()), generated(three(), loss=0.3, seed=1)
    assert {i: made.group for i, made in rough.results.items()} == {i: made.group for i, made in calm.results.items()}


def test_other_seeds_or_another_session_make_another_key() -> None:
    first = generated(three()).results[0].group.key
    assert generated(three()).results[0].group.key == first
    assert generated(replace(three(), session=bytes([5] * 32))).results[0].group.key != first


def test_nobodys_messages_or_state_show_a_factor() -> None:
    seen: list[bytes] = []

    def listen(sender: int, message: Message) -> bytes:
        seen.append(message.data)
        return message.data

    outcome = generated(three(), tamper=listen)
    for factor in factors(outcome, three()):
        assert not any(factor.to_bytes(32, "big") in data for data in seen)
    assert "secret" in repr(outcome.results[0])


@pytest.mark.parametrize(
    "secret",
    [
        sieving.Candidate(35, 424242, 7),
        sieving.Masks(0, {1: b"424242"}),
        Inbox((b"",), (b"424242",)),
        Outgoing(b"", {0: b"424242"}),
        Message(1, b"424242"),
        Step((Message(1, b"424242"),)),
        seat(bytes(32), 3, 0),
    ],
    ids=lambda secret: type(secret).__name__,
)
def test_what_a_generation_keeps_and_sends_is_not_shown_pickled_or_copied(secret: object) -> None:
    assert "424242" not in repr(secret)
    for attempt in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            attempt(secret)


def test_no_factorial_of_holders_has_a_prime_that_could_divide_the_order_of_a_joint_key() -> None:
    assert primes(sieving.FIXED_LIMIT + 1, MAX_HOLDERS + 1) == []


@pytest.mark.parametrize(("parties", "threshold"), [(2, 2), (11, 5), (3, 1), (3, 3), (4, 3), (6, 4), (10, 6)])
def test_plans_that_cannot_work_are_refused(parties: int, threshold: int) -> None:
    with pytest.raises(ValueError, match="parties"):
        Plan(bytes(32), parties, threshold, members=members(parties))


def test_a_plan_is_for_different_members_one_for_each_party() -> None:
    with pytest.raises(ValueError, match="2 members for 3 parties"):
        replace(three(), members=members(2))
    with pytest.raises(ValueError, match="comes twice"):
        replace(three(), members=(*members(2), members(1)[0]))
    with pytest.raises(ValueError, match="Ed25519"):
        replace(three(), members=(*members(2), b"short"))
    for keys in (0, sieving.MAX_KEYS + 1):
        with pytest.raises(ValueError, match="keys, not"):
            replace(three(), keys=keys)


def test_seeds_and_sessions_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        joint_key(three(), 0, b"short", plan_seat(three(), 0))
    with pytest.raises(ValueError, match="32 bytes"):
        replace(three(), session=b"short")


@pytest.mark.parametrize("bits", [0, 500, 2047, 4096])
def test_a_plan_for_a_size_that_no_key_may_have_is_refused_before_anybody_draws(bits: int) -> None:
    with pytest.raises(BadModulus, match=f"not {bits}"):
        Plan(bytes(32), 3, 2, bits, members=members(3))


@pytest.mark.parametrize("batch", [0, sieving.MAX_BATCH + 1])
def test_a_plan_whose_messages_nobody_would_take_is_refused(batch: int) -> None:
    with pytest.raises(ValueError, match="a batch has"):
        replace(three(), batch=batch)


@pytest.mark.parametrize("bits", [2048, 3072])
def test_the_messages_of_the_largest_batch_are_not_too_long(bits: int) -> None:
    sieve, wanted = sieve_of(bits, 10), 2 * sieving.MAX_BATCH
    drawn = 2 * (wanted + sieving._spares(wanted, sieve.primes[0]))
    for longest in (drawn * size_of(sieve.modulus), wanted * size_of(sieve.field)):
        assert 200 + longest < MAX_MESSAGE_BYTES / 2


def test_parties_with_different_plans_hear_nothing_of_each_other() -> None:
    for other in (
        replace(three(), keys=2),
        replace(three(), bits=768),
        replace(three(), batch=149),
        replace(three(), members=(*members(2), identity(9).public)),
        replace(four(), session=three().session),
    ):
        first, second = key_party(three(), 0), key_party(other, 1)
        to_second = next(message.data for message in first.start().send if message.to == 1)
        to_first = next(message.data for message in second.start().send if message.to == 0)
        first.receive(1, to_first)
        second.receive(0, to_second)
        assert 1 in first.missing
        assert 0 in second.missing


# Parties that do not follow the protocol. Rounds: 0 draw, 1 and 2 sieve, 3 share, 4 and 5 multiply, 6 and 7 first
# test, 8 and 9 further tests, 10 to 12 the gcd step, 13 multiply the exponent, 14 deal it. Of two rounds
# the first one commits to what the second one opens.


def opening_otherwise(
    monkeypatch: pytest.MonkeyPatch, liar: int, opens: Callable[[bytes], bool], change: Callable[[bytes], bytes]
) -> None:
    """The liar commits to something else and opens it, where the label is such a one, until seeds are looked at."""
    lies = [True]

    def lying_openly(session: bytes, me: int, seed: bytes, label: bytes, data: bytes) -> Script[Inbox]:
        return openly(session, me, seed, label, change(data) if lies[0] and me == liar and opens(label) else data)

    def audit(*arguments: Any) -> Script[Aborted]:
        lies[0] = False  # the replay is honest
        return honest_audit(*arguments)

    honest_audit = joint.audit
    monkeypatch.setattr(joint, "audit", audit)
    for module in (sieving, biprimality):
        monkeypatch.setattr(module, "openly", lying_openly)


def of_moduli(label: bytes) -> bool:
    return label == b"moduli"


def of_powers(label: bytes) -> bool:
    return label.startswith(b"powers|")


def last_bit(data: bytes) -> bytes:
    """One bit of the last byte changed."""
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("loss", [0, 0.3])
@pytest.mark.parametrize("liar", [0, 2])
def test_a_false_share_of_the_modulus_names_its_sender_to_all(
    liar: int, loss: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening_otherwise(monkeypatch, liar, of_moduli, last_bit)
    outcome = generated(four(), loss=loss)
    assert not outcome.results
    for party in {0, 1, 2, 3} - {liar}:
        assert "not the product of two numbers" in outcome.aborted[party].reason
        assert outcome.aborted[party].culprits == (liar,)


@pytest.mark.parametrize("at", [2, 5, 7, 9, 12, 14])
@pytest.mark.parametrize(("liar", "loss"), [(0, 0), (2, 0), (2, 0.3)])
def test_a_false_public_message_names_its_sender_to_all(liar: int, at: int, loss: float) -> None:
    outcome = spoiled(four(), liar, at, other_public, loss)
    assert not outcome.results
    assert len(outcome.aborted) == 3
    for aborted in outcome.aborted.values():
        assert aborted.culprits == (liar,)


@pytest.mark.parametrize("at", [3, 13, 14])
@pytest.mark.parametrize("loss", [0, 0.3])
def test_a_false_private_message_names_its_sender_to_all(at: int, loss: float) -> None:
    outcome = spoiled(four(), 2, at, other_private(to=1), loss)
    for party in (0, 1, 3):
        assert outcome.aborted[party].culprits == (2,)
        assert outcome.aborted[party].suspects == ()
    if at == LAST:
        assert "not what was committed to" in outcome.aborted[1].reason
        with pytest.raises(NotConfirmed, match=r"4 holders have to confirm"):
            in_force(outcome, four())
    else:
        assert not outcome.results


@pytest.mark.parametrize("loss", [0, 0.3])
def test_a_false_complaint_about_a_share_names_who_complains(loss: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows what it did get, with the signature of the accused; all see that nothing is wrong with it."""
    honest = exponent._shares

    def pretending(*arguments: Any) -> Any:
        fits = honest(*arguments)

        def complain(dealer: int, receiver: int, public: bytes, private: bytes) -> None:
            if lies and (dealer, receiver) == (0, 2):
                lies.pop()  # once, and not when the others look
                raise Fault(0, "a pretence")
            fits(dealer, receiver, public, private)

        return complain

    lies = [True]
    monkeypatch.setattr(exponent, "_shares", pretending)
    outcome = generated(four(), loss=loss)
    for party in (0, 1, 3):
        assert outcome.aborted[party].culprits == (2,)


@pytest.mark.parametrize("opened", [False, True])
def test_a_liar_who_drops_out_of_the_audit_cannot_put_the_blame_on_another_alone(
    opened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bent(lied: Script[JointKey]) -> Script[JointKey]:
        sent = next(lied)
        for _ in range(6 + opened):
            sent = lied.send((yield sent))
        raise Fault(0, "a pretence")

    opening_otherwise(monkeypatch, 2, of_moduli, last_bit)
    parties = [key_party(four(), i) for i in range(4)]
    parties[2] = bent_party(four(), 2, bent)
    outcome = run(parties, loss=0.3)
    assert outcome.aborted[0].culprits == (2,)
    for party in (1, 3):
        assert outcome.aborted[party].suspects == (0, 2)


@pytest.mark.parametrize("at", range(LAST + 1))
def test_a_message_of_the_wrong_length_names_its_sender_at_once(at: int) -> None:
    def longer(sent: Outgoing) -> Outgoing:
        public = sent.public + b"\0" if sent.public else b""
        private = {party: data + b"\0" for party, data in sent.private.items()}
        return Outgoing(public, {} if at == 0 or public else private) if at else Outgoing(sent.public, private)

    outcome = spoiled(three(), 1, at, longer)
    assert set(outcome.aborted) == {0, 2}
    for aborted in outcome.aborted.values():
        assert aborted.culprits == (1,)


@pytest.mark.parametrize("lie", ["a share", b"units", b"powers|"])
def test_lies_in_the_sieve_and_the_first_test_cost_candidates_and_give_no_bad_key(
    lie: str | bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(lie, bytes):
        opening_otherwise(monkeypatch, 1, lambda label: label.startswith(lie), last_bit)
        outcome = generated(three())
        outcome.results.pop(1, None)
        outcome.aborted.pop(1, None)
    else:
        outcome = spoiled(three(), 1, 0, other_private(to=0))
    if outcome.results:
        assert outcome.results[0]._share.matches(outcome.results[0].group)
    else:
        assert all(1 in aborted.culprits for aborted in outcome.aborted.values())


def test_who_spoils_every_attempt_is_named_when_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plan, "patience", 2)
    honest_power = biprimality._power

    def spoiling(plan: Plan, me: int, candidate: sieving.Candidate, base: int) -> int:
        power = honest_power(plan, me, candidate, base)
        return power ^ 1 if me == 1 and lies else power

    lies = True
    monkeypatch.setattr(biprimality, "_power", spoiling)
    honest_audit = joint.audit

    def audit(*arguments: Any) -> Script[Aborted]:
        nonlocal lies
        lies = False  # the replay is honest
        return honest_audit(*arguments)

    monkeypatch.setattr(joint, "audit", audit)
    outcome = generated(three())
    for party in (0, 2):
        assert outcome.aborted[party].reason.endswith("no modulus in 3 attempts")
        assert outcome.aborted[party].culprits == (1,)


@pytest.fixture
def two_attempts(monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A plan for four with patience for two attempts, of eight rounds each, of which only the first can succeed."""
    monkeypatch.setattr(Plan, "patience", 1)
    return small_plan(TWO_ATTEMPTS, 4, 2, 30)


def no_powers(data: bytes) -> bytes:
    """All that is opened is 0: as powers of a base, that none of the moduli passes."""
    return bytes(len(data))


def test_who_spoils_the_one_attempt_that_would_have_succeeded_is_named_when_patience_ends(
    two_attempts: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(generated(two_attempts).results) == 4
    opening_otherwise(monkeypatch, 2, of_powers, no_powers)
    outcome = generated(two_attempts)
    for party in (0, 1, 3):
        assert outcome.aborted[party] == Aborted("no modulus in 2 attempts", (2,))


def test_who_spoils_an_earlier_attempt_in_private_is_named_by_the_receiver_when_patience_ends(
    two_attempts: Plan,
) -> None:
    size = size_of(sieve_of(512, 4).modulus)

    def change(sent: Outgoing) -> Outgoing:
        shares = bytearray(sent.private[1])
        for last in range(size - 1, len(shares), size):
            shares[last] ^= 1
        return replace(sent, private={**sent.private, 1: bytes(shares)})

    outcome = spoiled(two_attempts, 2, 0, change)
    for party in (0, 1, 3):
        assert outcome.aborted[party] == Aborted("no modulus in 2 attempts", (2,))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda sent: Outgoing(bytes(32) + sent.public[32:]), "the seed is not the one that was committed to"),
        (lambda sent: Outgoing(sent.public[:32]), "32 bytes of seeds for 2 attempts"),
    ],
    ids=["other", "fewer"],
)
def test_who_opens_other_seeds_of_earlier_attempts_is_named(
    two_attempts: Plan, change: Change, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening_otherwise(monkeypatch, 1, of_powers, no_powers)
    parties = [key_party(two_attempts, i) for i in range(4)]
    parties[1] = bent_party(two_attempts, 1, lambda script: lying(script, 16, change))
    outcome = run(parties)
    for party in (0, 2, 3):
        assert outcome.aborted[party] == Aborted(f"party 1: {why}", (1,))


def test_what_an_audit_keeps_is_not_shown_or_pickled() -> None:
    attempt = Attempt(b"424242", lambda party, seed: iter(()), lambda party, seed: b"", [])  # type: ignore[arg-type]
    assert repr(attempt) == "<Attempt of 0 rounds (secret)>"
    with pytest.raises(TypeError, match="not pickled"):
        copy.copy(attempt)


def test_a_seed_other_than_the_one_committed_to_names_who_opens_it(monkeypatch: pytest.MonkeyPatch) -> None:
    opening_otherwise(monkeypatch, 1, of_moduli, last_bit)
    parties = [key_party(three(), i) for i in range(3)]
    parties[1] = bent_party(three(), 1, lambda script: lying(script, 6, lambda sent: Outgoing(bytes(32))))
    outcome = run(parties)
    for party in (0, 2):
        assert outcome.aborted[party] == Aborted("party 1: the seed is not the one that was committed to", (1,))


@pytest.mark.parametrize("hashed", [bytes(32), None], ids=["of-nothing", "of-what-it-got"])
def test_a_complaint_without_proof_names_who_complains(hashed: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    opening_otherwise(monkeypatch, 1, of_moduli, last_bit)
    log: list[Inbox] = []

    def listening(script: Script[JointKey]) -> Script[JointKey]:
        sent = next(script)
        try:
            while True:
                log.append((yield sent))
                sent = script.send(log[-1])
        except StopIteration as end:
            return end.value

    def complain(sent: Outgoing) -> Outgoing:
        got = log[0]
        what = private_hash(got.private[2]) if hashed is None else hashed
        return Outgoing((1).to_bytes(4, "big") + bytes([2]) + what + got.signatures[2])

    parties = [key_party(four(), i) for i in range(4)]
    parties[1] = bent_party(four(), 1, lambda script: lying(listening(script), 7, complain))
    outcome = run(parties)
    for party in (0, 2, 3):
        assert outcome.aborted[party].culprits == (1,)


def test_a_modulus_that_no_test_looked_at_is_found_out_when_the_exponent_does_not_decrypt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pretending(plan: Plan, me: int, seed: bytes, tests: list[Any]) -> Script[list[bool]]:
        yield Outgoing()
        return [True] * len(tests)

    monkeypatch.setattr(biprimality, "_test", pretending)  # the attack
    outcome = generated(replace(three(), session=bytes([5] * 32), batch=8))
    assert not outcome.results
    for aborted in outcome.aborted.values():
        assert aborted.reason == "the shared exponent does not decrypt"


def test_honest_parties_are_not_named_when_chance_alone_was_against_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plan, "patience", 0)
    outcome = generated(replace(three(), batch=1))
    assert {(a.reason, a.culprits, a.suspects) for a in outcome.aborted.values()} == {
        ("no modulus in 1 attempts", (), ())
    }


# Candidates


def test_candidates_are_free_of_the_sieves_primes_and_shares_add_up() -> None:
    def script(me: int) -> Script[list[sieving.Candidate]]:
        found, _ = yield from sieving.draw_candidates(three(), me, seed(me), b"")
        return found

    outcome = run([machine(three().lockstep_session(), 3, i, script(i)) for i in range(3)])
    assert len(outcome.results[0]) > 0.9 * three().batch
    sieve = sieve_of(512, 3)
    for rows in zip(*(outcome.results[i] for i in range(3)), strict=True):
        p, q = sum(row.p for row in rows), sum(row.q for row in rows)
        assert {row.modulus for row in rows} == {p * q}
        assert gmpy2.gcd(p * q, sieve.modulus * sieve.fixed) == 1
        assert p >> 254 == q >> 254 == 3
        assert all(row.p % 4 == row.q % 4 == 0 for row in rows[1:])


def test_a_sieve_without_repair_would_let_small_factors_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sieving, "_repaired", lambda sieve, products, additive, wanted: list(additive[:wanted])
    )  # the fault

    def script(me: int) -> Script[list[sieving.Candidate]]:
        found, _ = yield from sieving.draw_candidates(three(), me, seed(me), b"")
        return found

    outcome = run([machine(three().lockstep_session(), 3, i, script(i)) for i in range(3)])
    assert any(gmpy2.gcd(row.modulus, sieve_of(512, 3).modulus) != 1 for row in outcome.results[0])


@pytest.mark.parametrize("bits", [2048, 3072])
@pytest.mark.parametrize("parties", [3, 10])
def test_the_sieve_leaves_every_share_enough_free_bits(bits: int, parties: int) -> None:
    sieve = sieve_of(bits, parties)
    whole = sieve.modulus * sieve.fixed
    assert sieve.free_bits >= sieving.SLACK_BITS
    largest = sieve.top + parties * ((whole << sieve.free_bits) + whole)
    assert 3 << (bits // 2 - 2) <= sieve.top
    assert largest < 1 << (bits // 2)
    assert sieve.field >> bits >= 1 << sieving.SLACK_BITS
    assert sieve.primes[-1] > 600


@pytest.mark.soak
@pytest.mark.parametrize(("parties", "threshold"), [(3, 2), (5, 3), (10, 5)])
def test_keys_of_full_size_work(parties: int, threshold: int) -> None:
    plan = Plan(bytes([parties] * 32), parties, threshold, members=members(parties))
    outcome = generated(plan)
    shares, group = shares_of(outcome, plan), outcome.results[0].group
    encrypted = encrypt(group.key, [5, 2**2040], seed(0))
    agreed = Agreed(bytes(32), 1, encrypted.digest)
    parts = [partial_decrypt(group, shares[i], proved(group, encrypted), agreed, seed(i)) for i in range(threshold)]
    assert open_sum(group, encrypted, agreed, parts).plaintexts == (5, 2**2040)


@pytest.mark.parametrize("change", [other_public, other_private(to=0), other_private(to=2)])
def test_nobody_publishes_a_seed_once_somebody_may_have_the_key(change: Change) -> None:
    published: list[bytes] = []

    def tamper(sender: int, message: Message) -> bytes:
        published.append(message.data)
        return message.data

    parties = [key_party(three(), i) for i in range(3)]
    parties[1] = bent_party(three(), 1, lambda script: lying(script, LAST, change))
    outcome = run(parties, tamper)
    name = parties[0]._run
    attempt_seeds = [derive(seed(i), b"attempt 0|" + name) for i in range(3)]
    if change is other_public:
        assert not outcome.results  # the exponent is lost to all: no key comes of it
    else:
        assert not any(secret in data for secret in attempt_seeds for data in published)


@settings(max_examples=14)
@given(st.integers(0, 3), st.integers(0, LAST), st.integers(-1, 3), st.integers(0, 10**6), st.integers(0, 7))
def test_whatever_one_party_changes_no_honest_one_is_named_and_no_two_get_different_keys(
    liar: int, at: int, to: int, place: int, bit: int
) -> None:
    def flipped(data: bytes) -> bytes:
        if not data:
            return data
        changed = bytearray(data)
        changed[place % len(data)] ^= 1 << bit
        return bytes(changed)

    def change(sent: Outgoing) -> Outgoing:
        if to == -1 or to not in sent.private:
            return replace(sent, public=flipped(sent.public))
        return replace(sent, private={**sent.private, to: flipped(sent.private[to])})

    outcome = spoiled(four(), liar, at, change, loss=0.2)
    assert outcome.results.keys() | outcome.aborted.keys() == {0, 1, 2, 3} - {liar}
    assert len({made.group for made in outcome.results.values()}) <= 1
    assert len(confirmations(outcome, four())) < 4 or not outcome.aborted
    for party, aborted in outcome.aborted.items():
        assert set(aborted.culprits) <= {liar}
        assert not aborted.suspects or liar in aborted.suspects
        assert party not in aborted.culprits + aborted.suspects


def test_a_joint_key_is_handed_on_to_others() -> None:
    outcome = generated(three())
    epoch, shares = in_force(outcome, three()), shares_of(outcome, three())
    new = [*members(3), identity(7).public]
    participants = tuple(
        Participant(i if i in (0, 2) else None, (3, 0, 1, 2)[i], member) for i, member in enumerate(new)
    )
    plan = ResharingPlan(bytes(32), epoch, participants, 2, tolerated=1)
    people = [identity(0), identity(1), identity(2), identity(7)]
    old = (shares[0], None, shares[2], None)
    handed = run([reshare(plan, i, share, seed(i), plan_seat(plan, i, people[i])) for i, share in enumerate(old)])
    after, fresh = in_force(handed, plan), shares_of(handed, plan)
    assert (after.members, after.before) == (tuple(new[i] for i in (1, 2, 3, 0)), (epoch.members,))
    encrypted = encrypt(after.group.key, [5], seed(0))
    agreed = Agreed(bytes(32), 2, encrypted.digest)
    vouched = proved(after.group, encrypted, epoch=2)
    parts = [partial_decrypt(after.group, fresh[i], vouched, agreed, seed(i)) for i in (1, 3)]
    assert open_sum(after.group, encrypted, agreed, parts).plaintexts == (5,)
