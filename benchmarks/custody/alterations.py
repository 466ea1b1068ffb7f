"""Alterations of a suite, or of a signed report, that somebody might try.

The suite they are tried on has a ledger of eight rows: three asks with their answers, and a note.
The report has a manifest, a page, and a statement that tells of the suite's use.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rfc8785
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from tomogram.custody.keys import Key, new_key
from tomogram.custody.statement import FILE, PAYLOAD_TYPE, sign_folder
from tomogram.store.atomic import write_json
from tomogram.store.canonical import canonical_json


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


def roll_the_budget_back(folder: Path) -> None:
    """A consistent old copy: the ledger as it was before the last two asks."""
    rewrite(folder, lines(folder)[:3])


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
    roll_the_budget_back,
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


def statement_in(folder: Path) -> dict[str, Any]:
    """What a report's statement says."""
    envelope = json.loads((folder / FILE).read_bytes())
    return dict(json.loads(base64.b64decode(envelope["payload"])))


def put_statement(folder: Path, statement: dict[str, Any], key: Key) -> None:
    """Sign a statement of any content, as its signer could."""
    envelope = Envelope(canonical_json(statement).encode("ascii"), PAYLOAD_TYPE, {})
    name = key.identity.fingerprint
    public = SSlibKey(name, "ed25519", "ed25519", {"public": key.identity.signing})
    envelope.sign(CryptoSigner(key.signer, public))
    write_json(folder / FILE, envelope.to_dict())


def another_figure(folder: Path, key: Key) -> None:
    manifest = folder / "tomogram.json"
    manifest.write_text(manifest.read_text().replace("12", "13"))


def another_figure_and_its_digest(folder: Path, key: Key) -> None:
    """The statement's subjects made to fit, under the old signature."""
    another_figure(folder, key)
    content = json.loads((folder / FILE).read_bytes())
    statement = statement_in(folder)
    for subject in statement["subject"]:
        data = (folder / subject["name"]).read_bytes()
        subject["digest"]["sha256"] = hashlib.sha256(data).hexdigest()
    payload = base64.b64encode(canonical_json(statement).encode("ascii")).decode()
    write_json(folder / FILE, content | {"payload": payload})


def signed_by_another(folder: Path, key: Key) -> None:
    """Changed and signed anew by somebody of the same name."""
    another_figure(folder, key)
    sign_folder(folder, [], new_key(key.identity.name, key.identity.last_day))


def without_a_statement(folder: Path, key: Key) -> None:
    (folder / FILE).unlink()


def another_page(folder: Path, key: Key) -> None:
    (folder / "report.html").write_text("<p>Nothing was found.</p>")


def without_the_page(folder: Path, key: Key) -> None:
    (folder / "report.html").unlink()


def a_file_more(folder: Path, key: Key) -> None:
    (folder / "addendum.html").write_text("<p>All is well.</p>")


def lie_about_the_use(folder: Path, key: Key) -> None:
    """Fewer asks than there were, rightly signed."""
    statement = statement_in(folder)
    for use in statement["predicate"]["uses"]:
        for shard in use["shards"].values():
            shard["asks"] = 0
            shard["answers"] = dict.fromkeys(shard["answers"], 0)
    put_statement(folder, statement, key)


def keep_the_use_silent(folder: Path, key: Key) -> None:
    """No word about the suite, rightly signed."""
    statement = statement_in(folder)
    statement["predicate"]["uses"] = []
    put_statement(folder, statement, key)


REPORT: list[Callable[[Path, Key], None]] = [
    another_figure,
    another_figure_and_its_digest,
    signed_by_another,
    without_a_statement,
    another_page,
    without_the_page,
    a_file_more,
    lie_about_the_use,
    keep_the_use_silent,
]
"""Alterations of a signed report; the key is its signer's own."""
