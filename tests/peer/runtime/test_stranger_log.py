"""What strangers do is told in one line a minute, whatever they do and however many they are."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from notices import make_notices

from coterie.peer.network.greeting import Greeting
from coterie.peer.network.link_events import Connected, Disconnected, Event, Refused
from coterie.peer.network.network import NO_HANDSHAKE_AT_MEMBERS
from coterie.peer.runtime.link_reports import LinkReports
from coterie.peer.runtime.stranger_log import MANY, MAX_REASONS, StrangerLog
from coterie.protocol.events import Notice

MEMBER = bytes(32)
GREETING = Greeting(b"", b"", "x" * 64, None)


def stranger(number: int) -> bytes:
    return number.to_bytes(32, "big")


class Report:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def event(self, kind: str, text: str, facts: Mapping[str, Any]) -> None:
        self.told.append((kind, text))


NODE: Any = SimpleNamespace(state=SimpleNamespace(member=lambda member: None))


def make_links(inbound: Any) -> tuple[LinkReports, Report]:
    """What hands on what a network reports."""

    async def taken(*_: Any) -> None:
        pass

    report: Any = Report()
    driver: Any = SimpleNamespace(peer_up=taken, peer_down=taken)
    network: Any = SimpleNamespace(inbound=inbound, connected=list, hand_over=taken)
    links = LinkReports(NODE, network, driver, StrangerLog(), report, report.event, lambda: None)
    network.pass_on = links.on_event
    return links, report


@pytest.mark.parametrize("weakened", [True, False])
def test_links_and_refusals_of_strangers_write_no_lines_of_their_own(weakened: bool) -> None:
    async def run() -> list[tuple[str, str]]:
        send, receive = trio.open_memory_channel[Event](1000)
        links, report = make_links(receive)
        for number in range(1, 101):
            who, seen = stranger(number), not weakened
            for event in (
                Connected(who, GREETING, seen),
                Refused(who, f"reason {number}", True, seen),
                Disconnected(who, "x" * 200, seen),
            ):
                send.send_nowait(event)
        send.close()
        await links.run()
        return report.told

    assert len(trio.run(run)) == (300 if weakened else 0)


def test_a_members_links_and_refusals_are_told_one_by_one() -> None:
    async def run() -> list[tuple[str, str]]:
        send, receive = trio.open_memory_channel[Event](10)
        links, report = make_links(receive)
        for event in (Connected(MEMBER, GREETING), Disconnected(MEMBER, "gone"), Refused(MEMBER, "no", True)):
            send.send_nowait(event)
        send.close()
        await links.run()
        return report.told

    assert [kind for kind, _ in trio.run(run)] == ["link-up", "link-down", "link-refused"]


@pytest.mark.parametrize(("member", "lines"), [(MEMBER, 1), (stranger(1), 0)])
@pytest.mark.parametrize("kind", ["bad-frame", "refused"])
def test_bad_frames_of_a_member_are_told_and_of_strangers_counted(kind: str, member: bytes, lines: int) -> None:
    report, strangers = Report(), StrangerLog()
    network = SimpleNamespace(is_stranger=lambda member: member != MEMBER)
    notices = make_notices(NODE, report.event, network=network, strangers=strangers)
    notices.on_notice(Notice(kind, "sent a bad envelope", {"member": member}))
    assert len(report.told) == lines
    assert (strangers.sum_up({}) is None) is (lines == 1)


def test_a_minute_is_one_line_of_bounded_length_and_the_count_starts_over() -> None:
    strangers = StrangerLog()
    for number in range(10_000):
        strangers.linked(stranger(number))
        strangers.refused(f"reason {number} " + "x" * 180)
    told = strangers.sum_up({"too many handshakes": 5, "nothing": 0})
    assert told is not None
    text, facts = told
    assert facts == {"refused": 10_005, "linked": 10_000}
    assert len(text) < 250 * (MAX_REASONS + 1)
    assert strangers.sum_up({}) is None


def test_a_newcomer_or_two_are_not_worth_a_line() -> None:
    strangers = StrangerLog()
    for count, told in ((MANY - 1, False), (MANY, True)):
        for number in range(count):
            strangers.linked(stranger(number))
        assert (line := strangers.sum_up({})) is None or told
        assert (line is not None) is told
        assert line is None or "refused or cut off" not in line[0], "none was"


def test_only_connections_of_strangers_are_called_so() -> None:
    strangers = StrangerLog()
    told = strangers.sum_up({"no handshake": 2})
    assert told is not None
    assert told[0].startswith(
        "in the last minute 2 connection(s) of strangers were refused or cut off (2× no handshake);"
    )
    told = strangers.sum_up({"no handshake": 0, NO_HANDSHAKE_AT_MEMBERS: 3})
    assert told is not None
    text, facts = told
    assert text.startswith("in the last minute 3 connection(s) were refused or cut off (3× no handshake, from where a")
    assert facts["refused"] == 3
