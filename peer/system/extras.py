"""Optional packages: Coterie needs each for one thing only, and users install it if they want that."""

from importlib import import_module
from typing import Any

__all__ = ["MissingPackage", "load", "load_typing"]


class MissingPackage(ImportError):
    """A package that is not installed; says what needs it and what to type."""


def load(module: str, what: str, extra: str) -> Any:
    """Import a module of a package that Coterie's ``extra`` installs; ``what`` needs it. Raises MissingPackage."""
    return load_typing(module, what, f"pip install 'coterie[{extra}]'")


def load_typing(module: str, what: str, command: str) -> Any:
    """Import a module of a package that typing ``command`` installs; ``what`` needs it. Raises MissingPackage."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        # A package may be there while one that it needs is not, or may itself be broken.
        is_missing = isinstance(error, ModuleNotFoundError) and error.name == package
        why = "is not installed" if is_missing else f"cannot be loaded ({error})"
        raise MissingPackage(f"{what} needs the package {package}, which {why}; type: {command}") from None
