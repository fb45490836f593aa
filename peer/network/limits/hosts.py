"""Which addresses count as one host: a caller that has one address of an IPv6 network has all 2^64 of them."""

from ipaddress import IPv6Address, ip_address
from typing import Final

_NETWORK_BITS: Final = 64


def host_key(host: str) -> str:
    """The key by which limits count: an IPv4 address, also one that is mapped into IPv6, or the /64 of an IPv6 one."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    network = int(address) >> _NETWORK_BITS << _NETWORK_BITS
    return f"{IPv6Address(network)}/{_NETWORK_BITS}"
