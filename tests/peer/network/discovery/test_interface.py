"""Discovery: it only suggests, other federations are left alone, and nothing unsigned is believed."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest
import trio

from coterie.crypto.identity.identity import Identity
from coterie.peer.network.discovery import dht as dht_module
from coterie.peer.network.discovery import mdns as mdns_module
from coterie.peer.network.discovery.dht import Dht, RecordValidator, provider_key, record_key
from coterie.peer.network.discovery.interface import run_dht, run_mdns
from coterie.peer.network.discovery.mdns import Mdns, candidates, properties
from coterie.peer.network.transport.addresses import Address, BadRecord, parse_address, sign_record

FEDERATION, OTHER = bytes(range(32)), bytes(32)
LOOPBACK = "/ip4/127.0.0.1/tcp/0"


def named(identity: Identity, port: int = 4001) -> str:
    return f"/ip4/192.0.2.1/tcp/{port}/p2p/{identity.peer_id}"


@pytest.mark.parametrize(
    ("theirs", "ours", "found"),
    [
        (FEDERATION, FEDERATION, True),
        (OTHER, FEDERATION, False),
        (b"", FEDERATION, True),
        (FEDERATION, b"", True),
        (b"", b"", True),
    ],
)
def test_announcements_of_another_federation_are_left_alone(
    theirs: bytes, ours: bytes, found: bool, identity: Callable[[int], Identity]
) -> None:
    announced = [named(identity(1), 4001), named(identity(1), 4002)]
    expected = [parse_address(text) for text in announced] if found else []
    assert candidates(properties(announced, theirs), ours) == expected


def test_announcements_that_are_not_ours_or_malformed_are_ignored(identity: Callable[[int], Identity]) -> None:
    assert candidates({b"dnsaddr": named(identity(1)).encode()}, b"") == []
    odd = {b"dnsaddr": b"\xff", b"dnsaddr2": b"/ip4/1.2.3.4/tcp/1", b"dnsaddr3": None, b"dnsaddr4": b"x"}
    assert candidates({b"coterie": b""} | odd, b"") == []


def test_an_announcement_leads_to_a_few_addresses_at_most(identity: Callable[[int], Identity]) -> None:
    announced = [named(identity(1), port) for port in range(1, 100)]
    assert len(candidates(properties(announced, b""), b"")) == mdns_module.MAX_ADDRESSES


def test_more_names_in_a_minute_than_a_network_has_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdns_module, "MAX_NAMES_A_MINUTE", 3)
    now = [0.0]
    crowd = mdns_module.Crowd(lambda: now[0])
    for _ in range(20):  # three a minute go on for ever
        for _ in range(3):
            crowd.heard_one()
        assert not crowd.is_too_large
        now[0] += 60.0
    for _ in range(4):
        crowd.heard_one()
    assert crowd.is_too_large


async def test_mdns_ends_what_keeps_invented_names_and_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    import zeroconf

    service = f"_t{secrets.token_hex(4)}._udp.local."
    monkeypatch.setattr("coterie.peer.network.discovery.mdns.SERVICE", service)
    monkeypatch.setattr(mdns_module, "MAX_NAMES_A_MINUTE", 3)
    monkeypatch.setattr(mdns_module, "QUIET_SECONDS", 0.05)
    made: list[Any] = []
    restarted = trio.Event()
    real = zeroconf.Zeroconf
    token = trio.lowlevel.current_trio_token()

    def make(**options: Any) -> Any:
        made.append(real(**options))
        if len(made) == 2:
            token.run_sync_soon(restarted.set)
        return made[-1]

    flooder = await trio.to_thread.run_sync(lambda: real(interfaces=["127.0.0.1"]))
    monkeypatch.setattr(zeroconf, "Zeroconf", make)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Mdns(lambda address: None, ["127.0.0.1"]).run, lambda: [LOOPBACK], lambda: b"")
        for number in range(6):
            info = zeroconf.ServiceInfo(
                service, f"invented{number}.{service}", port=1, parsed_addresses=["192.0.2.1"], server="x.local."
            )
            await trio.to_thread.run_sync(flooder.register_service, info)
        await restarted.wait()
        assert made[0].done
        nursery.cancel_scope.cancel()
    await trio.to_thread.run_sync(flooder.close)


async def test_peers_find_each_other_by_mdns(world: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    # A service of this run's own: other peers may be on this machine's network.
    monkeypatch.setattr("coterie.peer.network.discovery.mdns.SERVICE", f"_t{secrets.token_hex(4)}._udp.local.")
    async with world() as peers:
        first, second = await peers.start(0), await peers.start(1)
        async with trio.open_nursery() as nursery:
            for peer in (first, second):
                nursery.start_soon(run_mdns, peer.network, Mdns(peer.network.suggest, ["127.0.0.1"]))
            await first.linked(second)
            await second.linked(first)
            nursery.cancel_scope.cancel()


def test_a_dht_node_stores_signed_records_under_their_members_key_only(
    identity: Callable[[int], Identity],
) -> None:
    validator = RecordValidator()
    older, newer = (sign_record(identity(1), [parse_address("/ip4/192.0.2.1/tcp/1")], n).encoded for n in (1, 2))
    key = record_key(identity(1).public)
    validator.validate(key, older)
    assert validator.select(key, [older, newer, older]) == 1
    with pytest.raises(BadRecord, match="another member"):
        validator.validate(record_key(identity(2).public), older)
    with pytest.raises(BadRecord):
        validator.validate(key, b"nonsense")


def test_keys_fit_the_dht_and_do_not_tell_what_they_stand_for(identity: Callable[[int], Identity]) -> None:
    assert len(record_key(identity(1).public)) <= 50
    assert provider_key(FEDERATION) != provider_key(OTHER)
    assert FEDERATION.hex() not in provider_key(FEDERATION)


async def test_a_newcomer_finds_members_through_a_dht_node_that_is_none(
    world: Callable[[], Any], identity: Callable[[int], Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dht_module, "FIRST_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(dht_module, "PAUSE_SECONDS", 0.2)
    async with world() as peers, trio.open_nursery() as nursery:
        entry = Dht(identity(60), LOOPBACK, [])
        address: Address = await nursery.start(entry.run, lambda: b"", lambda: b"", lambda record: None)
        member = await peers.start(1, federation=FEDERATION)
        stranger = await peers.start(2, federation=OTHER)
        newcomer = await peers.start(0, federation=FEDERATION)
        for number, peer in ((1, member), (2, stranger), (0, newcomer)):
            await nursery.start(run_dht, peer.network, Dht(identity(number), LOOPBACK, [address]))
        await newcomer.linked(member)
        await member.linked(newcomer)
        assert newcomer.network.connected() == [member.member]
        assert stranger.network.connected() == []
        nursery.cancel_scope.cancel()
