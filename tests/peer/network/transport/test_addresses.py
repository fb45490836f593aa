"""Address records: only a member can say where it is, the newest word counts, and the book stays small."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.crypto.identity.identity import Identity, peer_id
from coterie.peer.network.frames import MAX_RECORD_BYTES
from coterie.peer.network.transport import addresses
from coterie.peer.network.transport.addresses import (
    MAX_ADDRESSES,
    Address,
    AddressBook,
    AddressError,
    BadRecord,
    claims_of,
    is_loopback,
    is_proper,
    open_record,
    parse_address,
    sign_record,
)

ME = Identity.from_seed(bytes(32))
OTHER = Identity.from_seed(bytes([1]) * 32)
HERE = parse_address("/ip4/192.0.2.1/tcp/4001")
THERE = parse_address("/dns/peer.example.org/tcp/4002")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("/ip4/192.0.2.1/tcp/4001", "/ip4/192.0.2.1/tcp/4001"),
        ("/ip6/2001:DB8::1/tcp/1/", "/ip6/2001:db8::1/tcp/1"),
        ("/dns4/peer.example.org/tcp/65535", "/dns4/peer.example.org/tcp/65535"),
        ("/dns/localhost/tcp/04001", "/dns/localhost/tcp/4001"),
    ],
)
def test_an_address_with_or_without_a_peer_id_is_understood(text: str, canonical: str) -> None:
    assert parse_address(text) == Address(canonical, None)
    named = f"{text.rstrip('/')}/p2p/{peer_id(ME.public)}"
    assert parse_address(named) == Address(canonical, ME.public)
    assert str(parse_address(named)) == f"{canonical}/p2p/{peer_id(ME.public)}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("192.0.2.1:4001", "not a TCP multiaddr"),
        ("/ip4/192.0.2.1/udp/4001/quic-v1", "not a TCP multiaddr"),
        ("/ip4/192.0.2.256/tcp/4001", "not an address of kind /ip4"),
        ("/ip4/192.0.2.1/tcp/0", "port"),
        ("/ip4/192.0.2.1/tcp/70000", "port"),
        ("/ip4/192.0.2.1/tcp/x", "port"),
        ("/ip5/192.0.2.1/tcp/1", "unknown kind of address /ip5"),
        ("/dns/-bad-/tcp/1", "not a host name"),
        ("/ip4/192.0.2.1/tcp/4001/p2p/QmNotAnEd25519Key", "not the PeerId"),
        ("/ip4/192.0.2.1/tcp/4001/ws", "cannot dial through /ws"),
        ("/ip4/192.0.2.1/tcp/" + "4" * 200, "too long"),
        ("", "not a TCP multiaddr"),
    ],
)
def test_a_bad_address_is_refused_with_what_is_wrong_and_how_one_looks(text: str, complaint: str) -> None:
    with pytest.raises(AddressError, match=complaint) as caught:
        parse_address(text)
    assert "/ip4/192.0.2.1/tcp/4001" in str(caught.value)


@given(st.text(max_size=150) | st.from_regex(r"/(ip4|ip6|dns)/[^/]{0,20}/tcp/[0-9]{0,6}(/p2p/[^/]{0,60})?"))
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    try:
        parsed = parse_address(text)
    except AddressError:
        return
    assert parse_address(str(parsed)) == parsed


def test_a_record_is_opened_by_anybody_and_names_its_member() -> None:
    record = open_record(sign_record(ME, [HERE, THERE], 7).encoded)
    assert (record.member, record.sequence) == (ME.public, 7)
    assert [address.text for address in record.addresses] == [HERE.text, THERE.text]
    assert all(address.member == ME.public for address in record.addresses)


def test_the_longest_record_fits_its_frame() -> None:
    long = Address("/dns/" + "a" * 96 + "/tcp/65535")
    assert len(sign_record(ME, [long] * (MAX_ADDRESSES + 2), 2**62).encoded) <= MAX_RECORD_BYTES


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_record_with_any_byte_changed_is_refused(place: int, change: int) -> None:
    encoded = bytearray(sign_record(ME, [HERE], 1).encoded)
    encoded[place % len(encoded)] ^= change
    with pytest.raises(BadRecord):
        open_record(bytes(encoded))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_a_bad_record(data: bytes) -> None:
    with pytest.raises(BadRecord):
        open_record(data)


def test_a_record_that_somebody_else_signed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forger:
        public = ME.public
        sign = staticmethod(OTHER.sign)

    forged = sign_record(Forger(), [HERE], 1).encoded  # type: ignore[arg-type]
    with pytest.raises(BadRecord, match="did not sign"):
        open_record(forged)
    book = AddressBook(lambda member: True)
    with pytest.raises(BadRecord, match="did not sign"):
        book.add(forged)
    monkeypatch.setattr(addresses, "verify", lambda *_: True)
    assert book.add(forged) is not None, "the signature check is what keeps it out"


def test_a_signature_for_another_purpose_does_not_make_a_record() -> None:
    class Signer:
        public = ME.public

        @staticmethod
        def sign(message: bytes) -> bytes:
            return ME.sign(message.removeprefix(b"coterie/1/address-record\x00"))

    with pytest.raises(BadRecord, match="did not sign"):
        open_record(sign_record(Signer(), [HERE], 1).encoded)  # type: ignore[arg-type]


def test_of_one_member_there_is_one_record_in_a_frame() -> None:
    records = [sign_record(one, [HERE], number).encoded for number, one in enumerate((ME, OTHER))]
    assert claims_of(records) == {ME.public: (0, records[0]), OTHER.public: (1, records[1])}
    with pytest.raises(BadRecord, match="two address records of one member"):
        claims_of([*records, sign_record(ME, [HERE], 2).encoded])


@pytest.mark.parametrize(
    ("text", "proper"),
    [
        ("/ip4/192.0.2.1/tcp/1", True),
        ("/ip4/10.0.0.1/tcp/1", True),
        ("/ip6/2001:db8::1/tcp/1", True),
        ("/ip6/fd00::1/tcp/1", True),
        ("/ip4/169.254.169.254/tcp/80", False),
        ("/ip4/224.0.0.1/tcp/1", False),
        ("/ip4/0.0.0.0/tcp/1", False),
        ("/ip4/0.1.2.3/tcp/1", False),
        ("/ip4/255.255.255.255/tcp/1", False),
        ("/ip4/240.0.0.1/tcp/1", False),
        ("/ip6/fe80::1/tcp/1", False),
        ("/ip6/ff02::1/tcp/1", False),
        ("/ip6/::/tcp/1", False),
        ("/ip6/::ffff:169.254.169.254/tcp/1", False),
        ("/ip6/64:ff9b::169.254.169.254/tcp/1", False),
        ("/ip6/2002:a9fe:a9fe::1/tcp/1", False),
        ("/dns/localhost/tcp/1", False),
    ],
)
def test_a_record_leads_to_machines_and_not_to_groups_or_links(text: str, proper: bool) -> None:
    text = parse_address(text).text
    assert is_proper(text, False) is proper
    assert is_proper(text, True) is proper


@pytest.mark.parametrize(
    "text", ["/ip4/127.0.0.1/tcp/1", "/ip4/127.9.9.9/tcp/1", "/ip6/::1/tcp/1", "/ip6/::ffff:127.0.0.1/tcp/1"]
)
def test_a_record_leads_to_loopback_only_where_all_are_on_one_machine(text: str) -> None:
    assert not is_proper(parse_address(text).text, False)
    assert is_proper(parse_address(text).text, True)
    assert is_loopback(parse_address(text).text)


def test_a_newer_record_wins_whatever_the_order_of_arrival() -> None:
    older, newer = sign_record(ME, [HERE], 1), sign_record(ME, [THERE], 2)
    for order in ([older, newer], [newer, older], [newer, newer, older]):
        book = AddressBook(lambda member: True)
        for record in order:
            book.add(record.encoded)
        assert book.get(ME.public) == newer


def test_only_news_of_wanted_members_comes_back_from_the_book() -> None:
    book = AddressBook(lambda member: member == ME.public)
    record = sign_record(ME, [HERE], 1)
    assert book.add(record.encoded) == record
    assert book.add(record.encoded) is None
    assert book.add(sign_record(OTHER, [HERE], 1).encoded) is None
    assert book.members() == [ME.public]


def test_the_book_is_bounded_and_makes_room_by_dropping_who_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "MAX_RECORDS", 3)
    people = [Identity.from_seed(bytes([10 + number]) * 32) for number in range(5)]
    wanted = {person.public for person in people}
    book = AddressBook(wanted.__contains__)
    for person in people:
        book.add(sign_record(person, [HERE], 1).encoded)
    assert len(book.members()) == 3
    wanted.discard(people[0].public)
    book.add(sign_record(people[4], [HERE], 1).encoded)
    assert book.members() == [person.public for person in (people[1], people[2], people[4])]
