"""Two ledgers of one federation, both certified from genesis: which one a newcomer believes, and who notices."""

import pytest
from bench import Bench
from chains import Chain
from members import START_MS, identity, make_genesis

from coterie.protocol.events import HeadSeen, PeerDown, PeerUp
from coterie.protocol.ledger.blocks import Membership, block_hash
from coterie.protocol.ledger.genesis import Genesis
from coterie.protocol.ledger.state import LedgerError
from coterie.protocol.ledger.tickets import Checkpoint, Invite, make_invite, read_invite
from coterie.protocol.limits import MAX_TRIAL_SILENCES
from coterie.protocol.messages.kinds import Blocks, CertifiedBlock, GetBlocks, Precommit, Proposal
from coterie.protocol.node import Newcomer, Node
from coterie.protocol.records import BlockDecided, Memory
from coterie.protocol.timers import CheckpointWait, RetryBlocks

NEWCOMER = 9
HONEST, OTHER, LIAR = identity(1), identity(2), identity(11)


def genesis() -> Genesis:
    return make_genesis(min_peers=4, rounds=0, admit="open")


def ledger(*members: int, rounds: int = 2) -> Chain:
    """A ledger of the federation whose founder admits these members."""
    chain = Chain(1, genesis())
    chain.append(Membership(tuple(chain.join(identity(number)) for number in members)))
    for _ in range(rounds):
        chain.round()
    return chain


TRUE, FORK = ledger(1, 2, 3), ledger(11, 12, 13)


def invite(checkpoint: Checkpoint | None) -> Invite:
    return read_invite(
        make_invite(HONEST, TRUE.state.federation, bytes(32), START_MS + 10**9, 1, checkpoint=checkpoint)
    )


def at(height: int, chain: Chain = TRUE) -> Checkpoint:
    return Checkpoint(height, chain.states[height].head)


def newcomer(checkpoint: Checkpoint | None, *connected: int) -> Bench:
    """A newcomer with an invite, connected to these peers, who all have five blocks."""
    bench = Bench(Chain(1, genesis()), NEWCOMER, newcomer=Newcomer("new", "test model", invite(checkpoint)))
    bench.begin([])
    for number in connected:
        bench.hand(PeerUp(identity(number).public))
        bench.hand(HeadSeen(identity(number).public, TRUE.state.height))
    return bench


def asked(bench: Bench) -> list[tuple[bytes | None, int]]:
    return [(send.to, one.message.height) for send in bench.sent for one in bench.said_in(send, GetBlocks)]


def answer(bench: Bench, upto: int = 5) -> None:
    """The peer that was asked last answers from its ledger."""
    to, height = asked(bench)[-1]
    chain, who = (FORK, LIAR) if to == LIAR.public else (TRUE, HONEST if to == HONEST.public else OTHER)
    bench.hear(who, Blocks(tuple(chain.blocks[height - 1 : upto])))


def believes(bench: Bench, chain: Chain) -> bool:
    return bench.node.state.head == chain.state.head


def test_a_newcomer_whose_invite_names_no_block_believes_whoever_was_a_quorum_once() -> None:
    assert FORK.genesis == TRUE.genesis
    bench = newcomer(None, 11)
    answer(bench)
    assert believes(bench, FORK)


def test_a_liar_that_is_asked_first_is_named_and_nothing_of_its_ledger_is_kept() -> None:
    bench = newcomer(at(4), 11)
    bench.hand(PeerUp(HONEST.public))
    bench.hand(HeadSeen(HONEST.public, 5))
    answer(bench)
    assert bench.node.state.height == 0
    assert not bench.records
    assert any("another ledger than the one of the invite" in text for text in bench.faults(LIAR))
    assert asked(bench)[-1] == (HONEST.public, 1)
    answer(bench)
    assert believes(bench, TRUE)
    assert [one.height for one in bench.records if isinstance(one, BlockDecided)] == [1, 2, 3, 4, 5]
    assert bench.faults(HONEST) == []


def test_what_is_shown_piece_by_piece_is_held_back_until_the_block_of_the_invite_is_there() -> None:
    bench = newcomer(at(4), 1)
    for height in range(1, 4):
        answer(bench, upto=height)
        assert bench.node.state.height == 0
        assert asked(bench)[-1] == (HONEST.public, height + 1)
    answer(bench, upto=4)
    assert bench.node.state.height == 4
    answer(bench)
    assert believes(bench, TRUE), "from there on it is like any other"


def test_blocks_of_others_than_who_was_asked_do_not_get_into_the_ledger_that_is_shown() -> None:
    bench = newcomer(at(4), 1)
    before = asked(bench)
    for blocks in (FORK.blocks, FORK.blocks[:1], ()):
        bench.hear(LIAR, Blocks(tuple(blocks)))
    assert asked(bench) == before
    answer(bench)
    assert believes(bench, TRUE)


def test_useless_answers_are_not_answered_with_the_next_question() -> None:
    bench = newcomer(at(4), 1)
    answer(bench, upto=2)
    before = asked(bench)
    bench.hear(HONEST, Blocks(tuple(TRUE.blocks[:2])))
    assert asked(bench) == before


@pytest.mark.parametrize("leaves", [False, True], ids=["silent", "gone"])
def test_a_peer_that_stops_in_the_middle_is_left_for_another(leaves: bool) -> None:
    bench = newcomer(at(4), 11)
    bench.hand(PeerUp(HONEST.public))
    bench.hand(HeadSeen(HONEST.public, 5))
    answer(bench, upto=2)
    if leaves:
        bench.hand(PeerDown(LIAR.public))
    for _ in range(3 * MAX_TRIAL_SILENCES):
        if asked(bench)[-1][0] != HONEST.public:
            bench.fire(RetryBlocks(asked(bench)[-1][1] - 1))
    assert asked(bench)[-1] == (HONEST.public, 1)
    answer(bench)
    assert believes(bench, TRUE)


def test_people_are_told_when_nobody_shows_the_block_of_the_invite() -> None:
    bench = newcomer(at(4), 11)
    answer(bench)
    kinds = [notice.kind for notice in bench.notices]
    assert "another-ledger" not in kinds, "others may be on their way"
    bench.hand(PeerUp(HONEST.public))
    bench.fire(CheckpointWait())
    assert "another-ledger" not in [notice.kind for notice in bench.notices]
    bench.hand(PeerDown(HONEST.public))
    bench.fire(CheckpointWait())
    assert "another-ledger" in [notice.kind for notice in bench.notices]


def test_no_block_is_decided_by_votes_before_the_block_of_the_invite_was_seen() -> None:
    for checkpoint, height in ((None, 1), (at(4), 0)):
        bench = newcomer(checkpoint, 0)
        block = FORK.blocks[0]
        bench.hear(identity(0), Proposal(block.block, -1, (), (), None), height=1)
        bench.hear(identity(0), Precommit(block_hash(block.block)), height=1)
        assert bench.node.state.height == height


def test_a_home_with_another_ledger_than_the_invites_is_refused() -> None:
    def resumed(chain: Chain) -> Node:
        blocks = [BlockDecided(height, one.block, one.certificate) for height, one in enumerate(chain.blocks, 1)]
        me = Newcomer("new", "test model", invite(at(4)))
        return Node(identity(NEWCOMER), genesis(), Memory(blocks=blocks), me)

    assert resumed(TRUE).state.height == 5
    assert resumed(TRUE).catchup.proving is None
    with pytest.raises(LedgerError, match="height 4: another block than the one that the invite names"):
        resumed(FORK)


def test_who_has_a_ledger_of_its_own_goes_on_from_there_and_holds_nothing_back() -> None:
    """One that was removed while it was away is shown no block after that: the block of its new invite least of all."""
    first = BlockDecided(1, TRUE.blocks[0].block, TRUE.blocks[0].certificate)
    me = Newcomer("new", "test model", invite(at(4)))
    node = Node(identity(NEWCOMER), genesis(), Memory(blocks=[first]), me)
    assert node.state.height == 1
    assert node.catchup.proving is None


# Members.


def told_of_forks(*blocks: CertifiedBlock) -> list[int]:
    """The heights at which a member notices a second block, which it is sent."""
    bench = Bench(Chain(1, genesis()), NEWCOMER, newcomer=Newcomer("new", "test model", invite(None)))
    bench.begin([identity(0), HONEST, LIAR])
    bench.hand(HeadSeen(HONEST.public, 5))
    bench.hear(HONEST, Blocks(tuple(TRUE.blocks)))
    assert believes(bench, TRUE)
    bench.hear(LIAR, Blocks(blocks))
    return [notice.facts["height"] for notice in bench.notices if notice.kind == "fork"]


def test_a_second_certified_block_in_the_place_of_a_decided_one_is_noticed() -> None:
    assert told_of_forks(FORK.blocks[0]) == [1]


def test_what_was_decided_or_is_not_certified_is_no_second_block() -> None:
    assert told_of_forks(*TRUE.blocks) == []
    assert told_of_forks(CertifiedBlock(FORK.blocks[0].block, TRUE.blocks[0].certificate)) == []
    assert told_of_forks(*FORK.blocks[1:3]) == [], "certified by others than the members of that height"
