"""What `peer status` prints for people and for scripts."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chains import Chain
from members import identity

from coterie.crypto.identity.identity import peer_id
from coterie.peer.cli.commands import status
from coterie.peer.cli.main import main
from coterie.peer.errors import Exit
from coterie.peer.home.folder import Home
from coterie.peer.home.store import Reader, Store
from coterie.peer.network.link_events import PeerRow
from coterie.peer.reporting.status import (
    explain_privacy,
    faults_status,
    gone_names,
    ledger_status,
    lines,
    members_status,
    stored_status,
)
from coterie.protocol.ledger.blocks import Membership
from coterie.protocol.ledger.genesis import Stopping
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.records import BlockDecided

ALTERNATE_SCREEN, USUAL_SCREEN, HOME = "\x1b[?1049h", "\x1b[?1049l", "\x1b[H"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


def test_faults_are_told_by_peer_id_whatever_the_peers_call_themselves() -> None:
    one, other = identity(1).public, identity(2).public
    assert faults_status({one: {"a bad envelope": 3}, other: {}}) == {
        peer_id(one): {"a bad envelope": 3},
        peer_id(other): {},
    }


def test_watched_as_json_the_status_is_one_line_each_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[Any] = [{"height": 1, "members": [{"name": "a"}]}, {"height": 2}]
    waiting = iter(shown)

    def sleep(seconds: float) -> None:
        if waiting.__length_hint__() == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(status, "_status", lambda given: next(waiting))
    monkeypatch.setattr(status.time, "sleep", sleep)
    assert main(["status", "--watch", "--json"]) == 130
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == shown


def test_watched_in_a_terminal_it_stays_in_one_place_until_ctrl_c(old_home: Home) -> None:
    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 8, 60, 0, 0))
    words = (sys.executable, "-m", "coterie.peer", "status", "--watch", "--home", str(old_home.folder))
    environment = {name: value for name, value in os.environ.items() if name not in ("LINES", "COLUMNS")}
    with subprocess.Popen(
        words, stdin=inside, stdout=inside, stderr=inside, start_new_session=True, env=environment | {"TERM": "xterm"}
    ) as watching:
        os.close(inside)
        seen = b""
        while seen.count(b"Ctrl-C ends") < 2:
            seen += os.read(terminal, 65536)
        watching.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the other end is closed
            while True:
                seen += os.read(terminal, 65536)
    os.close(terminal)
    assert watching.returncode == 130
    text = seen.decode()
    assert text.count(ALTERNATE_SCREEN) == text.count(USUAL_SCREEN) == 1
    assert text.index(HIDE_CURSOR) < text.rindex(SHOW_CURSOR)
    during, _, after = text.partition(USUAL_SCREEN)
    frames = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frame) for frame in during.split(HOME)]
    shown = [frame.splitlines() for frame in frames if "Ctrl-C ends" in frame]
    assert len(shown) >= 2
    assert {len(frame) for frame in shown} == {8}
    assert max(len(line) for frame in shown for line in frame) <= 60
    assert {frame[-1].strip() for frame in shown} == {"… 6 more lines: make the terminal higher"}
    assert "peer 3" in after  # the last view stays, as a whole
    assert "Traceback" not in text


def row_of(key: bytes, name: str = "") -> PeerRow:
    """A linked peer that has not said its name."""
    return PeerRow(key, name, (), True, False, None, None, b"", "")


def test_members_that_have_gone_keep_the_names_that_the_ledger_has_of_them() -> None:
    chain = Chain(4)
    chain.append(Membership((chain.leave(identity(2)),)))
    blocks = [BlockDecided(height, one.block, one.certificate) for height, one in enumerate(chain.blocks, 1)]
    gone = gone_names(chain.state, blocks)
    assert gone == {identity(2).public: chain.states[-2].member(identity(2).public).name}  # type: ignore[union-attr]
    stranger = identity(9).public
    linked = [row_of(identity(2).public, "somebody else"), row_of(stranger)]
    shown = {
        "running": True,
        **ledger_status(chain.state),
        "members": members_status(chain.state, identity(0).public, linked, gone),
    }
    text = "\n".join(lines(shown))
    assert f"({gone[identity(2).public]})" in text
    assert f"(…{peer_id(stranger)[-11:]})" in text
    assert "()" not in text
    assert "A name in brackets belongs to a linked peer that is not a member" in text


def test_who_looks_for_a_federation_shows_where_and_why_it_is_not_found() -> None:
    search = {"addresses": ["/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.2/tcp/2"], "trouble": "nobody\x1b there"}
    assert list(lines({"running": True, "members": [], "search": search})) == [
        "not in a federation yet: looking for one",
        "tried       /ip4/192.0.2.1/tcp/1, /ip4/192.0.2.2/tcp/2",
        "trouble     nobody? there",
        "hint        check the address, the port and the firewall (peer doctor)",
    ]
    told = list(lines({"running": True, "members": [], "search": {"addresses": [], "trouble": ""}}))
    assert told[1] == "tried       what mDNS and the DHT find"
    assert len(told) == 3


def test_a_newcomer_sees_that_it_is_no_member_yet_and_why() -> None:
    state, me = Chain(2, min_peers=3).state, identity(9).public
    rows = members_status(state, me, (), own_name="Carol")
    shown = {"running": True, **ledger_status(state), "members": rows, "joining": "not admitted yet: why"}
    (own,) = [row for row in rows if row["me"]]
    assert (own["name"], own["member"]) == ("Carol", False)
    told = list(lines(shown))
    assert "joining     not admitted yet: why" in told
    (row,) = [line for line in told if line.startswith("(Carol)")]
    assert " me " in row
    assert any("waiting for 1 more member(s), and this peer may be one of them" in line for line in told)


def test_what_training_waits_for_is_the_number_of_members_that_the_founder_chose() -> None:
    status = ledger_status(Chain(1, min_peers=4).state)
    assert status["privacy"] == "1 member(s): training needs 4 (--min-peers)"
    text = "\n".join(lines({"running": True, **status, "members": [], "paused": "training waits: for you"}))
    assert "waiting for 4 more member(s) (--min-peers 4)" in text
    assert "paused      training waits: for you" in text


def test_the_status_counts_the_rounds_without_a_better_loss() -> None:
    chain = Chain(4, stopping=Stopping(patience=2))
    told = []
    for _ in range(4):
        shown = {"running": True, **ledger_status(chain.state), "members": []}
        told += [line for line in lines(shown) if line.startswith("patience")]
        chain.round()
    rounds = "rounds in a row without a better loss"
    assert told == [
        f"patience    {count} {rounds} ({ends})"
        for count, ends in (
            (0, "training ends at 2"),
            (1, "training ends at 2"),
            (2, "so training ended"),
        )
    ]
    without = {"running": True, **ledger_status(Chain(4).state), "members": []}
    assert not any(line.startswith("patience") for line in lines(without))


def test_what_the_evaluation_will_tell_is_to_come_until_it_is_there() -> None:
    chain = Chain(4, rounds=1, metrics=("dice",), final_metrics=("hausdorff",))
    told = [ledger_status(chain.state)["to_come"]]
    while chain.state.phase is not Phase.FINISHED:
        chain.round()
        told.append(ledger_status(chain.state)["to_come"])
    assert told == [*[["hausdorff"]] * (len(told) - 1), []]
    assert len(told) > 2
    assert ledger_status(Chain(4, rounds=0, final_metrics=("hausdorff",)).state)["to_come"] == []


def test_a_stopped_peer_says_of_no_other_one_whether_it_is_down(old_home: Home) -> None:
    with Reader.open(old_home.folder) as reader:
        status = stored_status(reader, old_home.public_key())
    assert {row["connected"] for row in status["members"]} == {None}
    *_, other = lines(status)
    assert "unknown" in other
    assert "down" not in other


@pytest.mark.parametrize(("phase", "told"), [("finished", "of the final model"), ("sharing", "a round ago")])
def test_the_metrics_say_of_which_model_they_are(phase: str, told: str) -> None:
    chain = Chain(4)
    shown = {"running": True, **ledger_status(chain.state), "members": [], "phase": phase, "measures": {"RMSE": 2.0}}
    (line,) = [one for one in lines(shown) if one.startswith("model")]
    assert told in line
    assert "over all members' test rows" in line


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("ledger", "show"),
        ("ledger", "verify"),
        ("ledger", "export", "--out", "file"),
        ("model", "export", "--out", "file"),
        ("refound", "--to", "other"),
    ],
    ids=" ".join,
)
def test_in_a_home_without_a_federation_it_says_how_to_get_one(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for is_made in (False, True):
        if is_made:
            Store.open(home).close()
        code = main((*words, "--home", str(home)))
        told = "".join(capsys.readouterr())
        assert code == (Exit.OK if is_made and words == ("status",) else Exit.FEDERATION)
        assert "found or join one with `peer start --home" in told
        assert "or give another --home" in told


def test_a_member_that_counts_from_the_next_round_on_is_told_beside_the_privacy() -> None:
    state = Chain(4).state
    assert "from the next round on" not in explain_privacy(state)
    more = replace(state, members=(*state.members, replace(state.members[0], key=bytes(32), name="new")))
    assert explain_privacy(more).endswith("; from the next round on there are 5 members, and not 4")
    fewer = replace(state, members=state.members[:3])
    assert explain_privacy(fewer).endswith("; from the next round on there are 3 members, and not 4")
