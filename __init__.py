"""Coterie: peers that train one model together, with no server and without showing each other their data.

The repository's root is this package. Begin in :mod:`coterie.protocol`; :mod:`coterie.topology` simulates
federations, and :mod:`coterie.peer` is the command `peer`.
"""

__all__ = ["__version__"]

# Its own name for it: `typing` takes longer than all else before `peer` takes its signals (peer/entry.py).
TYPE_CHECKING = False

if TYPE_CHECKING:
    __version__: str
    """The version of the installed distribution, or of the checkout that is imported without being installed."""
else:

    def __getattr__(name: str) -> str:
        """Look the version up when it is asked for, so that importing a layer does not read files."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return _version()


def _version() -> str:
    """Return the version that pyproject.toml states. There is no copy of it in the code, so none can differ."""
    import tomllib
    from importlib import metadata
    from pathlib import Path

    try:
        return metadata.version("coterie")
    except metadata.PackageNotFoundError:
        pyproject = Path(__file__).resolve().with_name("pyproject.toml")
    if not pyproject.exists():
        return "0+unknown"  # a copy of the folders alone
    return str(tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["version"])
