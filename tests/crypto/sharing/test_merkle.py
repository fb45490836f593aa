"""Merkle trees: paths prove places, and no node passes for a leaf."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.crypto.sharing import merkle

leaves = st.integers(1, 20).map(lambda count: [merkle.leaf(b"%d" % i) for i in range(count)])


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def test_a_small_tree_by_hand() -> None:
    domain = b"coterie/1/merkle"
    a, b, c = (sha(domain, b"\x00", name) for name in (b"a", b"b", b"c"))
    padding = sha(domain, b"\x02")
    left, right = sha(domain, b"\x01", a, b), sha(domain, b"\x01", c, padding)
    tree = merkle.Tree([merkle.leaf(b"a"), merkle.leaf(b"b"), merkle.leaf(b"c")])
    assert tree.root == sha(domain, b"\x01", left, right)
    assert tree.path(2) == padding + left


def test_a_single_leaf_is_its_own_root() -> None:
    tree = merkle.Tree([merkle.leaf(b"a")])
    assert (tree.root, tree.path(0)) == (merkle.leaf(b"a"), b"")


@given(leaves)
def test_every_path_leads_to_the_root(leaves: list[bytes]) -> None:
    tree = merkle.Tree(leaves)
    for i, leaf in enumerate(leaves):
        assert len(tree.path(i)) == 32 * merkle.depth(len(leaves))
        assert merkle.root_from_path(leaf, i, tree.path(i)) == tree.root


@given(leaves, st.data())
def test_a_path_proves_nothing_for_another_place_leaf_or_sibling(leaves: list[bytes], data: st.DataObject) -> None:
    tree = merkle.Tree(leaves)
    i, j = (data.draw(st.integers(0, len(leaves) - 1)) for _ in range(2))
    path = tree.path(i)
    if i != j:
        assert merkle.root_from_path(leaves[i], j, path) != tree.root
        assert merkle.root_from_path(leaves[j], i, path) != tree.root
    if path:
        position = data.draw(st.integers(0, len(path) - 1))
        flipped = path[:position] + bytes([path[position] ^ 1]) + path[position + 1 :]
        assert merkle.root_from_path(leaves[i], i, flipped) != tree.root


@given(leaves.filter(lambda leaves: len(leaves) > 1))
def test_the_root_depends_on_the_leaves_order_and_number(leaves: list[bytes]) -> None:
    roots = {merkle.Tree(x).root for x in (leaves, leaves[::-1], leaves[:-1], [*leaves, leaves[-1]])}
    assert len(roots) == 4


@pytest.mark.parametrize(("index", "path"), [(2, bytes(32)), (0, bytes(31)), (-1, bytes(32)), (1, b"")])
def test_a_path_that_cannot_lead_from_that_leaf_is_refused(index: int, path: bytes) -> None:
    with pytest.raises(ValueError, match="path"):
        merkle.root_from_path(merkle.leaf(b"a"), index, path)


def test_a_tree_without_leaves_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one leaf"):
        merkle.Tree([])


def test_a_node_passes_for_a_leaf_only_where_both_are_hashed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    def node_shown_as_leaf() -> bool:
        a, b, c, d = (merkle.leaf(name) for name in (b"a", b"b", b"c", b"d"))
        tree = merkle.Tree([a, b, c, d])
        return merkle.root_from_path(merkle.leaf(a + b), 0, tree.path(0)[32:]) == tree.root

    assert not node_shown_as_leaf()
    monkeypatch.setattr(merkle, "_NODE", merkle._LEAF)  # the attack
    assert node_shown_as_leaf()
