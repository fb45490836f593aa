"""Addresses as users type them, turned into multiaddrs. Nothing that is slow to import is imported here."""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from ..errors import PeerError

_HOST_PORT: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^:/\s]*)):(?P<port>[0-9]+)")


def dial_place(text: str, option: str = "--bootstrap") -> str:
    """Return the multiaddr of "192.0.2.1:4001", "peer.example.org:4001" or a multiaddr.

    Raises:
        PeerError: ``text`` is none of these; the message names the ``option`` that it was given with.
    """
    from .transport.addresses import AddressError, parse_address

    if text.startswith("/"):
        try:
            return str(parse_address(text))
        except AddressError as error:
            raise PeerError(f"{option} {error}") from None
    host, port = _split(text, option)
    if not host or port == 0:
        raise PeerError(f"{option} {text}: host and port are needed, such as 192.0.2.1:4001")
    return f"{_family(host)}/tcp/{port}"


def listen_place(text: str, option: str = "--listen") -> str:
    """Return the multiaddr of "4001", "0.0.0.0:4001", "[::]:4001" or a multiaddr. Port 0 stands for any free port.

    Raises:
        PeerError: ``text`` is none of these; the message names the ``option`` that it was given with.
    """
    if text.startswith("/"):
        return text
    host, port = _split(text, option, takes_port_alone=True)
    place = _family(host or "0.0.0.0")
    if place.startswith("/dns"):
        raise PeerError(f"{option} {text}: one of this machine's IP addresses is needed, or the port alone")
    return f"{place}/tcp/{port}"


def tcp_ports(addresses: Iterable[str]) -> list[int]:
    """Return the TCP ports of multiaddrs."""
    return [int(parts[4]) for address in addresses if len(parts := address.split("/")) > 4 and parts[3] == "tcp"]


def with_ports(listen: Iterable[str], addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the listen addresses with the port that was chosen in place of port 0: the others know that port.

    Args:
        listen: the addresses as the user typed them.
        addresses: the multiaddrs that are listened on.
    """
    ports = tcp_ports(addresses)
    places = []
    for place in map(listen_place, listen):
        head, _, port = place.rpartition("/")
        places.append(f"{head}/{ports[-1]}" if port == "0" and len(set(ports)) == 1 else place)
    return tuple(places)


def short_place(address: str) -> str:
    """Return a multiaddr without the PeerId."""
    return address.partition("/p2p/")[0]


def _split(text: str, option: str, *, takes_port_alone: bool = False) -> tuple[str, int]:
    match = _HOST_PORT.fullmatch(f":{text}" if takes_port_alone and text.isdecimal() else text)
    if match is None:
        forms = "a port, HOST:PORT" if takes_port_alone else "HOST:PORT"
        raise PeerError(f"{option} {text}: write {forms} or a multiaddr such as /ip4/192.0.2.1/tcp/4001")
    if len(match["port"].lstrip("0")) > 5 or int(match["port"]) > 65535:
        free = " (0: any free one)" if takes_port_alone else ""
        raise PeerError(f"{option} {text}: a port is a number from 1 to 65535{free}")
    return match["six"] or match["host"] or "", int(match["port"])


def _family(host: str) -> str:
    try:
        return f"/ip{ip_address(host).version}/{host}"
    except ValueError:
        return f"/dns/{host}"
