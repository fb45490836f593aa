"""The table of schemes: read without any of them, and each of its lines leads to one."""

import subprocess
import sys
from inspect import isabstract

import pytest

from coterie.protocol.ledger.blocks import Contributors
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.messages.encoding import decode, encode
from coterie.protocol.scheme_registry import DEFAULT_SCHEME, SCHEMES
from coterie.protocol.schemes import Scheme, scheme_of

COMMITTEE = Committee(tuple(bytes([one]) * 32 for one in range(4)))


def test_the_table_is_read_without_any_scheme() -> None:
    script = "import coterie.protocol.scheme_registry, coterie.protocol.ledger.privacy; import sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "coterie.protocol.scheme_registry" in loaded
    assert not {"coterie.protocol.schemes", "msgspec", "nacl", "numpy", "numba"} & loaded


@pytest.mark.parametrize("name", SCHEMES)
def test_each_line_leads_to_a_scheme_whose_name_fits_into_a_block(name: str) -> None:
    made = scheme_of(name, COMMITTEE)
    assert isinstance(made, Scheme)
    assert not isabstract(type(made))
    assert made.committee is COMMITTEE
    body = Contributors(1, name, bytes(32), ((0, bytes(32)),), (0,))
    assert decode(encode(body), Contributors, 1024) == body
    assert name.isprintable()


def test_the_default_is_one_of_them_and_there_is_no_other() -> None:
    assert DEFAULT_SCHEME in SCHEMES
    with pytest.raises(KeyError):
        scheme_of("clear", COMMITTEE)
