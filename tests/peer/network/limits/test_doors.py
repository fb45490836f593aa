"""The budget of handshakes: what counts as one host, who shares what, and who makes room."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.peer.network.limits import doors as module
from coterie.peer.network.limits.doors import Doors, HalfOpen
from coterie.peer.network.limits.hosts import host_key


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8::1", "2001:db8:0:0:ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "", True),
    ],
)
def test_a_host_is_an_ipv4_address_or_an_ipv6_network(one: str, other: str, same: bool) -> None:
    assert (host_key(one) == host_key(other)) is same


@pytest.mark.parametrize("weakened", [True, False])
def test_a_64_has_as_many_handshakes_as_one_address(weakened: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if weakened:
        monkeypatch.setattr(module, "host_key", lambda host: host)
    monkeypatch.setattr(module, "HANDSHAKE_BURST", 3)
    doors = Doors()
    assert sum(doors.are_open_to(f"2001:db8::{number:x}", 0.0) for number in range(1, 10)) == (9 if weakened else 3)


def test_strangers_share_a_budget_that_no_number_of_addresses_enlarges() -> None:
    doors = Doors()
    let_in = sum(doors.are_open_to(f"10.0.{number // 250}.{number % 250}", 0.0) for number in range(2000))
    assert let_in == module.ALL_HANDSHAKES_BURST


def test_where_a_member_was_seen_a_flood_from_elsewhere_takes_nothing() -> None:
    doors = Doors()
    doors.saw_member_at("192.0.2.1")
    for number in range(2000):
        doors.are_open_to(f"10.0.{number // 250}.{number % 250}", 0.0)
    assert not doors.are_open_to("192.0.2.2", 0.0)
    assert doors.are_open_to("::ffff:192.0.2.1", 0.0)


def test_a_member_that_knocks_has_handshakes_of_its_own_and_no_more_than_a_few() -> None:
    doors = Doors()
    while doors.are_open_to("192.0.2.1", 0.0):
        pass
    assert [doors.are_open_to_member(b"m" * 32, 0.0) for _ in range(9)] == [True] * 8 + [False]
    assert doors.are_open_to_member(b"n" * 32, 0.0)
    assert doors.are_open_to_member(b"m" * 32, 2.0)


def test_a_host_that_was_quiet_is_forgotten_and_one_that_calls_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CALLERS", 4)
    monkeypatch.setattr(module, "HANDSHAKE_BURST", 1)
    doors = Doors()
    assert doors.are_open_to("192.0.2.1", 0.0)
    for number in range(10):
        doors.are_open_to(f"10.0.0.{number}", 0.0)
        assert not doors.are_open_to("192.0.2.1", 0.0)
    assert len(doors._callers) == 4


def test_of_half_open_connections_the_oldest_of_the_fullest_host_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HALF_OPEN", 4)
    monkeypatch.setattr(module, "MAX_HALF_OPEN_PER_HOST", 3)
    waiting = HalfOpen()
    assert [waiting.enter("honest", "h"), *(waiting.enter("flood", number) for number in range(3))] == [None] * 4
    assert waiting.enter("flood", 3) == 0
    assert waiting.enter("other", "o") == 1
    waiting.leave("flood", 2)
    assert waiting.enter("other", "p") is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 8), st.booleans()), max_size=60))
def test_the_count_of_half_open_connections_stays_within_its_bounds(steps: list[tuple[str, int, bool]]) -> None:
    waiting, inside = HalfOpen(), dict[Any, str]()
    for host, number, enters in steps:
        key = (host, number)
        if enters and key not in inside:
            inside.pop(waiting.enter(host, key), None)
            inside[key] = host
        elif not enters:
            waiting.leave(host, key)
            inside.pop(key, None)
        assert waiting._count == len(inside) <= module.MAX_HALF_OPEN
        assert sum(map(len, waiting._by_host.values())) == len(inside)
