"""Real `peer` processes for the examples: start, follow their events, kill, start again."""

import json
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Event = dict[str, Any]

PEER = str(Path(sys.executable).with_name("peer"))
"""The command, as it was installed beside this interpreter."""


@dataclass
class Peer:
    """One site: its home folder, its process while it runs, and what it has told so far."""

    name: str
    home: Path
    feed: "queue.Queue[tuple[Peer, Event]]"
    command: tuple[str, ...] = (PEER,)
    """What runs `peer start`."""
    process: "subprocess.Popen[str] | None" = None
    address: str = ""
    id: str = ""
    exit_code: int | None = None

    def start(self, *options: str) -> None:
        """Start `peer start` in this home; its events go to the feed."""
        command = [*self.command, "start", "--json", "--home", str(self.home), *options]
        self.exit_code = None
        log = (self.home.parent / f"{self.name}.log").open("a")
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        log.close()
        threading.Thread(target=self._follow, args=(self.process,), daemon=True).start()

    def _follow(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event.get("event") == "listening":
                self.address, self.id = event["addresses"][0], event["id"]
            self.feed.put((self, event))
        self.exit_code = process.wait()
        self.feed.put((self, {"event": "exit", "text": f"exit status {self.exit_code}", "pid": process.pid}))

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """Kill the process, as `kill -9` does: no goodbye, no last write."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """Stop the process, as Ctrl-C does."""
        self._signal(signal.SIGINT)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def ask(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run another `peer` command on this home."""
        command = [PEER, *arguments, "--home", str(self.home)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
