"""Where compiled kernels are kept, and that they work where nothing can be. Each case has its own process."""

import os
import pickle  # noqa: TID251 - numba's cache files are pickles: this is the attack
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[3] / "crypto"
PROGRAM = """
import numpy as np
from coterie.crypto import vectors
from coterie.crypto.kernels import vectors as kernels
assert vectors.dot(np.array([2, 3], dtype=np.uint64), np.array([5, 7], dtype=np.uint64)) == 31
print(sum(kernels.add_dot_products.stats.cache_hits.values()), kernels.add_dot_products.stats.cache_path)
"""


class Plant:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the package that cannot be written to, not even by root: its `__pycache__` is a file."""
    package = tmp_path / "lib" / "coterie" / "crypto"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "kernels" / "__pycache__").write_text("")
    (tmp_path / "tmp").mkdir()
    return tmp_path


def private_folder(tree: Path) -> Path:
    return tree / "tmp" / f"coterie-kernels-{os.getuid()}"


def run(tree: Path) -> tuple[int, str]:
    """Use a kernel with no home to write to. Returns how often the cache was hit, and where it is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_", "PYTHON"))}
    environment = {
        **kept,
        "HOME": "/dev/null/nowhere",
        "TMPDIR": str(tree / "tmp"),
        "PYTHONPATH": str(tree / "lib"),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    hits, path = done.stdout.strip().split(" ", 1)
    return int(hits), path


def test_a_read_only_home_and_package_use_a_private_folder_and_find_the_kernels_again(tree: Path) -> None:
    hits, path = run(tree)
    folder = private_folder(tree)
    assert (hits, Path(path).parent) == (0, folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert run(tree) == (1, path)


def test_a_damaged_cache_is_no_reason_not_to_compute(tree: Path) -> None:
    run(tree)
    for path in private_folder(tree).rglob("*.nb?"):
        path.write_bytes(b"damaged")
    hits, _ = run(tree)
    assert hits == 0


@pytest.mark.parametrize("kind", ["open to others", "link", "file"])
def test_a_folder_that_others_may_control_is_not_used(tree: Path, kind: str) -> None:
    folder, elsewhere = private_folder(tree), tree / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if kind == "open to others":
        folder.mkdir()
        folder.chmod(0o777)
    elif kind == "link":
        folder.symlink_to(elsewhere)
    else:
        folder.write_text("")
    assert run(tree) == (0, "None")
    assert list(elsewhere.iterdir()) == []


def test_a_planted_cache_file_runs_code_only_from_a_folder_that_passes_the_check(tree: Path) -> None:
    run(tree)
    folder, proof = private_folder(tree), tree / "proof"
    for path in folder.rglob("*.nbi"):
        path.write_bytes(pickle.dumps(Plant(proof)))
    folder.chmod(0o777)
    run(tree)
    assert not proof.exists()
    folder.chmod(0o700)  # what the file would do if the folder's mode were not looked at
    run(tree)
    assert proof.exists()
