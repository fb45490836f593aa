"""Requests under a foreign name, from a foreign page or without the token are refused."""

import base64
import socket

import pytest

from coterie.peer.home.page_address import PageAddress
from coterie.peer.page.guard import Guard

TOKEN = "0123456789abcdef0123456789abcdef"
LOOPBACK = Guard(PageAddress("127.0.0.1", 8650), None)
OPEN = Guard(PageAddress("0.0.0.0", 8650), TOKEN)


def status(guard: Guard, *, is_open: bool = False, **headers: str) -> int | None:
    refusal = guard.refuse({name.replace("_", "-"): value for name, value in headers.items()}, is_open=is_open)
    return None if refusal is None else refusal.status


@pytest.mark.parametrize("host", ["127.0.0.1:8650", "127.0.0.1", "LOCALHOST:8650", "[::1]:8650", "127.8.8.8:9"])
def test_the_loopback_interface_is_known_under_its_own_names(host: str) -> None:
    assert status(LOOPBACK, host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8650",
        "localhost.evil.example",
        "127.0.0.1.evil.example:8650",
        "evil.example@127.0.0.1",
        "127.0.0.1:8650, evil.example",
        "192.0.2.1:8650",
        "[::1",
        "[::1%eth0]:80",
        "127.1",
        "0x7f000001",
        "127.0.0.1:",
        "",
    ],
)
def test_a_foreign_or_odd_host_is_refused(host: str) -> None:
    assert status(LOOPBACK, host=host) == 421


def test_a_request_without_a_host_is_refused() -> None:
    assert status(LOOPBACK) == 421


@pytest.mark.parametrize("host", ["192.0.2.1:8650", "[2001:db8::1]:8650", "localhost", socket.gethostname()])
def test_other_interfaces_are_known_by_digits_and_the_machine_s_name(host: str) -> None:
    assert status(OPEN, host=host, authorization=f"Bearer {TOKEN}") is None
    assert status(OPEN, host="evil.example", authorization=f"Bearer {TOKEN}") == 421


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8650", "https://127.0.0.1:8650"])
def test_the_page_s_own_origin_is_answered(origin: str) -> None:
    assert status(LOOPBACK, host="127.0.0.1:8650", origin=origin) is None


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8650", "", "file://"]
)
def test_a_foreign_origin_is_refused(origin: str) -> None:
    assert status(LOOPBACK, host="127.0.0.1:8650", origin=origin) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "something"])
def test_a_page_of_another_site_cannot_embed_what_is_told(site: str) -> None:
    assert status(LOOPBACK, host="127.0.0.1", sec_fetch_site=site, sec_fetch_mode="no-cors") == 403
    frame = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}
    assert status(LOOPBACK, host="127.0.0.1", sec_fetch_site=site, **frame) == 403


def test_a_link_from_another_site_can_be_followed() -> None:
    opened = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert status(LOOPBACK, host="127.0.0.1", sec_fetch_site="cross-site", **opened) is None


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("told", [f"Bearer {TOKEN}", f"bearer {TOKEN}", basic("", TOKEN), basic("anybody", TOKEN)])
def test_the_token_opens_as_bearer_or_as_password(told: str) -> None:
    assert status(OPEN, host="192.0.2.1", authorization=told) is None


@pytest.mark.parametrize(
    "told",
    [
        "",
        "Bearer",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        TOKEN,
        basic(TOKEN, ""),
        basic("a", TOKEN + "b"),
        "Basic !",
    ],
)
def test_without_the_token_nothing_is_told(told: str) -> None:
    assert status(OPEN, host="192.0.2.1", authorization=told) == 401
    assert status(OPEN, host="192.0.2.1") == 401


def test_health_is_told_without_the_token_but_not_under_a_foreign_name() -> None:
    assert status(OPEN, host="192.0.2.1", is_open=True) is None
    assert status(OPEN, host="evil.example", is_open=True) == 421
