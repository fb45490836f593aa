"""Over whose rows a figure is, also when a member was away, has left, or came later."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from bench import Bench
from chains import Chain
from members import identity
from notices import make_notices

from coterie.peer.home.store import Reader, Store
from coterie.peer.learning.best_round import Scores
from coterie.peer.learning.row_owners import LastSum, RowOwners
from coterie.peer.reporting.ledger_export import Ledger
from coterie.peer.reporting.ledger_rows import line, rows
from coterie.peer.reporting.status import ledger_status, lines, stored_status
from coterie.protocol.events import Notice
from coterie.protocol.ledger.blocks import Membership
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.ledger.state import LedgerState
from coterie.protocol.records import BlockDecided


def round_of(chain: Chain, *dealers: int, rows: int = 12) -> None:
    """Decide a round to which these members of the committee contribute, with a loss over so many rows."""
    chain.append(chain.contributors(dealers))
    chain.append(chain.model(len(dealers) * 10, len(dealers) * 10, rows, rows / 2))


def decided(chain: Chain) -> list[BlockDecided]:
    return [BlockDecided(height, one.block, one.certificate) for height, one in enumerate(chain.blocks, 1)]


def name(chain: Chain, place: int) -> str:
    member = chain.state.member(chain.committee[place].public)
    assert member is not None
    return member.name


@pytest.fixture
def chain() -> Chain:
    """Four members, the last of whom was away in the second round."""
    chain = Chain(4)
    round_of(chain, 0, 1, 2, 3, rows=16)
    round_of(chain, 0, 1, 2, rows=12)
    return chain


def test_members_that_were_away_are_named(chain: Chain) -> None:
    whose = LastSum(chain.state, decided(chain)).whose(chain.state, 12)
    assert whose == RowOwners(12, 3, [name(chain, 3)])
    assert whose.text() == f"over about 12 test rows of 3 members, without {name(chain, 3)}"


def test_a_round_without_a_result_changes_nothing_of_the_last_one(chain: Chain) -> None:
    before = LastSum(chain.state, decided(chain)).whose(chain.state, 12)
    chain.append(chain.contributors((0, 1, 3)))
    assert LastSum(chain.state, decided(chain)).whose(chain.state, 12) == before
    chain.append(chain.refuted())
    assert LastSum(chain.state, decided(chain)).whose(chain.state, 12) == before


def test_a_newcomer_was_not_away(chain: Chain) -> None:
    before = LastSum(chain.state, decided(chain)).whose(chain.state, 12)
    chain.append(Membership((chain.join(identity(4)),)))
    assert LastSum(chain.state, decided(chain)).whose(chain.state, 12) == before


def test_a_ledger_without_a_result_is_of_nobody() -> None:
    chain = Chain(4)
    assert LastSum(chain.state, decided(chain)).members is None
    assert RowOwners(12, None).text() == "over about 12 test rows"


def test_a_running_peer_hears_it_as_it_reads_it_in_its_ledger(chain: Chain) -> None:
    heard = LastSum(chain.states[1], decided(chain)[:1])
    heard.on_notice(Notice("contributors", "", {"members": [b"a", b"b", b"c"]}))
    assert heard.members is None
    heard.on_notice(Notice("model", "", {}))
    assert heard.whose(chain.state, 12) == LastSum(chain.state, decided(chain)).whose(chain.state, 12)
    # One that was restarted while the sum was open.
    opened = LastSum(chain.states[-2], decided(chain)[:-1])
    assert opened.members == 4
    opened.on_notice(Notice("model", "", {}))
    assert opened.members == 3


def test_who_was_away_is_not_told_of_a_result_before_the_last_one(chain: Chain) -> None:
    last = LastSum(chain.state, decided(chain))
    assert last.told(chain.state, {"height": chain.state.height, "evaluated": 12}).away == [name(chain, 3)]
    assert last.told(chain.state, {"height": chain.state.height - 2, "evaluated": 12}).away == ()


def test_who_was_away_is_told_of_each_result_that_a_peer_catches_up_with(chain: Chain) -> None:
    names = [name(chain, place) for place in range(4)]
    round_of(chain, 0, 1, 3, rows=12)
    chain.append(Membership((chain.join(identity(4)),)))
    round_of(chain, 0, 1, 2, 3, rows=16)
    behind = LastSum(chain.states[0], (), lambda start: chain.blocks[start - 1 :][:3])
    told = []
    for before, after in pairwise(chain.states):
        if before.phase is Phase.SUMMING:
            facts = {"height": after.height, "evaluated": 12}
            behind.on_notice(Notice("model", "", {}))
            told.append([*behind.told(chain.state, facts).away])
        elif after.phase is Phase.SUMMING and after.contributors is not None:
            behind.on_notice(Notice("contributors", "", {"members": after.contributors.dealers}))
    assert told == [[], [names[3]], [names[2]], []]


def test_the_ledger_says_of_each_round_whose_its_figures_are(chain: Chain) -> None:
    ledger = Ledger("test", chain.genesis, tuple(chain.blocks))
    told = [row for row in rows(ledger) if row["kind"] == "model"]
    assert [row["measured"]["members"] for row in told] == [4, 3]
    assert [row["measured"]["away"] for row in told] == [[], [name(chain, 3)]]
    assert line(told[0]).endswith("loss 0.5, over about 16 test rows of 4 members")
    assert line(told[1]).endswith(f"of 3 members, without {name(chain, 3)}")


def test_the_evaluation_is_of_the_final_model_in_the_log_and_in_the_ledger() -> None:
    chain, told = Chain(4, rounds=1), []
    chain.round()
    for _ in range(2):
        bench = Bench(chain, 0)
        last_sum = LastSum(chain.state, decided(chain))
        notices = make_notices(bench.node, lambda kind, text, facts: told.append(text), last_sum=last_sum)
        state = chain.state
        kind = "evaluate" if state.phase is Phase.FINISHED else "train"
        facts = {"kind": kind, "round": state.round - 1, "height": state.height, "loss": 1.0, "evaluated": 40}
        notices.on_notice(Notice("model", "agreed", facts))
        if state.phase is not Phase.FINISHED:
            chain.round()
    assert chain.state.phase is Phase.FINISHED
    assert [text.partition(", over")[0] for text in told] == [
        "agreed; before it loss 1",
        "agreed; the final model: loss 1",
    ]
    ledger = Ledger("test", chain.genesis, tuple(chain.blocks))
    trained, evaluated = (line(row) for row in rows(ledger) if row["kind"] == "model")
    assert "; before it loss 1" in trained
    assert "; the final model: loss 1" in evaluated
    assert "before it" not in evaluated


def test_the_status_says_whose_its_figures_are(chain: Chain) -> None:
    def told(chain: Chain) -> str:
        status = ledger_status(chain.state, last_sum=LastSum(chain.state, decided(chain)))
        (line,) = [one for one in lines({"running": True, **status, "members": []}) if one.startswith("model")]
        return line

    assert f"over about 12 test rows of 3 members, without {name(chain, 3)}, a round ago" in told(chain)
    round_of(chain, 0, 1, 2, 3, rows=16)
    assert "over all members' test rows (about 16), a round ago" in told(chain)


def test_the_status_takes_all_from_one_state_though_nobody_was_told_of_it_yet(chain: Chain) -> None:
    last, away = LastSum(chain.states[3], decided(chain)[:3]), [name(chain, 3)]

    def measured(state: LedgerState) -> Any:
        return ledger_status(state, last_sum=last)["measured"]

    assert chain.states[3].trained == 1
    assert measured(chain.states[3]) == {"rows": 16, "members": 4, "away": []}
    assert measured(chain.state) == {"rows": 12, "members": None, "away": away}, "the contributors are not known yet"
    last.on_notice(Notice("contributors", "", {"members": [b"a", b"b", b"c"], "round": chain.states[3].round}))
    assert measured(chain.states[4]) == {"rows": 16, "members": 4, "away": []}, "their sum is still open"
    assert measured(chain.state) == {"rows": 12, "members": 3, "away": away}
    last.on_notice(Notice("model", "", {}))
    assert measured(chain.state) == {"rows": 12, "members": 3, "away": away}


def test_the_status_of_a_home_whose_peer_starts_meanwhile_is_of_one_state(chain: Chain, tmp_path: Path) -> None:
    blocks = decided(chain)

    class Growing(Reader):
        """Looks into a store to which a peer adds a round after the first look."""

        def blocks(self, start: int = 0) -> Iterator[BlockDecided]:
            yield from super().blocks(start)
            with Store.open(tmp_path) as store:
                store.persist(blocks[3:])

    with Store.open(tmp_path) as store:
        store.keep("genesis", chain.genesis.encode())
        store.persist(blocks[:3])
    with Growing.open(tmp_path) as reader:
        status = stored_status(reader, None)
        assert reader.height() == 5
    assert (status["height"], status["measured"]) == (3, {"rows": 16, "members": 4, "away": []})


def test_the_scores_of_a_ledger_keep_whose_they_are(chain: Chain) -> None:
    scores = Scores()
    for before, block, after in zip(chain.states, chain.blocks, chain.states[1:], strict=False):
        scores.on_block(before, block.block, after)
    assert [one.whose for one in scores.models] == [RowOwners(16, 4, []), RowOwners(12, 3, [name(chain, 3)]), None]
