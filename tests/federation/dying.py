"""`peer`, but it kills itself with SIGKILL at a moment of its own life: `dying.py MOMENT ROUND start …`.

Only whoever is the aggregator at that moment dies, so the same can be asked of all members. Nothing here is part of
what is shipped: it replaces two methods of the driver and then runs the command line.
"""

import os
import signal
import sys
from typing import Any, NoReturn

from coterie.peer import cli, driver
from coterie.protocol.blocks import Contributors, Model, read_block
from coterie.protocol.envelope import Verified, verify
from coterie.protocol.messages import Proposal
from coterie.protocol.records import BlockDecided, Dealt, Released, ShareHeld, VoteCast


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit


def main() -> int:
    moment, number = sys.argv[1], int(sys.argv[2])
    kind = {"proposing": Contributors, "summing": Model}.get(moment)
    commit, send = driver.Driver._commit, driver.Driver._send

    def is_it(self: driver.Driver, record: Any) -> bool:
        match record:
            case Dealt(round=round):
                return moment == "dealing" and round == number
            case ShareHeld(round=round):
                return moment == "holding" and round == number
            case Released(round=round):
                return moment == "releasing" and round == number
            case VoteCast():
                state = self.node.state
                return moment == "voting" and state.round == number and state.phase == "sharing"
            case BlockDecided(block=block):
                body = read_block(block).body
                return moment == "deciding" and isinstance(body, Model) and body.round == number
        return False

    def aggregates(self: driver.Driver) -> bool:
        return self.node.state.proposer(0) == self._me

    def dying_commit(self: driver.Driver, records: Any, large: Any) -> Any:
        done = commit(self, records, large)
        if aggregates(self) and any(is_it(self, record) for record in records):
            die()
        return done

    def dying_send(self: driver.Driver, one: Any, digests: Any) -> None:
        if kind is not None:
            message = verify(one.envelope, self._federation)
            if isinstance(message, Verified) and message.view == 0 and isinstance(message.message, Proposal):
                body = read_block(message.message.block).body
                if isinstance(body, kind) and body.round == number:
                    die()
        send(self, one, digests)

    driver.Driver._commit = dying_commit  # type: ignore[method-assign]
    driver.Driver._send = dying_send  # type: ignore[method-assign]
    return cli.main(sys.argv[3:])


if __name__ == "__main__":
    raise SystemExit(main())
