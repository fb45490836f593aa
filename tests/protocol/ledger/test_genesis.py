"""The parameters of a federation: what a genesis must not say, and that its id stands for every one of them."""

from contextlib import suppress

import msgspec
import pytest
from chains import digest
from hypothesis import given, settings
from hypothesis import strategies as st
from members import identity, make_genesis
from strategies import values

from coterie.protocol.ledger.genesis import (
    GENESIS_BYTES,
    Bounds,
    Continued,
    Genesis,
    GenesisError,
    OtherVersion,
    Stopping,
    check_genesis,
    read_genesis,
    total_bytes,
)
from coterie.protocol.limits import MAX_ARRAYS, MAX_MEMBERS, MAX_PARAMETERS, MAX_SETUP_SUMS, PROTOCOL_VERSION
from coterie.protocol.messages.encoding import encode
from coterie.protocol.scheme_registry import SCHEMES

FOUNDER = identity(0).public
OTHER = identity(1).public
FULL_ROSTER = (FOUNDER, *(digest(f"{number}") for number in range(MAX_MEMBERS - 1)))


def changed(**fields: object) -> Genesis:
    values = {name: getattr(make_genesis(), name) for name in Genesis.__struct_fields__}
    return Genesis(**values | fields)


def continued(**fields: object) -> Continued:
    return Continued(head=bytes(32), **fields)  # type: ignore[arg-type]


def test_a_genesis_is_read_as_it_was_written() -> None:
    genesis = make_genesis(setup_sums=3, metrics=("accuracy", "f1"), admit="roster", roster=(FOUNDER, OTHER))
    assert read_genesis(genesis.encode()) == genesis


@settings(max_examples=50)
@given(values(Genesis), st.sampled_from(sorted(SCHEMES)))
def test_any_genesis_is_read_as_it_was_written_or_refused_with_the_one_error(genesis: Genesis, scheme: str) -> None:
    for one in (genesis, msgspec.structs.replace(genesis, scheme=scheme)):
        with suppress(GenesisError):
            assert read_genesis(one.encode()) == one


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"shapes": ((MAX_PARAMETERS, 2),)}, "shapes: .* exceed the limit"),
        ({"shapes": ((MAX_PARAMETERS,) * 8,) * 9}, "shapes: .* exceed the limit"),
        ({"threshold": 1}, "threshold: 1 would let every holder open every update"),
        (
            {"share_deadline_ms": 40_000, "round_time_ms": 30_001},
            r"round_time: 30.001 s are more than three quarters of the share_deadline of 40 s.* 41 s or more",
        ),
        ({"admit": "roster"}, "roster: needed with admit=roster"),
        ({"roster": (FOUNDER,)}, "roster: needed with admit=roster, and only there"),
        ({"admit": "roster", "roster": (OTHER,)}, "roster: the founder's key is not in it"),
        ({"admit": "roster", "roster": (FOUNDER, OTHER, OTHER)}, "roster: a key stands twice"),
        ({"metrics": ("a", "b", "a")}, "metrics: a name stands twice"),
        ({"final_metrics": ("a", "a")}, "metrics: a name stands twice"),
        ({"metrics": ("a", "b"), "final_metrics": ("c", "a")}, "metrics: a name stands twice"),
        ({"final_metrics": ("ok", "\u202e")}, "names: .* cannot be printed"),
        ({"name": "a\nb"}, "names: .* cannot be printed"),
        ({"name": "  "}, "names: .* is blank"),
        ({"founder_name": "north "}, "names: .* ends with a blank"),
        ({"founder_name": "\u3164"}, "names: .* is blank"),
        ({"founder_name": "anna\ufe0f"}, "names: .* ends with a blank"),
        ({"name": "\u2800anna"}, "names: .* ends with a blank"),
        ({"scheme": "clear"}, "scheme: there is no 'clear'; this version has shamir, plain"),
        ({"founder_name": "\x1b[31m"}, "names: .* cannot be printed"),
        ({"metrics": ("ok", "\u202e")}, "names: .* cannot be printed"),
        ({"continued": continued(setup_totals=(b"\1",)), "setup_sums": 2}, "setup_totals: 1 totals of 2 setup sums"),
        ({"continued": continued(setup_totals=(b"\1",))}, "setup_totals: 1 totals of 0 setup sums"),
        ({"continued": continued(setup_totals=(b"\0\1",)), "setup_sums": 1}, "setup_totals: a total is longer"),
        ({"continued": continued(barred=(OTHER, OTHER))}, "barred: a key stands twice"),
        ({"continued": continued(barred=(FOUNDER,))}, "barred: .* the founder's"),
        (
            {
                "shapes": ((200, 200, 1, 1, 1, 1, 1, 1),) * MAX_ARRAYS,
                "admit": "roster",
                "roster": FULL_ROSTER,
                "model": "m" * 4096,
            },
            f"take more than {GENESIS_BYTES} bytes",
        ),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, dict) else "",
)
def test_parameters_that_make_no_federation_are_refused_by_name(fields: dict[str, object], why: str) -> None:
    genesis = changed(**fields)
    with pytest.raises(GenesisError, match=why):
        check_genesis(genesis)


def test_a_round_by_time_may_take_three_quarters_of_the_share_deadline() -> None:
    genesis = changed(share_deadline_ms=40_000, round_time_ms=30_000)
    assert read_genesis(genesis.encode()) == genesis


def test_a_genesis_without_rounds_by_time_has_the_bytes_that_it_had_before() -> None:
    plain, bounded = changed(), changed(bounds=Bounds(quarters=0))
    for genesis in (plain, bounded):
        assert len(msgspec.msgpack.decode(genesis.encode())) < len(Genesis.__struct_fields__)
    assert len(msgspec.msgpack.decode(bounded.encode())) == len(Genesis.__struct_fields__) - 1


def test_a_full_roster_fits() -> None:
    assert len(read_genesis(changed(admit="roster", roster=FULL_ROSTER).encode()).roster) == MAX_MEMBERS


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 1},
        {"name": ""},
        {"name": "x" * 65},
        {"founder": b"short"},
        {"shapes": ()},
        {"shapes": ((0,),)},
        {"shapes": ((1,) * 9,)},
        {"shapes": ((1,),) * (MAX_ARRAYS + 1)},
        {"weights_hash": bytes(31)},
        {"setup_sums": MAX_SETUP_SUMS + 1},
        {"scheme": "clear"},
        {"threshold": MAX_MEMBERS + 1},
        {"clip_exponent": 21},
        {"rounds": -1},
        {"min_peers": 2},
        {"min_peers": MAX_MEMBERS + 1},
        {"admit": "anybody"},
        {"examples_ref": 0},
        {"share_deadline_ms": 9},
        {"round_time_ms": 9},
        {"round_time_ms": 86_400_001},
        {"view_timeout_ms": 0},
        {"evict_after_rounds": -1},
        {"evict_on_proof": 1},
        {"continued": Continued(head=b"")},
        {"created_ms": 2**53 + 1},
    ],
    ids=lambda fields: next(f"{name}={value!r}"[:40] for name, value in fields.items()),
)
def test_a_parameter_out_of_its_bounds_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(GenesisError):
        read_genesis(changed(**fields).encode())


def test_bytes_that_are_no_genesis_are_refused() -> None:
    good = make_genesis().encode()
    fields = msgspec.msgpack.decode(good)
    for bad in (b"", good[:-1], good + b"\0", encode([*fields, 0]), encode(fields[:-1]), bytes(GENESIS_BYTES + 1)):
        with pytest.raises(GenesisError):
            read_genesis(bad)


@pytest.mark.parametrize("value", [0, 1, -1, 127, 128, -128, -129, 2**122, -(2**122)])
def test_a_total_keeps_its_exact_value_in_the_fewest_bytes(value: int) -> None:
    genesis = changed(setup_sums=1, continued=continued(setup_totals=(total_bytes(value),)))
    assert read_genesis(genesis.encode()).totals == (value,)


def test_a_genesis_of_another_version_is_told_from_a_damaged_one() -> None:
    fields = msgspec.msgpack.decode(make_genesis().encode())
    with pytest.raises(OtherVersion, match="protocol version 77") as caught:
        read_genesis(encode([77, *fields[1:3]]))
    assert caught.value.version == 77
    for bad in ([], ["1", *fields[1:]], [PROTOCOL_VERSION, *fields[1:3]]):
        with pytest.raises(GenesisError) as other:
            read_genesis(encode(bad))
        assert not isinstance(other.value, OtherVersion)


def test_every_parameter_is_part_of_the_id() -> None:
    base = make_genesis()
    others = [
        changed(**{name: value})
        for name, value in {
            "name": "another",
            "founder": OTHER,
            "founder_name": "another",
            "created_ms": 0,
            "model": "another",
            "shapes": ((3, 2),),
            "weights_hash": digest("another"),
            "setup_sums": 1,
            "metrics": ("a",),
            "scheme": "plain",
            "threshold": 2,
            "clip_exponent": 3,
            "rounds": 99,
            "min_peers": 4,
            "admit": "invite",
            "roster": (FOUNDER,),
            "examples_ref": 1,
            "round_interval_ms": 1,
            "share_deadline_ms": 10,
            "view_timeout_ms": 10,
            "view_delta_ms": 10,
            "evict_after_rounds": 1,
            "evict_on_proof": False,
            "continued": Continued(head=digest("another")),
            "stopping": Stopping(patience=1),
            "final_metrics": ("a",),
            "bounds": Bounds(quarters=0),
            "round_time_ms": 10,
        }.items()
    ]
    assert len(others) == len(Genesis.__struct_fields__) - 1, "all but the version, which has one value"
    head = digest("another")
    continued = [
        Continued(head=head, setup_totals=(b"\1",)),
        Continued(head=head, evaluated=True),
        Continued(head=head, barred=(OTHER,)),
    ]
    others += [changed(continued=one) for one in continued]
    stopping = [Stopping(patience=2), Stopping(patience=1, min_delta_millionths=1)]
    others += [changed(stopping=one) for one in stopping]
    others.append(changed(stopping=stopping[0], final_metrics=("a",)))
    assert len({genesis.federation for genesis in (base, *others)}) == len(others) + 1


def test_the_parameters_are_the_product_of_each_shape() -> None:
    assert changed(shapes=((3, 4), (4,), (1, 1, 7))).parameters == 12 + 4 + 7
