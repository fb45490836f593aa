"""What tells a node's notices, with stand-ins for the parts that a test does not look at."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from coterie.peer.runtime.notice_teller import NoticeTeller


def make_notices(node: Any, tell: Callable[[str, str, dict[str, Any]], None], **parts: Any) -> NoticeTeller:
    """Make one that tells of ``node``. ``parts`` take the place of stand-ins, by the names of their fields."""
    standins: dict[str, Any] = {
        "network": None,
        "home": None,
        "consent": None,
        "ending": SimpleNamespace(on_notice=lambda *_: None, lacks_invite=lambda _: False),
        "rounds": SimpleNamespace(note=lambda *_: None),
        "last_sum": SimpleNamespace(on_notice=lambda _: None),
        "strangers": None,
        "gone": {},
        "clip_advice": None,
    }
    return NoticeTeller(node=node, tell=tell, **standins | parts)
