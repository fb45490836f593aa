"""Agreement: one decision a height; the ledgers of honest members are prefixes of each other."""

from ...protocol.events import Event, Step
from ...protocol.records import BlockDecided
from ..engine.site import Site
from .base import Checker


class Agreement(Checker):
    """Compares every block that an honest member decides with the first one decided at that height."""

    name = "agreement"

    def __init__(self) -> None:
        self._decided: dict[int, tuple[bytes, Site]] = {}

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        for record in step.persist:
            if not isinstance(record, BlockDecided) or not site.is_honest:
                continue
            if site.disk.blocks[-1].height != len(site.disk.blocks):
                raise self.violated(f"{site.label} left out a height before {record.height}")
            block, first = self._decided.setdefault(record.height, (record.block, site))
            if block != record.block:
                raise self.violated(
                    f"{first.label} and {site.label} decided different blocks at height {record.height}"
                )
