"""The fields of dealings, acks and complaints, as liars forge them and checkers read them.

Where the protocol changes these messages, this module changes, and most strategies and checkers need not.
"""

import hashlib
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec.structs import replace as with_fields

from ...crypto.field import P, evaluate, from_bytes, interpolate
from ...crypto.identity.sealing import BOX_OVERHEAD_BYTES, Ephemeral, Opening, dealing_key
from ...crypto.prng import derive
from ...crypto.sharing import dealing, merkle
from ...crypto.sharing.fixed_point import encode_wide
from ...protocol.jobs import Encode, Encoded
from ...protocol.ledger.blocks import Block, Contributors, Model, Void, read_block
from ...protocol.ledger.committee import Committee
from ...protocol.ledger.contribution import Layout, counts_of
from ...protocol.ledger.state import LedgerState
from ...protocol.messages.encoding import digest_of
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import (
    Ack,
    Blocks,
    CertifiedBlock,
    Complaint,
    Deal,
    HandBox,
    Message,
    Precommit,
    Prevote,
    SitOut,
    Status,
    SumShare,
    UpheldComplaint,
    dealing_id,
)
from ...protocol.schemes.base import Dealing, blob_digests
from ...protocol.schemes.plain import CommitVector
from ...protocol.schemes.shamir import DealShares, _crypto_terms

if TYPE_CHECKING:
    from ..engine.simulation import Simulation
    from ..engine.site import Site

__all__ = [
    "NON_ENCODINGS",
    "acked",
    "any_box",
    "committee_of",
    "complained_of",
    "complaint",
    "contributors_with_all",
    "contributors_with_few_holders",
    "contributors_without",
    "deal_of",
    "dealing_id",
    "failed_contributors",
    "garbage_boxes",
    "hands_out",
    "has_shares",
    "is_dealing_job",
    "is_own_box",
    "is_proved_dealing_job",
    "is_stuck",
    "longest",
    "no_encoding",
    "non_encoding",
    "offered_by",
    "other_boxes",
    "other_dealing",
    "other_version",
    "proved_void",
    "round_of",
    "shares_shown",
    "split_dealing",
    "void_of",
    "waits_to_join",
    "with_bad_terms",
    "with_false_keeps",
    "with_false_secret",
    "with_more_dealings",
    "with_other_box",
    "with_other_ids",
    "with_other_root",
    "without",
]

_OFF: Final = 12_345

# What the ledger says of sums that failed.


def failed_contributors(state: LedgerState) -> frozenset[bytes]:
    """Return the members whose sum on the current base model has to be repeated; empty where no sum has."""
    return frozenset(state.required or ())


def proved_void(body: Void) -> bytes | None:
    """Return the hash of the sum by which a void block proves itself; None if it does not."""
    return body.vector_hash


# Dealings.


def is_dealing_job(work: object) -> bool:
    """Whether a job makes a dealing that can be forged; one of ideal shares cannot."""
    return type(work) in (DealShares, CommitVector)


def is_proved_dealing_job(work: object) -> bool:
    """Whether a job makes a dealing that proves itself; with ideal shares the vault stands for proofs."""
    return type(work) is DealShares and work.terms.layout.proved is not None


def committee_of(work: Any) -> Committee:
    """Return the members that a job deals to."""
    return work.committee if isinstance(work, DealShares) else Committee(work.terms.members)


def has_shares(made: Dealing) -> bool:
    """Whether a dealing has shares that are checked against fingerprints."""
    return bool(made.deal.published)


def round_of(made: Dealing) -> int:
    """Return the round that a dealing is for."""
    return made.deal.round


def offered_by(message: Verified, committee: Committee) -> bytes | None:
    """Return the dealer of the share that a message brings; None if it brings none."""
    match message.message:
        case Deal():
            return message.sender
        case HandBox(dealer=dealer) if dealer < committee.n:
            return committee.members[dealer]
    return None


def hands_out(said: Message) -> bool:
    """Whether a message of a dealer hands out a share, to its holder or to a keeper."""
    return isinstance(said, Deal | HandBox)


def deal_of(message: Deal, made: Dealing) -> Deal:
    """Return the message that publishes a dealing of the same round."""
    return with_fields(made.deal, round=message.round, base_hash=message.base_hash)


def other_dealing(work: Any, vector: bytes | None = None) -> Dealing:
    """Return another complete dealing of the same round: of ``vector``, or of the same vector.

    In the scheme ``plain`` only another vector makes another dealing.
    """
    if isinstance(work, CommitVector):
        data = vector or work.vector[:-8] + bytes(8)
        return replace(work, vector=data).run()
    seed = hashlib.sha256(b"another dealing" + work.seed).digest()
    made: Dealing = replace(work, seed=seed, vector=vector or work.vector).run()
    return made


def other_boxes(made: Dealing) -> Dealing:
    """Return the dealing with the digests of two boxes exchanged, so that both are false and all others right."""
    places = [place for place, blob in enumerate(made.blobs) if blob]
    digests = list(made.deal.box_hashes)
    if len(places) > 1:
        a, b = places[0], places[-1]
        digests[a], digests[b] = digests[b], digests[a]
    return replace(made, deal=with_fields(made.deal, box_hashes=tuple(digests)))


def garbage_boxes(work: DealShares, made: Dealing, victims: Iterable[int]) -> Dealing:
    """Return the dealing, with boxes that open to garbage for some holders."""
    blobs, ephemeral = list(made.blobs), _ephemeral(work, made.deal.root)
    for place in victims:
        if blobs[place]:
            size = len(blobs[place]) - BOX_OVERHEAD_BYTES
            blobs[place] = ephemeral.seal(work.committee.members[place], bytes(size))
    return replace(made, blobs=tuple(blobs), deal=with_fields(made.deal, box_hashes=blob_digests(tuple(blobs))))


def _ephemeral(work: DealShares, root: bytes) -> Ephemeral:
    """Return the secret with which the boxes of this dealing are sealed."""
    me = work.committee.index(work.identity.public)
    assert me is not None
    return Ephemeral(derive(work.seed, b"boxes"), work.terms.context(me), root)


def split_dealing(work: DealShares, victims: frozenset[int]) -> tuple[Dealing, dict[int, Dealing]]:
    """Return a dealing, and for each victim one to show it instead: of the same root, with other fingerprints.

    The victims' shares lie off the polynomials of the others'. Each holder's share passes its check against the
    fingerprints that it is shown: a victim compares one point only, and any polynomial through that will do.
    """
    if work.terms.layout.proved is not None:  # the proof binds all that is published, so the other is another dealing
        return work.run(), dict.fromkeys(victims, other_dealing(work))
    me = work.committee.index(work.identity.public)
    assert me is not None
    context, terms = work.terms.context(me), _crypto_terms(work.terms, work.committee, me, work.seeded)
    dealt = dealing.deal(context, terms, from_bytes(work.vector, terms.columns), work.seed)
    parts = [_part(terms, share, place in victims) for place, share in enumerate(dealt.shares)]
    tree = merkle.Tree([merkle.leaf(context, nonce, kind, payload) for kind, nonce, payload in parts])
    shares = [b"".join((kind, nonce, tree.path(place), load)) for place, (kind, nonce, load) in enumerate(parts)]
    challenge = dealing._challenge(context, terms, tree.root)
    own = [_fingerprint(terms, challenge, kind, load) for kind, _, load in parts]
    good = [place for place in range(terms.holders) if place not in victims][: terms.threshold]
    polynomials = [interpolate([place + 1 for place in good], [own[place][k] for place in good]) for k in (0, 1)]
    ephemeral = _ephemeral(work, tree.root)
    members = enumerate(work.committee.members)
    sealed = tuple(b"" if place == me else ephemeral.seal(member, shares[place]) for place, member in members)
    honest = dealing.Commitment(tree.root, _fingerprint_bytes(polynomials))
    values = dealing.check(context, terms, me, honest, shares[me]).tobytes()
    fields = (honest.fingerprints, ephemeral.key, work.seeded, blob_digests(sealed))
    made = Dealing(Deal(work.terms.round, work.terms.base_hash, tree.root, *fields), sealed, values)
    told = {}
    for place in victims:
        through = [list(one) for one in polynomials]
        for k in (0, 1):
            through[k][0] = (through[k][0] + own[place][k] - evaluate(polynomials[k], place + 1)) % P
        told[place] = replace(made, deal=with_fields(made.deal, published=_fingerprint_bytes(through)))
    return made, told


def _part(terms: dealing.Terms, share: bytes, is_off: bool) -> tuple[bytes, bytes, bytes]:
    kind, nonce, payload = share[:1], share[1 : 1 + dealing.NONCE_BYTES], bytes(share[terms.header_bytes :])
    if is_off and kind == dealing._SEED:
        payload = hashlib.sha256(b"another seed" + payload).digest()
    elif is_off:
        values = from_bytes(payload, terms.columns + dealing.CHALLENGES).copy()
        values[0] = (int(values[0]) + _OFF) % P
        payload = values.tobytes()
    return kind, nonce, payload


def _fingerprint(terms: dealing.Terms, challenge: bytes, kind: bytes, payload: bytes) -> list[int]:
    values = dealing._values(terms, kind, memoryview(payload))
    return dealing._row_fingerprints(terms, challenge, values[None])[0]


def _fingerprint_bytes(polynomials: Iterable[Iterable[int]]) -> bytes:
    return np.array([list(one) for one in polynomials], dtype="<u8").tobytes()


# Contributions that are no encodings.

NON_ENCODINGS: Final = ("element", "limb", "counts", "clip")


def non_encoding(work: Encode, made: Encoded, way: str, rng: random.Random) -> Encoded:
    """Return a vector that encodes no contribution; in a round without an update its sums are wrong.

    ``way``: one of NON_ENCODINGS.
    """
    vector = np.frombuffer(made.vector, "<u8").copy()
    layout: Layout = work.layout
    first_limb, end = layout.slots, layout.slots + 4 * layout.wide
    match way:
        case "limb":
            place = rng.randrange(first_limb, end)
        case "element" | "clip":
            place = rng.randrange(layout.slots) if layout.slots else rng.randrange(first_limb, end)
        case _:
            place = first_limb
    if way == "counts":  # a negative count, which takes away from everybody's weight
        vector[first_limb : first_limb + 4] = encode_wide(-float(work.examples_ref * 2 * work.summands))
    elif way == "clip" and layout.slots:  # within the slot, but beyond the clip
        vector[: layout.slots] = (1 << 22) - 1
    else:
        vector[place] = (int(vector[place]) + (1 << 60)) % P
    return replace(made, vector=vector.tobytes())


def longest(work: Encode, made: Encoded) -> Encoded:
    """Return the contribution with the longest update that its weight can prove, all of it in one element."""
    vector = np.frombuffer(made.vector, "<u8").copy()
    capped, _ = counts_of(vector, work.layout)
    assert work.layout.proved is not None
    vector[: work.layout.slots] = 0
    vector[0] = (2**20 // work.layout.proved.reference) * capped
    return replace(made, vector=vector.tobytes())


# Acks, complaints, and other versions of messages.


def acked(ack: Ack) -> dict[int, bytes]:
    """Return the dealings that an ack names, by dealer."""
    return dict(ack.dealings)


def without(ack: Ack, dealers: Iterable[int]) -> Ack | None:
    """Return the ack without some dealers; None if nothing is left of it."""
    left = tuple(sorted((dealer, one) for dealer, one in acked(ack).items() if dealer not in set(dealers)))
    named = {dealer for dealer, _ in left}
    kept = tuple(pair for pair in ack.kept if pair[0] in named)
    return with_fields(ack, dealings=left, kept=kept) if left else None


def with_other_ids(ack: Ack, dealers: Iterable[int]) -> Ack:
    """Return the ack as if these dealers had dealt something else."""
    other = {dealer: hashlib.sha256(b"another" + one).digest() for dealer, one in acked(ack).items()}
    chosen = set(dealers)
    return with_fields(
        ack, dealings=tuple((dealer, other[dealer] if dealer in chosen else one) for dealer, one in ack.dealings)
    )


def with_more_dealings(ack: Ack, more: Mapping[int, bytes]) -> Ack:
    """Return the ack as if it named these dealings, too."""
    return with_fields(ack, dealings=tuple(sorted({**acked(ack), **more}.items())))


def with_other_root(deal: Deal) -> Deal:
    """Return the message as if it published other shares."""
    return with_fields(deal, root=hashlib.sha256(b"another" + deal.root).digest())


def with_false_keeps(ack: Ack) -> Ack:
    """Return the ack as if its sender kept all boxes: of each dealing in the ack, for each other dealer in it."""
    dealers = sorted(acked(ack))
    pairs = tuple((dealer, holder) for dealer in dealers for holder in dealers if dealer != holder)
    return with_fields(ack, kept=pairs)


def with_other_box(said: HandBox, digest: bytes) -> HandBox:
    """Return the message as if it handed over a box with another digest."""
    return with_fields(said, box_hash=digest)


def is_own_box(site: "Site", said: HandBox) -> bool:
    """Whether a box that a site hands over is of its own dealing."""
    return site.node is not None and site.node.state.committee.index(site.key) == said.dealer


def any_box(state: LedgerState, blob: bytes, rng: random.Random) -> HandBox:
    """Return a message that hands over a box of a dealing that does not exist, of any dealer and for any holder."""
    round_ = max(0, state.round + rng.choice((0, 0, 0, 1, 5)))
    dealer, holder = (rng.randrange(state.committee.n + 1) for _ in range(2))
    return HandBox(round_, dealer, rng.randbytes(32), holder, hashlib.sha256(blob).digest())


def with_bad_terms(made: Dealing, rng: random.Random) -> Dealing:
    """Return a dealing with a key or seeded holders that are invalid, or that do not fit its boxes."""
    deal, n = made.deal, len(made.deal.box_hashes)
    me = made.blobs.index(b"")
    seeded: dict[str, tuple[int, ...]] = {
        "too few": deal.seeded[:-1],
        "the dealer": tuple(sorted({*deal.seeded[1:], me})),
        "out of order": deal.seeded[::-1] if len(deal.seeded) > 1 else (),
        "nobody": (*deal.seeded[:-1], n),
        "others": tuple(sorted([one for one in range(n) if one != me][-len(deal.seeded) :])),
    }
    match rng.choice(("no key", "another key", "another proof", *seeded)):
        case "no key":
            bad = with_fields(deal, key=bytes(96))
        case "another key":
            bad = with_fields(deal, key=Ephemeral(rng.randbytes(32), rng.randbytes(32), deal.root).key)
        case "another proof":
            bad = with_fields(deal, key=deal.key[:-1] + bytes([deal.key[-1] ^ 1]))
        case way:
            bad = with_fields(deal, seeded=seeded[way])
    return replace(made, deal=bad)


def with_false_secret(said: Message, rng: random.Random) -> Message:
    """Return a complaint with another secret, or another proof of the right one."""
    assert isinstance(said, Complaint)
    if rng.random() < 0.5:
        return with_fields(said, secret=rng.randbytes(32))
    return with_fields(said, proof=rng.randbytes(64))


def complaint(site: "Site", deal: Verified, blob: bytes) -> tuple[Message, bytes] | None:
    """Return a complaint about a good dealing, with all parts of a true one, and its box; None if it cannot be made."""
    assert isinstance(deal.message, Deal)
    if site.node is None:
        return None
    sharing, said = site.node.ctx.sharing, deal.message
    dealer = None if sharing is None else sharing.committee.index(deal.sender)
    if sharing is None or dealer is None or not blob:
        return None
    key = dealing_key(said.key, sharing.terms.context(dealer))
    opening = Opening(bytes(32), bytes(64)) if key is None else key.reveal(site.identity)
    digest = digest_of(blob)
    return Complaint(said.round, dealer, deal.raw, digest, opening.shared, opening.proof), blob


def contributors_without(data: bytes, members: Iterable[bytes], committee: Committee) -> bytes | None:
    """Return a Contributors block without some dealers.

    None if it is no such block, if it has none of these dealers, or if too few are left.
    """
    block = read_block(data)
    if not isinstance(block.body, Contributors):
        return None
    out = {committee.index(member) for member in members}
    left = tuple(one for one in block.body.dealers if one[0] not in out)
    if len(left) == len(block.body.dealers) or len(left) < committee.min_contributors:
        return None
    return Block(block.height, block.previous, with_fields(block.body, dealers=left)).encode()


def contributors_with_all(site: "Site", data: bytes) -> bytes | None:
    """Return a Contributors block of all dealings that any member has acked; None if too few hold all of them."""
    block, sharing = read_block(data), site.node.ctx.sharing if site.node is not None else None
    if not isinstance(block.body, Contributors) or sharing is None:
        return None
    chosen = sharing.acks.choose(sharing.acks.dealings(range(sharing.committee.n)))
    if chosen is None or chosen.dealers == block.body.dealers:
        return None
    other = with_fields(block.body, dealers=chosen.dealers, holders=chosen.holders)
    return Block(block.height, block.previous, other).encode()


def contributors_with_few_holders(site: "Site", data: bytes, liars: Iterable[bytes]) -> bytes | None:
    """Return a Contributors block with the fewest holders that are allowed, the liars among them."""
    block = read_block(data)
    if not isinstance(block.body, Contributors) or site.node is None:
        return None
    committee = site.node.state.committee
    first = {committee.index(liar) for liar in liars}
    few = sorted(block.body.holders, key=lambda one: one not in first)[: committee.sum_quorum]
    return Block(block.height, block.previous, with_fields(block.body, holders=tuple(sorted(few)))).encode()


def no_encoding(vector: bytes) -> bytes:
    """Return a sum vector that no contributions add up to."""
    return ((1 << 60) - 1).to_bytes(8, "little") * 2 + vector[16:]


def void_of(data: bytes, vector: bytes | None) -> tuple[bytes, bytes] | None:
    """Return a void block that calls a Model's sum no sum of encodings, and the digest of the sum; None for others.

    ``vector``: another sum to say this of; None for the Model's own.
    """
    block = read_block(data)
    if not isinstance(block.body, Model):
        return None
    digest = block.body.vector_hash if vector is None else hashlib.sha256(vector).digest()
    return Block(block.height, block.previous, Void(block.body.round, "encoding", (), digest)).encode(), digest


def other_version(message: Message, blob: bytes | None, rng: random.Random) -> tuple[Message, bytes | None] | None:
    """Return something else that the sender might have said in the same place, and its blob; None if there is nothing.

    For proposals there is :func:`.voting.other_block`.
    """
    match message:
        case Deal(box_hashes=boxes):
            return with_fields(message, box_hashes=boxes[::-1]), blob
        case Ack(dealings=dealings):
            some = [dealer for dealer, _ in dealings if rng.random() < 0.5]
            if rng.random() < 0.3:
                return with_false_keeps(message), None
            if rng.random() < 0.5:
                return with_other_ids(message, some), None
            fewer = without(message, some)
            return None if fewer is None else (fewer, None)
        case SumShare() if blob is not None:
            data = bytes([blob[0] ^ 1]) + blob[1:]
            return with_fields(message, shares_hash=digest_of(data)), data
        case Prevote(block_hash=block, z=z):
            if z is not None and rng.random() < 0.5:
                return Prevote(block, ((z[0] + 1) % P, z[1])), None
            return Prevote(None, None) if block else Prevote(bytes(32), None), None
        case Precommit(block_hash=block):
            return Precommit(None if block else bytes(32)), None
        case SitOut(round=round_):
            return SitOut(round_, "another reason"), None
        case Blocks(blocks=blocks) if blocks:
            return Blocks(_other_ledger(blocks, rng)), None
        case HandBox(dealing=dealing):
            return with_fields(message, dealing=hashlib.sha256(b"another" + dealing).digest()), blob
        case Status(nonce=nonce, head=head):
            return Status(nonce, max(0, head + rng.choice((-1, 1, 50))), None, None, None), None
    return None


def _other_ledger(blocks: tuple[CertifiedBlock, ...], rng: random.Random) -> tuple[CertifiedBlock, ...]:
    """Return the blocks with repeated or missing votes in their certificates, or only a part, or in another order."""
    match rng.choice(("repeated", "repeated", "short", "part", "order")):
        case "repeated":
            return tuple(with_fields(one, certificate=(*one.certificate, *one.certificate[:1] * 9)) for one in blocks)
        case "short":
            return tuple(with_fields(one, certificate=one.certificate[:1]) for one in blocks)
        case "part":
            return blocks[: len(blocks) // 2]
    return blocks[::-1]


def shares_shown(sender: "Site", receiver: "Site", said: Message) -> Iterable[tuple[int, bytes, bytes, int]]:
    """Yield the shares that a message gives its receiver: round, dealer, name of the dealing, and holder's place."""
    if isinstance(said, Deal) and sender.node is not None:
        place = sender.node.state.committee.index(receiver.key)
        if place is not None:
            yield said.round, sender.key, dealing_id(sender.node.state.federation, sender.key, said), place
    elif isinstance(said, HandBox) and sender.node is not None:
        members = sender.node.state.committee.members
        if said.dealer < len(members) and said.holder < len(members) and members[said.holder] == receiver.key:
            yield said.round, members[said.dealer], said.dealing, said.holder


def complained_of(sender: "Site", said: Complaint | UpheldComplaint) -> bytes | None:
    """Return the dealer of the share that a complaint opens; None if the complaint is of another round.

    A complaint that is repeated later opens nothing new, and its places may be those of other members by then.
    """
    if sender.node is None or said.round != sender.node.state.round:
        return None
    return sender.node.state.committee.members[said.dealer]


def waits_to_join(simulation: "Simulation", site: "Site") -> bool:
    """Whether a site that is no member has to wait until others have repeated a failed sum."""
    if site.node is None:
        return False
    ahead = max((one.node.state for one in simulation.honest if one.node is not None), key=lambda state: state.height)
    return ahead.member(site.key) is None and bool(failed_contributors(ahead))


def is_stuck(simulation: "Simulation") -> bool:
    """Whether a round rightly waits for a liar: one that contributed to a failed sum, which must be repeated with it.

    So it also is where the sum cannot be repeated at all, because a liar was evicted since and too few are left.
    """
    for site in simulation.honest:
        if site.node is None:
            continue
        state = site.node.state
        failed = failed_contributors(state) & set(state.keys)
        if state.is_stuck and state.repeat is not None:
            failed = frozenset(state.repeat.contributors)
        if any(not simulation.by_key[member].is_honest for member in failed):
            return True
    return False
