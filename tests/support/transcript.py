"""A cluster's doings as a text that a person can read: who says what to whom, writes what down, and is told what.

A paragraph begins with the milliseconds since the start and the peer that acts. What a step writes down stands before
what it sends, which is the order in which a driver must act. Hashes are cut to their first four digits.
"""

from collections.abc import Sequence

from cluster import START_MS, Cluster, Site

from coterie.protocol.events import Send
from coterie.protocol.messages.envelope import Verified, verify
from coterie.topology.reporting.phrases import Words


class Transcript:
    """Collects the lines of a cluster while it runs."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        labels = {site.identity.public: str(site.number) for site in cluster.sites}
        self.words = Words(cluster.genesis.federation, labels, self._committee)
        self.lines: list[str] = []
        self._records = dict.fromkeys(range(len(cluster.sites)), 0)
        self._notices = dict.fromkeys(range(len(cluster.sites)), 0)
        self._last: tuple[int, int] | None = None
        cluster.before_send = self._on_send
        cluster.after_step = self._on_step

    def _committee(self) -> Sequence[bytes]:
        return next(site.node.state.committee.members for site in self.cluster.sites if site.node)

    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines) + "\n"

    def _line(self, site: Site, what: str) -> None:
        """One line; time and peer stand only where they change."""
        now = (self.cluster.now_ms - START_MS, site.number)
        head = f"{now[0]:5} peer {now[1]}" if now != self._last else " " * 12
        if now != self._last and self.lines:
            self.lines.append("")
        self._last = now
        self.lines.append(f"{head}  {what}")

    def _on_step(self, site: Site) -> None:
        self._write_down(site)
        for notice in site.notices[self._notices[site.number] :]:
            self._line(site, f"reports: {notice.text}")
        self._notices[site.number] = len(site.notices)

    def _write_down(self, site: Site) -> None:
        for record in site.disk.records[self._records[site.number] :]:
            self._line(site, f"writes down {self.words.record(record)}")
        self._records[site.number] = len(site.disk.records)

    def _on_send(self, site: Site, send: Send) -> None:
        self._write_down(site)
        message = verify(send.envelope, self.cluster.genesis.federation)
        assert isinstance(message, Verified)
        to = "all" if send.to is None else self.words.peer(send.to)
        blob = f", with {len(send.blob):,} bytes" if send.blob else ""
        self._line(site, f"-> {to}: {self.words.message(message)}{blob}")
