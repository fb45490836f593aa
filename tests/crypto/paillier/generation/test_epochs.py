"""A key comes into force for all of its holders or for none; each attack also on a weakened build."""

import copy
import itertools
import pickle  # noqa: TID251
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parties import Outcome, confirmations, identity, in_force, key_party, members, run, small_plan

from coterie.crypto.paillier.errors import BadEncoding, BadGroup, BadModulus, NotConfirmed, PaillierError, WrongKey
from coterie.crypto.paillier.generation.epochs import Epoch, Pending, Record, certify, is_confirmation, read_epoch
from coterie.crypto.paillier.generation.joint import JointKey, Plan
from coterie.crypto.paillier.group import Group, KeyShare, deal
from coterie.crypto.paillier.keys import PrivateKey, generate

LIAR = 2


@cache
def plan() -> Plan:
    """Of three parties, small; the first attempt finds a modulus."""
    return small_plan(10, 3, 2, 150)


@cache
def outcome() -> Outcome[JointKey]:
    return run([key_party(plan(), i) for i in range(3)])


def made(party: int = 0) -> JointKey:
    return outcome().results[party]


def signed() -> dict[int, bytes]:
    return confirmations(outcome(), plan())


def record() -> Record:
    return certify(plan(), made().run, made().group, signed())


# All or none


def heard_by(told: Mapping[int, bytes]) -> dict[int, dict[int, bytes]]:
    """What each honest party hears: the others' confirmations, and what the liar tells it."""
    honest = {party: signature for party, signature in signed().items() if party != LIAR}
    return {party: {**honest, LIAR: told[party]} for party in honest}


def adopts_by_itself(party: int, heard: Mapping[int, bytes]) -> bool:
    """The weakened build: a party has the key once it has heard the confirmations of all, and drops it otherwise."""
    return all(is_confirmation(plan(), made(party).run, made(party).group, i, heard[i]) for i in range(3))


def certified(heard: Mapping[int, Mapping[int, bytes]]) -> list[Record]:
    """What the parties can propose for the block that decides about the key."""
    records = []
    for party, confirmed in heard.items():
        try:
            records.append(certify(plan(), made(party).run, made(party).group, confirmed))
        except NotConfirmed:
            continue
    return records


def test_a_confirmation_for_one_party_alone_would_give_it_a_key_that_no_other_has() -> None:
    heard = heard_by({0: signed()[LIAR], 1: bytes(64)})
    assert [adopts_by_itself(party, heard[party]) for party in (0, 1)] == [True, False]


@pytest.mark.parametrize("told", list(itertools.product([True, False], repeat=2)))
def test_whomever_a_liar_confirms_to_all_have_the_key_or_nobody_has(told: tuple[bool, bool]) -> None:
    heard = heard_by({party: signed()[LIAR] if told[party] else bytes(64) for party in (0, 1)})
    records = certified(heard)
    assert len({found.to_bytes() for found in records}) <= 1
    assert bool(records) == any(told)
    for found in records:
        epoch = read_epoch(plan(), found.to_bytes())  # what was decided is the same for all
        for party in (0, 1):
            kept = JointKey.from_bytes(made(party).to_bytes())  # also for a party that has crashed meanwhile
            assert kept.share(epoch).matches(epoch.group)


def test_nobody_has_its_share_before_the_key_is_in_force() -> None:
    other = small_plan(11, 3, 2, 150)
    elsewhere = in_force(run([key_party(other, i) for i in range(3)]), other)
    with pytest.raises(NotConfirmed, match="another one"):
        made().share(elsewhere)
    with pytest.raises(TypeError, match="an Epoch and nothing else"):
        made().share(made())  # type: ignore[arg-type]
    here = in_force(outcome(), plan())
    assert made().share(here).holder == 0
    with pytest.raises(TypeError, match="only read_epoch"):
        Epoch(made().group, members(3), (), made().session, made().run, object())
    with pytest.raises(ValueError, match="witness"):
        replace(here, members=members(3))
    with pytest.raises(NotConfirmed, match="no holder"):
        here.holder(identity(5).public)
    with pytest.raises(NotConfirmed, match="no holder"):
        Pending(made().session, made().run, made().group, None).share(here)


def test_a_party_confirms_only_what_its_vault_gives_back() -> None:
    key = made()
    for lost in (b"", key.to_bytes()[:-1], made(1).to_bytes()):
        with pytest.raises(NotConfirmed, match="the vault does not hold"):
            key.confirm(identity(0), lost)
    with pytest.raises(NotConfirmed, match="only a holder"):
        Pending(key.session, key.run, key.group, None).confirm(identity(0), b"")


@pytest.mark.parametrize("few", [(), (0,), (0, 1)])
def test_a_key_that_is_not_confirmed_by_all_is_not_in_force(few: tuple[int, ...]) -> None:
    missing = [holder for holder in range(3) if holder not in few]
    with pytest.raises(NotConfirmed, match=f"3 holders have to confirm the key; {missing}".replace("[", r"\[")):
        certify(plan(), made().run, made().group, {holder: signed()[holder] for holder in few})
    unfinished = Record(made().run, made().group, {holder: signed()[holder] for holder in few})
    with pytest.raises(NotConfirmed):
        read_epoch(plan(), unfinished.to_bytes())


def test_a_confirmation_says_nothing_of_another_run_session_key_or_holder(private: PrivateKey) -> None:
    good = signed()
    foreign = deal(private, 2, 3, bytes(32))[0]
    for holder in range(3):
        assert is_confirmation(plan(), made().run, made().group, holder, good[holder])
        assert not is_confirmation(plan(), bytes(32), made().group, holder, good[holder])
        assert not is_confirmation(plan(), made().run, foreign, holder, good[holder])
        assert not is_confirmation(plan(), made().run, made().group, (holder + 1) % 3, good[holder])
        other = replace(plan(), session=bytes(32))
        assert not is_confirmation(other, made().run, made().group, holder, good[holder])
    swapped = replace(record(), confirmations={0: good[1], 1: good[0], 2: good[2]})
    with pytest.raises(NotConfirmed):
        read_epoch(plan(), swapped.to_bytes())


# Encodings


def test_pending_keys_and_records_survive_their_encodings() -> None:
    for party in range(3):
        again = JointKey.from_bytes(made(party).to_bytes())
        assert isinstance(again, JointKey)
        assert again.to_bytes() == made(party).to_bytes()
    leaving = Pending(made().session, made().run, made().group, None)
    assert Pending.from_bytes(leaving.to_bytes()).to_bytes() == leaving.to_bytes()
    assert Record.from_bytes(3, record().to_bytes()) == record()
    assert read_epoch(plan(), record().to_bytes()).members == members(3)


def test_records_that_are_none_are_refused(private: PrivateKey) -> None:
    data = record().to_bytes()
    for bad in (b"", data[:-1], data + b"\0", b"\x02" + data[1:]):
        with pytest.raises(BadEncoding):
            read_epoch(plan(), bad)
    with pytest.raises(BadEncoding):
        Record.from_bytes(2, data)
    dealt = deal(private, 2, 3, bytes(32))[0]
    with pytest.raises(BadGroup, match="not 1 mod K"):
        read_epoch(plan(), replace(record(), group=dealt).to_bytes())
    with pytest.raises(BadGroup, match="was not planned"):
        read_epoch(replace(plan(), bits=768), data)


@given(st.binary(max_size=400))
def test_no_bytes_crash_the_decoders(data: bytes) -> None:
    for given_bytes in (data, b"\x01" + data):
        with pytest.raises(PaillierError):
            Pending.from_bytes(given_bytes)
        with pytest.raises((BadEncoding, BadModulus, BadGroup, WrongKey)):
            Record.from_bytes(3, given_bytes)


def test_a_pending_key_is_not_shown_pickled_or_copied() -> None:
    group: Group = made().group
    pending = Pending(bytes(32), bytes(32), group, KeyShare(0, 424242))
    assert "424242" not in repr(pending)
    assert "secret" in repr(pending)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            attempt(pending)


def test_a_group_that_was_read_before_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    data = deal(generate(b"read twice: 32 bytes of a seed..", 512), 2, 3, bytes(32))[0].to_bytes()
    first = Group.from_bytes(data)
    monkeypatch.setattr(Group, "__post_init__", lambda self: pytest.fail("checked again"))
    assert Group.from_bytes(data) is first
    with pytest.raises(BadEncoding):
        Group.from_bytes(data + b"\0")
