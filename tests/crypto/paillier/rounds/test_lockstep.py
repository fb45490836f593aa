"""Rounds go on over channels that lose, repeat and reorder, and stop by name for what no honest party sends."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parties import Tamper, lying, machine, run, seat

from coterie.crypto.paillier.rounds.lockstep import (
    MAX_MESSAGE_BYTES,
    Aborted,
    Fault,
    Inbox,
    Lockstep,
    Message,
    Outgoing,
    Script,
    Stopped,
)
from coterie.crypto.paillier.rounds.messages import Stop
from coterie.crypto.paillier.rounds.statements import UNHEARD

SESSION = bytes(32)


def greeting(me: int, parties: int) -> Script[tuple[bytes, ...]]:
    """Two rounds: everybody says its number, then tells each what it heard from it."""
    inbox = yield Outgoing(b"%d" % me)
    heard = inbox.public
    inbox = yield Outgoing(b"", {party: b"heard " + heard[party] for party in range(parties)})
    for party, told in enumerate(inbox.private):
        if told != b"heard %d" % me:
            raise Fault(party, "misheard")
    return heard


def all_of(parties: int, session: bytes = SESSION) -> list[Lockstep[tuple[bytes, ...]]]:
    return [machine(session, parties, i, greeting(i, parties)) for i in range(parties)]


@settings(max_examples=30)
@given(st.integers(2, 6), st.floats(0, 0.6), st.integers(0, 2**32))
def test_all_end_with_the_same_however_many_messages_are_lost_repeated_or_late(
    parties: int, loss: float, seed: int
) -> None:
    outcome = run(all_of(parties), loss=loss, seed=seed)
    assert outcome.results == dict.fromkeys(range(parties), tuple(b"%d" % i for i in range(parties)))


def test_a_message_for_the_next_round_waits_until_this_one_is_over() -> None:
    first, second, third = all_of(3)
    sent = {i: party.start().send for i, party in enumerate((first, second, third))}
    to = {(i, message.to): message.data for i, messages in sent.items() for message in messages}
    second.receive(0, to[0, 1])
    ahead = {message.to: message.data for message in second.receive(2, to[2, 1]).send}
    assert first.receive(1, to[1, 0]).send == ()
    assert first.receive(1, ahead[0]).send == ()
    assert len(first.receive(2, to[2, 0]).send) == 2


def test_a_silent_party_is_missed_by_name() -> None:
    first, second, third = all_of(3)
    assert first.missing == ()
    first.start()
    assert first.missing == (1, 2)
    first.receive(1, next(message.data for message in second.start().send if message.to == 0))
    assert first.missing == (2,)
    first.receive(2, next(message.data for message in third.start().send if message.to == 0))
    assert first.missing == (1, 2)  # of the next round


def test_a_lie_in_one_round_names_its_sender_to_all() -> None:
    parties = all_of(3)
    parties[1] = machine(SESSION, 3, 1, lying(greeting(1, 3), 1, lambda sent: Outgoing(b"", {0: b"?", 2: b"?"})))
    outcome = run(parties)
    assert outcome.aborted[0] == outcome.aborted[2] == Aborted("party 1: misheard", (1,))


@pytest.mark.parametrize("loss", [0, 0.3])
def test_a_lie_to_one_party_in_the_last_round_keeps_no_other_from_its_result(loss: float) -> None:
    parties = all_of(3)
    lie = lying(greeting(1, 3), 1, lambda sent: Outgoing(b"", {**sent.private, 0: b"?"}))
    parties[1] = machine(SESSION, 3, 1, lie)
    outcome = run(parties, loss=loss)
    assert outcome.aborted[0] == Aborted("party 1: misheard", (1,))
    assert 2 in outcome.results


def test_who_is_falsely_accused_knows_the_accuser_for_a_liar() -> None:
    def accusing() -> Script[None]:
        yield Outgoing(b"0")
        raise Fault(1, "a pretence")

    for order in range(6):
        parties = [machine(SESSION, 4, i, accusing() if i == 0 else chatting(i)) for i in range(4)]
        outcome = run(parties, loss=0.3, seed=order)
        assert outcome.aborted[1].culprits == (0,)
        for party in (2, 3):
            assert outcome.aborted[party].culprits == ()
            assert outcome.aborted[party].suspects == (0, 1)


def judging(me: int) -> Script[None]:
    """Everybody says 1; who does not is at fault, as all find one round later."""
    first = yield Outgoing(b"1")
    yield Outgoing()
    for party, said in enumerate(first.public):
        if said != b"1":
            raise Stopped(Aborted("a lie", (party,)))


@pytest.mark.parametrize("order", range(8))
def test_all_come_to_the_same_verdict_in_whatever_order_messages_arrive(order: int) -> None:
    parties = [machine(SESSION, 4, i, judging(i)) for i in range(4)]
    parties[2] = machine(SESSION, 4, 2, lying(judging(2), 0, lambda sent: Outgoing(b"2")))
    outcome = run(parties, loss=0.4, seed=order)
    for party in (0, 1, 3):
        assert outcome.aborted[party] == Aborted("a lie", (2,))


def stop_of(rounds: int, named: bytes = b"", reason: str = "", parties: int = 3) -> bytes:
    """That a party stopped, with nothing heard in its last round."""
    return Stop(rounds, frozenset(named), reason, UNHEARD * parties).to_bytes(SESSION)


def delivered(
    parties: Sequence[Lockstep[Any]], messages: Iterable[tuple[int, Message]]
) -> tuple[list[tuple[int, Message]], dict[int, Aborted]]:
    """Deliver messages, by their senders: what is sent in answer, and who ends."""
    answers, aborted = [], {}
    for sender, message in messages:
        step = parties[message.to].receive(sender, message.data)
        answers += [(message.to, answer) for answer in step.send]
        if step.aborted is not None:
            aborted[message.to] = step.aborted
    return answers, aborted


def started(parties: Sequence[Lockstep[Any]]) -> list[tuple[int, Message]]:
    """All greet each other: the messages of the script's first round."""
    greetings = [(sender, message) for sender, party in enumerate(parties) for message in party.start().send]
    return delivered(parties, greetings)[0]


def test_who_accuses_another_when_it_has_sent_all_that_convicts_it_is_still_convicted() -> None:
    liar = machine(SESSION, 4, 2, lying(judging(2), 0, lambda sent: Outgoing(b"2")))
    parties = [machine(SESSION, 4, i, judging(i)) if i != 2 else liar for i in range(4)]
    second, _ = delivered(parties, started(parties))
    for party in (0, 1, 3):  # the pretence overtakes everything else
        assert parties[party].receive(2, stop_of(3, named=b"\x00", parties=4)).aborted is None
    _, verdicts = delivered(parties, second)
    for party in (0, 1, 3):
        assert verdicts[party] == Aborted("a lie", (2,))


def test_who_stops_to_one_party_alone_does_not_make_that_one_look_silent() -> None:
    parties = [machine(SESSION, 4, i, chatting(i)) for i in range(4)]
    first = started(parties)
    step = parties[0].receive(2, stop_of(1, named=b"\x03", parties=4))
    assert step.aborted is not None
    assert step.aborted.suspects == (2, 3)
    told = next(message.data for message in step.send if message.to == 1)
    for message in parties[0].outstanding():
        if message.to == 1:
            parties[1].receive(0, message.data)
    assert parties[1].missing == (2, 3)
    parties[1].receive(0, told)
    _, verdicts = delivered(parties, [(sender, m) for sender, m in first if m.to == 1 and sender in (2, 3)])
    assert verdicts[1] == Aborted("party 0 stopped: party 2 stopped: ")


@pytest.mark.parametrize(
    ("stop", "why"),
    [
        (stop_of(0), "where it cannot have been"),  # its message of round 0 has come
        (stop_of(3), "where it cannot have been"),  # nobody is in round 2
        (stop_of(1)[:-1], "in a way in which nobody does"),
        (stop_of(1) + b"\x02" + bytes(63), "in a way in which nobody does"),
        (stop_of(1)[:38] + b"\x02\x00", "in a way in which nobody does"),
        (stop_of(1)[:39] + b"\xc9" + bytes(201 + 3 * len(UNHEARD)), "in a way in which nobody does"),
    ],
    ids=["too-early", "too-late", "short", "exhibit-cut-off", "names-cut-off", "long"],
)
def test_a_stop_that_no_honest_party_sends_names_its_sender(stop: bytes, why: str) -> None:
    first, second, _ = all_of(3)
    first.start()
    first.receive(1, next(message.data for message in second.start().send if message.to == 0))
    assert first.receive(1, stop).aborted == Aborted(f"party 1: it stopped {why}", (1,))


@pytest.mark.parametrize(
    ("then", "why"),
    [
        (stop_of(1, named=b"\x02"), "it stopped in a way in which nobody does"),
        (b"\x02" + SESSION + b"\x00" + (1).to_bytes(4, "big") + bytes(900), "it went on after it had stopped"),
    ],
    ids=["twice", "goes-on"],
)
def test_who_stops_twice_or_goes_on_is_named(then: bytes, why: str) -> None:
    first = all_of(3)[0]
    first.start()
    for _ in range(2):
        assert first.receive(1, stop_of(1)).aborted is None
    assert first.receive(1, then).aborted == Aborted(f"party 1: {why}", (1,))


def test_two_messages_in_one_round_name_their_sender() -> None:
    first, second, _ = all_of(3)
    first.start()
    data = next(message.data for message in second.start().send if message.to == 0)
    assert first.receive(1, data).aborted is None
    assert first.receive(1, data).aborted is None
    step = first.receive(1, data + b"!")
    assert step.aborted == Aborted("party 1: two messages in one round", (1,))
    assert {message.to for message in step.send} == {1, 2}


def changed_at(place: int, sender: int, to: int, number: int) -> Tamper:
    """In every message of that round from the sender to the receiver, a bit of one byte after the round's number."""

    def tamper(by: int, message: Message) -> bytes:
        data = bytearray(message.data)
        if (by, message.to) == (sender, to) and data[33] == 0 and int.from_bytes(data[34:38], "big") == number:
            data[38 + place % (len(data) - 38)] ^= 1
        return bytes(data)

    return tamper


def chatting(me: int) -> Script[int]:
    """Four rounds in which everybody says something to all and to each."""
    for number in range(4):
        yield Outgoing(b"%d" % (number + me), {party: b"%d" % party for party in range(4)})
    return 0


@settings(max_examples=60)
@given(st.integers(0, 800), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2**32))
def test_whatever_one_party_changes_in_its_messages_no_list_of_suspects_leaves_it_out(
    place: int, liar: int, to: int, number: int, order: int
) -> None:
    parties = [machine(SESSION, 4, i, chatting(i)) for i in range(4)]
    outcome = run(parties, changed_at(place, liar, to, number), loss=0.2, seed=order)
    for party in {0, 1, 2, 3} - {liar}:
        aborted = outcome.aborted.get(party, Aborted(""))
        assert set(aborted.culprits) <= {liar}
        assert not aborted.suspects or liar in aborted.suspects


@pytest.mark.parametrize("change", [lambda data: data[:60], lambda data: data + bytes(MAX_MESSAGE_BYTES)])
def test_messages_of_impossible_lengths_name_their_sender(change: object) -> None:
    first, second, _ = all_of(3)
    first.start()
    data = next(message.data for message in second.start().send if message.to == 0)
    assert first.receive(1, change(data)).aborted == Aborted(  # type: ignore[operator]
        f"party 1: a message of {len(change(data))} bytes",
        (1,),  # type: ignore[operator]
    )


def test_a_public_part_longer_than_its_message_names_the_sender() -> None:
    cut = len(b"heard 0") + 1
    outcome = run(all_of(3), lambda sender, m: m.data[:-cut] if sender == 1 and b"heard" in m.data else m.data)
    assert outcome.aborted[0].culprits == outcome.aborted[2].culprits == (1,)


@given(st.binary(max_size=100), st.integers(-2, 5), st.sampled_from([b"", b"\x02" + SESSION + b"\x00"]))
def test_no_bytes_raise(data: bytes, sender: int, prefix: bytes) -> None:
    first = all_of(3)[0]
    assert first.receive(sender, prefix + data).send == ()
    first.start()
    first.receive(sender, prefix + data)
    first.receive(sender, b"\x02" + SESSION + b"\x01" + data)


def test_messages_of_another_session_are_ignored() -> None:
    first, second = all_of(2)[0], all_of(2, bytes([1] * 32))[1]
    first.start()
    step = first.receive(1, second.start().send[0].data)
    assert (step.send, step.result, step.aborted) == ((), None, None)


def test_a_reason_from_elsewhere_is_shown_without_control_characters() -> None:
    first = all_of(3)[0]
    first.start()
    step = first.receive(1, stop_of(0, b"\x02", "\x1b[2Jé" + 99 * "\0"))
    assert step.aborted == Aborted("party 1 stopped: [2Jé", suspects=(1, 2))
    assert first.receive(1, stop_of(0)).aborted is None  # it has ended


def test_a_script_that_stops_tells_the_others() -> None:
    def stopping(me: int) -> Script[None]:
        yield Outgoing()
        raise Stopped(Aborted("enough", suspects=(0,)))

    outcome = run([machine(SESSION, 2, i, stopping(i)) for i in range(2)])
    assert outcome.aborted[0].reason.endswith("enough")


def test_what_cannot_begin_is_refused() -> None:
    with pytest.raises(ValueError, match="a session has 32 bytes"):
        machine(b"", 2, 0, greeting(0, 2))
    with pytest.raises(ValueError, match="a nonce has 32 bytes"):
        Lockstep(seat(SESSION, 2, 0), b"", lambda run: greeting(0, 2))
    with pytest.raises(ValueError, match="no member"):
        machine(SESSION, 2, 2, greeting(0, 2))
    for nobody in ((), (2,), (-1, 0)):
        with pytest.raises(ValueError, match="speakers are no parties"):
            machine(SESSION, 2, 0, greeting(0, 2), nobody)
    party = all_of(2)[0]
    party.start()
    with pytest.raises(ValueError, match="begun already"):
        party.start()
    assert repr(party) == "<Lockstep of party 0 in round 0>"
    assert repr(Inbox((), (b"secret",))) == "Inbox(public=())"
