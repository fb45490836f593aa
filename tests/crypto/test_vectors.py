"""Vector arithmetic against Python's integers, at the field's edges and at the edges of blocks."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.crypto import prng, vectors
from coterie.crypto.field import P, Vector
from coterie.crypto.kernels import vectors as kernels

EDGES = [0, 1, 2**32 - 1, 2**32, 2**63, P - 2**32, P - 1]
elements = st.sampled_from(EDGES) | st.integers(0, P - 1)


def vector(values: list[int]) -> Vector:
    return np.array(values, dtype=np.uint64)


def matrix(rows: int, columns: int) -> st.SearchStrategy[Vector]:
    flat = st.lists(elements, min_size=rows * columns, max_size=rows * columns)
    return flat.map(lambda values: vector(values).reshape(rows, columns))


@given(st.lists(st.tuples(elements, elements), max_size=30))
def test_addition_agrees_with_integers(pairs: list[tuple[int, int]]) -> None:
    a, b = vector([x for x, _ in pairs]), vector([y for _, y in pairs])
    vectors.add_into(a, b)
    assert a.tolist() == [(x + y) % P for x, y in pairs]


@given(st.data(), st.integers(1, 5), st.integers(1, 6), st.integers(0, 9))
def test_a_matrix_product_agrees_with_integers(data: st.DataObject, m: int, k: int, c: int) -> None:
    A, X = data.draw(matrix(m, k)), data.draw(matrix(k, c))
    expected = [[sum(int(a) * int(x) for a, x in zip(row, X[:, j], strict=True)) % P for j in range(c)] for row in A]
    assert vectors.matmul(A, X).tolist() == expected


@pytest.mark.parametrize("columns", [511, 512, 513, 1500])
def test_a_matrix_product_is_right_across_blocks(columns: int) -> None:
    A, X = prng.stream(b"A", b"", 12).reshape(3, 4), prng.stream(b"X", b"", 4 * columns).reshape(4, columns)
    expected = (A.astype(object) @ X.astype(object)) % P
    assert np.array_equal(vectors.matmul(A, X).astype(object), expected)


@pytest.mark.parametrize("terms", [0, 1, 2, 511, 512, 513, 700])
@pytest.mark.parametrize("element", [1, 2**32 - 1, 2**44 - 1, P - 2**32, P - 1])
def test_a_matrix_product_has_room_for_the_largest_sums(terms: int, element: int) -> None:
    """Up to 512 terms are added up in pieces of words, more in several goes: nothing is lost on either side."""
    A, X = np.full((1, terms), element, dtype=np.uint64), np.full((terms, 11), P - 1, dtype=np.uint64)
    assert vectors.matmul(A, X).tolist() == [[terms * element * (P - 1) % P] * 11]


@pytest.mark.parametrize("columns", [0, 1, 7, 15, 16, 17, 63, 64, 65, 511, 512, 513, 530])
@pytest.mark.parametrize("largest", [2**22 - 1, 2**22, P - 1])
def test_a_matrix_product_is_the_same_however_its_columns_are_cut(columns: int, largest: int) -> None:
    """Products with factors of 22 bits go a way of their own, and so do columns at the edge."""
    A = prng.stream(b"seed", b"A", 15).reshape(5, 3) % np.uint64(largest) + np.uint64(1)
    X = prng.stream(b"seed", b"X", 3 * columns).reshape(3, columns)
    expected = A.astype(object) @ X.astype(object) % P
    assert vectors.matmul(A, X).tolist() == expected.tolist()
    for rows in range(4):
        assert vectors.matmul(A, X[:rows], X[rows:]).tolist() == expected.tolist()


def test_a_matrix_of_many_megabytes_lives_as_long_as_the_product_takes() -> None:
    """Memory of that size goes back to the system when it is freed, and whoever reads it then is killed."""
    A = prng.stream(b"seed", b"A", 1500 * 500).reshape(1500, 500)
    X = prng.stream(b"seed", b"X", 500 * 8).reshape(500, 8)
    assert vectors.matmul(A, X)[-1].tolist() == (A[-1:].astype(object) @ X.astype(object) % P)[0].tolist()


def test_the_longest_lazy_sums_do_not_overflow() -> None:
    worst = np.full((1, 5000), P - 1, dtype=np.uint64)
    assert vectors.matmul(worst, worst.T.copy()).tolist() == [[5000]]
    assert vectors.dot(worst[0], worst[0]) == 5000


@given(st.lists(st.tuples(elements, elements), max_size=30))
def test_the_dot_product_agrees_with_integers(pairs: list[tuple[int, int]]) -> None:
    a, b = vector([x for x, _ in pairs]), vector([y for _, y in pairs])
    assert vectors.dot(a, b) == sum(x * y for x, y in pairs) % P


@pytest.mark.parametrize("size", [1, 7, 8, 9, 2048, 4095, 4096, 4097, 8192])
@pytest.mark.parametrize("element", [1, 2**32 - 1, 2**44 - 1, P - 2**32, P - 1])
def test_a_dot_product_has_room_for_the_largest_sums(size: int, element: int) -> None:
    x, y = np.full(size, element, dtype=np.uint64), np.full(size, P - 1, dtype=np.uint64)
    assert vectors.dot(x, y) == size * element * (P - 1) % P
    assert vectors.dot(y, x) == size * element * (P - 1) % P


@pytest.mark.parametrize("size", [0, 1, prng.BLOCK - 1, prng.BLOCK, prng.BLOCK + 1, 2 * prng.BLOCK + 5])
def test_a_fingerprint_is_two_dot_products_with_streams_of_the_seed(size: int) -> None:
    x = prng.stream(b"x", b"", size)
    weights = [prng.stream(b"seed", label, size) for label in (b"fingerprint 1", b"fingerprint 2")]
    expected = [sum(int(w) * int(v) for w, v in zip(row, x, strict=True)) % P for row in weights]
    assert vectors.fingerprint(b"seed", x) == tuple(expected)
    assert size == 0 or expected[0] != expected[1]


def test_the_fingerprint_of_a_sum_is_the_sum_of_the_fingerprints() -> None:
    a, b = prng.stream(b"a", b"", 1000), prng.stream(b"b", b"", 1000)
    parts = [vectors.fingerprint(b"seed", x) for x in (a, b)]
    vectors.add_into(a, b)
    assert vectors.fingerprint(b"seed", a) == tuple(sum(pair) % P for pair in zip(*parts, strict=True))


def test_fingerprints_of_rows_are_those_of_each_row_cut_to_the_columns() -> None:
    rows = prng.stream(b"rows", b"", 3 * 9000).reshape(3, 9000)
    found = vectors.fingerprints(b"seed", rows, 8999)
    assert found.tolist() == [list(vectors.fingerprint(b"seed", row[:8999].copy())) for row in rows]


def test_a_changed_element_changes_both_parts_of_the_fingerprint() -> None:
    x = prng.stream(b"x", b"", 100)
    before = vectors.fingerprint(b"seed", x)
    x[50] ^= np.uint64(1)
    assert all(a != b for a, b in zip(before, vectors.fingerprint(b"seed", x), strict=True))


def test_vectors_that_may_not_be_written_are_accepted_as_input() -> None:
    x = np.frombuffer(bytes(range(16)), dtype=np.uint64)
    assert not x.flags.writeable
    total = np.zeros(2, dtype=np.uint64)
    vectors.add_into(total, x)
    assert vectors.dot(total, x) == sum(int(v) ** 2 for v in x) % P


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (np.zeros(4), "uint64, not float64"),
        (np.zeros(4, dtype=np.int64), "uint64, not int64"),
        (np.zeros(4, dtype=np.dtype(np.uint64).newbyteorder()), "uint64, not >u8"),
        (np.zeros((2, 2), dtype=np.uint64), "shape"),
        (np.zeros(5, dtype=np.uint64), "shape"),
        (np.zeros(8, dtype=np.uint64)[::2], "contiguous"),
        (np.frombuffer(bytes(33), dtype=np.uint8)[1:].view(np.uint64), "aligned"),
    ],
)
def test_what_is_not_a_field_vector_of_the_right_shape_is_refused(wrong: Vector, reason: str) -> None:
    good = np.zeros(4, dtype=np.uint64)
    for call in (vectors.add_into, vectors.dot):
        with pytest.raises(ValueError, match=reason):
            call(good, wrong)


def test_matrices_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        vectors.matmul(np.zeros((2, 3), dtype=np.uint64), np.zeros((4, 5), dtype=np.uint64))
    with pytest.raises(ValueError, match="shape"):
        vectors.matmul(*(np.zeros(shape, dtype=np.uint64) for shape in ((2, 3), (2, 5), (1, 4))))
    with pytest.raises(ValueError, match="shape"):
        vectors.matmul(*(np.zeros(shape, dtype=np.uint64) for shape in ((2, 3), (2, 5), (2, 5))))


def test_more_columns_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="6 columns"):
        vectors.fingerprints(b"seed", np.zeros((2, 5), dtype=np.uint64), 6)


def test_every_kernel_releases_the_gil() -> None:
    compiled = [kernels.add_into, kernels.matmul, kernels.add_dot_products, kernels.encode]
    assert all(kernel.targetoptions["nogil"] for kernel in compiled)  # type: ignore[attr-defined]


def test_threads_get_the_same_results() -> None:
    x = prng.stream(b"x", b"", 50_000)
    results: list[tuple[int, int]] = []
    threads = [threading.Thread(target=lambda: results.append(vectors.fingerprint(b"s", x))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [vectors.fingerprint(b"s", x)] * 4
