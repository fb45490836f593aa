"""The log file of a real peer: all that it told, over a rotation, up to its end."""

import json
import stat

import pytest
from harness import Federation

from coterie.peer.errors import Exit
from coterie.peer.reporting.reporters import QUIET

pytestmark = pytest.mark.processes


def test_a_log_file_that_is_rotated_holds_all_that_its_peer_told(federation: Federation) -> None:
    log, older = federation.folder / "peer.log", federation.folder / "peer.log.1"
    founder = federation.found("--log-file", str(log), "--log-json")
    log.rename(older)
    assert founder.stop() == Exit.OK

    before, after = ([json.loads(line) for line in path.read_text().splitlines()] for path in (older, log))
    logged = [one["event"] for one in (*before, *after) if one["event"]]
    assert (logged[0], logged[-1]) == ("starting", "stopped")
    assert logged[1:] == [one["event"] for one in founder.events if one["event"] not in QUIET]
    assert {"founded", "listening"} <= {one["event"] for one in before}
    assert after, "the last lines are in the new file"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert founder.wait("founded")["invite"] not in older.read_text()
    assert "--log-file" not in founder.errors
