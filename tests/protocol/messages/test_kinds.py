"""Bounds of the messages: what an honest member says in the largest federation fits, of every kind."""

import hashlib
from collections.abc import Callable

import pytest
from chains import digest
from signing import FEDERATION, members

from coterie.crypto.field import P
from coterie.protocol.ledger.blocks import (
    Block,
    Body,
    Contributors,
    Evict,
    Membership,
    Model,
    Void,
    read_block,
    wide_bytes,
)
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.limits import (
    MAX_BLOCKS_BYTES,
    MAX_DESCRIPTOR_BYTES,
    MAX_KEPT_BOXES,
    MAX_MEMBERS,
    MAX_NAME_CHARS,
    MAX_REPEATED_ACK_BYTES,
    MAX_SETUP_SUMS,
)
from coterie.protocol.messages.envelope import Verified, seal, verify
from coterie.protocol.messages.kinds import (
    KINDS,
    Accusation,
    Ack,
    Blocks,
    CertifiedBlock,
    Complaint,
    Deal,
    GetBlocks,
    GetStatus,
    GetWeights,
    HandBox,
    JoinRequest,
    LeaveRequest,
    Message,
    OptionsChange,
    OptionsProposal,
    OptionsVote,
    Precommit,
    Prevote,
    Proposal,
    Refusal,
    SitOut,
    Status,
    SumShare,
    UpheldComplaint,
    Weights,
    Withdrawal,
)

ME = members(1)[0]
KEYS = tuple(sorted(hashlib.sha256(b"%d" % number).digest() for number in range(MAX_MEMBERS)))
CROWD = Committee(KEYS, MAX_MEMBERS)
LATE, LAST_VIEW = 2**53, 2**31
"""The height, round and view whose encoding is the longest."""
HASH, Z = digest("hash"), (P - 1, P - 1)


def enveloped(message: Message) -> bytes:
    return seal(ME, FEDERATION, LATE, LAST_VIEW, message)


def block(body: Body) -> bytes:
    return Block(LATE, HASH, body).encode()


ALL = tuple((index, HASH) for index in range(MAX_MEMBERS))
DEAL = Deal(LATE, HASH, HASH, bytes(16 * CROWD.threshold), bytes(96), tuple(range(MAX_MEMBERS)), (HASH,) * MAX_MEMBERS)
ACK = Ack(LATE, ALL, ((MAX_MEMBERS - 1, MAX_MEMBERS - 1),) * MAX_KEPT_BOXES)
PREVOTE, PRECOMMIT = enveloped(Prevote(HASH, Z)), enveloped(Precommit(HASH))
CONTRIBUTORS = block(Contributors(LATE, "shamir", HASH, ALL, tuple(range(MAX_MEMBERS))))
MODEL = block(Model(LATE, HASH, (wide_bytes(-1),) * (MAX_SETUP_SUMS + 2), HASH, HASH))
COMPLAINT = Complaint(LATE, MAX_MEMBERS - 1, enveloped(DEAL), HASH, HASH, bytes(64))
LIAR = block(Membership((Evict(HASH, "wrong-sum", (PREVOTE,) * MAX_MEMBERS),)))
CHEAT = block(Membership((Evict(HASH, "bad-dealing", (enveloped(COMPLAINT),)),)))
TWICE = block(Membership((Evict(HASH, "double-ack", (enveloped(ACK),) * 2),)))
VOID = block(Void(LATE, "encoding", KEYS, HASH))
BLOCKS = {
    "contributors": CONTRIBUTORS,
    "model": MODEL,
    "liar": LIAR,
    "cheat": CHEAT,
    "two acks": TWICE,
    "void": VOID,
}


def proposal(data: bytes, *acks: bytes) -> Proposal:
    """With the prevotes of a polka and those of another view that proved the sum."""
    return Proposal(data, LAST_VIEW, acks, (PREVOTE,) * (2 * MAX_MEMBERS), HASH)


LARGEST: dict[type[Message], Callable[[], list[Message]]] = {
    Deal: lambda: [DEAL],
    Ack: lambda: [ACK],
    SitOut: lambda: [SitOut(LATE, "\U0001f600" * 300)],
    Complaint: lambda: [COMPLAINT],
    UpheldComplaint: lambda: [UpheldComplaint(LATE, MAX_MEMBERS - 1, HASH, enveloped(COMPLAINT))],
    HandBox: lambda: [HandBox(LATE, MAX_MEMBERS - 1, HASH, MAX_MEMBERS - 1, HASH)],
    SumShare: lambda: [SumShare(LATE, HASH, HASH)],
    Proposal: lambda: [
        *(proposal(data) for data in BLOCKS.values()),
        Proposal(CONTRIBUTORS, -1, (enveloped(ACK),) * (MAX_REPEATED_ACK_BYTES // len(enveloped(ACK))), (), None),
    ],
    Prevote: lambda: [Prevote(HASH, Z)],
    Precommit: lambda: [Precommit(HASH)],
    JoinRequest: lambda: [JoinRequest("é" * MAX_NAME_CHARS, "m" * MAX_DESCRIPTOR_BYTES, bytes(512), bytes(64))],
    Refusal: lambda: [Refusal("m" * (2 * MAX_DESCRIPTOR_BYTES + 100))],
    LeaveRequest: lambda: [LeaveRequest(LATE)],
    Withdrawal: lambda: [Withdrawal(LATE)],
    OptionsProposal: lambda: [
        OptionsProposal(LAST_VIEW, LATE, LATE, OptionsChange(LAST_VIEW, LAST_VIEW, MAX_MEMBERS, LAST_VIEW))
    ],
    OptionsVote: lambda: [OptionsVote(hashlib.sha256().digest(), True)],
    Accusation: lambda: [
        *(Accusation(one, one) for one in (PREVOTE, enveloped(DEAL), enveloped(ACK))),
        Accusation(PREVOTE, None),
    ],
    GetBlocks: lambda: [GetBlocks(LATE)],
    Blocks: lambda: [
        Blocks((CertifiedBlock(data, (PRECOMMIT,) * CROWD.quorum),))  # others come with it only up to a bound
        for data in BLOCKS.values()
    ],
    GetWeights: lambda: [GetWeights(HASH)],
    Weights: lambda: [Weights(HASH)],
    GetStatus: lambda: [GetStatus(HASH)],
    Status: lambda: [Status(HASH, LATE, PREVOTE, enveloped(DEAL), enveloped(ACK))],
}


@pytest.mark.parametrize("kind", [kind for kind, _, _ in KINDS], ids=lambda kind: kind.__name__)
def test_the_largest_that_an_honest_member_of_the_largest_federation_says_can_be_read(kind: type[Message]) -> None:
    for message in LARGEST[kind]():
        read = verify(enveloped(message), FEDERATION)
        assert isinstance(read, Verified), read
        assert read.message == message


@pytest.mark.parametrize("name", BLOCKS)
def test_the_largest_blocks_of_the_largest_federation_can_be_read(name: str) -> None:
    assert read_block(BLOCKS[name]).encode() == BLOCKS[name]
    assert len(BLOCKS[name]) + CROWD.quorum * len(PRECOMMIT) <= MAX_BLOCKS_BYTES
