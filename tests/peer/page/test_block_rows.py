"""The ledger in parts has the rows that `peer ledger show` has, whatever part is asked for first."""

import json
from typing import Any

import pytest
import trio
import trio.testing

from coterie.peer.errors import PeerError
from coterie.peer.home.folder import Home
from coterie.peer.home.store import Reader, Store
from coterie.peer.page.block_rows import LedgerRows
from coterie.peer.reporting.ledger_export import of_store
from coterie.peer.reporting.ledger_rows import rows, told


def wanted(home: Home) -> list[Any]:
    with Reader.open(home.folder) as reader:
        return [{**row, "text": told(row)} for row in json.loads(json.dumps(list(rows(of_store(reader)))))]


def ask(ledger: LedgerRows, *starts: int) -> list[Any]:
    async def run() -> list[Any]:
        return [json.loads(await ledger.answer(start)) for start in starts]

    answers: list[Any] = trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0.01))
    return answers


@pytest.mark.parametrize("part_blocks", [1, 2, 3, 64])
def test_all_parts_together_are_the_ledger(old_home: Home, part_blocks: int) -> None:
    ledger, found, start = LedgerRows(old_home.folder, part_blocks), [], 0
    while start is not None:
        (answer,) = ask(ledger, start)
        assert len(answer["rows"]) <= part_blocks + 1
        found += answer["rows"]
        start = answer["next"]
    assert found == wanted(old_home)


@pytest.mark.parametrize("part_blocks", [1, 2, 3, 64])
def test_a_part_from_any_height_is_the_same_without_those_before(old_home: Home, part_blocks: int) -> None:
    everything = wanted(old_home)
    for start in range(len(everything)):
        (answer,) = ask(LedgerRows(old_home.folder, part_blocks), start)
        assert answer["rows"] == everything[start : start + len(answer["rows"])]
        assert answer["rows"]
        assert answer["height"] == len(everything) - 1


def test_beyond_the_newest_block_there_is_nothing(old_home: Home) -> None:
    height = len(wanted(old_home)) - 1
    (answer,) = ask(LedgerRows(old_home.folder), height + 1)
    assert answer == {"from": height + 1, "height": height, "next": None, "rows": []}


def test_blocks_that_come_later_are_told_later(old_home: Home) -> None:
    everything = wanted(old_home)
    with Store.open(old_home.folder) as store:
        later = store._link.execute("SELECT * FROM blocks WHERE height >= 3").fetchall()
        store._link.execute("DELETE FROM blocks WHERE height >= 3")
        ledger = LedgerRows(old_home.folder, 4)
        assert ask(ledger, 0)[0]["rows"] == everything[:3]
        marks = ", ".join("?" for _ in later[0])
        store._link.executemany(f"INSERT INTO blocks VALUES ({marks})", later)
        assert ask(ledger, 1, 5) == [
            {"from": 1, "height": len(everything) - 1, "next": 5, "rows": everything[1:5]},
            {"from": 5, "height": len(everything) - 1, "next": 9, "rows": everything[5:9]},
        ]


def test_a_home_in_no_federation_says_so(old_home: Home) -> None:
    with Store.open(old_home.folder) as store:
        store._link.execute("DELETE FROM facts WHERE name = 'genesis'")
        store._link.execute("DELETE FROM blocks")
    with pytest.raises(PeerError, match="no federation"):
        ask(LedgerRows(old_home.folder), 0)
