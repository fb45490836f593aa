"""Coterie: peers that train one model together, with no server and without showing each other their data.

The repository's root is this package. Begin to read in :mod:`coterie.protocol`, the state machines, which compute with
:mod:`coterie.crypto`. :mod:`coterie.peer` is the command `peer`; :mod:`coterie.apps` adapts models of other packages;
:mod:`coterie.topology` simulates federations.
"""

__all__ = ["__version__"]

# Defined here and not imported: to import `typing` would take longer than all other work before `peer` handles signals
# (peer/cli/entry.py).
TYPE_CHECKING = False

if TYPE_CHECKING:
    __version__: str
    """The version of the installed distribution, or of a checkout that is imported without being installed."""
else:

    def __getattr__(name: str) -> str:
        """Look up the version only when it is asked for, so that the import of a layer reads no files."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return _version()


def _version() -> str:
    """Return the version that pyproject.toml states. The code has no copy of it that could differ."""
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
