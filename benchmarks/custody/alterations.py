"""Alterations of a suite that somebody might try, each a function of its folder.

The suite they are tried on has a ledger of eight rows: three asks with their answers, and a note.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rfc8785

from tomogram.custody.keys import Key, new_key


def lines(folder: Path) -> list[bytes]:
    return (folder / "ledger.jsonl").read_bytes().splitlines()


def rewrite(folder: Path, new: Sequence[bytes]) -> None:
    (folder / "ledger.jsonl").write_bytes(b"".join(line + b"\n" for line in new))


def rechain(folder: Path, new: Sequence[bytes], key: Key | None = None) -> None:
    """Number and chain rows anew, with their old signatures or with a key's."""
    previous, made = "0" * 64, []
    for number, line in enumerate(new):
        row = json.loads(line) | {"number": number, "previous": previous}
        if key and "signatures" in row:
            bare = {name: value for name, value in row.items() if name != "signatures"}
            row["signatures"] = {key.identity.fingerprint: key.sign(rfc8785.dumps(bare))}
        made.append(rfc8785.dumps(row))
        previous = hashlib.sha256(made[-1]).hexdigest()
    rewrite(folder, made)


def drop_an_ask(folder: Path) -> None:
    rewrite(folder, [line for i, line in enumerate(lines(folder)) if i not in (3, 4)])


def drop_an_ask_and_chain_anew(folder: Path) -> None:
    rechain(folder, [line for i, line in enumerate(lines(folder)) if i not in (3, 4)])


def swap_rows(folder: Path) -> None:
    all_lines = lines(folder)
    all_lines[1:3] = reversed(all_lines[1:3])
    rewrite(folder, all_lines)


def replay_a_row(folder: Path) -> None:
    rewrite(folder, [*lines(folder), lines(folder)[2]])


def cut_the_tail(folder: Path) -> None:
    rewrite(folder, lines(folder)[:-2])


def cut_inside_a_row(folder: Path) -> None:
    data = (folder / "ledger.jsonl").read_bytes()
    (folder / "ledger.jsonl").write_bytes(data[:-7])


def empty_the_ledger(folder: Path) -> None:
    rewrite(folder, [])


def remove_the_ledger(folder: Path) -> None:
    (folder / "ledger.jsonl").unlink()


def turn_an_answer(folder: Path) -> None:
    data = (folder / "ledger.jsonl").read_bytes()
    (folder / "ledger.jsonl").write_bytes(data.replace(b'"ALARM"', b'"PASS"'))


def strip_signatures(folder: Path) -> None:
    bare = [json.loads(line) for line in lines(folder)]
    rewrite(
        folder, [rfc8785.dumps({k: v for k, v in r.items() if k != "signatures"}) for r in bare]
    )


def sign_by_another(folder: Path) -> None:
    rechain(folder, lines(folder), new_key("auditor", "2027-12-31"))


def edit_suite(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        value = json.loads((folder / "suite.json").read_bytes())
        change(value)
        (folder / "suite.json").write_text(json.dumps(value))

    return edit


def raise_the_budget(suite: dict[str, Any]) -> None:
    suite["terms"]["width"] = 0.5


def lower_the_threshold(suite: dict[str, Any]) -> None:
    suite["questions"]["darkness"]["threshold"] = 0.99


def other_commitment(suite: dict[str, Any]) -> None:
    suite["shards"][0]["root"] = "0" * 64


def climb_out(suite: dict[str, Any]) -> None:
    suite["shards"][0]["name"] = "../../secrets"


def in_other_bytes(suite: dict[str, Any]) -> None:
    """The same content, spelled otherwise."""


def forge_the_head(folder: Path) -> None:
    """A head of its own that continues the chain where the last row was."""
    kept = lines(folder)[:-1]
    last = json.loads(lines(folder)[-1])
    rewrite(folder, [*kept, rfc8785.dumps(last | {"kind": "note", "body": {"forged": True}})])


def set_the_clock_back(folder: Path) -> None:
    """Rows of an earlier year, chained anew."""
    rows = [json.loads(line) for line in lines(folder)]
    for row in rows[2:]:
        row["time"] = row["time"].replace("2026", "2025", 1)
    rechain(folder, [rfc8785.dumps(row) for row in rows])


def swap_shards(folder: Path) -> None:
    a, b = (folder / "shards" / f"run-{i}.sealed" for i in (1, 2))
    content = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(content)


def remove_a_shard(folder: Path) -> None:
    (folder / "shards" / "release.sealed").unlink()


def change_a_share(folder: Path) -> None:
    (share,) = (folder / "shares").iterdir()
    share.write_bytes(share.read_bytes()[::-1])


DESIGNED = [
    drop_an_ask,
    drop_an_ask_and_chain_anew,
    swap_rows,
    replay_a_row,
    cut_the_tail,
    cut_inside_a_row,
    empty_the_ledger,
    remove_the_ledger,
    turn_an_answer,
    strip_signatures,
    sign_by_another,
    edit_suite(raise_the_budget),
    edit_suite(lower_the_threshold),
    edit_suite(other_commitment),
    edit_suite(climb_out),
    edit_suite(in_other_bytes),
    forge_the_head,
    set_the_clock_back,
    swap_shards,
    remove_a_shard,
    change_a_share,
]
