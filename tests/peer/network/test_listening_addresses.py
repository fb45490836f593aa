"""What others are told of a wildcard: all addresses at which they may reach this machine, the main one first."""

import ipaddress
import socket
from types import SimpleNamespace

import ifaddr
import pytest

from coterie.peer.network.transport import host
from coterie.peer.network.transport.host import dialable


def adapter(name: str, *addresses: str) -> SimpleNamespace:
    return SimpleNamespace(name=name, ips=[SimpleNamespace(ip=(one, 0, 0) if ":" in one else one) for one in addresses])


@pytest.fixture
def _three_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site whose default route leads to its LAN, with a VPN beside it and containers in it."""
    found = [
        adapter("lo", "127.0.0.1", "::1"),
        adapter("tun0", "10.8.0.2", "fd00::2"),
        adapter("eth0", "192.168.2.10", "fe80::2", "2001:db8::10"),
        adapter("eth1", "169.254.3.4"),
        adapter("docker0", "172.17.0.1"),
        adapter("br-0f3a", "172.18.0.1"),
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: found)
    main = {socket.AF_INET: "192.168.2.10", socket.AF_INET6: "2001:db8::10"}
    monkeypatch.setattr(host, "_main_address", lambda family: main[family])


@pytest.mark.usefixtures("_three_networks")
@pytest.mark.parametrize(
    ("listening", "told"),
    [
        ("/ip4/0.0.0.0/tcp/4001", ["/ip4/192.168.2.10/tcp/4001", "/ip4/10.8.0.2/tcp/4001"]),
        ("/ip6/::/tcp/4001", ["/ip6/2001:db8::10/tcp/4001", "/ip6/fd00::2/tcp/4001"]),
        ("/ip4/10.8.0.2/tcp/4001", ["/ip4/10.8.0.2/tcp/4001"]),
        ("/ip4/127.0.0.1/tcp/4001", ["/ip4/127.0.0.1/tcp/4001"]),
    ],
)
def test_a_wildcard_stands_for_all_networks_of_the_machine(listening: str, told: list[str]) -> None:
    assert [address.text for address in dialable(listening)] == told


def test_this_machine_has_addresses_and_none_is_loopback_unless_it_has_no_other() -> None:
    first, *others = (ipaddress.ip_address(one.text.split("/")[2]) for one in dialable("/ip4/0.0.0.0/tcp/4001"))
    assert not any(one.is_loopback for one in others)
    assert first not in others
