"""Whole networks over real TCP: who finds whom, what arrives, and what happens when a peer is not what it seems."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
import trio

from coterie.crypto.identity.identity import Identity
from coterie.peer.network import greeting
from coterie.peer.network import link as link_module
from coterie.peer.network import network as network_module
from coterie.peer.network.frames import encode_envelope, encode_records
from coterie.peer.network.link_events import Connected, Disconnected, Frame, Refused, Unreachable
from coterie.peer.network.network import Network
from coterie.peer.network.transfers import PullFailed
from coterie.peer.network.transport import yamux as yamux_module
from coterie.peer.network.transport.addresses import Address, sign_record
from coterie.peer.network.transport.host import ListenError
from coterie.protocol.messages.encoding import digest_of

BLOB = bytes(range(256)) * 65536  # 16 MiB


def digest(data: bytes) -> bytes:
    return digest_of(data)


async def test_two_peers_connect_and_frames_go_both_ways(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        assert first.network.send(second.member, b"envelope", b"blob")
        assert second.network.send(first.member, b"answer")
        assert await second.event(Frame) == Frame(first.member, b"envelope", b"blob")
        assert await first.event(Frame) == Frame(second.member, b"answer", None)


async def test_frames_arrive_in_order_and_none_is_lost(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        sent = [b"%d" % number + bytes(number % 5 * 20_000) for number in range(300)]
        for envelope in sent:
            assert first.network.send(second.member, envelope)
        await second.until(lambda: sum(isinstance(event, Frame) for event in second.events) == len(sent))
        assert [event.envelope for event in second.events if isinstance(event, Frame)] == sent


async def test_a_newcomer_that_knows_one_address_reaches_all(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first = await peers.start(4)
        others = [await peers.start(number, first) for number in (2, 0, 3)]
        for peer in others:
            await peer.linked(first)
        newcomer = await peers.start(1, others[0])
        await newcomer.linked(first, *others)
        for peer in (first, *others):
            await peer.linked(newcomer)
        rows = {row.member: row for row in newcomer.network.peers()}
        assert rows[first.member].name == "peer 4"
        assert all(row.connected and row.addresses and row.is_member for row in rows.values())


async def test_members_still_find_each_other_when_the_one_they_knew_is_gone(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first = await peers.start(0)
        second, third = await peers.start(1, first), await peers.start(2, first)
        await second.linked(first, third)
        await first.network.stop()
        fourth = await peers.start(3, third)
        await fourth.linked(second, third)


async def test_the_greeting_brings_genesis_and_federation_to_a_newcomer(world: Callable[[], Any]) -> None:
    async with world() as peers:
        federation, genesis = digest(b"federation"), b"genesis block" * 1000
        member = await peers.start(0, federation=federation, genesis=genesis)
        newcomer = await peers.start(1, member)
        event = await newcomer.event(Connected)
        assert (event.greeting.federation, event.greeting.genesis) == (federation, genesis)
        assert (await member.event(Connected)).greeting.federation == b""


async def test_another_federation_is_refused_and_both_users_learn_why(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first = await peers.start(0, federation=digest(b"a"))
        second = await peers.start(1, first, federation=digest(b"b"))
        refusals = [await peer.event(Refused) for peer in (first, second)]
        assert all("another federation" in event.reason for event in refusals)
        assert {refusals[0].member, refusals[1].member} == {first.member, second.member}
        assert first.network.connected() == second.network.connected() == []


async def test_another_protocol_version_is_refused_and_both_users_learn_why(
    world: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world() as peers:
        first = await peers.start(0)
        second = await peers.start(1)
        old = greeting.encode_greeting
        monkeypatch.setattr(
            second.network,
            "our_greeting",
            lambda: old(b"", b"", "", b"").replace(b"coterie\x00\x02", b"coterie\x00\x03"),
        )
        third = await peers.start(2, second)
        refusal = await third.event(Refused)
        assert "3 there, 2 here; the older peer must upgrade" in refusal.reason
        assert not refusal.by_peer
        told = await second.event(Refused)
        assert "protocol versions differ" in told.reason
        assert told.by_peer
        assert first.network.connected() == []


async def test_a_large_blob_is_pulled_whole(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        first.network.offer(digest(BLOB), BLOB)
        assert await second.network.pull(first.member, digest(BLOB), len(BLOB)) == BLOB


async def test_blobs_come_from_several_peers_at_once_and_frames_pass_them(world: Callable[[], Any]) -> None:
    async with world() as peers:
        puller = await peers.start(0)
        sources = [await peers.start(number, puller) for number in (1, 2, 3)]
        blobs = [BLOB[number:] for number in (1, 2, 3)]
        await puller.linked(*sources)
        for source in sources:
            await source.linked(puller)
        async with trio.open_nursery() as nursery:

            async def pull(source: Any, blob: bytes) -> None:
                assert await puller.network.pull(source.member, digest(blob), len(blob)) == blob

            for source, blob in zip(sources, blobs, strict=True):
                source.network.offer(digest(blob), blob)
                nursery.start_soon(pull, source, blob)
                assert source.network.send(puller.member, b"meanwhile")
            for source in sources:
                await puller.event(Frame, member=source.member)


async def test_what_was_not_offered_or_was_withdrawn_cannot_be_pulled(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        with pytest.raises(PullFailed, match="not offered"):
            await second.network.pull(first.member, digest(b"x"), 1)
        first.network.offer(digest(b"x"), b"x")
        first.network.offer(digest(b"x"), b"x")
        first.network.withdraw(digest(b"x"))
        assert await second.network.pull(first.member, digest(b"x"), 1) == b"x"
        first.network.withdraw(digest(b"x"))
        with pytest.raises(PullFailed, match="not offered"):
            await second.network.pull(first.member, digest(b"x"), 1)


async def test_a_blob_of_another_size_is_refused_and_the_link_lives(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        first.network.offer(digest(b"promised"), b"promised")
        with pytest.raises(PullFailed, match="it has 8 bytes, not 9"):
            await second.network.pull(first.member, digest(b"promised"), 9)
        assert await second.network.pull(first.member, digest(b"promised"), 8) == b"promised"


async def test_who_sends_other_bytes_than_it_offered_is_cut_off(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        first.network.offer(digest(b"promised"), b"delivery")
        with pytest.raises(PullFailed, match="does not have the digest"):
            await second.network.pull(first.member, digest(b"promised"), 8)
        assert "no link for 10 s" in (await second.event(Disconnected)).reason


async def test_pulling_from_nobody_fails_at_once(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first = await peers.start(0)
        with pytest.raises(PullFailed, match="not connected"):
            await first.network.pull(bytes(32), bytes(32), 1)


async def test_the_empty_blob_can_be_pulled(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        first.network.offer(digest(b""), b"")
        assert await second.network.pull(first.member, digest(b""), 0) == b""


async def test_a_peer_that_leaves_mid_transfer_fails_the_pull_with_the_reason(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        first.network.offer(digest(BLOB), BLOB)
        link = second.network.link_to(first.member)
        async with trio.open_nursery() as nursery:

            async def stop_in_the_middle() -> None:
                while link.bulk.bytes_in == 0:
                    await trio.lowlevel.checkpoint()
                await link.connection.abort()

            nursery.start_soon(stop_in_the_middle)
            with pytest.raises(PullFailed, match="the link ended"):
                await second.network.pull(first.member, digest(BLOB), len(BLOB))
        assert 0 < link.bulk.bytes_in < len(BLOB)


async def test_peers_find_each_other_again_when_the_connection_breaks(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        seen = len(second.events)
        await first.network.link_to(second.member).connection.abort()
        await first.event(Disconnected)
        await second.event(Disconnected)
        await second.event(Connected, after=seen)
        await first.linked(second)
        assert second.network.send(first.member, b"again")
        assert (await first.event(Frame)).envelope == b"again"


async def test_a_peer_that_restarts_elsewhere_is_found_at_its_new_address(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        third = await peers.start(2, first)
        await third.linked(first, second)
        await second.network.stop()
        await third.event(Disconnected, member=second.member)
        reborn = await peers.start(1, first)
        assert reborn.address != second.address
        await third.until(lambda: reborn.member in third.network.connected())
        await reborn.linked(first, third)


async def test_stop_says_goodbye_and_delivers_what_was_queued(
    world: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long a peer that leaves waits for slow ones is not what this is about.
    monkeypatch.setattr(link_module, "_FLUSH_SECONDS", 30.0)
    monkeypatch.setattr(yamux_module, "_CLOSE_GRACE_SECONDS", 30.0)
    async with world() as peers:
        first, second = await peers.pair()
        sent = [bytes([number]) * 100_000 for number in range(20)]
        for envelope in sent:
            first.network.send(second.member, envelope)
        await first.network.stop()
        event = await second.event(Disconnected)
        assert event.reason == "the peer said goodbye: stopped"
        assert [event.envelope for event in second.events if isinstance(event, Frame)] == sent


async def test_a_bootstrap_address_without_a_peer_id_leads_to_whoever_is_there(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first = await peers.start(0)
        second = await peers.start(1, first.address.partition("/p2p/")[0])
        await second.linked(first)


async def test_a_bootstrap_address_by_host_name_is_looked_up_as_the_system_does(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first = await peers.start(0)
        second = await peers.start(1, first.address.replace("/ip4/127.0.0.1/", "/dns/localhost/"))
        await second.linked(first)


async def test_our_own_address_among_the_bootstrap_addresses_does_no_harm(
    world: Callable[[], Any], identity: Callable[[int], Identity]
) -> None:
    async with world() as peers:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            own = f"/ip4/127.0.0.1/tcp/{held.getsockname()[1]}"
        first = await peers.start(0, own, f"{own}/p2p/{identity(0).peer_id}", listen=[own])
        second = await peers.start(1, own)
        await second.linked(first)
        await first.event(Connected, member=second.member)
        assert not any(isinstance(event, Unreachable) for event in first.events)


async def test_another_peer_at_the_address_is_not_taken_for_the_expected_one(
    world: Callable[[], Any], identity: Callable[[int], Identity]
) -> None:
    async with world() as peers:
        first = await peers.start(0)
        wrong = first.address.partition("/p2p/")[0] + "/p2p/" + identity(5).peer_id
        second = await peers.start(1, wrong)
        event = await second.event(Unreachable)
        assert event.address == wrong
        assert "another peer than the expected one" in event.reason
        assert first.network.connected() == second.network.connected() == []


async def test_an_address_where_nobody_listens_is_reported_and_tried_again(world: Callable[[], Any]) -> None:
    async with world() as peers:
        with trio.socket.socket() as held:
            await held.bind(("127.0.0.1", 0))
            port = held.getsockname()[1]
            second = await peers.start(1, f"/ip4/127.0.0.1/tcp/{port}")
            assert "refused" in (await second.event(Unreachable)).reason.lower()
        late = Network(peers.peers[0].network._identity, allow=lambda member: True)
        assert late.addresses() == []


async def test_a_port_in_use_is_a_clear_error(world: Callable[[], Any], identity: Callable[[int], Identity]) -> None:
    async with world() as peers:
        first = await peers.start(0)
        port = first.address.split("/")[4]
        second = Network(identity(1), [f"/ip4/127.0.0.1/tcp/{port}"], allow=lambda member: True)
        with pytest.raises((ListenError, ExceptionGroup)) as caught:
            await second.run()
        assert f"port {port} on 127.0.0.1 is in use by another process" in repr(caught.value)


@pytest.mark.parametrize("address", ["/ip4/127.0.0.1/udp/1/quic-v1", "127.0.0.1:4001", "/ip4/x/tcp/1"])
def test_a_listen_address_of_another_form_is_a_clear_error(address: str, identity: Callable[[int], Identity]) -> None:
    with pytest.raises(ListenError, match="the form is /ip4/"):
        Network(identity(0), [address], allow=lambda member: True)


async def test_heartbeats_bring_status_and_round_trip_time(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        first.network.beat_status = b"round 7"

        def row() -> Any:
            return next(row for row in second.network.peers() if row.member == first.member)

        await second.until(lambda: row().status == b"round 7" and row().rtt_seconds is not None)
        assert 0 < row().rtt_seconds < 60
        assert 0 <= row().beat_age_seconds < 60


async def test_a_status_that_does_not_fit_a_heartbeat_is_refused_where_it_is_set(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first = await peers.start(0)
        first.network.beat_status = bytes(256)
        with pytest.raises(ValueError, match="at most 256"):
            first.network.beat_status = bytes(257)


async def test_stopping_what_never_ran_returns(identity: Callable[[int], Identity]) -> None:
    await Network(identity(0), allow=lambda member: True).stop()


NEWS = 40


async def news_taken(world: Callable[[], Any], identity: Callable[[int], Identity]) -> tuple[int, int]:
    """A member tells ever new addresses of its own: how many are taken, and in how many frames they are passed on."""
    async with world() as peers:
        first, second = await peers.pair()
        third = await peers.start(2, first)
        await third.linked(first)
        await first.linked(third)
        sequences: list[int] = []
        told: list[int] = []
        first_link = first.network.link_to(third.member)
        arrived = third.network.records_arrived

        async def heard(link: Any, records: list[bytes]) -> None:
            if link.member == first.member:
                told.append(len(records))
            await arrived(link, records)

        third.network.records_arrived = heard
        spread = first.network._spread

        def counted(record: Any, origin: Any) -> None:
            if record.member == second.member:
                sequences.append(record.sequence)
            spread(record, origin)

        first.network._spread = counted
        base = second.network._sequence + 1
        link = second.network.link_to(first.member)
        for number in range(NEWS):
            record = sign_record(identity(1), [Address("/ip4/127.0.0.1/tcp/9")], base + number)
            assert link.send(encode_records([record.encoded]))
        assert link.send(encode_envelope(b"the end", None))
        await first.event(Frame)
        assert first_link.send(encode_envelope(b"the end", None))
        await third.event(Frame)
        return len(sequences), len(told)


async def test_a_members_news_of_itself_have_a_rate_and_are_passed_on_together(
    world: Callable[[], Any], identity: Callable[[int], Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_module, "SPREAD_SECONDS", 60.0)
    taken, told = await news_taken(world, identity)
    assert taken == network_module.MAX_NEWS_AT_ONCE
    assert told <= 2
    monkeypatch.setattr(network_module, "MAX_NEWS_AT_ONCE", 10**6)
    taken, _ = await news_taken(world, identity)
    assert taken == NEWS


async def test_two_records_of_one_member_in_a_frame_end_the_link(
    world: Callable[[], Any], identity: Callable[[int], Identity]
) -> None:
    async with world() as peers:
        first, second = await peers.pair()
        records = [sign_record(identity(5), [], number).encoded for number in (1, 2)]
        second.network.link_to(first.member).send(encode_records(records))
        assert "two address records of one member" in (await first.event(Disconnected)).reason


async def test_simultaneous_dials_leave_one_connection(world: Callable[[], Any]) -> None:
    async with world() as peers:
        first, second = await peers.start(0), await peers.start(1)
        for one, other in ((first, second), (second, first)):
            one.network.learn([other.network._record.encoded])
        await first.linked(second)
        await second.linked(first)
        for one, other in ((first, second), (second, first)):
            assert one.network.send(other.member, b"hello")
            await other.event(Frame, member=one.member)


@pytest.mark.parametrize("keeper", [0, 2])
@pytest.mark.parametrize("keeper_dials", [False, True])
async def test_two_peers_with_one_key_hear_of_each_other_whichever_link_is_kept(
    world: Callable[[], Any], keeper: int, keeper_dials: bool
) -> None:
    """Of two links to one member a third peer keeps one, by its own number and by which side dialled."""
    async with world() as peers:
        if keeper_dials:
            first = await peers.start(1)
            third = await peers.start(keeper, first)
        else:
            third = await peers.start(keeper)
            first = await peers.start(1, third)
        await third.linked(first)
        second = await peers.start(1, third)
        await first.network.doubles.wait(1)
        await second.network.doubles.wait(1)
