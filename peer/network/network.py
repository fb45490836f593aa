"""The network of a peer: which peers are connected, and what moves between members.

`Network.run` keeps one link to each member whose address is known. The member with the lower id dials; the
other one only when that has not happened for a while, or to an address that its user gave. Frames are bytes
here; what they mean is the driver's business.
"""

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Protocol

import trio
from trio import TaskStatus  # type: ignore[attr-defined]

from ...crypto.identity.identity import Identity
from ...protocol.limits import MAX_MEMBERS
from .cutoffs import CutOffs
from .dialling import Dialler
from .doubles import Doubles
from .frames import MAX_STATUS_BYTES, encode_envelope, encode_records
from .greeting import Greeting, check_federation, encode_greeting
from .limits.hosts import host_key
from .limits.meter import SECONDS_PER_BLOCK, STRANGERS_SHARE, Meter, cpu_seconds
from .limits.rate_limit import TokenBucket
from .link import BULK_PROTOCOL, CONTROL_PROTOCOL, Link, Timing
from .link_events import Beat, Connected, Disconnected, Event, Frame, Pace, PeerRow, Refused, Report, Unreachable
from .transfers import Offers, PullFailed, PullSlots, WrongBlob
from .transport.addresses import (
    MAX_RECORDS,
    Address,
    AddressBook,
    AddressRecord,
    claims_of,
    is_loopback,
    is_proper,
    open_record,
    parse_address,
    sign_record,
)
from .transport.host import Connection, DialError, Host, dialable, resolve, split_listen
from .transport.knocks import MINUTE_SECONDS
from .transport.yamux import Traffic

MAX_STRANGERS: Final = 32
MAX_STRANGERS_PER_HOST: Final = 16
STRANGER_GRACE_SECONDS: Final = 5.0
"""How long a stranger may take to ask for admission before it has to make room for another one."""

MAX_VOUCHED: Final = 64
"""Peers that a newcomer takes for members because a peer that it dialled named them."""

MAX_QUEUED_EVENTS: Final = 64
"""Events that wait for the driver; beyond these the links wait, each in its turn."""

MAX_METERS: Final = 2 * MAX_MEMBERS
"""Peers whose use of our time is remembered, also while they are gone."""

SECONDS_PER_NEWS: Final = 10.0
"""How often a member may have a new address, in the long run."""

MAX_NEWS_AT_ONCE: Final = 4
SPREAD_SECONDS: Final = 0.5
"""News of addresses are collected for so long before they are passed on."""

NO_HANDSHAKE_AT_MEMBERS: Final = "no handshake, from where a member is"
"""Why connections came to nothing that may not all be strangers': a member whose link broke may have begun them."""

_MAX_REMEMBERED_TROUBLES: Final = 256
_KNOCKS_PAUSE_SECONDS: Final = 1.0
"""Between two computations of the knocks that members may come with, however often the members change."""

_ANSWER: Final = 8
"""The most by which the number of a record that answers ours is higher: it counts on from ours."""

Receiver = Callable[[Report], Awaitable[None]]


class Hearer(Protocol):
    """What hears all that members say: :class:`..driving.driver.Driver`."""

    async def frame(self, member: bytes, envelope: bytes, blob: bytes | None) -> None:
        """An envelope came over the link of a member, with its blob if that is small."""

    async def heartbeat(self, member: bytes, status: bytes) -> None:
        """A heartbeat of a member came, with the status of its driver."""

    async def pace(self, member: bytes, is_overrun: bool) -> None:
        """A member began, or ceased, to send more than it may."""


log = logging.getLogger("coterie.network")


class Network:
    """Links to all members. Build it, `run` it, read `inbound`.

    `allow` says whether a peer is a member, or None while there is no ledger to say so. Then members are the peers that
    we dialled, and those that these have named. All other peers are strangers. They may connect in small numbers and
    say little: that is how newcomers ask to join.
    """

    def __init__(
        self,
        identity: Identity,
        listen: Sequence[str] = ("/ip4/0.0.0.0/tcp/0",),
        *,
        allow: Callable[[bytes], bool | None],
        name: str = "",
        federation: bytes = b"",
        genesis: bytes = b"",
        bootstrap: Sequence[str] = (),
        announce: Sequence[str] = (),
        timing: Timing | None = None,
    ) -> None:
        """`announce` are addresses to tell others beside those that we listen on.

        Raises AddressError for a bad bootstrap or announce address, ListenError for a bad listen one.
        """
        self.member = identity.public
        self.timing = timing or Timing()
        self.offers = Offers()
        self.strangers = Meter(STRANGERS_SHARE)
        self._meters: dict[bytes, Meter] = {}
        self._beat_status = b""
        self.name = name
        self.federation = federation
        self.genesis = genesis
        self._identity = identity
        self._allow = allow
        self._listen = list(listen)
        for text in listen:
            split_listen(text)
        self._bootstrap = [parse_address(text) for text in bootstrap]
        self._announce = [parse_address(text) for text in announce]
        self._host = Host(identity, self._admit, self._connected, (CONTROL_PROTOCOL, BULK_PROTOCOL))
        self._book = AddressBook(lambda member: member != self.member and self.is_member(member))
        self._vouched: set[bytes] = set()
        self._last_statuses: dict[bytes, bytes] = {}
        self._record: AddressRecord | None = None
        self._sequence = time.time_ns() // 1_000_000
        self.doubles = Doubles()
        self._links: dict[bytes, Link] = {}
        self._lost_at: dict[bytes, float] = {}
        """When the link ended, for each member that has none now."""
        self._early: dict[Connection, Link] = {}
        self._slots = PullSlots()
        self._events, self.inbound = trio.open_memory_channel[Event](MAX_QUEUED_EVENTS)
        self._hearer: Hearer | None = None
        self._receiver: Receiver | None = None
        self._cut_offs = CutOffs()
        self._news: dict[bytes, tuple[AddressRecord, Link | None]] = {}
        """Address records to be passed on, and the link that each came by."""
        self._has_news = trio.Event()
        self._news_rates: dict[bytes, TokenBucket] = {}
        self._troubles: dict[object, str] = {}
        self._turned_away: Counter[str] = Counter()
        self._members_changed = trio.Event()
        """Set when the members that may knock are others than before."""
        self.introduced = trio.Event()
        """Set, and replaced, whenever `introduce` is called."""
        self._nursery: trio.Nursery | None = None
        self._dialler: Dialler | None = None
        self._running = False
        self._stopping = trio.Event()
        self._stopped = trio.Event()

    # Running.

    async def run(self, *, task_status: TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED) -> None:
        """Be on the network until `stop` or cancellation.

        Reports our dialable addresses, /p2p/ part included, as started. Raises ListenError when an address cannot be
        listened on.
        """
        self._running = True
        try:
            async with self._host.run(self._listen), trio.open_nursery() as nursery:
                self._nursery = nursery
                self._dialler = Dialler(self, nursery)
                nursery.start_soon(self._expect_knocks)
                self._reissue_record()
                nursery.start_soon(self._keep_spreading)
                for address in self._bootstrap:
                    self._dialler.want_address(address)
                self.refresh()
                task_status.started(self.addresses())
                await self._stopping.wait()
                async with trio.open_nursery() as farewells:
                    for link in self._links.values():
                        farewells.start_soon(link.say_goodbye, "stopped")
                nursery.cancel_scope.cancel()
        finally:
            self._nursery = self._dialler = None
            self._events.close()
            self._stopped.set()

    async def stop(self) -> None:
        """Say goodbye on all links, close, and wait until `run` is done."""
        self._stopping.set()
        if self._running:
            await self._stopped.wait()

    @property
    def beat_status(self) -> bytes:
        """What the driver says with each heartbeat: at most MAX_STATUS_BYTES."""
        return self._beat_status

    @beat_status.setter
    def beat_status(self, status: bytes) -> None:
        if len(status) > MAX_STATUS_BYTES:
            raise ValueError(f"a status of {len(status)} bytes; at most {MAX_STATUS_BYTES} fit a heartbeat")
        self._beat_status = status

    def addresses(self) -> list[str]:
        """Our dialable addresses, /p2p/ part included."""
        return [] if self._record is None else [str(address) for address in self._record.addresses]

    def introduce(self, federation: bytes, genesis: bytes) -> None:
        """Say which federation we belong to from now on. Links to peers of another one end."""
        self.federation, self.genesis = federation, genesis
        self.introduced.set()
        self.introduced = trio.Event()
        for link in list(self._links.values()):
            if link.greeting is not None and link.greeting.federation not in (b"", federation):
                link.stop("another federation")

    def refresh(self) -> None:
        """Act on changed answers of `allow`: dial new members, tell them addresses, and forget those that left."""
        self._book.forget_unwanted()
        self._news_rates = {one: rate for one, rate in self._news_rates.items() if self.is_member(one)}
        self._lost_at = {one: lost_at for one, lost_at in self._lost_at.items() if self.is_member(one)}
        self._last_statuses = {one: status for one, status in self._last_statuses.items() if self.is_member(one)}
        for link in self._links.values():
            self.welcome(link)
        if self._dialler is not None:
            for member in self._book.members():
                self._dialler.want(member)
        self._members_changed.set()

    async def hand_over(self, hearer: Hearer, receiver: Receiver) -> None:
        """From now on give `hearer` what members say, and `receiver` what else links report.

        Both get it in the order of each link and in its own task. Until then reports wait in `inbound`; those that are
        of no link always do. A link waits while its report is received, and the others do not.
        """
        with contextlib.suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                await _pass_on(self.inbound.receive_nowait(), hearer, receiver)
        self._hearer, self._receiver = hearer, receiver

    async def pass_on(self, event: Event) -> None:
        """Give an event of `inbound` to those that it is for, once there are some."""
        assert self._hearer is not None
        assert self._receiver is not None
        await _pass_on(event, self._hearer, self._receiver)

    def charge(self, member: bytes, seconds: float) -> None:
        """Charge a peer for the time that we spent on what it sent."""
        link = self._links.get(member)
        if link is not None:
            link.meter.charge(seconds)

    def block_decided(self) -> None:
        """Let every member say more, since the ledger has moved on."""
        for link in self._links.values():
            if not link.is_stranger:
                link.meter.earn(SECONDS_PER_BLOCK)

    def cut_off(self, member: bytes, reason: str) -> None:
        """End the link to a peer that did what no honest one does, and have none for a while, longer each time.

        Of strangers nothing is remembered: they can come under new keys each time.
        """
        link = self._links.get(member)
        if self.is_member(member):
            seconds = self._cut_offs.add(member, reason, trio.current_time())
            reason = f"{reason}; no link for {seconds:g} s"
        if link is not None:
            link.stop(reason)

    # What the driver sends.

    def send(self, to: bytes, frame: bytes, blob: bytes | None = None) -> bool:
        """Queue an envelope, with a blob of up to INLINE_BLOB_BYTES, for a peer; False if that cannot be done now."""
        link = self._links.get(to)
        return link is not None and link.send(encode_envelope(frame, blob))

    def offer(self, digest: bytes, data: bytes, *, public: bool = False) -> None:
        """Let members (with `public`, strangers too) pull `data` by its `digest`, until `withdraw`."""
        self.offers.add(digest, data, public)

    def withdraw(self, digest: bytes) -> None:
        """Take one offer of `digest` back."""
        self.offers.remove(digest)

    async def pull(self, source: bytes, digest: bytes, size: int) -> bytes:
        """The blob of that digest and exact size from a connected peer. Raises PullFailed."""
        link = self._links.get(source)
        if link is None:
            raise PullFailed("not connected")
        async with link.bulk.slots:
            await self._slots.acquire(size, source)
            try:
                return await link.bulk.pull(digest, size, self.timing.progress_seconds)
            except WrongBlob as error:
                self.cut_off(source, str(error))
                raise
            finally:
                self._slots.release(size, source)

    # What the driver asks.

    def turned_away(self) -> Counter[str]:
        """Connections that came to nothing since this was last asked, by reason."""
        swarm, counts = self._host.swarm, self._turned_away
        counts["too many handshakes"] += swarm.doors.refused
        known = [address for member in self._book.members() for address in self.addresses_of(member)]
        members = swarm.doors.member_hosts() | {host_key(address.text.split("/")[2]) for address in known}
        for host, count in swarm.failed_handshakes.items():
            counts[NO_HANDSHAKE_AT_MEMBERS if host in members else "no handshake"] += count
        swarm.doors.refused = 0
        swarm.failed_handshakes.clear()
        self._turned_away = Counter()
        return counts

    def connected(self) -> list[bytes]:
        """The peers to which a link is up."""
        return list(self._links)

    def traffic(self) -> Traffic:
        """What all connections have carried since the start."""
        return self._host.traffic

    def records(self) -> list[bytes]:
        """All members' address records, to be stored and given to `learn` after a restart."""
        return self._book.encoded()

    def record(self) -> bytes:
        """Our own signed address record; empty before `run`."""
        return b"" if self._record is None else self._record.encoded

    def suggest(self, address: Address) -> None:
        """Suggest an address to dial once. It is a hint, whose source need not be trusted."""
        if self._dialler is not None:
            self._dialler.suggest(address)

    def learn(self, records: Iterable[bytes]) -> None:
        """Take address records that were stored. Raises BadRecord at the first bad one."""
        for record in self._book.add_all(records):
            self._spread(record, None)

    def peers(self) -> list[PeerRow]:
        """The peers table: all peers that are connected or whose address is known."""
        now = trio.current_time()
        return [self._row(member, now) for member in dict.fromkeys((*self._links, *self._book.members()))]

    def _row(self, member: bytes, now: float) -> PeerRow:
        link = self._links.get(member)
        record = self._book.get(member) or (link.greeting.record if link and link.greeting else None)
        return PeerRow(
            member=member,
            name=link.greeting.name if link and link.greeting else "",
            addresses=tuple(address.text for address in record.addresses) if record else (),
            connected=link is not None,
            is_member=self.is_member(member),
            beat_age_seconds=now - link.last_beat if link else None,
            rtt_seconds=link.rtt_seconds if link else None,
            status=link.last_status if link else self._last_statuses.get(member, b""),
            trouble=self._trouble(member, now) if link is None else "",
            down_seconds=now - self._lost_at[member] if member in self._lost_at else None,
        )

    def _trouble(self, member: bytes, now: float) -> str:
        reason = self._cut_offs.reason(member, now)
        if reason is not None:
            return f"cut off: {reason}"
        return self._dialler.trouble(member) if self._dialler else ""

    # What links ask of their owner.

    def our_greeting(self) -> bytes:
        """See `link.Owner`."""
        return encode_greeting(self.federation, self.genesis, self.name, self.record())

    def is_member(self, member: bytes) -> bool:
        """See `link.Owner`."""
        allowed = self._allow(member)
        return member in self._vouched if allowed is None else allowed

    def is_stranger(self, member: bytes) -> bool:
        """Whether a peer is a stranger, by its link; without a link, whether it is no member."""
        link = self._links.get(member)
        return not self.is_member(member) if link is None else link.is_stranger

    def meter_of(self, member: bytes) -> Meter:
        """See `link.Owner`."""
        if member not in self._meters and len(self._meters) >= MAX_METERS:
            self._meters = {one: meter for one, meter in self._meters.items() if one in self._links}
        return self._meters.setdefault(member, Meter())

    def judge(self, greeting: Greeting) -> None:
        """See `link.Owner`."""
        check_federation(self.federation, greeting.federation)

    async def link_up(self, link: Link) -> bool:
        """See `link.Owner`."""
        assert link.greeting is not None
        other = self._links.get(link.member)
        if other is not None:
            # Both sides must keep the same one of two connections: the one that the lower id dialled.
            preferred = other.connection.outbound == (self.member < link.member)
            if preferred and other.connection.outbound != link.connection.outbound:
                self._take_record(link)
                return False
            other.stop("a newer connection to this peer is up")
        self._links[link.member] = link
        self._early.pop(link.connection, None)
        self._troubles.pop(link.member, None)
        self._lost_at.pop(link.member, None)
        link.mark_up()
        if not link.connection.outbound and self.is_member(link.member):
            self._host.swarm.doors.saw_member_at(link.connection.remote_host)
        if self._dialler is not None:
            self._dialler.link_changed(link.member)
        if link.connection.outbound:
            self._vouch_for([link.member])
        self.welcome(link)
        if other is not None:
            await self._tell(Disconnected(link.member, other.ending, other.is_stranger))
        await self._tell(Connected(link.member, link.greeting, link.is_stranger))
        return True

    async def frame_arrived(self, link: Link, envelope: bytes, blob: bytes | None) -> None:
        """See `link.Owner`."""
        await self._tell(Frame(link.member, envelope, blob))

    async def pace_changed(self, link: Link) -> None:
        """See `link.Owner`."""
        if not link.is_stranger:
            await self._tell(Pace(link.member, link.is_overrun))

    async def beat_arrived(self, link: Link, status: bytes) -> None:
        """See `link.Owner`."""
        if self.is_member(link.member):
            self._last_statuses[link.member] = status
        await self._tell(Beat(link.member, status))

    async def records_arrived(self, link: Link, records: list[bytes]) -> None:
        """See `link.Owner`. Looks first which records may be news, since each of these costs a signature check."""
        if link.is_stranger:
            return
        started = cpu_seconds()
        claimed = claims_of(records)
        if link.connection.outbound:
            self._vouch_for(claimed)
        self._look_for_ourselves(claimed.get(self.member))
        link.meter.since(started)
        for member, (sequence, encoded) in claimed.items():
            if self._book.is_news(member, sequence) and self._news_rate(member).take(trio.current_time()):
                await link.meter.ready()
                started = cpu_seconds()
                record = self._book.add(encoded)
                if record is not None:
                    self._spread(record, link)
                link.meter.since(started)

    def _news_rate(self, member: bytes) -> TokenBucket:
        if member not in self._news_rates:
            self._news_rates[member] = TokenBucket(1 / SECONDS_PER_NEWS, MAX_NEWS_AT_ONCE)
        return self._news_rates[member]

    # What the dialler asks.

    def link_to(self, member: bytes) -> Link | None:
        """See `dialling.Roads`."""
        return self._links.get(member)

    def addresses_of(self, member: bytes) -> list[Address]:
        """See `dialling.Roads`."""
        record = self._book.get(member)
        return [] if record is None else list(record.addresses)

    async def dial(self, address: Address, told: bool = False) -> Link | None:
        """See `dialling.Roads`."""
        if address.member is not None:
            reason = self._cut_offs.reason(address.member, trio.current_time())
            if reason is not None:
                raise DialError(f"cut off: {reason}")
        if not told:
            return self._early.get(await self._host.dial(address.text, address.member))
        try:
            found = await resolve(address.text)
        except OSError as error:
            raise DialError(f"{address.text}: {error.strerror}") from None
        for text in found:
            if is_proper(text, self._is_on_loopback()):
                return self._early.get(await self._host.dial(text, address.member))
        raise DialError(f"{address.text}: not dialled, because a member's record may not name such an address")

    def _is_on_loopback(self) -> bool:
        """Whether this peer listens on this machine's own addresses, or its user gave it one."""
        ours = () if self._record is None else self._record.addresses
        return any(is_loopback(address.text) for address in (*ours, *self._bootstrap))

    def unreachable(self, address: Address, reason: str) -> None:
        """See `dialling.Roads`."""
        self._report_once(address, reason, Unreachable(str(address), reason))

    # Links coming and going.

    def _admit(self, connection: Connection) -> bool:
        return self._nursery is not None and not self._stopping.is_set() and self._has_room_for(connection)

    def _has_room_for(self, connection: Connection) -> bool:
        """Whether one more may come in. Of too many strangers the one that has been there longest has to go.

        A newcomer that asks for admission is no stranger any more (`allow`), so the ones that go only held a place.
        """
        if self._cut_offs.reason(connection.member, trio.current_time()) is not None:
            return False
        if connection.outbound or self.is_member(connection.member):
            return True
        links = (*self._early.values(), *self._links.values())
        strangers = [link for link in links if link.is_stranger and not link.ending]
        host = host_key(connection.remote_host)
        neighbours = [link for link in strangers if host_key(link.connection.remote_host) == host]
        if len(strangers) < MAX_STRANGERS and len(neighbours) < MAX_STRANGERS_PER_HOST:
            return True
        crowd = neighbours if len(neighbours) >= MAX_STRANGERS_PER_HOST else strangers
        oldest = min(crowd, key=lambda link: link.since)
        if trio.current_time() - oldest.since < STRANGER_GRACE_SECONDS:
            self._turned_away["too many strangers"] += 1
            return False
        oldest.stop("closed to make room: this peer did not ask for admission")
        return True

    def _connected(self, connection: Connection) -> None:
        if self._nursery is None:
            return
        # Again, because others may have been admitted while this one was being registered.
        if self._has_room_for(connection):
            link = self._early[connection] = Link(self, connection)
            self._nursery.start_soon(self._run_link, link)
        else:
            self._nursery.start_soon(connection.abort)

    async def _run_link(self, link: Link) -> None:
        try:
            await link.run()
        except Exception:
            log.exception("a bug in the link to %s", link.member.hex())  # and no reason to lose the others
        self._early.pop(link.connection, None)
        if link.fault:
            self.cut_off(link.member, link.fault)
        if link.refusal:
            event = Refused(link.member, link.refusal, link.refused_by_peer, link.is_stranger)
            if link.is_stranger:  # there can be too many of them to remember what each was told
                self._report(event)
            else:
                self._report_once(link.member, link.refusal, event)
        if self._links.get(link.member) is link:
            del self._links[link.member]
            if self.is_member(link.member):
                self._lost_at[link.member] = trio.current_time()
            await self._tell(Disconnected(link.member, link.ending, link.is_stranger))
        elif link.is_stranger:
            self._turned_away["no greeting"] += not link.refusal

    async def _tell(self, event: Event) -> None:
        """Report an event of a link, in the link's own task."""
        if self._hearer is not None and self._receiver is not None:
            await _pass_on(event, self._hearer, self._receiver)
        elif isinstance(event, Beat):
            self._report(event)
        else:
            await self._events.send(event)

    def _report(self, event: Event) -> None:
        """Report an event that the driver can do without: it is dropped if the queue is full."""
        with contextlib.suppress(trio.WouldBlock):
            self._events.send_nowait(event)

    def _report_once(self, subject: object, trouble: str, event: Event) -> None:
        """Report a trouble that may repeat, unless it is the same as the last one of its subject."""
        if self._troubles.get(subject) == trouble:
            return
        if len(self._troubles) >= _MAX_REMEMBERED_TROUBLES:
            self._troubles.clear()
        self._troubles[subject] = trouble
        self._report(event)

    # Addresses.

    def _reissue_record(self) -> None:
        addresses = [*self._announce, *(one for place in self._host.listening() for one in dialable(place))]
        self._sequence += 1
        self._record = sign_record(self._identity, list(dict.fromkeys(addresses)), self._sequence)
        self._spread(self._record, None)

    def _look_for_ourselves(self, claim: tuple[int, bytes] | None) -> None:
        """If others hold a newer record of ours than we do (our clock was set back), publish a newer one still.

        Numbers begin with the clock's milliseconds. So a record whose number is only a little higher than ours was made
        in answer to it, by another peer with our key.
        """
        if claim is None or claim[0] <= self._sequence:
            return
        record = open_record(claim[1])
        if record.sequence - self._sequence <= _ANSWER:
            self.doubles.seen(record.addresses)
        self._sequence = record.sequence
        self._reissue_record()

    def _vouch_for(self, members: Iterable[bytes]) -> None:
        """Take peers for members while there is no ledger to say which are."""
        for member in members:
            if len(self._vouched) < MAX_VOUCHED and self._allow(member) is None:
                self._vouched.add(member)

    def welcome(self, link: Link) -> None:
        """Give a member our address book, and take its own address, once. Also: see `link.Owner`."""
        if link.gossiped or link.is_stranger:
            return
        link.gossiped = True
        link.send(encode_records([self.record(), *self._book.encoded()][:MAX_RECORDS]))
        self._take_record(link)

    def last_word(self, link: Link) -> bytes:
        """See `link.Owner`. So two peers with one key hear of each other, though only one has a link at a time."""
        record = self._book.get(link.member)
        return b"" if link.is_stranger or record is None else encode_records([record.encoded])

    def _take_record(self, link: Link) -> None:
        """Take what a peer's greeting says of its addresses."""
        if not link.is_stranger and link.greeting is not None and link.greeting.record is not None:
            record = self._book.add(link.greeting.record.encoded)
            if record is not None:
                self._spread(record, link)

    def _spread(self, record: AddressRecord, origin: Link | None) -> None:
        """Pass a record that was new to us on soon, and have its member dialled."""
        self._news[record.member] = (record, origin)
        self._has_news.set()
        if self._dialler is not None:
            self._dialler.want(record.member)
        self._members_changed.set()

    async def _expect_knocks(self) -> None:
        """Keep up to date which knocks are expected: those of all members of which we know an address."""
        while True:
            self._members_changed = trio.Event()
            await self._host.swarm.knocks.expect(self._book.members())
            await trio.sleep(_KNOCKS_PAUSE_SECONDS)
            with trio.move_on_after(MINUTE_SECONDS / 4):
                await self._members_changed.wait()

    async def _keep_spreading(self) -> None:
        """Pass on news now and then, all that there is at once."""
        while True:
            await self._has_news.wait()
            news, self._news, self._has_news = list(self._news.values()), {}, trio.Event()
            for link in list(self._links.values()):
                told = [record.encoded for record, origin in news if origin is not link]
                if told and link.gossiped and not link.is_stranger:
                    link.send(encode_records(told[:MAX_RECORDS]))
            await trio.sleep(SPREAD_SECONDS)


async def _pass_on(event: Event, hearer: Hearer, receiver: Receiver) -> None:
    match event:
        case Frame(member=member, envelope=envelope, blob=blob):
            await hearer.frame(member, envelope, blob)
        case Beat(member=member, status=status):
            await hearer.heartbeat(member, status)
        case Pace(member=member, is_overrun=is_overrun):
            await hearer.pace(member, is_overrun)
        case _:
            await receiver(event)
