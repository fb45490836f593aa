"""What people type at a running federation of three, and at what is left of it."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from harness import Federation, Peer, assert_finished, peer

from coterie.peer.errors import Exit

pytestmark = pytest.mark.processes

COMMAND = (sys.executable, "-m", "coterie.peer")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    with Federation(tmp_path_factory.mktemp("commands")) as running:
        running.found("--round-interval", "0.5", "--federation", "three hospitals")
        running.grow(3)
        running.go_on(running.peers)
        yield running


def test_status_shows_members_heartbeats_and_where_the_round_stands(three: Federation) -> None:
    one = three.peers[1]
    status = one.ask("status")
    while not all(row["connected"] for row in status["members"]):
        status = one.ask("status")  # on a loaded machine a beat may be late just now
    assert (status["running"], status["id"], status["name"]) == (True, one.id, "peer-1")
    assert status["federation"]["name"] == "three hospitals"
    assert status["round"] >= 2
    assert status["height"] >= 2 * status["trained"]
    rows = {row["name"]: row for row in status["members"]}
    assert set(rows) == {"peer-0", "peer-1", "peer-2"}
    assert all(row["connected"] and row["member"] for row in rows.values())
    assert rows["peer-1"]["me"]
    assert all(rows[name]["beat_age_seconds"] < 60 for name in ("peer-0", "peer-2"))
    text = one.run("status").stdout
    assert "three hospitals" in text
    line = re.compile(r"^peer-0 +….+ up +\d+\.\d s +\d+ +\d+", re.MULTILINE)
    while not line.search(text):
        text = one.run("status").stdout


def test_a_table_is_compared_with_an_invite_s_federation_before_its_site_joins(three: Federation) -> None:
    invite = re.findall(r"coterie1-\S+", three.peers[1].run("invite").stdout)[0]
    told = three.peers[1].ask("status")["members"]
    table, good = three.folder / "another.csv", three.table(three.folder / "good.csv", 7)
    table.write_text("a,c,y\n1,2,3\n")
    refused = peer("data", "check", str(table), "--invite", invite, "--json")
    assert refused.returncode == Exit.MODEL
    assert "has 'c' that the federation lacks" in json.loads(refused.stdout)["refused"][0]
    fits = peer("data", "check", str(good), "--invite", invite)
    assert fits.returncode == Exit.OK, fits.stdout
    assert "target 'y'" in fits.stdout
    assert [row["name"] for row in three.peers[1].ask("status")["members"]] == [row["name"] for row in told]


def test_status_watch_shows_it_again_until_ctrl_c(three: Federation) -> None:
    words = (*COMMAND, "status", "--watch", "--home", str(three.peers[0].home))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        heights: set[str] = set()
        for line in watching.stdout:
            heights |= {line} if line.startswith("height ") else set()
            if len(heights) == 3:
                break
        watching.send_signal(signal.SIGINT)
        _, errors = watching.communicate()
    assert watching.returncode == 128 + signal.SIGINT
    assert errors == "peer: interrupted\n"


def test_an_exported_ledger_verifies_anywhere_and_a_flipped_byte_does_not(three: Federation) -> None:
    one, file = three.peers[0], three.folder / "ledger.bin"
    told = one.ask("ledger", "export", "--out", str(file))
    proof = json.loads(peer("ledger", "verify", "--file", str(file), "--json").stdout)
    assert proof["valid"]
    assert proof["members"] == 3
    assert proof["height"] == told["blocks"] - 1
    shown = peer("ledger", "show", "--file", str(file)).stdout.splitlines()
    assert len(shown) == told["blocks"]
    assert "genesis" in shown[0]
    assert [row["height"] for row in one.ask("ledger", "show", "--from", "3")[:2]] == [3, 4]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    broken = peer("ledger", "verify", "--file", str(file))
    assert broken.returncode == Exit.CHECK_FAILED
    assert re.search(r"height|block \d+", broken.stderr), broken.stderr


def test_the_sites_own_losses_add_up_to_the_federation_s(three: Federation) -> None:
    goal = three.go_on(three.peers)
    histories = [{row["round"]: row for row in one.ask("metrics")["rounds"]} for one in three.peers]
    measured = 0
    for number in range(1, goal + 1):
        rows = [history[number] for history in histories]
        assert len({row["loss"] for row in rows}) == 1, "it is that of the ledger"
        own = [row["own"] for row in rows]
        if rows[0]["result"] == "model" and not rows[0]["missing"] and all(own):
            # The tables are so small that their rows are counted exactly.
            mean = sum(one["loss"] * one["rows"] for one in own) / sum(one["rows"] for one in own)
            assert mean == pytest.approx(rows[0]["loss"], rel=1e-6)
            measured += 1
    assert measured > 0
    assert "own RMSE" in three.peers[0].run("metrics").stdout


def test_an_exported_model_is_a_file_for_numpy(three: Federation) -> None:
    told = three.peers[2].ask("model", "export", "--out", str(three.folder / "model"))
    assert told["file"].endswith("model.npz")
    with np.load(told["file"]) as file:
        facts = json.loads(str(file["coterie"]))
        weights = b"".join(file[name].tobytes() for name in file.files if name.startswith("array_"))
    assert facts["weights"] == told["weights"]
    assert len(weights) == 4 * 3  # two slopes and a constant, float32


def test_a_running_peers_model_predicts_for_new_rows(three: Federation) -> None:
    table = three.folder / "new.csv"
    table.write_text("b,a\n1,2\n3,4\n")
    done = three.peers[1].run("predict", "--data", str(table))
    assert done.returncode == 0, done.stderr
    header, *values = done.stdout.splitlines()
    assert header == "y"
    assert np.isfinite([float(value) for value in values]).tolist() == [True, True]


def test_an_invite_is_printed_with_the_line_for_the_other_side(three: Federation) -> None:
    done = three.peers[1].run("invite", "--expires", "30m", "--uses", "2")
    (token,) = re.fullmatch(r"(coterie1-\S+)\n", done.stdout).groups()  # type: ignore[union-attr]
    (line,) = re.fullmatch(r"\nThe other side types:\n  (.+)\n", done.stderr).groups()  # type: ignore[union-attr]
    assert line == f"peer start --invite {token} --data FILE.csv"


def test_the_doctor_finds_a_healthy_peer_healthy_and_says_what_to_do_for_another(three: Federation) -> None:
    one = three.peers[0]
    report = json.loads(one.run("doctor", "--json").stdout)
    found = {check["check"]: check for check in report["checks"]}
    assert {"versions", "store", "home", "key", "disk", "clock", "memory", "port", "reachability"} <= set(found)
    assert found["port"]["ok"]
    assert f"pid {one.process.pid}" in found["home"]["found"]
    one.home.chmod(0o770)
    sick = one.run("doctor")
    one.home.chmod(0o700)
    assert sick.returncode == Exit.CHECK_FAILED
    assert f"run: chmod 700 {one.home}" in sick.stdout


def test_ctrl_c_says_how_to_go_on_and_that_line_goes_on(three: Federation) -> None:
    one = three.peers[2]
    assert one.stop() == Exit.OK
    line = one.told("stopped")[-1]["text"].partition("go on with: ")[2]
    assert line == f"peer start --home {one.home}"
    assert one.ask("status")["running"] is False
    with subprocess.Popen((*COMMAND, *line.split()[1:]), stdout=subprocess.PIPE, text=True) as resumed:
        assert resumed.stdout is not None
        agreed = next(text for text in resumed.stdout if "(train): agreed" in text)
        assert re.match(r"\d\d:\d\d:\d\d round \d+ \(train\): agreed", agreed)
        assert peer("stop", "--home", str(one.home)).returncode == Exit.OK
        rest = resumed.stdout.read()
    assert resumed.returncode == Exit.OK
    assert f"stopped; go on with: {line}" in rest
    one.wait("model", after=one.restart())


def test_a_terminal_shows_a_live_table_and_takes_ctrl_c(three: Federation) -> None:
    one = three.peers[1]
    assert one.stop() == Exit.OK
    terminal, inside = pty.openpty()
    words = (*COMMAND, "start", "--home", str(one.home))
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
    with subprocess.Popen(
        words, stdin=inside, stdout=inside, stderr=inside, start_new_session=True, env=environment
    ) as shown:
        os.close(inside)
        seen = b""
        while not (b"agreed" in seen and b"beat" in seen):
            seen += os.read(terminal, 65536)
        shown.send_signal(signal.SIGINT)
        while True:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
    os.close(terminal)
    assert shown.returncode == Exit.OK
    assert f"go on with: peer start --home {one.home}".encode() in seen
    one.wait("model", after=one.restart())


def finished_home_says_so_at_once(one: Peer) -> None:
    """Where there is nothing left to train, the first thing to say is that, and the last how to be of use."""
    place = one.restart("--linger", "0")
    assert one.exit_code() == Exit.OK, one.story()
    kinds = [event["event"] for event in one.events[place:]]
    assert kinds[:2] == ["listening", "finished"]
    text = one.wait("stopped", after=place)["text"]
    assert "go on with" not in text
    assert f"peer model export --home {one.home}" in text
    assert f"to let members that are behind catch up: peer start --stay --home {one.home}" in text
    place = one.restart("--linger", "60")
    one.wait("finished", after=place)
    status = one.ask("status")
    assert (status["phase"], status["abstains"]) == ("finished", None), "it worries nobody with votes that nobody casts"
    assert one.stop() == Exit.OK


def test_the_remaining_ones_refound_from_the_last_model_when_one_is_lost_for_good(three: Federation) -> None:
    """Below four members agreement waits for everyone, so it takes people to go on without one."""
    keeper, other, lost = three.peers
    place = keeper.mark()
    lost.kill()
    stalled = keeper.wait("stalled", after=place)["text"]
    assert "3 votes are needed, and 2 of 3 members can be reached; waiting for peer-2" in stalled
    assert keeper.ask("status")["stalled"] == stalled
    assert keeper.stop() == Exit.OK
    assert other.stop() == Exit.OK
    old = keeper.ask("ledger", "verify")

    folder = three.folder / "again"
    folder.mkdir()
    with Federation(folder) as again:
        told = keeper.run("refound", "--to", str(folder / "keeper"), "--rounds", "2")
        assert told.returncode == Exit.OK, told.stderr
        assert f"peer start --home {folder / 'keeper'}" in told.stdout
        founder = Peer(folder / "keeper")
        again.peers.append(founder)
        founder.wait("founded")
        refused = other.run("start", *again.way_in())
        assert refused.returncode == Exit.FEDERATION
        assert "use a new --home" in refused.stderr
        again.join()
        again.join()
        assert_finished(again)
        finished_home_says_so_at_once(again.peers[0])
        genesis = founder.ask("ledger", "show")[0]
        assert genesis["previous"] == old["head"]
        first, *_, last = (event for event in founder.told("model") if event["kind"] != "setup")
        assert first["loss"] < 0.1  # the old model's, not a fresh one's
        assert last["trained"] == 2
    assert keeper.ask("ledger", "verify") == old
