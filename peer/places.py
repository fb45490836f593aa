"""Addresses as people type them, turned into multiaddrs; nothing is imported that takes time."""

import re
from ipaddress import ip_address
from typing import Final

from .exits import PeerError

_HOST_PORT: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^:/\s]*)):(?P<port>\d{1,5})")


def dial_place(text: str, option: str = "--bootstrap") -> str:
    """Return the multiaddr of "192.0.2.1:4001", "peer.example.org:4001" or a multiaddr.

    Raises:
        PeerError: it is none of these; names the ``option`` that it was given with.
    """
    from .network.addresses import AddressError, parse_address

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
    """Return the multiaddr of "4001", "0.0.0.0:4001", "[::]:4001" or a multiaddr. Port 0: any free one.

    Raises:
        PeerError: it is none of these; names the ``option`` that it was given with.
    """
    if text.startswith("/"):
        return text
    host, port = _split(f":{text}" if text.isdecimal() else text, option)
    place = _family(host or "0.0.0.0")
    if place.startswith("/dns"):
        raise PeerError(f"{option} {text}: one of this machine's IP addresses is needed, or the port alone")
    return f"{place}/tcp/{port}"


def _split(text: str, option: str) -> tuple[str, int]:
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise PeerError(f"{option} {text}: write HOST:PORT or a multiaddr such as /ip4/192.0.2.1/tcp/4001")
    return match["six"] or match["host"] or "", int(match["port"])


def _family(host: str) -> str:
    try:
        return f"/ip{ip_address(host).version}/{host}"
    except ValueError:
        return f"/dns/{host}"
