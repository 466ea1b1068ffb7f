"""A ledger of a million rows: what an append costs, and what a full verification costs."""

from __future__ import annotations

import hashlib
import multiprocessing
import time
from multiprocessing.connection import Connection
from pathlib import Path

import rfc8785

from benchmarks.custody.lamps import Darkness
from benchmarks.custody.tampering import SMALL
from benchmarks.harness import own_memory
from tomogram.custody import suite as suites
from tomogram.custody.clock import utc_now, written
from tomogram.custody.keys import Key, new_key
from tomogram.custody.ledger import CHECKPOINT_EVERY, Ledger, rows
from tomogram.custody.verify import Outcome, verify_suite


def suite_with(folder: Path, n: int) -> tuple[Path, Key]:
    """A suite whose ledger has n rows, written faster than one by one."""
    key = new_key("auditor", "2099-12-31")
    suites.new(folder, "lamps", {Darkness(): 0.5}, SMALL, key=key)
    path = suites.ledger_path(folder)
    (first,) = rows(path)
    previous, time_ = first.digest, written(utc_now())
    body = '{"loss":"2.312","run":"seed 4","step":%d}'
    with path.open("ab") as file:
        for number in range(1, n):
            signed = number % CHECKPOINT_EVERY == 0
            kind = "checkpoint" if signed else "note"
            text = body % number if not signed else "{}"
            line = (
                f'{{"body":{text},"kind":"{kind}","number":{number},"previous":"{previous}"'
                f',"time":"{time_}"}}'
            ).encode()
            if signed:
                signature = {key.identity.fingerprint: key.sign(line)}
                line = line.replace(
                    b',"time"', b',"signatures":' + rfc8785.dumps(signature) + b',"time"'
                )
            previous = hashlib.sha256(line).hexdigest()
            file.write(line + b"\n")
    return folder, key


def append_milliseconds(folder: Path, key: Key, n: int, *, durable: bool) -> list[float]:
    """Wall time of each of n signed appends to a suite's ledger, each as a writer of its own."""
    ledger = Ledger(suites.ledger_path(folder), durable=durable)
    times = []
    for i in range(n):
        start = time.perf_counter()
        ledger.append("note", {"loss": "2.312", "run": "seed 4", "step": i}, [key])
        times.append(1e3 * (time.perf_counter() - start))
    return times


def verification(folder: Path) -> tuple[float, float]:
    """Processor seconds of a full verification, and the memory it took in MiB, in a fresh process.

    Raises RuntimeError where the suite is not accepted.
    """
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_verify, args=(folder, there))
    process.start()
    there.close()
    good, seconds, mebibytes = here.recv()
    process.join()
    if not good:
        raise RuntimeError("an honest ledger was refused")
    return seconds, mebibytes


def _verify(folder: Path, answer: Connection) -> None:
    before = own_memory()
    start = time.process_time()
    checks = verify_suite(folder)
    seconds = time.process_time() - start
    good = all(check.outcome is not Outcome.DIFFERS for check in checks)
    answer.send((good, seconds, (own_memory() - before) / 2**20))
