"""Whatever a mail program, a shell or a hand does to an invite: it is read as it was made, or told to be damaged."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from members import identity

from coterie.crypto.identity.identity import peer_id
from coterie.peer.cli.main import main
from coterie.peer.errors import Exit, PeerError
from coterie.peer.federation.invites import new_invite, open_invite
from coterie.peer.runtime import process
from coterie.protocol.ledger.tickets import Invite

MAKER = identity(0)
ADDRESSES = tuple(f"/ip4/192.0.2.{host}/tcp/4001/p2p/{peer_id(MAKER.public)}" for host in (1, 2))
TOKEN = new_invite(MAKER, bytes(range(32)), ADDRESSES, 2**50, 3)
PREFIX, _, BODY = TOKEN.partition("-")
DATA = base64.urlsafe_b64decode(BODY + "=" * (-len(BODY) % 4))
WHITE = st.text(st.sampled_from(" \t\r\n\v\f\u00a0\u2028"), max_size=4)


def opened(text: str) -> Invite | None:
    """The invite, None where the one sentence for damage is told with its one exit code."""
    try:
        return open_invite(text, 0)
    except PeerError as error:
        code, told = error.code, str(error)
    assert code is Exit.INVITE
    assert re.fullmatch(r"--invite: the invite is damaged or cut off.*\(`peer invite`\)", told)
    return None


def without_places(invite: Invite) -> tuple[object, ...]:
    """All of an invite but the hosts and ports, which nothing in it vouches for."""
    members = [address.partition("/p2p/")[2] for address in invite.addresses]
    return invite.ticket, invite.seed, invite.terms, members


WHOLE = open_invite(TOKEN, 0)


@given(place=st.integers(0, len(DATA) - 1), bits=st.integers(1, 255))
def test_a_changed_byte_is_damage_wherever_it_is(place: int, bits: int) -> None:
    data = bytearray(DATA)
    data[place] ^= bits
    got = opened(f"{PREFIX}-{base64.urlsafe_b64encode(bytes(data)).decode().rstrip('=')}")
    assert got is None or without_places(got) == without_places(WHOLE)


@given(place=st.integers(0, len(TOKEN) - 1), letter=st.characters(codec="utf-8"))
def test_a_changed_letter_is_damage_wherever_it_is(place: int, letter: str) -> None:
    text = TOKEN[:place] + letter + TOKEN[place + 1 :]
    got = opened(text)
    assert (got == WHOLE) if text == TOKEN else got is None or without_places(got) == without_places(WHOLE)


@given(start=st.integers(0, len(TOKEN)), end=st.integers(0, len(TOKEN)))
def test_a_cut_is_damage_wherever_it_is(start: int, end: int) -> None:
    kept = TOKEN[start:end]
    assert opened(kept) == (WHOLE if kept == TOKEN else None)
    without = TOKEN[:start] + TOKEN[end:] if start < end else ""
    assert opened(without) == (WHOLE if without == TOKEN else None)


@given(text=st.text() | st.text().map(lambda text: f"coterie1-{text}"))
def test_any_other_text_is_told_the_same(text: str) -> None:
    assert opened(text) is None


@given(breaks=st.lists(st.tuples(st.integers(0, len(TOKEN)), WHITE), max_size=12))
def test_an_invite_that_was_broken_into_lines_is_read(breaks: list[tuple[int, str]]) -> None:
    text = TOKEN
    for place, white in sorted(breaks, reverse=True):
        text = text[:place] + white + text[place:]
    assert opened(text) == WHOLE


def test_an_address_of_somebody_else_is_damage() -> None:
    assert opened(new_invite(identity(1), bytes(32), ADDRESSES, 2**50, 1)) is None


@pytest.mark.parametrize(
    "words", [(TOKEN,), (f"{TOKEN[:60]}\n {TOKEN[60:]}",), (TOKEN[:60], TOKEN[60:120], TOKEN[120:])]
)
def test_the_shell_may_make_several_words_of_an_invite(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(process, "run_peer", lambda home, options, as_json, asked: given.append(options["invite"]) or 0)
    assert main(("start", "--invite", *words, "--data", "data.csv")) == 0
    assert given == [TOKEN]


def test_a_script_reads_nothing_but_the_token(
    tmp_path: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"invite": TOKEN, "command": f"peer start --invite {TOKEN}", "note": "a note"}
    monkeypatch.setattr("coterie.peer.control.client.ask", lambda path, request: answer)
    words = ("invite", "--home", str(tmp_path))
    rest = f"\nThe other side types:\n  peer start --invite {TOKEN}\na note\n"
    assert main(words) == Exit.OK
    assert tuple(capsys.readouterr()) == (f"{TOKEN}\n", rest)
    monkeypatch.setattr("coterie.peer.system.standard_streams.Steady.isatty", lambda stream: True)
    assert main(words) == Exit.OK
    assert tuple(capsys.readouterr()) == (f"{TOKEN}\n{rest}", "")
