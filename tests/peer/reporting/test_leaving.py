"""A member that left stays while the others need it, no longer, and says why; so does a leave that has to wait."""

import hashlib
import shlex
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from chains import Chain
from cluster import Cluster
from members import identity, make_genesis
from trio.testing import MockClock

from coterie.crypto.identity.keyfile import seal_seed
from coterie.peer.cli.commands import leave
from coterie.peer.cli.main import main
from coterie.peer.errors import Exit
from coterie.peer.home.facts import DEPARTED
from coterie.peer.home.folder import Home
from coterie.peer.home.store import Store
from coterie.peer.reporting.leaving import Stay, awaited, departure, names_told, still_needed
from coterie.peer.runtime.control_handlers import answer
from coterie.peer.runtime.end_tasks import depart
from coterie.peer.runtime.run_end import RunEnd
from coterie.protocol.events import Leave
from coterie.protocol.ledger.blocks import Membership
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.records import BlockDecided

HOME = Home(Path("/my home"))
KEYS = [identity(number).public for number in range(6)]


def left(members: int, *leavers: int) -> Chain:
    """A ledger in which these leave, in the middle of a round."""
    chain = Chain(members, min_peers=3)
    chain.append(Membership(tuple(chain.leave(identity(one)) for one in sorted(leavers, key=KEYS.__getitem__))))
    assert chain.state.phase is Phase.SHARING
    return chain


def test_below_four_members_the_others_need_the_vote_of_who_left() -> None:
    stay = still_needed(left(3, 2).state, KEYS[2], KEYS[:2], HOME)
    assert stay is not None
    assert not stay.is_hopeless
    assert "left; stays until round 1 is decided, because the others need its vote" in stay.text
    assert "Ctrl-C or peer stop --home '/my home' ends it now" in stay.text


def test_nobody_stays_whom_the_others_do_not_need() -> None:
    assert still_needed(left(4, 3).state, KEYS[3], KEYS[:3], HOME) is None
    assert still_needed(Chain(3, min_peers=3).state, KEYS[2], KEYS[:2], HOME) is None
    chain = left(3, 2)
    chain.append(chain.void())
    assert still_needed(chain.state, KEYS[2], KEYS[:2], HOME) is None


def test_of_two_that_left_neither_goes_because_the_other_one_is_there() -> None:
    state = left(5, 3, 4).state
    for me in (3, 4):
        assert still_needed(state, KEYS[me], [key for key in KEYS[:5] if key != KEYS[me]], HOME) is not None


def test_who_holds_a_share_of_an_open_sum_stays_for_the_share() -> None:
    chain = left(4, 3)
    place = chain.state.committee.index(KEYS[3])
    assert place is not None
    others = [one for one in range(4) if one != place]
    chain.append(chain.contributors(dealers=others, holders=sorted((place, *others[:2]))))
    assert chain.state.phase is Phase.SUMMING
    stay = still_needed(chain.state, KEYS[3], KEYS[:3], HOME)
    assert stay is not None
    assert "because the others need its share and its vote" in stay.text


def test_where_too_few_can_be_reached_it_says_who_and_that_it_waits_only_a_little() -> None:
    state = left(3, 2).state
    stay = still_needed(state, KEYS[2], KEYS[:1], HOME)
    assert stay is not None
    assert stay.is_hopeless
    away = state.member(KEYS[1])
    assert away is not None
    assert f"round 1 cannot be decided while {away.name} cannot be reached" in stay.text


def departing(stays: list[Stay | None]) -> tuple[Any, list[str]]:
    """Run the departure of a peer that is asked again and again whether it has to stay; the last answer holds on."""
    state, told = left(3, 2).state, []
    kept: dict[str, bytes] = {}
    session: Any = SimpleNamespace(
        node=SimpleNamespace(state=state),
        identity=identity(2),
        ending=RunEnd(KEYS[2]),
        home=HOME,
        store=SimpleNamespace(keep=kept.__setitem__),
        status=lambda: {"members": []},
        stay=lambda: stays.pop(0) if len(stays) > 1 else stays[0],
        tell=lambda kind, text, facts: told.append(text),
        kept=kept,
    )
    session.ending.left.set()
    trio.run(depart, session, clock=MockClock(autojump_threshold=0))
    return session, told


def test_it_stops_by_itself_once_the_round_is_decided_and_tells_each_reason_once() -> None:
    stay = Stay("left; stays", is_hopeless=False)
    session, told = departing([stay] * 500 + [None])
    assert told == ["left; stays"]
    assert session.ending.reason == "left the federation"
    assert session.kept == {DEPARTED: b"2"}, "started again, it says at once that it left"


def test_it_stops_after_a_while_where_nothing_can_be_decided() -> None:
    few, enough = Stay("too few", is_hopeless=True), Stay("needed", is_hopeless=False)
    session, told = departing([few] * 50 + [enough] * 500 + [few])
    assert told == ["too few", "needed", "too few"]
    assert "too few members can be reached to decide it" in session.ending.reason
    assert "peer start --home '/my home'" in session.ending.reason
    assert session.kept == {}, "started again, it can help to close the round"


def test_a_leave_says_which_votes_it_waits_for_and_of_whom() -> None:
    state = Chain(4).state
    text = awaited(state, KEYS[0], [KEYS[1]])
    names = [one.name for one in state.members if one.key in KEYS[2:4]]
    assert f"waiting for 1 vote(s): 3 are needed, and {', '.join(names)} cannot be reached" in text
    assert "The leave happens when enough members are back, also if you stop waiting" in text
    assert "waiting for the votes of the others" in awaited(state, KEYS[0], KEYS[1:4])


def test_a_leave_during_an_open_sum_says_that_it_waits_for_its_end() -> None:
    chain = Chain(4)
    chain.append(chain.contributors())
    assert "nobody leaves while its sum is open" in awaited(chain.state, KEYS[0], KEYS[1:4])


def asked(has_left: bool) -> Any:
    """A session of three that is asked to leave."""
    ending = RunEnd(KEYS[2], asked_to_leave=has_left)
    if has_left:
        ending.left.set()
    state = (left(3, 2) if has_left else Chain(3, min_peers=3)).state
    return SimpleNamespace(
        driver=SimpleNamespace(leave=lambda: None),
        node=SimpleNamespace(state=state),
        identity=identity(2),
        ending=ending,
        stay=lambda: Stay("left; stays", is_hopeless=False),
        awaited=lambda: "waiting for 1 vote(s)",
    )


def test_asked_a_second_time_it_says_that_it_left_and_why_it_stays() -> None:
    assert trio.run(answer, asked(True), {"do": "leave"}) == {"left": True, "text": "left; stays"}


def test_a_leave_that_nobody_votes_for_is_answered_with_what_it_waits_for() -> None:
    session = asked(False)
    told = trio.run(answer, session, {"do": "leave", "wait_seconds": 0})
    assert told == {"left": False, "text": "asked to leave; waiting for 1 vote(s)"}
    assert session.ending.asked_to_leave


@pytest.mark.parametrize("is_interrupted", [True, False])
def test_the_command_says_at_once_what_it_waits_for_and_that_the_request_stands(
    is_interrupted: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    requests: list[dict[str, Any]] = []

    def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
        requests.append(request)
        if is_interrupted and len(requests) == 2:
            raise KeyboardInterrupt
        return {"ok": True, "left": False, "text": "asked to leave; waiting for 1 vote(s)"}

    monkeypatch.setattr("coterie.peer.control.client.ask", ask)
    assert main(["leave"]) == (130 if is_interrupted else 0)
    out, errors = capsys.readouterr()
    assert requests[0] == {"do": "leave", "wait_seconds": leave._FIRST_SECONDS}
    assert out.count("asked to leave; waiting for 1 vote(s)") == 1
    assert "the request stands" in (errors if is_interrupted else out)


def test_notices_name_those_that_left() -> None:
    text = f"waiting for {KEYS[1].hex()[:16]}, Ada"
    assert names_told(text, KEYS[:3], {KEYS[1]: "Bob"}) == "waiting for Bob (left), Ada"


def test_a_stopped_home_knows_that_it_left() -> None:
    assert departure(Chain(3).state, KEYS[2]) is None
    assert "left the federation, or was removed, at height 2" in str(departure(left(3, 2).state, KEYS[2]))


def test_started_again_in_its_last_round_it_says_first_that_it_left() -> None:
    cluster = Cluster(3, make_genesis(round_interval_ms=1_000))
    cluster.start()
    leaver = cluster.sites[2]
    cluster.run(lambda: "round" in leaver.kinds())
    cluster.hand_in(2, Leave())
    cluster.run(lambda: "left" in leaver.kinds())
    cluster.crash(2)
    before = len(leaver.notices)
    cluster.start(2)
    assert leaver.notices[before].text.startswith("this peer left; until round 1 is closed")


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_leave_in_a_stopped_home_says_that_nothing_runs_and_what_to_type(
    is_killed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path / "my home")
    home.prepare()
    if is_killed:  # then its socket is still there
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(home.socket_path))
    assert main(["leave", *shlex.split(home.option)]) == Exit.NOT_RUNNING
    assert capsys.readouterr().err == (
        f"peer: error: {home.folder}: no peer runs in this home; start it with `peer start {home.option}`, and then"
        f" type, beside it, `peer leave {home.option}`: only a running peer can ask the others\n"
    )


@pytest.mark.parametrize("command", ["invite", "leave"])
@pytest.mark.parametrize("is_over", [True, False])
def test_a_home_that_left_is_not_told_to_start(
    is_over: bool, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain, home = left(3, 2), Home(tmp_path / "home")
    home.prepare()
    home.key_path.write_bytes(seal_seed(hashlib.sha256(b"test peer 2").digest()))
    home.key_path.chmod(0o600)
    assert home.public_key() == KEYS[2]
    with Store.open(home.folder) as store:
        store.persist([BlockDecided(height, one.block, one.certificate) for height, one in enumerate(chain.blocks, 1)])
        store.keep("genesis", chain.genesis.encode())
        if is_over:
            store.keep(DEPARTED, b"2")
    code = main([command, "--home", str(home.folder)])
    told = capsys.readouterr().err
    if is_over:
        assert code == Exit.REMOVED
        assert "this peer left its federation (height 2); to join again" in told
    else:
        assert code == Exit.NOT_RUNNING, "its round still needs it, and a start is not refused"
        assert f"start it with `peer start {home.option}`" in told


def test_a_stop_in_a_stopped_home_says_that_there_is_nothing_to_stop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Home(tmp_path / "home").prepare()
    assert main(["stop", "--home", str(tmp_path / "home")]) == Exit.NOT_RUNNING
    told = "/home: no peer runs in this home, so there is nothing to stop; what starts it is: peer start --home "
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("command", ["leave", "stop", "invite"])
def test_a_home_that_there_is_not_is_told(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--home", str(tmp_path / "none")]) == Exit.NOT_RUNNING
    assert "there is no such folder; give another --home\n" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
