"""Machines whose phases are tables: what is drawn above each is its table, and each phase can be reached and left."""

from enum import Enum
from typing import Any

import pytest
from machines import MACHINES, drawn

from coterie.protocol.machines import Table


class Light(Enum):
    """A machine."""

    RED = 0
    DEEP_GREEN = 1


class Turn(Enum):
    """Its input."""

    GO = 0
    STOP_NOW = 1


def test_an_arrow_leads_on_and_an_input_without_one_leaves_the_phase_as_it_is() -> None:
    table = Table({(Light.RED, Turn.GO): Light.DEEP_GREEN, (Light.DEEP_GREEN, Turn.STOP_NOW): Light.RED})
    assert table.after(Light.RED, Turn.GO) is Light.DEEP_GREEN
    assert table.after(Light.RED, Turn.STOP_NOW) is Light.RED
    assert table.drawing() == "red        --go--------> deep green\ndeep green --stop now--> red"


@pytest.mark.parametrize("phases", MACHINES, ids=lambda one: one.__name__)
def test_what_is_drawn_above_a_machine_is_its_table(phases: type[Enum]) -> None:
    assert drawn(phases) == MACHINES[phases].drawing(), "write it anew: python tests/support/machines.py"


@pytest.mark.parametrize("phases", MACHINES, ids=lambda one: one.__name__)
def test_every_phase_is_reached_from_the_first_one(phases: type[Enum]) -> None:
    table: Table[Any, Any] = MACHINES[phases]
    reached = {next(iter(phases))}
    while more := {end for (start, _), end in table.arrows.items() if start in reached} - reached:
        reached |= more
    assert reached == set(phases)
