"""A ledger can be shown, exported and verified by anybody; any change to it is found, and where."""

import json
import os
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cluster import Cluster
from hypothesis import given, settings
from hypothesis import strategies as st

from coterie.crypto.identity.identity import peer_id
from coterie.peer.cli.main import main
from coterie.peer.errors import Exit
from coterie.peer.home.folder import Home
from coterie.peer.home.settings import read_settings
from coterie.peer.home.store import Reader, Store
from coterie.peer.reporting.ledger_export import Invalid, of_file, of_store, verify, write
from coterie.peer.reporting.ledger_rows import line, rows
from coterie.peer.reporting.status import lines, replay, stored_status
from coterie.protocol.ledger.genesis import read_genesis
from coterie.protocol.messages.encoding import digest_of


@pytest.fixture
def exported(old_home: Home, tmp_path: Path) -> Path:
    path = tmp_path / "ledger"
    with Reader.open(old_home.folder) as reader, path.open("wb") as file:
        write(of_store(reader), file)
    return path


def test_the_store_gives_back_what_the_simulated_disk_does(finished: Cluster, tmp_path: Path) -> None:
    for site in finished.sites:
        folder = tmp_path / str(site.number)
        folder.mkdir()
        with Store.open(folder) as store:
            for record in site.disk.records:
                store.persist([record])
            assert store.load() == site.disk.load()


def test_a_ledger_verifies_in_the_home_and_as_a_file(old_home: Home, exported: Path, finished: Cluster) -> None:
    node = finished.sites[0].node
    assert node is not None
    with Reader.open(old_home.folder) as reader:
        assert verify(of_store(reader)).head == node.state.head
    assert verify(of_file(exported)).head == node.state.head


@given(data=st.data())
@settings(max_examples=60)
def test_any_flipped_bit_of_an_exported_ledger_is_found(
    data: st.DataObject, finished: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    with Store.open(folder) as store:
        store.persist(finished.sites[1].disk.records)
        store.keep("genesis", finished.genesis.encode())
        with (folder / "file").open("wb") as file:
            write(of_store(store), file)
    whole = bytearray((folder / "file").read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    (folder / "file").write_bytes(whole)
    with pytest.raises(Invalid, match="height|not an exported ledger"):
        verify(of_file(folder / "file"))


def test_a_cut_off_file_is_found(exported: Path) -> None:
    exported.write_bytes(exported.read_bytes()[:-10])
    with pytest.raises(Invalid, match="cut off"):
        verify(of_file(exported))


def test_a_flipped_byte_in_the_store_is_found_and_where(old_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with Reader.open(old_home.folder) as reader:
        third = next(reader.blocks(3))
    path = old_home.folder / "peer.sqlite"
    whole = bytearray(path.read_bytes())
    place = whole.index(third.block) + len(third.block) - 1
    whole[place] ^= 1
    path.write_bytes(whole)
    assert main(("ledger", "verify", "--home", str(old_home.folder))) == Exit.CHECK_FAILED
    assert "height 3" in capsys.readouterr().err


def test_a_missing_block_is_found(old_home: Home) -> None:
    with Store.open(old_home.folder) as store:
        store._link.execute("DELETE FROM blocks WHERE height = 2")
    with Reader.open(old_home.folder) as reader, pytest.raises(Invalid, match="height 2"):
        verify(of_store(reader))


def test_only_a_regular_file_is_read_as_a_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", str(tmp_path / "pipe"), str(tmp_path)):
        assert main(("ledger", "verify", "--file", path)) == Exit.CHECK_FAILED
        assert "not a regular file" in capsys.readouterr().err


def test_an_exported_ledger_is_read_record_by_record(exported: Path, tmp_path: Path) -> None:
    endless, long = tmp_path / "endless", tmp_path / "long"
    with endless.open("wb") as file:  # a gigabyte of empty records, which takes no space on the disk
        file.write(exported.read_bytes())
        file.truncate(2**30)
    long.write_bytes(exported.read_bytes() + (2**31).to_bytes(4, "big") + bytes(100))
    tracemalloc.start()
    with pytest.raises(Invalid, match="height"):
        verify(of_file(endless))
    with pytest.raises(Invalid, match="no record has 2147483648 bytes"):
        verify(of_file(long))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


def flip_a_byte_of_a_block(home: Home) -> None:
    with Store.open(home.folder) as store:
        block = bytearray(next(store.blocks(3)).block)
        block[-1] ^= 1
        store._link.execute("UPDATE blocks SET block = ? WHERE height = 3", (bytes(block),))


def lose_a_block(home: Home) -> None:
    with Store.open(home.folder) as store:
        store._link.execute("DELETE FROM blocks WHERE height = 2")


def damage_the_genesis(home: Home) -> None:
    with Store.open(home.folder) as store:
        store.keep("genesis", (store.fact("genesis") or b"")[:-1])


@pytest.mark.parametrize("spoil", [flip_a_byte_of_a_block, lose_a_block, damage_the_genesis])
@pytest.mark.parametrize(
    "words",
    [("status",), ("metrics",), ("model", "export", "--out", "x"), ("refound", "--to", "new"), ("start",)],
    ids=lambda one: one[0],
)
def test_a_damaged_ledger_is_told_with_what_to_do_by_every_command_that_needs_it(
    old_home: Home,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Home], None],
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none.py").write_text(
        "class App:\n"
        "    def initial(self): return [[0.0] * 6]\n"
        "    def describe(self): return 'test model'\n"
        "    fit = evaluate = initial\n"
    )
    spoil(old_home)
    options = ("--app", "none:App", "--listen", "127.0.0.1:0") if words == ("start",) else ()
    assert main((*words, "--home", str(old_home.folder), *options)) == Exit.STORE
    told = capsys.readouterr().err
    assert "peer.sqlite: the file is damaged" in told
    assert "Put back a backup" in told


def spoil_the_model(home: Home) -> None:
    with Store.open(home.folder) as store:
        store._link.execute("UPDATE models SET weights = ?", (b"\1" * 24,))


def test_a_damaged_model_is_neither_exported_nor_refounded_nor_trained_on(
    old_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil_the_model(old_home)
    home = ("--home", str(old_home.folder))
    for words in (("model", "export", "--out", str(tmp_path / "x")), ("refound", "--to", str(tmp_path / "new"))):
        assert main((*words, *home)) == Exit.STORE
        assert "damaged" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    with Store.open(old_home.folder) as store:
        assert store.load().model is None
    assert main(("doctor", *home)) == Exit.CHECK_FAILED
    assert "the model in it is damaged" in capsys.readouterr().out


def test_every_block_has_a_line_and_a_row(old_home: Home) -> None:
    with Reader.open(old_home.folder) as reader:
        shown = list(rows(of_store(reader)))
    assert [row["height"] for row in shown] == list(range(len(shown)))
    assert {row["kind"] for row in shown} == {"genesis", "membership", "contributors", "model"}
    assert json.loads(json.dumps(shown)) == shown
    told = [line(row) for row in shown]
    assert any("peer 1 joins" in text for text in told)
    assert any(re.search(r"round 1 \(train\): \d+ examples", text) for text in told)


def test_the_status_of_a_stopped_peer_comes_from_its_store(old_home: Home, finished: Cluster) -> None:
    with Reader.open(old_home.folder) as reader:
        status = stored_status(reader, old_home.public_key())
    assert status["running"] is False
    assert status["phase"] == "finished"
    assert [row["id"] for row in status["members"] if row["me"]] == [peer_id(finished.sites[0].identity.public)]
    text = "\n".join(lines(status))
    assert "does not run" in text
    assert "2 of 2 trained" in text
    assert "round       3 (evaluate), finished" in text, "the round with which the ledger ends"


def test_the_model_is_exported_array_by_array(
    old_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model.npz"
    assert main(("model", "export", "--home", str(old_home.folder), "--out", str(out), "--json")) == 0
    facts = json.loads(capsys.readouterr().out)
    with np.load(out) as arrays:
        assert arrays["array_0"].shape == (6,)
        assert digest_of(arrays["array_0"].tobytes()).hex() == facts["weights"]
    assert facts["matches_ledger"] is True
    assert facts["current"] is True, "after the last round nobody can have a newer one"


@pytest.mark.parametrize(
    ("ahead", "heard", "current"),
    [(None, 0, None), (0, 3, True), (0, 2, True), (0, 1, None), (1, 3, False), (1, 1, False)],
    ids=["stopped", "level", "level with a quorum", "hears too few", "behind", "hears one that is ahead"],
)
def test_a_model_is_current_only_where_nobody_can_have_a_newer_one(
    early_home: Home,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    ahead: int | None,
    heard: int,
    current: bool | None,
) -> None:
    with Reader.open(early_home.folder) as reader:
        state = replay(reader)
    assert state is not None
    if ahead is not None:
        heights = [state.height + ahead] * heard + [None] * (3 - heard)
        rows = [{"member": True, "me": False, "height": height} for height in heights]
        status = {"members": [{"member": True, "me": True, "height": None}, *rows]}
        monkeypatch.setattr(Home, "running_pid", lambda home: 1)
        monkeypatch.setattr("coterie.peer.control.client.ask", lambda path, request: {"status": status})
    words = ("model", "export", "--home", str(early_home.folder), "--out", str(tmp_path / "model.npz"))
    assert main((*words, "--json")) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["matches_ledger"] is True
    assert facts["current"] is current
    assert main(words) == 0
    told = capsys.readouterr().out
    assert ("not the newest model" in told) == (current is False)
    assert ("may have a newer model" in told) == (current is None)


def test_a_new_federation_goes_on_from_the_old_ones_model(
    old_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new"
    assert main(("refound", "--home", str(old_home.folder), "--to", str(new), "--rounds", "5")) == 0
    with Reader.open(old_home.folder) as reader:
        old = replay(reader)
    with Reader.open(new) as reader:
        state, model = replay(reader), reader.model()
        kept = read_settings(reader.fact("settings"))
        genesis = read_genesis(reader.fact("genesis") or b"")
    assert old is not None
    assert state is not None
    assert model is not None
    assert genesis.previous == old.head
    assert (genesis.weights_hash, model.weights_hash) == (old.weights_hash, old.weights_hash)
    assert (state.height, genesis.rounds, genesis.founder) == (0, 5, old_home.public_key())
    assert (kept.data, kept.bootstrap, kept.rounds) == ("data.csv", (), 5)
    assert str(new) in capsys.readouterr().out


def test_commands_that_people_are_told_to_type_are_quoted(
    old_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spaced = tmp_path / "a home"
    old_home.folder.rename(spaced)
    home = ("--home", str(spaced))
    assert main(("stop", *home)) == Exit.NOT_RUNNING
    assert f"peer start --home '{spaced}'" in capsys.readouterr().err
    assert main(("ledger", "export", "--out", str(tmp_path / "a file"), *home)) == Exit.OK
    assert f"peer ledger verify --file '{tmp_path / 'a file'}'" in capsys.readouterr().out
    with Home(spaced).locked():
        assert main(("refound", "--to", str(tmp_path / "new one"), *home)) == Exit.HOME
    assert f"peer stop --home '{spaced}'" in capsys.readouterr().err
    assert main(("refound", "--to", str(tmp_path / "new one"), *home)) == Exit.OK
    assert f"peer start --home '{tmp_path / 'new one'}'" in capsys.readouterr().out
    (spaced / "identity.key").chmod(0o644)
    assert main(("doctor", *home)) == Exit.CHECK_FAILED
    assert f"chmod 600 '{spaced / 'identity.key'}'" in capsys.readouterr().out


def test_refounding_over_a_peer_is_refused(old_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("refound", "--home", str(old_home.folder), "--to", str(old_home.folder))
    assert main(words) == Exit.HOME
    assert "choose another --to" in capsys.readouterr().err
