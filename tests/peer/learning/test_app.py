"""Loading apps, and turning their arrays into one vector and back."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coterie.peer.learning.app import AppError, load_app
from coterie.peer.learning.arrays import flatten, shapes_text, unflatten

MODULE = """
class Model:
    def initial(self): return []
    def fit(self, weights, round): return weights, 1, {}
    def evaluate(self, weights): return 0.0, 1, {}

class Box: pass
box = Box()
box.inner = Model()
ready = Model()
number = 7
def make(): return Model()
def broken(): raise RuntimeError("no luck")  # line 13
def quits(): raise SystemExit(3)
class Half:
    def initial(self): return []
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the working directory, under a name that no other test uses."""
    name = f"app_of_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


@pytest.mark.parametrize("path", ["ready", "Model", "make", "box.inner"])
def test_an_app_is_found_in_the_working_directory_as_object_class_or_factory(module: str, path: str) -> None:
    assert type(load_app(f"{module}:{path}")).__name__ == "Model"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing", "has no 'missing'"),
        ("box.outer", "has no 'outer'"),
        ("broken", r"calling broken\(\) raised RuntimeError: no luck"),
        ("quits", r"calling quits\(\) raised SystemExit: 3"),
        ("number", "a int has no method initial, fit, evaluate"),
        ("Half", "a Half has no method fit, evaluate"),
    ],
)
def test_an_app_that_cannot_be_made_is_refused_with_the_reason(module: str, path: str, message: str) -> None:
    with pytest.raises(AppError, match=message):
        load_app(f"{module}:{path}")


@pytest.mark.parametrize("name", ["", "module", ":object", "module:", "module.object"])
def test_a_name_without_module_and_object_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(AppError, match="module:object, e.g. mymodel:app"):
        load_app(name)


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(AppError, match="no module named 'no_such_module_here'"):
        load_app("no_such_module_here:app")


@pytest.mark.parametrize(("code", "error"), [("1 / 0", "ZeroDivisionError"), ("raise SystemExit(3)", "SystemExit: 3")])
def test_a_module_that_fails_to_import_is_named_with_its_error(module: str, code: str, error: str) -> None:
    Path(f"{module}_bad.py").write_text(code)
    with pytest.raises(AppError, match=f"importing {module}_bad raised {error}"):
        load_app(f"{module}_bad:app")


@given(
    st.lists(
        hnp.arrays(
            np.float32,
            hnp.array_shapes(min_dims=0, max_dims=4, max_side=4),
            elements=st.floats(-(2.0**100), 2.0**100, width=32),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_unflatten_inverts_flatten(arrays: list[np.ndarray]) -> None:
    vector, shapes = flatten(arrays)
    again = unflatten(vector, shapes)
    assert vector.dtype == np.float32
    assert [array.shape for array in again] == [array.shape for array in arrays]
    assert all(np.array_equal(one, other) for one, other in zip(arrays, again, strict=True))


def test_unflattened_arrays_may_be_written_to_without_changing_the_vector() -> None:
    vector, shapes = flatten([np.ones((2, 3)), np.ones(4)])
    vector.flags.writeable = False
    for array in unflatten(vector, shapes):
        array += 1
    assert vector.sum() == 10


def test_arrays_in_another_order_of_memory_flatten_the_same() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(flatten([np.asfortranarray(array)])[0], flatten([array])[0])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (np.ones(3), "a list of numpy arrays is needed, not ndarray"),
        ([], "1 to 4096 arrays are possible, not 0"),
        ([np.ones(2), "text"], r"weights\[1\] holds <U4"),
        ([np.ones(2), np.ones(2) * 1j], r"weights\[1\] holds complex128"),
        ([np.array([True])], r"weights\[0\] holds bool"),
        ([np.ones((2, 0))], r"weights\[0\] has shape \(2, 0\)"),
        ([np.ones((1,) * 9)], "at most 8 dimensions"),
        (
            [np.ones(2), np.array([[0, 1], [np.nan, np.inf]])],
            r"weights\[1\] holds 2 .* first at \[1, 0\]: nan",
        ),
        (
            [np.array([1e300])],
            r"weights\[0\] holds 1 values that are not finite, the first at \[0\]: 1e\+300",
        ),
        ([[[1], [1, 2]]], r"weights\[0\] is not a numpy array"),
    ],
)
def test_what_is_no_list_of_finite_arrays_is_refused_by_place(arrays: object, message: str) -> None:
    with pytest.raises(AppError, match=message):
        flatten(arrays)


def test_a_vector_of_another_length_does_not_unflatten() -> None:
    with pytest.raises(ValueError, match=r"5 parameters do not fill 2x2 \(4 parameters\)"):
        unflatten(np.ones(5, dtype=np.float32), ((2, 2),))


def test_shapes_are_told_in_few_words() -> None:
    assert shapes_text(((10, 16), (16,), ())) == "10x16, 16, scalar (177 parameters)"
    assert "88 more" in shapes_text(((1,),) * 100)


def test_an_app_that_cannot_be_made_shows_its_own_traceback(module: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AppError):
        load_app(f"{module}:broken")
    (record,) = caplog.records
    lines = record.getMessage().splitlines()
    assert lines[1] == "Traceback (most recent call last):"
    assert f'{module}.py", line 13, in broken' in lines[2]
    assert lines[-1] == "RuntimeError: no luck"


def test_a_module_that_cannot_be_imported_shows_where(
    module: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / f"{module}_wrong.py").write_text("import json\n\njson.nothing\n")
    with pytest.raises(AppError):
        load_app(f"{module}_wrong:App")
    assert f'{module}_wrong.py", line 3' in caplog.text
    assert "importlib" not in caplog.text
