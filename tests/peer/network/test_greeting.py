"""Greetings: strict, bounded, and clear about why two peers do not go together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.crypto.identity.identity import Identity
from coterie.peer.network import greeting
from coterie.peer.network.frames import MAX_GREETING_BYTES, BadFrame
from coterie.peer.network.greeting import Refusal, check_federation, decode_greeting, encode_greeting
from coterie.peer.network.transport.addresses import parse_address, sign_record

ME = Identity.from_seed(bytes(32))
RECORD = sign_record(ME, [parse_address("/ip4/192.0.2.1/tcp/4001")], 1)
FEDERATION = bytes(range(32))


def test_a_greeting_comes_back() -> None:
    decoded = decode_greeting(encode_greeting(FEDERATION, b"genesis", "Łódź", RECORD.encoded), ME.public)
    assert (decoded.federation, decoded.genesis, decoded.name) == (FEDERATION, b"genesis", "Łódź")
    assert decoded.record == RECORD


def test_a_newcomer_greets_with_next_to_nothing() -> None:
    decoded = decode_greeting(encode_greeting(b"", b"", "", b""), ME.public)
    assert decoded == greeting.Greeting(b"", b"", "", None)


def test_the_largest_greeting_fits_its_frame() -> None:
    body = encode_greeting(FEDERATION, bytes(greeting.MAX_GENESIS_BYTES), "名" * 64, RECORD.encoded)
    assert len(body) <= MAX_GREETING_BYTES
    decode_greeting(body, ME.public)


def test_another_version_is_refused_by_number_however_the_rest_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greeting, "PROTOCOL_VERSION", 9)
    other = encode_greeting(b"", b"", "", b"")[: len(b"coterie") + 2] + b"\xff a layout of the future"
    monkeypatch.undo()
    with pytest.raises(Refusal, match="9 there, 2 here"):
        decode_greeting(other, ME.public)


@given(st.binary(max_size=100), st.booleans())
def test_any_bytes_are_refused_or_malformed(data: bytes, prefixed: bool) -> None:
    body = (b"coterie\x00\x02" if prefixed else b"") + data
    with pytest.raises((BadFrame, Refusal)):
        decode_greeting(body, ME.public)


def test_trailing_bytes_are_malformed() -> None:
    with pytest.raises(BadFrame, match="malformed"):
        decode_greeting(encode_greeting(b"", b"", "", b"") + b"\x00", ME.public)


@pytest.mark.parametrize(
    ("federation", "genesis", "name"),
    [(b"short", b"", ""), (b"", bytes(2**16 + 1), ""), (b"", b"", "x" * 65)],
)
def test_we_do_not_send_a_greeting_that_is_out_of_bounds(federation: bytes, genesis: bytes, name: str) -> None:
    with pytest.raises(ValueError, match="at most"):
        encode_greeting(federation, genesis, name, b"")


def test_the_address_record_must_be_the_peers_own() -> None:
    body = encode_greeting(b"", b"", "", RECORD.encoded)
    with pytest.raises(BadFrame, match="somebody else"):
        decode_greeting(body, Identity.from_seed(bytes([1]) * 32).public)


def test_control_characters_in_a_name_do_not_reach_a_terminal() -> None:
    body = encode_greeting(b"", b"", "\x1b[31mred\n", b"")
    assert decode_greeting(body, ME.public).name == "[31mred"


def test_members_of_two_federations_part_and_newcomers_talk_to_everybody() -> None:
    check_federation(FEDERATION, FEDERATION)
    check_federation(FEDERATION, b"")
    check_federation(b"", FEDERATION)
    with pytest.raises(Refusal, match=r"another federation: 0101.* there, 0001.* here"):
        check_federation(FEDERATION, bytes([1]) * 32)
