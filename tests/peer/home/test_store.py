"""The store gives back exactly what was persisted, forgets what it must, and names what went wrong."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coterie.peer.errors import Exit
from coterie.peer.home.sqlite import VERSION, StoreError
from coterie.peer.home.store import FILE_NAME, Contradiction, Reader, Store
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.records import (
    BallotCast,
    BlockDecided,
    Dealt,
    LostStateFound,
    Memory,
    ModelSaved,
    Record,
    Released,
    RoundClosed,
    ShareHeld,
    ShownToUs,
    ValueSeen,
    VoteCast,
)

SECRET = b"an update that nobody else may see "
DEALER = b"d" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as opened:
        yield opened


def reopened(folder: Path) -> Memory:
    with Store.open(folder) as store:
        return store.load()


def model(weights: bytes) -> ModelSaved:
    return ModelSaved(digest_of(weights), weights)


def block(height: int) -> BlockDecided:
    return BlockDecided(height, b"block %d" % height, (b"vote a", b"vote b"))


def test_a_new_store_remembers_nothing(store: Store) -> None:
    assert store.load() == Memory()


def test_everything_persisted_comes_back_after_a_restart(tmp_path: Path) -> None:
    records: list[Record] = [
        block(1),
        block(2),
        model(b"weights"),
        VoteCast(3, 0, 0, b"prevote"),
        VoteCast(3, 0, 1, b"precommit"),
        ValueSeen(3, 0, True, b"locked", b"W", (b"p", b"q")),
        ValueSeen(3, 0, False, b"locked", b"W", (b"p", b"q")),
        Dealt(7, b"s" * 32, b"vector", (1, 4, 300)),
        ShareHeld(7, DEALER, b"deal", b"values"),
        Released(6, b"U6"),
        Released(7, b"U7"),
        BallotCast(b"id", b"proposal", b"yes"),
    ]
    with Store.open(tmp_path) as store:
        store.persist(records)
    memory = reopened(tmp_path)
    assert memory.blocks == records[:2]
    assert memory.model == records[2]
    assert memory.votes == records[3:5]
    assert sorted(memory.values, key=lambda value: not value.locked) == records[5:7]
    assert memory.dealt == records[7]
    assert memory.shares == [records[8]]
    assert memory.released == {6: b"U6", 7: b"U7"}
    assert memory.ballots == [records[11]]
    assert not memory.copied


def test_a_decided_block_ends_the_votes_and_values_of_its_height(store: Store) -> None:
    store.persist([VoteCast(1, 0, 0, b"v"), ValueSeen(1, 0, True, b"b", b"W", ()), VoteCast(2, 0, 0, b"next")])
    store.persist([block(1)])
    memory = store.load()
    assert memory.votes == [VoteCast(2, 0, 0, b"next")]
    assert memory.values == []


def test_a_newer_lock_replaces_the_older_one(store: Store) -> None:
    store.persist([ValueSeen(1, 0, True, b"old", b"W0", ()), ValueSeen(1, 2, True, b"new", b"W2", (b"p",))])
    assert store.load().values == [ValueSeen(1, 2, True, b"new", b"W2", (b"p",))]


def test_lock_and_valid_value_share_one_copy_of_their_vector(store: Store, tmp_path: Path) -> None:
    store.persist([ValueSeen(1, 0, True, b"b", b"W", ()), ValueSeen(1, 0, False, b"b", b"W", ())])
    with sqlite3.connect(tmp_path / FILE_NAME) as link:
        assert link.execute("SELECT count(*) FROM vectors").fetchone() == (1,)


def test_only_the_newest_model_is_kept(store: Store) -> None:
    store.persist([model(b"old"), model(b"new")])
    assert store.load().model == model(b"new")


def test_a_closed_round_leaves_its_release_and_nothing_secret(store: Store) -> None:
    store.persist([Dealt(1, b"s" * 32, SECRET, (2,)), ShareHeld(1, DEALER, b"deal", SECRET), Released(1, b"U")])
    store.persist([Dealt(2, b"t" * 32, SECRET, (0, 2)), RoundClosed(1)])
    memory = store.load()
    assert memory.dealt == Dealt(2, b"t" * 32, SECRET, (0, 2))
    assert memory.shares == []
    assert memory.released == {1: b"U"}


def test_no_vector_ever_lies_in_the_clear_in_any_file(store: Store, tmp_path: Path) -> None:
    store.persist([Dealt(1, b"seed" * 8, SECRET * 4000), ShareHeld(1, DEALER, b"deal", SECRET * 4000)])
    for path in tmp_path.iterdir():
        assert SECRET not in path.read_bytes(), path
        assert b"seed" * 8 not in path.read_bytes(), path


def test_the_key_of_a_closed_round_is_gone_from_all_files(store: Store, tmp_path: Path) -> None:
    store.persist([Dealt(1, b"s" * 32, SECRET)])
    with sqlite3.connect(tmp_path / FILE_NAME) as link:
        (key,) = link.execute("SELECT key FROM round_keys").fetchone()
    link.close()
    store.persist([RoundClosed(1)])
    store.tidy()
    assert [path for path in tmp_path.iterdir() if key in path.read_bytes()] == []


def test_a_second_different_vote_is_refused_and_the_first_stays(store: Store) -> None:
    store.persist([VoteCast(1, 0, 0, b"first")])
    with pytest.raises(Contradiction):
        store.persist([VoteCast(1, 0, 0, b"second")])
    store.persist([VoteCast(1, 0, 0, b"first")])
    assert store.load().votes == [VoteCast(1, 0, 0, b"first")]


def test_a_second_contributor_set_in_a_round_is_refused(store: Store) -> None:
    store.persist([Released(1, b"U")])
    with pytest.raises(Contradiction):
        store.persist([Released(1, b"another")])


def test_another_vote_on_the_same_proposed_options_is_refused(store: Store) -> None:
    store.persist([BallotCast(b"id", b"proposal", b"yes")])
    with pytest.raises(Contradiction):
        store.persist([BallotCast(b"id", b"proposal", b"no")])
    assert store.load().ballots == [BallotCast(b"id", b"proposal", b"yes")]


def test_a_second_dealing_in_a_round_is_refused(store: Store) -> None:
    store.persist([Dealt(1, b"s" * 32, b"update")])
    with pytest.raises(Contradiction):
        store.persist([Dealt(1, b"s" * 32, b"another update")])
    with pytest.raises(Contradiction):
        store.persist([Dealt(1, b"s" * 32, b"update", (2,))])
    store.persist([Dealt(1, b"s" * 32, b"update")])


def test_a_failed_transaction_leaves_nothing_behind(store: Store) -> None:
    store.persist([Released(1, b"U")])
    with pytest.raises(Contradiction):
        store.persist([block(1), Dealt(2, b"s" * 32, b"x"), Released(1, b"another")])
    store.persist([Dealt(2, b"s" * 32, b"y")])
    memory = store.load()
    assert memory.blocks == []
    assert memory.dealt == Dealt(2, b"s" * 32, b"y")


def test_facts_are_kept_and_replaced(store: Store, tmp_path: Path) -> None:
    store.keep("genesis", b"1")
    store.keep("genesis", b"2")
    with Reader.open(tmp_path) as reader:
        assert reader.fact("genesis") == b"2"
        assert reader.fact("another") is None


def test_a_reader_sees_what_was_committed_while_the_peer_writes(store: Store, tmp_path: Path) -> None:
    store.persist([block(1)])
    with Reader.open(tmp_path) as reader:
        store.persist([block(2), model(b"w")])
        assert list(reader.blocks()) == [block(1), block(2)]
        assert list(reader.blocks(2)) == [block(2)]
        assert reader.height() == 2
        assert reader.model() == model(b"w")


def test_many_blocks_are_read_in_several_short_reads(store: Store) -> None:
    store.persist([block(height) for height in range(1, 601)])
    assert [decided.height for decided in store.blocks()] == list(range(1, 601))


def test_a_full_disk_is_named_and_what_was_stored_before_stays(tmp_path: Path) -> None:
    with Store.open(tmp_path, max_bytes=2_000_000) as store:
        store.persist([block(1), VoteCast(2, 0, 0, b"v")])
        with pytest.raises(StoreError, match="disk is full") as caught:
            store.persist([VoteCast(2, 0, 1, b"w"), model(bytes(3_000_000))])
        assert caught.value.code is Exit.STORE
        assert str(tmp_path / FILE_NAME) in str(caught.value)
    memory = reopened(tmp_path)
    assert memory.blocks == [block(1)]
    assert memory.votes == [VoteCast(2, 0, 0, b"v")]
    assert not memory.copied


def test_a_store_works_again_once_there_is_room(tmp_path: Path) -> None:
    with Store.open(tmp_path, max_bytes=2_000_000) as store, pytest.raises(StoreError):
        store.persist([model(bytes(3_000_000))])
    with Store.open(tmp_path) as store:
        store.persist([model(bytes(3_000_000))])
        assert store.load().model is not None


def test_space_of_closed_rounds_is_used_again(tmp_path: Path) -> None:
    with Store.open(tmp_path, max_bytes=3_000_000) as store:
        for number in range(20):
            store.persist([ShareHeld(number, DEALER, b"deal", bytes(1_000_000))])
            store.persist([RoundClosed(number)])
            store.tidy()


@pytest.mark.parametrize("what", [b"not a database at all" * 100, b"SQLite format 3\0" + bytes(4000)])
def test_a_file_that_is_no_database_is_named(tmp_path: Path, what: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(what)
    with pytest.raises(StoreError, match=FILE_NAME):
        Store.open(tmp_path)


def test_a_damaged_page_is_found_at_the_start(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.persist([block(height) for height in range(1, 2000)])
    path = tmp_path / FILE_NAME
    data = bytearray(path.read_bytes())
    for page in range(12, len(data) // 32768):
        data[page * 32768 : page * 32768 + 64] = os.urandom(64)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        Store.open(tmp_path)


def test_a_vector_that_was_altered_is_not_given_back(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.persist([ShareHeld(1, DEALER, b"deal", b"values")])
    with sqlite3.connect(tmp_path / FILE_NAME) as link:
        link.execute("UPDATE shares SET sealed = zeroblob(length(sealed))")
    link.close()
    with Store.open(tmp_path) as store, pytest.raises(StoreError, match="damaged"):
        store.load()


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as link:
        link.execute("CREATE TABLE theirs (x)")
    link.close()
    with pytest.raises(StoreError, match="another program"):
        Store.open(tmp_path)


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as link:
        link.execute(f"PRAGMA user_version={VERSION + 1}")
    link.close()
    for opener in (Store.open, Reader.open):
        with pytest.raises(StoreError, match="newer Coterie"):
            opener(tmp_path)


def test_reading_where_no_peer_ever_ran_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store"):
        Reader.open(tmp_path)


@pytest.mark.parametrize(("how", "told"), [("gone", "is missing"), ("empty", "is empty")])
def test_a_home_that_lost_its_store_is_not_begun_anew(tmp_path: Path, how: str, told: str) -> None:
    with Store.open(tmp_path) as store:
        store.persist([VoteCast(1, 0, 0, b"v"), block(1)])
    for path in tmp_path.glob(FILE_NAME + "*"):
        path.unlink()
    if how == "empty":
        (tmp_path / FILE_NAME).touch()
    for opener in (Store.open, Reader.open):
        with pytest.raises(StoreError, match=told) as caught:
            opener(tmp_path)
        assert caught.value.code == Exit.STORE
        assert "Put back a backup" in str(caught.value)


def test_a_home_whose_first_start_failed_is_begun_anew(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    for path in tmp_path.glob(FILE_NAME + "*"):
        path.unlink()
    with Store.open(tmp_path) as store:
        assert not store.copied


def test_a_copied_home_is_noticed_until_it_deals_again(tmp_path: Path) -> None:
    home, copy = tmp_path / "home", tmp_path / "copy"
    home.mkdir()
    with Store.open(home) as store:
        store.persist([VoteCast(1, 0, 0, b"v")])
    shutil.copytree(home, copy)
    assert not reopened(home).copied
    assert reopened(copy).copied
    with Store.open(copy) as store:
        assert store.copied
        store.persist([block(1)])
    with Store.open(copy) as store:
        assert store.copied
        store.persist([VoteCast(9, 0, 0, b"v")])
    with Store.open(copy) as store:
        assert store.copied, "it votes again in the very round that it sits out"
        store.persist([Dealt(4, b"seed", b"vector")])
    assert not reopened(copy).copied


def test_a_home_that_found_its_lost_state_is_a_copy_until_it_deals_again(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.persist([LostStateFound(1), block(1)])
    with Store.open(tmp_path) as store:
        assert store.load().copied
        store.persist([RoundClosed(3), VoteCast(9, 0, 0, b"v")])
    with Store.open(tmp_path) as store:
        assert store.load().copied
        store.persist([Dealt(4, b"seed", b"vector")])
    assert not reopened(tmp_path).copied


def test_what_others_showed_is_kept_until_the_round_is_over(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.persist([ShownToUs(4, (b"deal",))])
        store.persist([ShownToUs(4, (b"deal", b"ack"))])
    with Store.open(tmp_path) as store:
        assert store.load().shown == ShownToUs(4, (b"deal", b"ack"))
        store.persist([RoundClosed(4)])
    assert reopened(tmp_path).shown is None


def test_a_backup_put_back_in_place_is_noticed(tmp_path: Path) -> None:
    home, backup = tmp_path / "home", tmp_path / "backup"
    home.mkdir()
    with Store.open(home) as store:
        store.persist([VoteCast(1, 0, 0, b"v")])
    shutil.copytree(home, backup)
    for path in backup.iterdir():
        (home / path.name).write_bytes(path.read_bytes())
    assert reopened(home).copied


def test_a_home_that_is_renamed_on_its_disk_is_no_copy(tmp_path: Path) -> None:
    home, place = tmp_path / "home", tmp_path / "place"
    home.mkdir()
    with Store.open(home) as store:
        store.persist([VoteCast(1, 0, 0, b"v")])
    home.rename(place)
    assert not reopened(place).copied
    (place / "origin").chmod(0o600)  # as any change of its owner or mode: no more than a false alarm
    assert reopened(place).copied


def test_a_store_set_back_alone_is_noticed(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.persist([VoteCast(1, 0, 0, b"v")])
    old = (tmp_path / FILE_NAME).read_bytes()
    with Store.open(tmp_path) as store:
        store.persist([VoteCast(1, 1, 0, b"w")])
    (tmp_path / FILE_NAME).write_bytes(old)
    assert reopened(tmp_path).copied


@pytest.mark.parametrize("name", ["origin", "newest"])
def test_a_home_with_a_missing_witness_is_not_trusted(tmp_path: Path, name: str) -> None:
    with Store.open(tmp_path) as store:
        store.persist([VoteCast(1, 0, 0, b"v")])
    (tmp_path / name).unlink()
    assert reopened(tmp_path).copied


@given(
    st.lists(
        st.one_of(
            st.builds(lambda height: ("block", height), st.integers(1, 5)),
            st.builds(lambda height, view, kind: ("vote", height, view, kind), *([st.integers(1, 5)] * 3)),
            st.builds(lambda number: ("released", number), st.integers(1, 5)),
            st.builds(lambda number: ("closed", number), st.integers(1, 5)),
        ),
        max_size=12,
    )
)
@settings(max_examples=25)
def test_no_order_of_records_makes_a_sound_home_look_copied(
    tmp_path_factory: pytest.TempPathFactory, script: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("home")
    with Store.open(folder) as store:
        for what, number, *rest in script:
            match what:
                case "block":
                    store.persist([block(number)])
                case "vote":
                    store.persist([VoteCast(number, *rest, b"v")])
                case "released":
                    store.persist([Released(number, b"U")])
                case _:
                    store.persist([RoundClosed(number)])
    assert not reopened(folder).copied


def _persist_for_ever(folder: Path, started: int) -> None:
    with Store.open(folder) as store:
        height = store.height()
        while True:
            height += 1
            store.persist([block(height), VoteCast(height + 1, 0, 0, b"v"), Released(height, b"U")])
            os.pwrite(started, b"%12d" % height, 0)


def test_a_kill_at_any_moment_loses_nothing_that_was_persisted(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    told = os.open(tmp_path / "told", os.O_RDWR | os.O_CREAT)
    home = tmp_path / "home"
    home.mkdir()
    before = 0
    for _ in range(3):
        writer = context.Process(target=_persist_for_ever, args=(home, told))
        writer.start()
        while int(os.pread(told, 12, 0) or b"0") < before + 10:
            assert writer.is_alive()
            os.sched_yield()
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        before = int(os.pread(told, 12, 0))
        memory = reopened(home)
        assert len(memory.blocks) == len(memory.released) >= before
        assert not memory.copied
    os.close(told)


# What is kept and forgotten, as `Memory.apply` says it once for the store, the simulator and the tests.

small = st.integers(1, 4)
a_record = st.one_of(
    st.just("block"),
    st.builds(lambda one: model(b"weights %d" % one), small),
    st.builds(lambda ahead, view, kind: (ahead, VoteCast, view, kind), st.integers(0, 1), small, st.integers(0, 1)),
    st.builds(lambda ahead, view, locked: (ahead, ValueSeen, view, locked), st.integers(0, 1), small, st.booleans()),
    st.just("deal"),
    st.builds(lambda dealer: ("share", dealer), small),
    st.just("release"),
    st.just("close"),
    st.just(LostStateFound(3)),
    st.builds(lambda one: ("shown", one), small),
)


def spelt(drawn: list[object]) -> Iterator[Record]:
    """The records of a member in some order, each of which its node could write there."""
    height, round_, votes, shares, has_dealt, has_released = 0, 1, set(), set(), False, False
    for one in drawn:
        match one:
            case "block":
                height += 1
                yield block(height)
            case (int(ahead), kind, int(view), int() | bool() as which):
                at = height + 1 + ahead
                if kind is ValueSeen:
                    yield ValueSeen(at, view, bool(which), b"block", b"W", (b"p",))
                elif (at, view, which) not in votes:
                    votes.add((at, view, which))
                    yield VoteCast(at, view, which, b"vote %d %d %d" % (at, view, which))
            case "deal" if not has_dealt:
                has_dealt = True
                yield Dealt(round_, b"s" * 32, b"vector %d" % round_, (1,))
            case ("share", int(dealer)) if (round_, dealer) not in shares:
                shares.add((round_, dealer))
                yield ShareHeld(round_, b"%d" % dealer, b"deal", b"values")
            case "release" if not has_released:
                has_released = True
                yield Released(round_, b"U%d" % round_)
            case "close":
                yield RoundClosed(round_)
                round_, has_dealt, has_released = round_ + 1, False, False
            case ("shown", int(which)):
                yield ShownToUs(round_, (b"ack %d" % which,))
            case ModelSaved() | LostStateFound():
                yield one


@settings(max_examples=60)
@given(st.lists(a_record, max_size=40), st.integers(0, 40))
@example([("shown", 1), "close"], 0)
@example([("shown", 1), ("shown", 2)], 0)
@example([LostStateFound(3), "deal"], 0)
def test_the_store_keeps_and_forgets_as_the_memory_does(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[object], restart: int
) -> None:
    folder, told = tmp_path_factory.mktemp("home"), Memory()
    records = list(spelt(drawn))
    for part in (records[:restart], records[restart:]):
        with Store.open(folder) as store:
            store.persist(part)
        for record in part:
            told.apply(record)
        found = reopened(folder)
        for one in (found, told):
            one.values.sort(key=lambda value: (value.height, value.view, value.locked))
        assert found == told
