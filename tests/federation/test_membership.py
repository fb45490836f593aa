"""Who may join a running federation and who may not: each refusal has a reason for people and an exit code."""

import base64
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from harness import Federation, Peer, assert_nobody_is_accused, peer, shard

from coterie.crypto.identity.identity import Identity
from coterie.crypto.identity.keyfile import open_seed
from coterie.peer.errors import Exit
from coterie.peer.federation.invites import new_invite
from coterie.peer.home.folder import Home
from coterie.peer.home.store import FILE_NAME
from coterie.protocol.ledger.tickets import Checkpoint, read_invite

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    with Federation(tmp_path_factory.mktemp("three")) as running:
        running.found("--round-interval", "0.5")
        running.grow(3)
        yield running


def named(federation: Federation, addresses: Sequence[str] = (), checkpoint: Checkpoint | None = None) -> str:
    """An invite by the founder that names the federation, and by default no address."""
    founder = federation.peers[0]
    key = Identity.from_seed(open_seed((founder.home / "identity.key").read_bytes()))
    return new_invite(key, bytes.fromhex(founder.wait("founded")["federation"]), addresses, 2**50, 9, checkpoint)


def places(peer: Peer) -> list[str]:
    """Where a peer listens, without its PeerId: an invite names no PeerId but its maker's."""
    return [address.partition("/p2p/")[0] for address in peer.wait("listening")["addresses"]]


def test_an_invite_of_another_federation_leads_nowhere(three: Federation) -> None:
    stranger = Identity.from_seed(b"s" * 32)
    token = new_invite(stranger, bytes(32), places(three.peers[0]), 2**50, 1)
    joiner = three.join("--invite", token)
    assert joiner.wait("another-federation")["member"] == three.peers[0].id
    assert joiner.stop() == Exit.OK


def test_an_invite_by_nobody_of_the_members_is_refused(three: Federation) -> None:
    founder = three.peers[0]
    stranger, federation = Identity.from_seed(b"s" * 32), bytes.fromhex(founder.wait("founded")["federation"])
    token = new_invite(stranger, federation, places(founder), 2**50, 1)
    joiner = three.join("--invite", token)
    assert joiner.exit_code() == Exit.INVITE, joiner.story()
    assert "no member" in joiner.wait("stopped")["text"]


def signature_forged(token: str) -> str:
    """The same token, but nobody signed its ticket."""
    data = base64.urlsafe_b64decode(token.removeprefix("coterie1-") + "==")
    forged = data.replace(read_invite(token).ticket[-64:], bytes(64))
    assert forged != data
    return "coterie1-" + base64.urlsafe_b64encode(forged).decode().rstrip("=")


def test_a_forged_invite_is_refused_before_anybody_is_asked(three: Federation) -> None:
    joiner = three.join("--invite", signature_forged(named(three)))
    assert joiner.exit_code() == Exit.INVITE
    assert "the invite is damaged" in joiner.errors
    assert joiner.events == []


def test_no_invite_at_all_is_refused(three: Federation) -> None:
    joiner = three.join("--bootstrap", three.peers[0].wait("listening")["addresses"][0])
    assert joiner.exit_code() == Exit.INVITE, joiner.story()
    assert "malformed" not in joiner.story()
    text = joiner.wait("stopped")["text"]
    assert "needs an invite, and this peer was given none; ask a member for one (`peer invite`)" in text
    command = f"peer start --home {joiner.home} --invite TOKEN"
    assert text.endswith(command)
    place = joiner.restart("--invite", three.peers[0].ask("invite")["invite"])
    joiner.wait("joined", lambda event: event["name"] == joiner.home.name, after=place)
    joiner.run("leave")
    assert joiner.exit_code() == Exit.OK, joiner.story()


def test_an_invite_for_one_admits_one(three: Federation) -> None:
    token = three.peers[1].ask("invite", "--uses", "1")["invite"]
    first = three.join("--invite", token)
    for one in (first, *three.peers[:3]):
        one.wait("joined", lambda event: event["name"] == first.home.name)
    second = three.join("--invite", token)
    assert second.exit_code() == Exit.INVITE, second.story()
    assert "use" in second.wait("stopped")["text"]


def test_a_model_of_another_shape_is_refused_with_what_differs(three: Federation) -> None:
    (three.folder / "wide.csv").write_text("a,b,c,y\n" + "1,2,3,4\n2,1,3,5\n" * 20)
    joiner = three.join("--data", str(three.folder / "wide.csv"))
    assert joiner.exit_code() == Exit.MODEL, joiner.story()
    assert "'c'" in joiner.errors


@pytest.mark.parametrize("cell", ["", "red"], ids=["missing", "categorical"])
def test_a_joiners_unusable_cell_is_named_by_line_and_column(three: Federation, cell: str) -> None:
    path = three.folder / f"cell-{cell}.csv"
    path.write_text(f"a,b,y\n1,2,3\n4,{cell},6\n" + "1,2,3\n" * 20)
    joiner = three.join("--data", str(path))
    assert joiner.exit_code() == Exit.DATA, joiner.story()
    assert "line 3, column 'b'" in joiner.errors


def test_whoever_shows_no_ledger_with_the_block_of_the_invite_is_not_believed(federation: Federation) -> None:
    founder = federation.found("--round-interval", "0.5")
    federation.grow(3)
    height = founder.model(1)["height"]
    right = read_invite(founder.ask("invite")["invite"]).terms.checkpoint
    assert right.height >= height
    joiner = federation.join(
        "--invite", named(federation, right_addresses(founder), Checkpoint(right.height, bytes(32)))
    )
    assert joiner.exit_code() == Exit.INVITE, joiner.story()
    assert f"at height {right.height} that the invite names" in joiner.wait("stopped")["text"]
    assert joiner.told("joined") == [], "nothing of what it was shown is in its ledger"
    another = federation.join("--invite", named(federation, right_addresses(founder), right))
    another.wait("joined", lambda event: event["name"] == another.home.name)


def right_addresses(peer: Peer) -> Sequence[str]:
    return tuple(peer.wait("listening")["addresses"])


def test_an_open_federation_admits_without_an_invite(federation: Federation) -> None:
    assert federation.found("--admit", "open").wait("founded")["invite"] is None
    federation.join().wait("joined", lambda event: event["name"] == "peer-1")


def test_a_roster_admits_those_on_it_and_nobody_else(federation: Federation) -> None:
    listed = Home(federation.folder / "peer-1")
    listed.prepare()
    roster = federation.folder / "roster"
    roster.write_text(f"{listed.identity(lambda sealed: None).peer_id}  # the hospital next door\n")
    federation.found("--admit", "roster", "--roster", str(roster))
    federation.join().wait("joined", lambda event: event["name"] == "peer-1")
    other = federation.join()
    assert other.exit_code() == Exit.INVITE, other.story()
    assert "not on the roster" in other.wait("stopped")["text"]


def test_two_peers_cannot_share_a_port_or_a_home(three: Federation) -> None:
    founder = three.peers[0]
    port = founder.wait("listening")["addresses"][0].split("/")[4]
    data = str(shard(three.folder / "more.csv", 9, 30))
    words = ("start", "--data", data, "--target", "y", "--listen", f"127.0.0.1:{port}")
    second = peer(*words, "--home", str(three.folder / "second"))
    assert second.returncode == Exit.PORT
    assert port in second.stderr
    third = peer(*words, "--home", str(founder.home))
    assert third.returncode == Exit.HOME
    assert str(founder.process.pid) in third.stderr


NOISE = b"\x13/multistream/1.0.0\n\x07/noise\n"
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(193))
GARBAGE = (b"", b"\n", b"GET / HTTP/1.1\r\n\r\n", TLS_HELLO, NOISE + b"\xff" * 5000, os.urandom(70_000))


def test_garbage_half_open_connections_and_a_flood_of_them_disturb_nobody(three: Federation) -> None:
    founder = three.peers[0]
    place = "127.0.0.1", int(founder.wait("listening")["addresses"][0].split("/")[4])
    with ExitStack() as held:
        for _ in range(20):
            for data in GARBAGE:
                connection = held.enter_context(socket.create_connection(place))
                with suppress(OSError):  # it may have been thrown out already
                    connection.sendall(data)
        for _ in range(200):
            held.enter_context(socket.create_connection(place))
        founder.model(founder.round + 2)
        # The link of a member that comes back has to get through all that.
        one = three.peers[1]
        one.kill()
        one.wait("model", after=one.restart())
    assert founder.errors == ""
    assert three.join().wait("joined", lambda event: event["name"] == three.peers[-1].home.name)


def test_what_was_stopped_goes_on_with_the_same_options(three: Federation) -> None:
    one = three.peers[1]
    assert one.stop() == Exit.OK
    assert f"peer start --home {one.home}" in one.wait("stopped")["text"]
    before = one.wait("listening")["addresses"]
    place = one.restart()
    assert one.wait("listening", after=place)["addresses"] == before
    one.wait("model", after=place)


def test_a_home_is_one_database_a_key_a_lock_and_two_witnesses(three: Federation) -> None:
    one = three.peers[2]
    assert "control.sock" in {path.name for path in one.home.iterdir()}
    assert one.stop() == Exit.OK
    assert {path.name for path in one.home.iterdir()} == {"peer.sqlite", "identity.key", "lock", "origin", "newest"}
    one.wait("model", after=one.restart())


def test_an_app_of_another_shape_is_refused_with_both_shapes(federation: Federation) -> None:
    source = (
        "import numpy as np\n"
        "class App:\n"
        "    def initial(self): return [np.zeros((SIZE, 2), dtype=np.float32)]\n"
        "    def fit(self, weights, round): return [weights[0] + 1], 10, {}\n"
        "    def evaluate(self, weights): return float(weights[0].mean()), 10, {}\n"
    )
    for name, size in (("ours", "3"), ("theirs", "4")):
        (federation.folder / f"{name}.py").write_text(source.replace("SIZE", size))
    path = {"PYTHONPATH": os.pathsep.join([str(federation.folder), os.environ.get("PYTHONPATH", "")])}
    listen = ("--listen", "127.0.0.1:0")
    founder = Peer(federation.folder / "founder", "--app", "ours:App", *listen, environment=path)
    federation.peers.append(founder)
    invite = founder.wait("founded")["invite"]
    joiner = Peer(federation.folder / "joiner", "--app", "theirs:App", "--invite", invite, *listen, environment=path)
    federation.peers.append(joiner)
    assert joiner.exit_code() == Exit.MODEL
    assert "3x2" in joiner.errors
    assert "4x2" in joiner.errors


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place)).returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(("umount", "--lazy", place), check=True)


def assert_stopped_for_room(poor: Peer) -> None:
    assert poor.exit_code() == Exit.STORE, poor.story()
    assert "the disk is full. Everything that was sent is safely stored; free some space" in poor.errors
    assert poor.told("stopped")[-1]["exit"] == Exit.STORE


def assert_nothing_is_lost(poor: Peer, others: Sequence[Peer]) -> None:
    """It goes on where it was, and nobody saw it say two things."""
    height = poor.ask("ledger", "verify")["height"]
    place = poor.restart()
    assert poor.wait("resuming", after=place)["height"] == height + 1
    poor.contributes(after_round=max(one.round for one in others))
    assert_nobody_is_accused([poor, *others])


def test_a_full_store_stops_the_peer_and_room_lets_it_go_on(three: Federation) -> None:
    poor = three.peers[2]
    assert poor.stop() == Exit.OK
    poor.environment["COTERIE_STORE_MAX_BYTES"] = str((poor.home / FILE_NAME).stat().st_size)
    poor.restart()
    assert_stopped_for_room(poor)
    poor.environment.clear()
    assert_nothing_is_lost(poor, three.peers[:2])


def test_a_full_disk_stops_the_peer_and_room_lets_it_go_on(three: Federation, small_disk: Path) -> None:
    """As above, but this time it is the operating system that says so."""
    home = small_disk / "home"
    home.mkdir(mode=0o700)
    (three.folder / f"peer-{len(three.peers)}").symlink_to(home)
    poor = three.join()
    poor.contributes(after_round=0)
    with (small_disk / "filler").open("wb", buffering=0) as filler:
        while poor.process.poll() is None:  # what it tidies away is room again
            with suppress(OSError):
                filler.write(bytes(4096))
            time.sleep(0)
    assert_stopped_for_room(poor)
    (small_disk / "filler").unlink()
    assert_nothing_is_lost(poor, three.peers[:3])
    poor.ask("leave")
    poor.exit_code()


def test_a_federation_is_found_by_multicast_and_through_a_dht(federation: Federation) -> None:
    founder = federation.found("--mdns", "--dht", "--dht-listen", "127.0.0.1:0")
    token, node = named(federation), founder.wait("dht")["address"]
    federation.join("--invite", token, "--dht", node, "--dht-listen", "127.0.0.1:0")
    federation.join("--invite", token, "--mdns")
    for one in federation.peers[1:]:
        one.wait("joined", lambda event, one=one: event["name"] == one.home.name)


def test_a_newcomer_that_gives_up_is_not_admitted_when_the_others_are_back(federation: Federation) -> None:
    founder = federation.found("--min-peers", "9")
    away = federation.join()
    founder.wait("joined", lambda event: event["name"] == "peer-1")
    assert away.stop() == Exit.OK
    newcomer = federation.join()
    # The founder has its request, and cannot decide.
    text = "no newcomer can be admitted (peer-2 waits): 2 votes are needed, and peer-1 cannot be reached"
    assert text in founder.wait("kept-out")["text"]
    assert text in founder.ask("status")["kept_out"]
    reason = "2 vote(s) are needed, and peer-1 cannot be reached by this peer; start it again there"
    assert reason in newcomer.wait("not-admitted")["text"]
    status = newcomer.ask("status")
    assert reason in status["joining"]
    assert [row["name"] for row in status["members"] if row["me"]] == ["peer-2"]
    assert newcomer.stop() == Exit.OK
    assert newcomer.wait("withdrawn")["peers"] == 1
    assert "no member could be told" not in newcomer.wait("stopped")["text"]
    away.restart()
    later = federation.join()
    for one in (founder, later):
        one.wait("joined", lambda event: event["name"] == "peer-3")
    assert [event["name"] for event in founder.told("joined")] == ["peer-1", "peer-3"]


def test_ctrl_c_in_the_middle_of_training_ends_at_once(federation: Federation) -> None:
    (federation.folder / "slow.py").write_text(
        "import numpy as np, threading\n"
        "class App:\n"
        "    def initial(self): return [np.zeros(3, dtype=np.float32)]\n"
        "    def fit(self, weights, round): threading.Event().wait()\n"
        "    def evaluate(self, weights): return 0.0, 1, {}\n"
    )
    path = {"PYTHONPATH": os.pathsep.join([str(federation.folder), os.environ.get("PYTHONPATH", "")])}
    options = ["--app", "slow:App", "--listen", "127.0.0.1:0"]
    for number in range(3):
        one = Peer(federation.folder / f"slow-{number}", "--name", f"slow-{number}", *options, environment=path)
        federation.peers.append(one)
        if number == 0:
            options += ["--invite", one.wait("founded")["invite"]]
    for one in federation.peers:
        one.wait("round")
    # Only now: whoever has not begun the round needs the others for it.
    for one in federation.peers:
        assert one.stop() == Exit.OK, one.story()
