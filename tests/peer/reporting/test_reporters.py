"""Events reach scripts as JSON, logs as lines and terminals as a table, and no name can play tricks on
any.
"""

import io
import json
import os
import pty

from coterie.crypto.identity.identity import Identity, peer_id
from coterie.peer.reporting.reporters import JsonLines, Live, PlainLines, plain_facts, reporter

KEY = Identity.from_seed(bytes(32)).public


def test_json_lines_name_members_by_their_peer_id_and_other_bytes_in_hex() -> None:
    out = io.StringIO()
    facts = {"member": KEY, "weights": KEY, "members": [KEY], "metrics": {"accuracy": 0.5}, "loss": None}
    JsonLines(out).event("model", "agreed", facts)
    told = json.loads(out.getvalue())
    assert told["event"] == "model"
    assert told["member"] == peer_id(KEY)
    assert told["members"] == [peer_id(KEY)]
    assert told["weights"] == KEY.hex()
    assert told["metrics"] == {"accuracy": 0.5}
    assert out.getvalue().isascii()


def test_facts_of_any_kind_can_be_printed() -> None:
    assert json.dumps(plain_facts({"a": {1, 2}, "b": object(), "c": (b"\xff", 1.5)}))


def test_plain_lines_say_whom_they_are_about() -> None:
    out = io.StringIO()
    PlainLines(out).event("fault", "sent garbage", {"member": KEY, "who": "Ada"})
    PlainLines(out).event("fault", "sent garbage", {"member": KEY})
    first, second = out.getvalue().splitlines()
    assert first.endswith("Ada: sent garbage")
    assert peer_id(KEY)[-11:] in second


def test_what_repeats_every_round_is_shown_first_and_then_every_twofold_with_what_to_do() -> None:
    out = io.StringIO()
    lines = PlainLines(out)
    for _ in range(9):
        lines.event("clipped", "3 elements of the update were clipped to ±4", {"advice": "take smaller steps"})
        lines.event("dealt", "dealt to 2 holders", {})
    assert [line.partition(" ")[2] for line in out.getvalue().splitlines()] == [
        f"3 elements of the update were clipped to ±4 ({count}×; take smaller steps)" for count in (1, 2, 4, 8)
    ]


def test_an_error_that_the_command_tells_on_stderr_is_not_told_twice() -> None:
    lines, events = io.StringIO(), io.StringIO()
    for told, out in ((PlainLines, lines), (JsonLines, events)):
        told(out).event("stopped", "the disk is full", {"exit": 6, "on_stderr": True})
        told(out).event("stopped", "stopped", {"exit": 0, "on_stderr": False})
    assert lines.getvalue().count("\n") == 1
    assert "the disk is full" in events.getvalue()


def test_a_name_cannot_send_codes_to_the_terminal() -> None:
    out = io.StringIO()
    PlainLines(out).event("joined", "\x1b[2J\x07evil\u202e joined", {"name": "x"})
    assert not set("\x1b\x07\u202e") & set(out.getvalue())
    assert "evil" in out.getvalue()


def test_a_reader_that_is_gone_does_not_stop_the_peer() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        lines = PlainLines(out)
        lines.event("x", "nobody reads this", {})
        lines.event("x", "nor this", {})
        try:
            out.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), writing)


def test_without_a_terminal_there_are_plain_lines() -> None:
    assert isinstance(reporter(False, io.StringIO()), PlainLines)
    assert isinstance(reporter(True, io.StringIO()), JsonLines)


def test_a_terminal_shows_the_table_below_the_log() -> None:
    main_end, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as out:
        live = Live(out)
        live.event("joined", "Ada joined", {"name": "Ada"})
        live.refresh({"running": True, "federation": None})
        live.close()
        told = ""
        while "looking for one" not in told:
            told += os.read(main_end, 65536).decode()
    os.close(main_end)
    assert "Ada joined" in told
    assert "looking for one" in told
