"""Rounds go on over channels that lose, repeat and reorder, and stop by name for what no honest party sends."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parties import Tamper, lying, run

from coterie.crypto.paillier.rounds import (
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

SESSION = bytes(32)
HEADER = 34


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
    return [Lockstep(session, parties, i, greeting(i, parties)) for i in range(parties)]


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
    parties[1] = Lockstep(SESSION, 3, 1, lying(greeting(1, 3), 1, lambda sent: Outgoing(b"", {0: b"?", 2: b"?"})))
    outcome = run(parties)
    assert outcome.aborted[0] == outcome.aborted[2] == Aborted("party 1: misheard", (1,))


@pytest.mark.parametrize("loss", [0, 0.3])
def test_a_lie_to_one_party_in_the_last_round_keeps_no_other_from_its_result(loss: float) -> None:
    parties = all_of(3)
    lie = lying(greeting(1, 3), 1, lambda sent: Outgoing(b"", {**sent.private, 0: b"?"}))
    parties[1] = Lockstep(SESSION, 3, 1, lie)
    outcome = run(parties, loss=loss)
    assert outcome.aborted[0] == Aborted("party 1: misheard", (1,))
    assert 2 in outcome.results


def test_who_is_falsely_accused_knows_the_accuser_for_a_liar() -> None:
    def accusing() -> Script[None]:
        yield Outgoing(b"0")
        raise Fault(1, "a pretence")

    for order in range(6):
        parties = [Lockstep(SESSION, 4, i, accusing() if i == 0 else chatting(i)) for i in range(4)]
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
    parties = [Lockstep(SESSION, 4, i, judging(i)) for i in range(4)]
    parties[2] = Lockstep(SESSION, 4, 2, lying(judging(2), 0, lambda sent: Outgoing(b"2")))
    outcome = run(parties, loss=0.4, seed=order)
    for party in (0, 1, 3):
        assert outcome.aborted[party] == Aborted("a lie", (2,))


def stop_of(rounds: int, named: bytes = b"", reason: bytes = b"") -> bytes:
    return b"\x01" + SESSION + b"\x01" + rounds.to_bytes(4, "big") + bytes([len(named)]) + named + reason


def test_who_accuses_another_when_it_has_sent_all_that_convicts_it_is_still_convicted() -> None:
    liar = Lockstep(SESSION, 4, 2, lying(judging(2), 0, lambda sent: Outgoing(b"2")))
    parties = [Lockstep(SESSION, 4, i, judging(i)) if i != 2 else liar for i in range(4)]
    steps = [party.start() for party in parties]
    second: list[tuple[int, Message]] = []
    for sender, step in enumerate(steps):
        for message in step.send:
            second += [(message.to, sent) for sent in parties[message.to].receive(sender, message.data).send]
    for party in (0, 1, 3):  # the pretence overtakes everything else
        assert parties[party].receive(2, stop_of(2, named=b"\x00")).aborted is None
    verdicts = {}
    for sender, message in second:
        step = parties[message.to].receive(sender, message.data)
        if step.aborted is not None:
            verdicts[message.to] = step.aborted
    for party in (0, 1, 3):
        assert verdicts[party] == Aborted("a lie", (2,))


def test_who_stops_to_one_party_alone_does_not_make_that_one_look_silent() -> None:
    parties = [Lockstep(SESSION, 4, i, chatting(i)) for i in range(4)]
    for party in parties:
        party.start()
    step = parties[0].receive(2, stop_of(0, named=b"\x03"))
    assert step.aborted is not None
    assert step.aborted.suspects == (2, 3)
    told = next(message.data for message in step.send if message.to == 1)
    for message in parties[0].outstanding():
        if message.to == 1:
            parties[1].receive(0, message.data)
    assert parties[1].missing == (2, 3)
    parties[1].receive(0, told)
    for sender in (2, 3):
        step = parties[1].receive(sender, next(m.data for m in parties[sender].outstanding() if m.to == 1))
    assert step.aborted == Aborted("party 0 stopped: party 2 stopped: ")


@pytest.mark.parametrize(
    ("stop", "why"),
    [
        (stop_of(0), "where it cannot have been"),  # its message of round 0 has come
        (stop_of(3), "where it cannot have been"),  # nobody is in round 2
        (stop_of(1)[:-1], "in a way in which nobody does"),
        (stop_of(1)[:-1] + b"\x02\x00", "in a way in which nobody does"),
        (stop_of(1, reason=bytes(999)), "in a way in which nobody does"),
    ],
    ids=["too-early", "too-late", "short", "names-cut-off", "long"],
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
        (b"\x01" + SESSION + b"\x00" + (1).to_bytes(4, "big") + bytes(36), "it went on after it had stopped"),
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


def test_parties_who_were_told_different_things_find_out_one_round_later() -> None:
    def tamper(sender: int, message: Message) -> bytes:
        changed = message.data[:-1] + b"7"
        return changed if sender == 1 and message.to == 2 and message.data.endswith(b"\x01" + b"1") else message.data

    outcome = run(all_of(3), tamper)
    assert outcome.results == {}
    assert any("told other things" in aborted.reason for aborted in outcome.aborted.values())


def changed_at(place: int, sender: int, to: int, number: int) -> Tamper:
    """In every message of that round from the sender to the receiver, a bit of one byte behind the round's number."""

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


@pytest.mark.parametrize("loss", [0, 0.3])
def test_a_false_echo_to_one_party_makes_nobody_a_suspect(loss: float) -> None:
    parties = [Lockstep(SESSION, 4, i, chatting(i)) for i in range(4)]
    outcome = run(parties, changed_at(0, sender=2, to=0, number=1), loss=loss)
    assert "was told other things" in outcome.aborted[0].reason
    assert set(outcome.aborted) == {0, 1, 2, 3}
    for aborted in outcome.aborted.values():
        assert aborted.culprits == aborted.suspects == ()


@settings(max_examples=60)
@given(st.integers(0, 80), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2**32))
def test_whatever_one_party_changes_in_its_messages_no_list_of_suspects_leaves_it_out(
    place: int, liar: int, to: int, number: int, order: int
) -> None:
    parties = [Lockstep(SESSION, 4, i, chatting(i)) for i in range(4)]
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
    outcome = run(all_of(3), lambda sender, m: m.data[:-1] if sender == 1 and m.data.endswith(b"\x011") else m.data)
    assert outcome.aborted[0].culprits == outcome.aborted[2].culprits == (1,)


@given(st.binary(max_size=100), st.integers(-2, 5), st.sampled_from([b"", b"\x01" + SESSION + b"\x00"]))
def test_no_bytes_raise(data: bytes, sender: int, prefix: bytes) -> None:
    first = all_of(3)[0]
    assert first.receive(sender, prefix + data).send == ()
    first.start()
    first.receive(sender, prefix + data)
    first.receive(sender, b"\x01" + SESSION + b"\x01" + data)


def test_messages_of_another_session_are_ignored() -> None:
    first, second = all_of(2)[0], all_of(2, bytes([1] * 32))[1]
    first.start()
    step = first.receive(1, second.start().send[0].data)
    assert (step.send, step.result, step.aborted) == ((), None, None)


def test_a_reason_from_elsewhere_is_shown_without_control_characters() -> None:
    first = all_of(3)[0]
    first.start()
    step = first.receive(1, stop_of(0, b"\x02", "\x1b[2Jé".encode() + bytes(99)))
    assert step.aborted == Aborted("party 1 stopped: [2Jé", suspects=(1, 2))
    assert first.receive(1, stop_of(0)).aborted is None  # it has ended


def test_a_script_that_stops_tells_the_others() -> None:
    def stopping(me: int) -> Script[None]:
        yield Outgoing()
        raise Stopped(Aborted("enough", suspects=(0,)))

    outcome = run([Lockstep(SESSION, 2, i, stopping(i)) for i in range(2)])
    assert outcome.aborted[0].reason.endswith("enough")


def test_what_cannot_begin_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Lockstep(b"", 2, 0, greeting(0, 2))
    with pytest.raises(ValueError, match="no party 2"):
        Lockstep(SESSION, 2, 2, greeting(0, 2))
    party = all_of(2)[0]
    party.start()
    with pytest.raises(ValueError, match="begun already"):
        party.start()
    assert repr(party) == "<Lockstep of party 0 in round 0>"
    assert repr(Inbox((), (b"secret",))) == "Inbox(public=())"
