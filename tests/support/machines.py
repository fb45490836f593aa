"""The machines of the protocol whose phases are tables, and the drawings of these tables above their enums.

`python tests/support/machines.py` writes the drawings anew.
"""

import inspect
import re
from enum import Enum
from pathlib import Path
from textwrap import indent
from typing import Any

from coterie.protocol.agreement.tendermint import STAGES, Stage
from coterie.protocol.ledger.phases import PHASES, Phase
from coterie.protocol.machines import Table
from coterie.protocol.round.sharing import SHARE_PHASES, SharePhase
from coterie.protocol.round.summing import OPENINGS, OWN_SUMS, Opening, OwnSum

MACHINES: dict[type[Enum], Table[Any, Any]] = {
    Phase: PHASES,
    Stage: STAGES,
    SharePhase: SHARE_PHASES,
    OwnSum: OWN_SUMS,
    Opening: OPENINGS,
}
_DRAWN = re.compile(r"::\n\n(?P<drawn>.*?)\n?\Z", re.DOTALL)


def drawn(phases: type[Enum]) -> str:
    """The drawing in the docstring of an enum."""
    found = _DRAWN.search(inspect.cleandoc(phases.__doc__ or ""))
    return "" if found is None else inspect.cleandoc(found["drawn"])


def main() -> None:
    """Write each drawing into its docstring, between its `::` and its end."""
    for phases, table in MACHINES.items():
        path = Path(inspect.getfile(phases)).resolve()
        text = path.read_text(encoding="utf-8")
        body = re.compile(rf'(class {phases.__name__}\((?:Int|Str)?Enum\):\n    """.*?::\n\n).*?(    """\n)', re.DOTALL)
        drawing = indent(table.drawing(), " " * 8) + "\n"
        path.write_text(body.sub(lambda found, new=drawing: found[1] + new + found[2], text, count=1), encoding="utf-8")


if __name__ == "__main__":
    main()
