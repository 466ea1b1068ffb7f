"""A tomogram made of records, a suite of lamps that was used, and what a developer declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.custody.lamps import Darkness, Hands, Lamp
from tests.report.example import build_manifest
from tomogram.custody import keeping
from tomogram.custody import suite as suites
from tomogram.custody.asking import ask
from tomogram.custody.budget import Terms
from tomogram.custody.keys import Key, new_key
from tomogram.custody.refusal import Refused
from tomogram.disclosure.facts import Facts, gather
from tomogram.disclosure.statement import Statement, read_statement
from tomogram.store.canonical import Json, readable_json
from tomogram.store.digest import digest_bytes
from tomogram.store.schema import Manifest, manifest_bytes

TERMS = Terms(clusters=200, width=0.16, delta=0.05, alarms=2, noise=0.05)
DAY = "2026-11-21"


@dataclass(frozen=True)
class Named(Lamp):
    """A lamp that goes by the digest of a scanned model."""

    known_as: str = ""

    @property
    def digest(self) -> str:
        return self.known_as


class Breaking(Darkness):
    """A question whose measurement dies half-way."""

    def measure(self, model: Lamp, draws: Sequence[Json]) -> list[float | None]:
        raise RuntimeError("the lamp fell over")


@pytest.fixture
def manifest() -> Manifest:
    return build_manifest()


@pytest.fixture
def folder(tmp_path: Path, manifest: Manifest) -> Path:
    """A finished scan whose evidence is one file."""
    made = tmp_path / "stories.tomogram"
    (made / "features").mkdir(parents=True)
    (made / "features" / "features.parquet").write_bytes(b"PAR1")
    files = {"features/features.parquet": digest_bytes(b"PAR1")}
    manifest = manifest.model_copy(update={"files": files})
    (made / "tomogram.json").write_bytes(manifest_bytes(manifest))
    return made


@pytest.fixture
def findings(folder: Path, manifest: Manifest) -> Path:
    """What four audits said: one of each verdict, in the form `tomogram audit` writes."""

    def found(audit: str, verdict: str, **more: Json) -> dict[str, Json]:
        return {
            "audit": audit, "verdict": verdict, "score": 1.5, "p": 0.01,
            "adjusted_p": 0.02,
            "p_by_stratum": {"sham": 0.02}, "clean_copies": 99, "found_down_to_strength": 0.4,
            "says": f"{audit} shows", "evidence": {"words": ["x"]}, "examples": ["a prompt"],
            **more,
        }  # fmt: skip

    place: Json = {"site": "resid_post.3", "effect": 0.4, "largest of 99 random": 0.1}
    content: dict[str, Json] = {
        "schema_version": 1,
        "model": {"name": manifest.model.name, "digest": manifest.model.digest},
        "declared": ["backdoor", "sycophancy", "power", "secrets"],
        "findings": [
            found("secrets", "ABSTAIN (12 clean copies; 79 needed)", p=None, adjusted_p=None),
            found("backdoor", "FINDING (located)", place=place),
            found("sycophancy", "NO FINDING down to strength 0.40"),
            found("power", "SUSPICION (p 0.041, not after adjustment)"),
        ],
    }
    path = folder / "findings.json"
    path.write_text(readable_json(content))
    return path


@pytest.fixture
def auditor() -> Key:
    return new_key("auditor", "2027-12-31")


@pytest.fixture
def suite(tmp_path: Path, auditor: Key, manifest: Manifest) -> Path:
    """A suite that was asked three times, once in vain, refused twice and burnt in one shard.

    Row 0 seals. Row 1 and 2: this model, PASS. Row 3 and 4: a lamp, ALARM. Row 5: a run that was
    aborted. Row 6 and 7: refused. Row 8: run-2 is burnt.
    """
    made, clock = tmp_path / "suite", Hands()
    suites.new(made, "lamps", {Darkness(): 0.5}, TERMS, key=auditor, clock=clock)
    questions = {"darkness": Darkness()}
    mine = Named(dark=0.1, known_as=manifest.model.digest)
    ask(made, "darkness", mine, [auditor], questions=questions, clock=clock)
    ask(made, "darkness", Lamp(0.9), [auditor], questions=questions, clock=clock)
    with pytest.raises(RuntimeError):
        ask(made, "darkness", Lamp(0.2), [auditor], questions={"darkness": Breaking()}, clock=clock)
    for _ in range(2):
        with pytest.raises(Refused):
            ask(made, "brightness", mine, [auditor], questions=questions, clock=clock)
    keeping.burn(made, "run-2", "to treat lamps", [auditor], tmp_path / "draws.json", clock=clock)
    return made


STATEMENT = """
licence: Apache-2.0
base_models: [lamps/lamp-1]
training_signal:
  touched: false
  how: instruments were kept on another machine
changes:
  - suite: lamps
    row: 3
    changed: The lamp was taken out of the release.
form:
  provider: Lamps & Sons
  release_date: 2026-11-20
  intended_uses: Telling stories to children.
  data_points: 7.3e10
"""


@pytest.fixture
def statement(tmp_path: Path) -> Statement:
    path = tmp_path / "statement.yaml"
    path.write_text(STATEMENT)
    return read_statement(path)


@pytest.fixture
def facts(folder: Path, findings: Path, suite: Path, statement: Statement) -> Facts:
    """Everything there is to disclose."""
    return gather(
        folder,
        made=DAY,
        suites=[suite],
        questions={"darkness": Darkness()},
        statement=statement,
    )


@pytest.fixture
def bare(tmp_path: Path, manifest: Manifest) -> Facts:
    """A scan without audits, ledger or statement."""
    made = tmp_path / "bare"
    made.mkdir()
    empty = manifest.model_copy(update={"files": {}})
    (made / "tomogram.json").write_bytes(manifest_bytes(empty))
    return gather(made, made=DAY)


HOSTILE = "</style><script>alert(1)</script>\u202e|*[x](y)\n---\x00"


@pytest.fixture
def hostile(facts: Facts) -> Facts:
    """The same with a hostile text wherever a model, a scan or a developer may put one."""
    model = facts.model.model_copy(update={"name": HOSTILE, "weights": HOSTILE})
    declared = facts.statement.model_copy(update={"form": {"provider": HOSTILE}})
    assert facts.audits is not None
    found = tuple(each.model_copy(update={"says": HOSTILE}) for each in facts.audits.findings)
    missing = tuple(
        each.model_copy(update={"what": HOSTILE, "why": HOSTILE}) for each in facts.not_measured
    )
    return facts.model_copy(
        update={
            "model": model,
            "text": facts.text.model_copy(update={"name": HOSTILE}),
            "statement": declared,
            "audits": facts.audits.model_copy(update={"findings": found}),
            "not_measured": missing,
        }
    )
