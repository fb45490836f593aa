"""Docstrings of this project as Markdown: the roles of Sphinx become links, tables and listings become listings."""

import re
from typing import Any, Final

from griffe import Docstring, Extension, Object

_ROLE: Final = re.compile(r":(?:mod|class|func|meth|data|attr|exc):`([^`]+)`")
_TABLE: Final = re.compile(r"^(={3,}  +=[= ]*)\n(?:.*\n)+?\1\n(?:(?:.+\n)+?\1(?:\n|$))?", re.MULTILINE)
_ALIGNED: Final = re.compile(r"(?:\A|(?<=\n\n))(?:\S.*?\S {2,}\S.*(?:\n|\Z))+(?=\n|\Z)")
_SESSION: Final = re.compile(r"^>>> .*\n(?:.+(?:\n|\Z))*", re.MULTILINE)


class Roles(Extension):
    """Turns each docstring when it is loaded."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Turn the docstring of an object that is loaded."""
        if obj.docstring is not None:
            obj.docstring = Docstring(
                as_markdown(obj.docstring.value, obj),
                lineno=obj.docstring.lineno,
                endlineno=obj.docstring.endlineno,
                parent=obj,
                parser=obj.docstring.parser,
                parser_options=obj.docstring.parser_options,
            )


def as_markdown(text: str, obj: Object) -> str:
    """Return the docstring of an object as Markdown."""
    text = _SESSION.sub(lambda match: f"```pycon\n{match[0].rstrip()}\n```\n", text)
    text = _TABLE.sub(lambda match: f"```text\n{match[0].rstrip()}\n```\n", text)
    text = _ALIGNED.sub(lambda match: f"```text\n{match[0].rstrip()}\n```\n", text)
    text = _ROLE.sub(lambda match: _link(match[1], obj), text)
    text = re.sub(r"(?<!`)``(?!`)", "`", text)
    return re.sub(r"::$", ":", text, flags=re.MULTILINE)


def _link(target: str, obj: Object) -> str:
    """A link to what a role names, where the reference has it; otherwise its name alone."""
    shown = target.lstrip(".")
    path = _path(target, obj)
    return f'<autoref identifier="{path}" optional><code>{shown}</code></autoref>'


def _path(target: str, obj: Object) -> str:
    module = obj if obj.is_module else obj.module
    dots = len(target) - len(target.lstrip("."))
    name = target.lstrip(".")
    if not dots:
        return name if name.startswith("coterie.") else f"{module.path}.{name}"
    parts = module.path.split(".")
    if not module.is_init_module:
        parts = parts[:-1]
    return ".".join([*parts[: len(parts) - dots + 1], name])
