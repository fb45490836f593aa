"""Liars that speak last: in every opening of a generation, in every place, they see the others' part first."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import gmpy2
import pytest
from parties import Look, Outcome, Rushing, bent_party, key_party, machine, run, seed, small_plan

from coterie.crypto.paillier.arithmetic import size_of
from coterie.crypto.paillier.generation import biprimality, sieving
from coterie.crypto.paillier.generation.joint import Plan
from coterie.crypto.paillier.generation.openings import openly
from coterie.crypto.paillier.generation.sieving import Candidate, Masks, fixed_modulus, sieve_of
from coterie.crypto.paillier.rounds.lockstep import Inbox, Lockstep, Outgoing, Script

Choose = Callable[[bytes, Mapping[int, bytes]], bytes]  # its honest data, and the others' data -> what it opens


@cache
def small() -> Plan:
    return small_plan(10, 3, 2, 150)


def openly_at_once(session: bytes, me: int, seed: bytes, label: bytes, data: bytes) -> Script[Inbox]:
    """The weakened build: all publish what they open, and nobody commits to anything first."""
    return (yield Outgoing(data))


def looking_first(honest: Any, liar: int, opens: Callable[[bytes], bool], choose: Choose) -> Any:
    """The same openings, but for those of the liar whose label it ``opens``: it sends its data when it has the others'.

    Where it has to commit, it commits to its honest data.
    """

    def opening(session: bytes, me: int, seed: bytes, label: bytes, data: bytes) -> Any:
        script = honest(session, me, seed, label, data)
        try:
            sent = next(script)
            while True:
                if me == liar and opens(label) and sent.public.endswith(data):
                    before = len(sent.public) - len(data)
                    seen = (yield Look()).public
                    theirs = {party: public[before:] for party, public in enumerate(seen) if party != me}
                    chosen = choose(data, theirs)
                    sent = Outgoing(sent.public[:before] + chosen)
                sent = script.send((yield sent))
        except StopIteration as end:
            return end.value

    return opening


def sum_of(wanted: int, modulus: int) -> Choose:
    """Shares that make the first of the opened sums what is wanted, and leave the others as they are."""

    def choose(data: bytes, theirs: Mapping[int, bytes]) -> bytes:
        size = size_of(modulus)
        share = (wanted - sum(int.from_bytes(row[:size], "big") for row in theirs.values())) % modulus
        return share.to_bytes(size, "big") + data[size:]

    return choose


@cache
def chosen_modulus() -> int:
    """A modulus of two primes that one party alone knows, and that passes all that can be seen of it."""
    fixed, found = int(fixed_modulus()), []
    number = (3 << 254) // fixed * fixed - 1
    while len(found) < 2:
        number += fixed
        if gmpy2.is_prime(number):
            found.append(number)
    assert (found[0] * found[1]).bit_length() == 512
    return found[0] * found[1]


def candidates(plan: Plan, liar: int) -> Outcome[list[Candidate]]:
    """All parties draw candidates, the liar in its own way."""

    def script(me: int) -> Script[list[Candidate]]:
        found, _ = yield from sieving.draw_candidates(plan, me, seed(me), b"")
        return found

    def party(me: int) -> Any:
        kind = Rushing if me == liar else Lockstep
        return machine(plan.lockstep_session(), plan.parties, me, script(me), kind=kind)

    return run([party(me) for me in range(plan.parties)])


@pytest.mark.parametrize("liar", range(3))
def test_who_speaks_last_makes_the_modulus_where_nobody_commits_first(
    liar: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = sum_of(chosen_modulus(), int(sieve_of(512, 3).field))
    monkeypatch.setattr(
        sieving, "openly", looking_first(openly_at_once, liar, lambda label: label == b"moduli", wanted)
    )
    outcome = candidates(small(), liar)
    for party in {0, 1, 2} - {liar}:
        assert outcome.results[party][0].modulus == chosen_modulus()


@pytest.mark.parametrize("liar", range(3))
def test_who_speaks_last_cannot_make_the_modulus_and_is_named(liar: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = sum_of(chosen_modulus(), int(sieve_of(512, 3).field))
    monkeypatch.setattr(sieving, "openly", looking_first(openly, liar, lambda label: label == b"moduli", wanted))
    outcome = candidates(small(), liar)
    for party in {0, 1, 2} - {liar}:
        assert outcome.aborted[party].culprits == (liar,)


def prime_from(start: int, residue: int) -> int:
    """The next prime that is ``residue`` mod 4."""
    found = int(gmpy2.next_prime(start))
    while found % 4 != residue:
        found = int(gmpy2.next_prime(found))
    return found


P, Q = prime_from(1 << 100, 1) * prime_from(1 << 154, 3), prime_from(1 << 254, 3)


def tried(liar: int) -> Outcome[tuple[int | None]]:
    """All parties try one candidate, P·Q, that is no product of two primes."""

    def script(me: int) -> Script[tuple[int | None]]:
        mine = [Candidate(gmpy2.mpz(P * Q), *((factor - 8 if me == 0 else 4) for factor in (P, Q)))]
        masks = Masks(me, {i: b"%d %d" % (min(i, me), max(i, me)) for i in range(3) if i != me})
        found = yield from biprimality.find_biprime(small(), me, seed(me), mine, masks)
        return (None if found is None else int(found.modulus),)

    def party(me: int) -> Any:
        kind = Rushing if me == liar else Lockstep
        return machine(small().lockstep_session(), 3, me, script(me), kind=kind)

    return run([party(me) for me in range(3)])


def powers_that_pass(liar: int) -> Choose:
    """Powers whose quotient is 1 for each base: the others' are known, and one is left to choose."""

    def choose(data: bytes, theirs: Mapping[int, bytes]) -> bytes:
        chosen = b""
        for at in range(0, len(data), 64):
            row = {party: int.from_bytes(public[at : at + 64], "big") for party, public in theirs.items()}
            product = gmpy2.mpz(1)
            for party, power in row.items():
                product = product * (power if party or liar == 0 else 1) % (P * Q)
            passing = product if liar == 0 else row[0] * gmpy2.invert(product, P * Q) % (P * Q)
            chosen += int(passing).to_bytes(64, "big")
        return chosen

    return choose


def of_powers(label: bytes) -> bool:
    return label.startswith(b"powers|")


@pytest.mark.parametrize("liar", range(3))
def test_who_speaks_last_has_any_modulus_pass_where_nobody_commits_first(
    liar: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = looking_first(openly_at_once, liar, of_powers, powers_that_pass(liar))
    monkeypatch.setattr(biprimality, "openly", weak)
    assert set(tried(liar).results.values()) == {(P * Q,)}


@pytest.mark.parametrize("liar", range(3))
def test_who_speaks_last_cannot_have_a_modulus_pass_and_is_named(liar: int, monkeypatch: pytest.MonkeyPatch) -> None:
    strong = looking_first(openly, liar, of_powers, powers_that_pass(liar))
    monkeypatch.setattr(biprimality, "openly", strong)
    outcome = tried(liar)
    for party in {0, 1, 2} - {liar}:
        assert outcome.aborted[party].culprits == (liar,)


@pytest.mark.parametrize("liar", range(3))
def test_whoever_looks_first_in_any_opening_of_a_generation_is_named(
    liar: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels: list[bytes] = []

    def listening(session: bytes, me: int, seed: bytes, label: bytes, data: bytes) -> Script[Inbox]:
        labels.append(label)
        return openly(session, me, seed, label, data)

    for module in (sieving, biprimality):
        monkeypatch.setattr(module, "openly", listening)
    parties = [key_party(small(), me) for me in range(3)]
    assert len(run(parties).results) == 3
    for label in set(labels):
        bent = looking_first(openly, liar, label.__eq__, lambda data, theirs: data[:-1] + bytes([data[-1] ^ 1]))
        for module in (sieving, biprimality):
            monkeypatch.setattr(module, "openly", bent)
        outcome = run([_joining(me, liar) for me in range(3)])
        assert not outcome.results
        for party in {0, 1, 2} - {liar}:
            assert outcome.aborted[party].culprits == (liar,), label[:20]


def _joining(me: int, liar: int) -> Any:
    """A party of a generation."""
    return key_party(small(), me) if me != liar else bent_party(small(), me, lambda script: script, Rushing)
