"""An append-only file of rows, each chained to the one before, some of them signed.

A row is one line of canonical JSON (RFC 8785) that names the SHA-256 of the line before it. Rows
hold no fractions, so a row has one spelling in every language. `history` says what rows mean;
this file knows only how they are written and chained.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import rfc8785

from tomogram.custody import clock as clocks
from tomogram.custody.clock import Clock
from tomogram.custody.keys import Key
from tomogram.store.atomic import explained
from tomogram.store.canonical import Json
from tomogram.store.errors import TomogramError

CHECKPOINT_EVERY = 1000
"""Every row whose number is a multiple of this is signed, whatever its kind."""

START = "0" * 64
"""What the first row names as the line before it."""

_MOST_BYTES = 1 << 20  # of one row
_SLACK = timedelta(seconds=5)  # clocks are corrected by this much without anybody's ill will
_FIELDS = {"body", "kind", "number", "previous", "time"}


class Broken(Exception):
    """A ledger that is not what it should be: at which row, and why."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"row {number} {reason}")
        self.number = number
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `digest` is the SHA-256 of its line, which the next row names as `previous`."""

    number: int
    previous: str
    time: str
    kind: str
    body: Mapping[str, Json]
    signatures: Mapping[str, str]
    digest: str = field(compare=False)

    def signed_bytes(self) -> bytes:
        """What the signatures are over: the row without them."""
        return _unsigned(self.number, self.previous, self.time, self.kind, self.body)


@dataclass(frozen=True)
class Place:
    """Where the rows after some row begin: that row's end, and what the next must continue."""

    offset: int = 0
    number: int = 0
    previous: str = START
    time: str = ""


BEGINNING = Place()


def rows(path: Path, after: Place = BEGINNING) -> Iterator[Row]:
    """All rows after a place, checked for form, number, chain and time, in constant memory.

    A last line without a newline was never acknowledged and is left out (`unfinished` tells).
    Raises Broken at the first row that does not fit, TomogramError where the file cannot be read.
    """
    previous, number, time = after.previous, after.number, after.time
    try:
        with path.open("rb") as file:
            file.seek(after.offset)
            while line := file.readline(_MOST_BYTES + 1):
                if not line.endswith(b"\n"):
                    if len(line) > _MOST_BYTES:
                        raise Broken(number, "is longer than a row may be")
                    return
                row = _parsed(line[:-1], number)
                if row.number != number:
                    raise Broken(number, f"has the number {row.number}")
                if row.previous != previous:
                    raise Broken(number, "does not continue the row before it")
                if row.time < time:
                    raise Broken(number, "is earlier than the row before it")
                yield row
                previous, number, time = row.digest, number + 1, row.time
    except OSError as error:
        raise TomogramError(f"{path} could not be read: {error.strerror}.") from error


def unfinished(path: Path) -> int:
    """Bytes after the last newline: what a crash, or a hand, left at the end."""
    with path.open("rb") as file:
        return file.seek(0, os.SEEK_END) - _end_of_rows(file.fileno())


class Held:
    """A locked ledger: read it and append to it while nobody else writes."""

    def __init__(self, path: Path, descriptor: int, clock: Clock, durable: bool) -> None:
        self._path, self._descriptor, self._clock, self._durable = path, descriptor, clock, durable

    def rows(self, after: Place = BEGINNING) -> Iterator[Row]:
        """All rows after a place; see `rows`."""
        return rows(self._path, after)

    def end(self) -> Place:
        """Where the next row will begin. Raises TomogramError where the last row is damaged."""
        last = _last(self._descriptor, self._path)
        if last is None:
            return BEGINNING
        size = os.lseek(self._descriptor, 0, os.SEEK_END)
        return Place(size, last.number + 1, last.digest, last.time)

    def now(self) -> str:
        """The present time as the next row will carry it, never before the last row's.

        Raises TomogramError where the clock is more than five seconds behind the last row.
        """
        last, now = _last(self._descriptor, self._path), self._clock()
        if last is None or clocks.written(now) >= last.time:
            return clocks.written(now)
        if now + _SLACK < clocks.read(last.time):
            raise TomogramError(
                f"The clock says {clocks.written(now)}, which is before the ledger's last row"
                f" ({last.time}); set it right first."
            )
        return last.time

    def append(self, kind: str, body: Mapping[str, Json], keys: Sequence[Key] = ()) -> Row:
        """Append one row, signed by the keys given, and return when it is on the disk.

        Raises TomogramError where the row needs a signature and there is no key, is too long, or
        cannot be written, and what `now` raises.
        """
        time = self.now()
        last = _last(self._descriptor, self._path)
        number, previous = (last.number + 1, last.digest) if last else (0, START)
        if number % CHECKPOINT_EVERY == 0 and not keys:
            raise TomogramError(
                f"Row {number} of the ledger must be signed: run `tomogram seal checkpoint` with a"
                " custodian's key."
            )
        unsigned = _unsigned(number, previous, time, kind, body)
        signatures = {key.identity.fingerprint: key.sign(unsigned) for key in keys}
        line = _signed(unsigned, signatures)
        if len(line) > _MOST_BYTES:
            raise TomogramError("A row of the ledger has at most a mebibyte.")
        end = os.lseek(self._descriptor, 0, os.SEEK_END)
        with explained(self._path):
            try:
                _write_all(self._descriptor, line + b"\n")
                if self._durable:
                    os.fsync(self._descriptor)
            except OSError:
                os.ftruncate(self._descriptor, end)  # a full disk leaves no half row behind
                raise
        return Row(number, previous, time, kind, body, signatures, _sha256(line))

    def take(self, other: Path) -> int:
        """Append, byte for byte, the rows that another copy has beyond this one; how many.

        Raises Broken at the first row that does not continue this ledger, which keeps those before
        it, and TomogramError where a file cannot be read or written.
        """
        taken = 0
        with explained(self._path):
            for row in rows(other, self.end()):
                line = _signed(row.signed_bytes(), row.signatures)
                _write_all(self._descriptor, line + b"\n")
                taken += 1
            if self._durable:
                os.fsync(self._descriptor)
        return taken


@dataclass(frozen=True)
class Ledger:
    """A ledger in a file.

    clock: where rows get their time. durable: whether a row is flushed to the disk before the
    writer goes on; only measurements turn it off.
    """

    path: Path
    clock: Clock = clocks.utc_now
    durable: bool = True

    def create(self, body: Mapping[str, Json], keys: Sequence[Key]) -> Row:
        """Start the ledger with its row of kind `suite`. Raises TomogramError where it exists."""
        with explained(self.path):
            try:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644))
            except FileExistsError as error:
                raise TomogramError(f"{self.path} exists already.") from error
        return self.append("suite", body, keys)

    def append(self, kind: str, body: Mapping[str, Json], keys: Sequence[Key] = ()) -> Row:
        """Append one row; see `Held.append`."""
        with self.held() as held:
            return held.append(kind, body, keys)

    @contextmanager
    def held(self) -> Iterator[Held]:
        """Wait until nobody else writes, and hold the ledger for the block.

        The lock ends with the process, however it ends. An unfinished last line is removed.
        Raises TomogramError where there is no ledger, it cannot be written, or the system has no
        file locks.
        """
        with explained(self.path):
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND)
            except FileNotFoundError as error:
                raise TomogramError(f"There is no ledger {self.path}.") from error
        try:
            _lock(descriptor)
            end = _end_of_rows(descriptor)
            if end < os.lseek(descriptor, 0, os.SEEK_END):
                os.ftruncate(descriptor, end)
            yield Held(self.path, descriptor, self.clock, self.durable)
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError as error:  # without a lock two asks could be charged once
        raise TomogramError("A ledger can be written only where files can be locked.") from error
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _unsigned(number: int, previous: str, time: str, kind: str, body: Mapping[str, Json]) -> bytes:
    return _canonical(
        {"body": body, "kind": kind, "number": number, "previous": previous, "time": time}
    )


def _signed(unsigned: bytes, signatures: Mapping[str, str]) -> bytes:
    """The row with its signatures, in canonical form again."""
    if not signatures:
        return unsigned
    return _canonical(json.loads(unsigned) | {"signatures": signatures})


def _canonical(row: Mapping[str, Json]) -> bytes:
    data: bytes = rfc8785.dumps(row)
    if not _is_canonical(data, row):
        raise ValueError("a row holds no fractions, and its keys are ASCII")
    return data


def _is_canonical(line: bytes, value: object) -> bool:
    """Whether a line is the RFC 8785 form of a value without fractions and with ASCII keys.

    For such values Python's own encoder gives that form, at C speed: strings are escaped alike,
    whole numbers have one spelling, and ASCII keys sort alike in UTF-16 and by code point.
    """
    if not _plain(value):
        return False
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode("utf-8") == line
    except UnicodeEncodeError:  # a lone surrogate
        return False


def _plain(value: object) -> bool:
    match value:
        case str() | bool() | None:
            return True
        case int():
            return abs(value) < 1 << 53
        case Mapping():
            return all(
                isinstance(key, str) and key.isascii() and _plain(item)
                for key, item in value.items()
            )
        case list() | tuple():
            return all(map(_plain, value))
        case _:
            return False


def _parsed(line: bytes, number: int) -> Row:
    try:
        value = json.loads(line)
        fields = set(value)
        if not (fields == _FIELDS or fields == _FIELDS | {"signatures"}):
            raise ValueError
        row = Row(
            value["number"],
            value["previous"],
            value["time"],
            value["kind"],
            value["body"],
            value.get("signatures", {}),
            _sha256(line),
        )
        texts = (row.previous, row.time, row.kind, *row.signatures, *row.signatures.values())
        if not (type(row.number) is int and isinstance(row.body, dict)):
            raise ValueError
        if not all(isinstance(text, str) for text in texts):
            raise ValueError
        clocks.read(row.time)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Broken(number, "is not a row") from error
    if not _is_canonical(line, value):
        raise Broken(number, "is not in canonical form")
    return row


def _last(descriptor: int, path: Path) -> Row | None:
    """The last row, read from the end; the file ends with a newline or is empty."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if size == 0:
        return None
    block = 4096
    while True:
        start = max(0, size - block)
        tail = os.pread(descriptor, size - start, start)
        cut = tail.rfind(b"\n", 0, len(tail) - 1)
        if cut >= 0 or start == 0:
            line = tail[cut + 1 : -1]
            break
        block *= 4
    try:
        number = json.loads(line)["number"]
        return _parsed(line, number)
    except (Broken, ValueError, KeyError, TypeError) as error:
        raise TomogramError(
            f"The last row of {path} is damaged; `tomogram verify` says more."
        ) from error


def _end_of_rows(descriptor: int) -> int:
    """Position after the last newline."""
    position = os.lseek(descriptor, 0, os.SEEK_END)
    while position > 0:
        start = max(0, position - 65536)
        cut = os.pread(descriptor, position - start, start).rfind(b"\n")
        if cut >= 0:
            return start + cut + 1
        position = start
    return 0


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
