"""Invites: what a member's signature allows, whom a token admits, and that the ledger's readers cannot use it."""

import base64

import pytest
from chains import digest
from hypothesis import given
from hypothesis import strategies as st
from members import START_MS, identity

from coterie.protocol.ledger.tickets import Checkpoint, InviteError, check_bearer, make_invite, read_invite, read_ticket
from coterie.protocol.messages.encoding import encode

INVITER, NEWCOMER, THIEF = identity(0), identity(7), identity(8)
FEDERATION = digest("federation")
SEED = digest("seed")


def token(uses: int = 3, addresses: tuple[str, ...] = ("/ip4/10.0.0.1/tcp/4001",)) -> str:
    return make_invite(INVITER, FEDERATION, SEED, START_MS, uses, addresses)


def test_a_token_says_who_invites_where_to_and_until_when() -> None:
    invite = read_invite(token())
    assert (invite.terms.federation, invite.terms.inviter) == (FEDERATION, INVITER.public)
    assert (invite.terms.expires_ms, invite.terms.uses) == (START_MS, 3)
    assert invite.addresses == ("/ip4/10.0.0.1/tcp/4001",)
    assert read_ticket(invite.ticket) == invite.terms


def test_a_ticket_names_a_block_of_the_inviters_ledger_which_is_the_genesis_at_first() -> None:
    assert read_invite(token()).terms.checkpoint == Checkpoint(0, FEDERATION)
    newest = Checkpoint(17, digest("head"))
    text = make_invite(INVITER, FEDERATION, SEED, START_MS, 1, checkpoint=newest)
    assert read_invite(text).terms.checkpoint == newest


def test_a_token_is_one_word_that_survives_a_terminal() -> None:
    text = token()
    assert text.startswith("coterie1-")
    assert text.isascii()
    assert len(text.split()) == 1
    assert "=" not in text
    assert read_invite(f"  {text[:40]}\n  {text[40:]}\n") == read_invite(text)


def test_the_proof_is_for_one_newcomer_only() -> None:
    invite = read_invite(token())
    proof = invite.prove(NEWCOMER.public)
    assert check_bearer(invite.terms, NEWCOMER.public, proof)
    assert not check_bearer(invite.terms, THIEF.public, proof)
    assert not check_bearer(invite.terms, NEWCOMER.public, bytes(64))
    assert not check_bearer(invite.terms, NEWCOMER.public, b"")


def test_what_stands_in_the_ledger_does_not_make_another_proof() -> None:
    """The ticket and a proof are public; the seed is in neither, and not in a repr."""
    invite = read_invite(token())
    assert SEED not in invite.ticket + invite.prove(NEWCOMER.public)
    assert SEED.hex() not in repr(invite)
    assert repr(SEED) not in repr(invite)


def test_tickets_of_two_seeds_are_two_tickets() -> None:
    one, other = (read_invite(make_invite(INVITER, FEDERATION, seed, START_MS, 1)) for seed in (SEED, digest("b")))
    assert one.terms.key != other.terms.key
    assert not check_bearer(one.terms, NEWCOMER.public, other.prove(NEWCOMER.public))


@pytest.mark.parametrize("text", ["", "hello", "coterie2-abc", "coterie1", token()[9:]])
def test_what_does_not_start_like_an_invite_is_said_to_be_none(text: str) -> None:
    with pytest.raises(InviteError, match="an invite starts with 'coterie1-'"):
        read_invite(text)


@given(st.integers(9, len(token()) - 1), st.sampled_from("abzAZ019-_!é "))
def test_a_damaged_token_is_refused_and_never_read_as_another(place: int, letter: str) -> None:
    good = token()
    damaged = good[:place] + letter + good[place + 1 :]
    if "".join(damaged.split()) == good:
        return
    try:
        read = read_invite(damaged)
    except InviteError:
        return
    # The last letter has bits that no byte uses; the addresses are hints that nobody signed; and a seed that is
    # another does not prove the ticket.
    known = read_invite(good)
    assert read.terms == known.terms
    if read.seed != known.seed:
        assert not check_bearer(read.terms, NEWCOMER.public, read.prove(NEWCOMER.public))


@pytest.mark.parametrize("cut", [1, 2, 3, 50])
def test_a_token_that_was_not_copied_whole_is_refused(cut: int) -> None:
    with pytest.raises(InviteError, match="copy the whole line again"):
        read_invite(token()[:-cut])


def test_a_ticket_is_refused_if_anything_in_it_was_changed() -> None:
    ticket = read_invite(token()).ticket
    for place in range(len(ticket)):
        changed = bytearray(ticket)
        changed[place] ^= 1
        with pytest.raises(InviteError, match="the invite is malformed|the invite's signature is wrong"):
            read_ticket(bytes(changed))


@pytest.mark.parametrize(
    "terms",
    [
        [FEDERATION, INVITER.public, digest("key"), START_MS, 0],
        [FEDERATION, INVITER.public, digest("key"), START_MS, 100_001],
        [FEDERATION, INVITER.public, digest("key"), -1, 1],
        [FEDERATION[:31], INVITER.public, digest("key"), START_MS, 1],
        [FEDERATION, INVITER.public, digest("key"), START_MS, 1, 0],
    ],
)
def test_terms_out_of_bounds_are_refused_though_they_are_signed(terms: list[object]) -> None:
    data = encode(terms)
    ticket = encode([data, INVITER.sign(b"coterie/ticket/2\x00" + data)])
    with pytest.raises(InviteError, match="the invite is malformed"):
        read_ticket(ticket)


def test_a_signature_made_for_something_else_makes_no_ticket() -> None:
    data = encode([FEDERATION, INVITER.public, digest("key"), START_MS, 1, 0, FEDERATION])
    for domain in (b"", b"coterie/envelope/2\x00", b"coterie/bearer/2\x00", b"coterie/ticket/1\x00"):
        with pytest.raises(InviteError, match="signature is wrong"):
            read_ticket(encode([data, INVITER.sign(domain + data)]))


def test_a_token_too_large_to_be_one_is_refused() -> None:
    body = base64.urlsafe_b64encode(bytes(5_000)).decode().rstrip("=")
    with pytest.raises(InviteError, match="the invite is damaged"):
        read_invite("coterie1-" + body)
