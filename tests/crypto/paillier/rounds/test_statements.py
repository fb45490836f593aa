"""What parties sign convicts those that tell two stories, and nobody else; each attack also on a weakened build."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parties import identity, lying, machine, members, run, seat, two_faced

from coterie.crypto.identity.identity import Identity
from coterie.crypto.paillier.errors import RunBefore
from coterie.crypto.paillier.rounds import lockstep, statements
from coterie.crypto.paillier.rounds.lockstep import Aborted, Fault, Lockstep, Message, Outgoing, Script, Step
from coterie.crypto.paillier.rounds.messages import Part, Stop
from coterie.crypto.paillier.rounds.seats import Seat, take_seat
from coterie.crypto.paillier.rounds.statements import UNHEARD, Equivocation, Statement

SESSION = bytes(32)
LAST = 3  # the last of the rounds of `talking`; the first one is the greeting
PARTIES = 4
LIAR = 2
HONEST = (0, 1, 3)


def talking(me: int) -> Script[tuple[bytes, ...]]:
    """Three rounds in which everybody says something to all, the result is what was said in the last one."""
    for number in range(LAST):
        inbox = yield Outgoing(b"%d from %d" % (number, me))
    return inbox.public


def telling(me: int) -> Script[int]:
    """One round in which each tells each other something in private, that begins with the receiver's number."""
    inbox = yield Outgoing(b"", {i: b"%d" % i for i in range(PARTIES)}, fits)
    return len(inbox.private)


def fits(sender: int, receiver: int, public: bytes, private: bytes) -> None:
    if not private.startswith(b"%d" % receiver):
        raise Fault(sender, "for somebody else")


def all_talking(**liar: Any) -> list[Lockstep[Any]]:
    return [machine(SESSION, PARTIES, i, talking(i), **(liar if i == LIAR else {})) for i in range(PARTIES)]


# One party, two stories


@pytest.mark.parametrize("loss", [0, 0.3])
@pytest.mark.parametrize("fooled", [(0,), (1, 3)])
@pytest.mark.parametrize("at", range(1, LAST + 1))
def test_whoever_tells_two_stories_in_any_round_is_named_with_evidence_by_all(
    at: int, fooled: tuple[int, ...], loss: float
) -> None:
    outcome = run(all_talking(kind=two_faced(at, fooled)), loss=loss, seed=at)
    for party in HONEST:
        aborted = outcome.aborted[party]
        assert aborted.culprits == (LIAR,)
        assert all(found.holds() and found.member == members(PARTIES)[LIAR] for found in aborted.evidence)
    # A party that learns of it by the word of another one has no evidence itself; those that saw both do.
    assert any(outcome.aborted[party].evidence for party in HONEST)


def test_two_stories_in_the_last_round_would_stay_unseen_without_its_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Lockstep._enter

    def quiet(self: Lockstep[Any], own: Outgoing) -> Step[Any]:
        step = honest(self, own)
        if not self._closing:
            return step
        self._sent = ()
        return Step()

    monkeypatch.setattr(Lockstep, "_enter", quiet)  # the weakness: a party that has its result falls silent
    outcome = run(all_talking(kind=two_faced(LAST, (0,))))
    assert outcome.aborted == {}
    assert outcome.results[0] != outcome.results[1]


def test_a_result_comes_before_the_last_echo_and_the_liar_is_named_after_it() -> None:
    outcome = run(all_talking(kind=two_faced(LAST, (0,))))
    assert set(outcome.results) >= set(HONEST)
    assert all(outcome.aborted[party].evidence for party in HONEST)


def test_two_greetings_are_found_and_are_no_evidence() -> None:
    outcome = run(all_talking(kind=two_faced(0, (1,))))
    for party in HONEST:
        assert outcome.aborted[party].culprits == (LIAR,)
        assert outcome.aborted[party].evidence == ()
    assert outcome.results.keys() <= {LIAR}


def framing(victim: int) -> type[Lockstep[Any]]:
    """A party that shows in its echo another statement of the victim than the one that it got."""

    class Framing(Lockstep[Any]):
        def _enter(self, own: Outgoing) -> Step[Any]:
            if self._round == 1:
                self._parts[victim] = replace(
                    self._parts[victim], statement=replace(self._parts[victim].statement, public=bytes(32))
                )
            return super()._enter(own)

    return Framing


def test_an_echo_of_what_nobody_signed_names_the_party_that_shows_it() -> None:
    outcome = run(all_talking(kind=framing(victim=0)))
    for party in HONEST:
        assert outcome.aborted[party].culprits == (LIAR,)


def test_an_echo_would_frame_an_honest_party_if_nobody_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Statement, "is_by", lambda self, member: True)  # the weakness
    outcome = run(all_talking(kind=framing(victim=0)))
    assert outcome.aborted[1].culprits == outcome.aborted[3].culprits == (0,)


def test_a_false_echo_to_one_party_alone_is_evidence_for_the_others() -> None:
    outcome = run(all_talking(kind=two_faced(2, (0,), echo=True)))
    for party in HONEST:
        assert outcome.aborted[party].culprits == (LIAR,)
    assert outcome.aborted[1].evidence[0].holds()


@pytest.mark.parametrize("at", [1, 2])
def test_a_message_without_its_authors_signature_names_the_sender(at: int) -> None:
    def tamper(sender: int, message: Message) -> bytes:
        data = bytearray(message.data)
        if sender == LIAR and int.from_bytes(data[34:38], "big") == at:
            data[40] ^= 1
        return bytes(data)

    outcome = run(all_talking(), tamper)
    for party in HONEST:
        assert LIAR in outcome.aborted[party].culprits + outcome.aborted[party].suspects
        assert set(outcome.aborted[party].culprits) <= {LIAR}


# Evidence


def statement(who: Identity, run_name: bytes, number: int, public: bytes) -> Statement:
    return Statement.signed(who, run_name, number, public, b"")


@given(st.integers(1, 3), st.integers(0, 3), st.booleans(), st.booleans())
def test_evidence_is_two_statements_of_one_member_about_one_round_of_one_run(
    first: int, second: int, same_run: bool, same_text: bool
) -> None:
    a = statement(identity(0), b"a" * 32, first, b"one")
    b = statement(identity(0), (b"a" if same_run else b"b") * 32, second, b"one" if same_text else b"two")
    found = Equivocation(identity(0).public, a, b)
    assert found.holds() == (same_run and first == second and not same_text)
    assert Equivocation.from_bytes(found.to_bytes()) == found
    assert not replace(found, member=identity(1).public).holds()


def test_statements_about_greetings_and_forged_ones_are_no_evidence() -> None:
    a, b = (statement(identity(0), SESSION, 0, text) for text in (b"one", b"two"))
    assert not Equivocation(identity(0).public, a, b).holds()
    a, b = (statement(identity(0), SESSION, 1, text) for text in (b"one", b"two"))
    assert Equivocation(identity(0).public, a, b).holds()
    for forged in (replace(b, public=bytes(32)), replace(b, echo=bytes(32)), replace(b, signature=bytes(64))):
        assert not Equivocation(identity(0).public, a, forged).holds()


@given(st.binary(max_size=400))
def test_no_bytes_crash_the_reader_of_evidence(data: bytes) -> None:
    found = Equivocation.from_bytes(data)
    assert found is None or not found.holds()


def signed_in_run(nonce: bytes, parties: int) -> dict[int, Statement]:
    """What party 0 signs, by round, in a run that it begins with this nonce."""
    restored = Lockstep(seat(SESSION, parties, 0), nonce, lambda run: talking(int(nonce[:1])))
    signed: dict[int, Statement] = {}

    def listen(sender: int, message: Message) -> bytes:
        if sender == 0 and message.data[33:34] == b"\0":
            part = Part.from_bytes(SESSION, restored._run, parties, message.data)
            assert part is not None
            signed[part.statement.number] = part.statement
        return message.data

    run([restored, *(machine(SESSION, parties, i, talking(i)) for i in range(1, parties))], listen)
    return signed


def contradictions() -> list[Equivocation]:
    """What convicts a party that forgot a session, as from an old copy of its home, and begins it again."""
    first, second = (signed_in_run(nonce, 3) for nonce in (b"1" * 32, b"2" * 32))
    pairs = [(first[number], second[number]) for number in sorted(first.keys() & second.keys())]
    return [found for a, b in pairs if (found := Equivocation(identity(0).public, a, b)).holds()]


def test_a_party_that_begins_a_forgotten_session_again_signs_nothing_that_convicts_it() -> None:
    assert contradictions() == []


def test_a_restored_party_would_convict_itself_if_a_run_had_the_name_of_its_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (lockstep, statements):
        monkeypatch.setattr(module, "run_of", lambda session, greetings: session)  # the weakness
    monkeypatch.setattr("coterie.crypto.paillier.rounds.messages.run_of", lambda session, greetings: session)
    assert contradictions() != []


@settings(max_examples=40)
@given(st.integers(0, LAST + 1), st.sets(st.sampled_from(HONEST), min_size=1, max_size=2), st.integers(0, 2**32))
def test_no_evidence_convicts_an_honest_party(at: int, fooled: set[int], order: int) -> None:
    outcome = run(all_talking(kind=two_faced(at, fooled)), loss=0.2, seed=order)
    for party in HONEST:
        aborted = outcome.aborted.get(party, Aborted(""))
        assert set(aborted.culprits) | set(aborted.suspects) <= {LIAR}
        assert {found.member for found in aborted.evidence} <= {members(PARTIES)[LIAR]}
        assert all(found.holds() for found in aborted.evidence)


# Private parts


def all_telling(change: Any = None, to: int = 1) -> list[Lockstep[Any]]:
    def lie(sent: Outgoing) -> Outgoing:
        return replace(sent, private={**sent.private, to: change})

    return [
        machine(SESSION, PARTIES, i, lying(telling(i), 0, lie) if i == LIAR and change else telling(i))
        for i in range(PARTIES)
    ]


@pytest.mark.parametrize("loss", [0, 0.3])
def test_a_false_private_part_names_its_sender_to_all(loss: float) -> None:
    outcome = run(all_telling(b"9"), loss=loss)
    assert outcome.aborted[1] == Aborted("party 2: for somebody else", (LIAR,))
    for party in (0, 3):
        assert outcome.aborted[party].culprits == (LIAR,)


def test_a_false_private_part_would_leave_two_suspects_if_it_were_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Lockstep._abort

    def hiding(self: Lockstep[Any], aborted: Aborted, exhibit: Any = None) -> Step[Any]:
        return honest(self, aborted)

    monkeypatch.setattr(Lockstep, "_abort", hiding)  # the weakness
    outcome = run(all_telling(b"9"))
    for party in (0, 3):
        assert outcome.aborted[party].culprits == ()
        assert outcome.aborted[party].suspects == (1, LIAR)


class Complaining(Lockstep[Any]):
    """A party that shows what it got from party 0 as if it were wrong, or something that party 0 did not sign."""

    forged = False

    def _finish_round(self) -> Step[Any]:
        if self._round != 1:
            return super()._finish_round()
        inbox = self._collected()
        private = b"9" if self.forged else inbox.private[0]
        exhibit = lockstep.Exhibit(0, inbox.signatures[0], private)
        return self._abort(Aborted("party 0: for somebody else", (0,)), exhibit)


@pytest.mark.parametrize("forged", [False, True])
def test_a_complaint_about_a_good_private_part_names_who_complains(forged: bool) -> None:
    kind = type("Kind", (Complaining,), {"forged": forged})
    parties = all_telling()
    parties[LIAR] = machine(SESSION, PARTIES, LIAR, telling(LIAR), kind=kind)
    outcome = run(parties)
    for party in HONEST:
        assert outcome.aborted[party].culprits == (LIAR,)


def test_a_forged_complaint_would_convict_an_honest_party_if_private_parts_were_not_signed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statements.Run, "is_private_part", lambda *arguments: True)  # the weakness
    parties = all_telling()
    parties[LIAR] = machine(SESSION, PARTIES, LIAR, telling(LIAR), kind=type("Kind", (Complaining,), {"forged": True}))
    outcome = run(parties)
    assert outcome.aborted[1].culprits == outcome.aborted[3].culprits == (0,)


# Listeners


def listening(me: int) -> Script[bytes]:
    inbox = yield Outgoing(b"dealt", {i: b"%d" % i for i in range(PARTIES)}, fits)
    return inbox.private[0]


def test_nobody_waits_for_a_party_that_only_listens() -> None:
    parties = [machine(SESSION, PARTIES, i, listening(i), speakers=(0, 1)) for i in range(PARTIES)]
    outcome = run([*parties[:3], machine(bytes([1] * 32), PARTIES, 3, listening(3))])
    assert {i: outcome.results[i] for i in range(3)} == {0: b"0", 1: b"1", 2: b"2"}


@pytest.mark.parametrize("junk", [b"", bytes(200), bytes(2000)])
def test_what_a_listener_sends_stops_nobody(junk: bytes) -> None:
    def tamper(sender: int, message: Message) -> bytes:
        return message.data[:38] + junk if sender == 3 else message.data

    parties = [machine(SESSION, PARTIES, i, listening(i), speakers=(0, 1)) for i in range(PARTIES)]
    outcome = run(parties, tamper)
    assert set(outcome.results) == {0, 1, 2, 3}
    assert not set(outcome.aborted) & {0, 1, 2}


def test_a_listener_that_complains_without_reason_stops_nobody() -> None:
    class Pretending(Lockstep[Any]):
        def _finish_round(self) -> Step[Any]:
            if self._round != 1:
                return super()._finish_round()
            inbox = self._collected()
            return self._abort(Aborted("", (0,)), lockstep.Exhibit(0, inbox.signatures[0], inbox.private[0]))

    parties = [machine(SESSION, PARTIES, i, listening(i), speakers=(0, 1)) for i in range(PARTIES)]
    parties[3] = machine(SESSION, PARTIES, 3, listening(3), speakers=(0, 1), kind=Pretending)
    outcome = run(parties)
    assert set(outcome.results) == {0, 1, 2}
    assert not set(outcome.aborted) & {0, 1, 2}


def test_a_speaker_that_stopped_far_ahead_of_a_listener_is_not_named_for_that() -> None:
    parties = [machine(SESSION, PARTIES, i, listening(i), speakers=(0, 1)) for i in range(PARTIES)]
    for party in parties:
        party.start()
    stop = Stop(3, frozenset(), "", UNHEARD * 2).to_bytes(SESSION)
    assert parties[3].receive(0, stop).aborted is None
    named = parties[1].receive(0, stop).aborted
    assert named is not None
    assert named.culprits == (0,)


def test_a_listener_that_was_dealt_a_false_part_convicts_the_dealer() -> None:
    parties = [machine(SESSION, PARTIES, i, listening(i), speakers=(0, 1)) for i in range(PARTIES)]
    lie = lying(listening(1), 0, lambda sent: replace(sent, private={**sent.private, 3: b"9"}))
    parties[1] = machine(SESSION, PARTIES, 1, lie, speakers=(0, 1))
    outcome = run(parties)
    for party in (0, 2, 3):
        assert outcome.aborted[party].culprits == (1,)


# Seats


def test_a_session_is_run_once() -> None:
    book: set[bytes] = set()

    def note(session: bytes) -> bool:
        known = session in book
        book.add(session)
        return not known

    taken = take_seat(SESSION, members(3), identity(1), note)
    assert (taken.me, repr(taken)) == (1, "<Seat 1 of 3>")
    with pytest.raises(RunBefore, match="begun before"):
        take_seat(SESSION, members(3), identity(1), note)
    Lockstep(taken, bytes(32), lambda run: talking(1))
    with pytest.raises(RunBefore, match="has been used"):
        Lockstep(taken, bytes(32), lambda run: talking(1))


def test_a_session_is_not_noted_for_a_seat_that_nobody_can_take() -> None:
    book: list[bytes] = []

    def note(session: bytes) -> bool:
        book.append(session)
        return True

    for session, sitting in ((b"short", members(3)), (SESSION, members(1)), (SESSION, members(2) * 2)):
        with pytest.raises(ValueError, match=r"session|parties|twice"):
            take_seat(session, sitting, identity(0), note)
    with pytest.raises(ValueError, match="no member"):
        take_seat(SESSION, members(3), identity(5), note)
    with pytest.raises(TypeError, match="only take_seat"):
        Seat(SESSION, members(3), identity(0), object())
    assert book == []
