"""A tomogram made of records, a suite of lamps that was used, and what a developer declares."""

from __future__ import annotations

import shutil
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


@dataclass(frozen=True)
class Made:
    """What is made once and copied for tests that change it."""

    folder: Path
    suite: Path
    auditor: Key


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    return build_manifest()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> Made:
    root = tmp_path_factory.mktemp("disclosed")
    auditor = new_key("auditor", "2027-12-31")
    return Made(_tomogram(root, manifest), _suite(root, auditor, manifest), auditor)


@pytest.fixture(scope="session")
def auditor(made: Made) -> Key:
    return made.auditor


@pytest.fixture
def folder(made: Made, tmp_path: Path) -> Path:
    """A finished scan whose evidence is one file, with what audits said."""
    return Path(shutil.copytree(made.folder, tmp_path / made.folder.name))


@pytest.fixture
def findings(folder: Path) -> Path:
    """What four audits said: one of each verdict."""
    return folder / "findings.json"


@pytest.fixture
def suite(made: Made, tmp_path: Path) -> Path:
    """A suite that was asked three times, once in vain, refused twice and burnt in one shard."""
    return Path(shutil.copytree(made.suite, tmp_path / "suite"))


def _tomogram(root: Path, manifest: Manifest) -> Path:
    made = root / "stories.tomogram"
    (made / "features").mkdir(parents=True)
    (made / "features" / "features.parquet").write_bytes(b"PAR1")
    files = {"features/features.parquet": digest_bytes(b"PAR1")}
    whole = manifest.model_copy(update={"files": files})
    (made / "tomogram.json").write_bytes(manifest_bytes(whole))
    (made / "findings.json").write_text(readable_json(_findings(manifest)))
    return made


def _findings(manifest: Manifest) -> dict[str, Json]:
    """In the form that `tomogram audit` writes."""

    def found(audit: str, verdict: str, **more: Json) -> dict[str, Json]:
        return {
            "audit": audit, "verdict": verdict, "score": 1.5, "p": 0.01,
            "adjusted_p": 0.02,
            "p_by_stratum": {"sham": 0.02}, "clean_copies": 99, "found_down_to_strength": 0.4,
            "says": f"{audit} shows", "evidence": {"words": ["x"]}, "examples": ["a prompt"],
            **more,
        }  # fmt: skip

    place: Json = {"site": "resid_post.3", "effect": 0.4, "largest of 99 random": 0.1}
    return {
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


def _suite(root: Path, auditor: Key, manifest: Manifest) -> Path:
    """Row 0 seals. Row 1 and 2: this model, PASS. Row 3 and 4: a lamp, ALARM. Row 5: a run that was
    aborted. Row 6 and 7: refused. Row 8: run-2 is burnt.
    """
    made, clock = root / "suite", Hands()
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
    keeping.burn(made, "run-2", "to treat lamps", [auditor], root / "draws.json", clock=clock)
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


@pytest.fixture(scope="session")
def statement(tmp_path_factory: pytest.TempPathFactory) -> Statement:
    path = tmp_path_factory.mktemp("statement") / "statement.yaml"
    path.write_text(STATEMENT)
    return read_statement(path)


@pytest.fixture(scope="session")
def facts(made: Made, statement: Statement) -> Facts:
    """Everything there is to disclose."""
    return gather(
        made.folder,
        made=DAY,
        suites=[made.suite],
        questions={"darkness": Darkness()},
        statement=statement,
    )


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> Facts:
    """A scan without audits, ledger or statement."""
    made = tmp_path_factory.mktemp("bare")
    empty = manifest.model_copy(update={"files": {}})
    (made / "tomogram.json").write_bytes(manifest_bytes(empty))
    return gather(made, made=DAY)


HOSTILE = "</style><script>alert(1)</script>\u202e|*[x](y)\n---\x00"


@pytest.fixture(scope="session")
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
