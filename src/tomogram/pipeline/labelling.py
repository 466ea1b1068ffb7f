"""Labelling a tomogram: ask a labeller about features, and a judge whether the labels hold.

Labels come from the exemplars of the scan; a judge sorts passages of the held-out text, which no
label was made from. What has been answered is written down at once, so a labelling that was
interrupted goes on where it was and pays for nothing twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomogram.features.exemplars import draw
from tomogram.features.judged import Judged, read_judged, write_judged
from tomogram.features.judging.judge import Judge, reply_tokens
from tomogram.features.judging.scores import Score, score
from tomogram.features.judging.trials import ACTIVE, TASKS, WINDOW, Trial, batches, trials
from tomogram.features.labellers.chat import LONGEST, REPLY_TOKENS, ChatLabeller
from tomogram.features.labellers.cost import Cost, cost_of
from tomogram.features.labellers.statistics import StatisticsLabeller
from tomogram.features.labellers.subject import Labeller, Passage, Subject
from tomogram.features.survey import Sample, readers, survey
from tomogram.models.model import Model
from tomogram.pipeline.labels import FOLDER, list_labels
from tomogram.pipeline.scanned import scanned_dictionaries, scanned_model
from tomogram.report.tomogram import Tomogram
from tomogram.store import progress
from tomogram.store.digest import digest_file
from tomogram.store.errors import TomogramError
from tomogram.store.lock import exclusive
from tomogram.store.stage import Stage, Work
from tomogram.text.packing import PackedText, load_packed

VERSION = 1
UNITS = 100
"""Features that are labelled, unless told otherwise."""

Key = tuple[str, int]


@dataclass(frozen=True)
class Wanted:
    """Which features are labelled and how they are judged.

    units: how many, drawn blind among those that fire; 0 for all.
    family: one dictionary's alone.
    active: passages in which a feature fires that a judge is shown, and as many silent ones.
    tokens: of the held-out text, on which labels are judged; 0 for all.
    seed: decides which features and which passages.
    """

    units: int = UNITS
    family: str | None = None
    active: int = ACTIVE
    tokens: int = 65_536
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Labelling:
    """One labeller, one judge or none, and the features they are asked about."""

    tomogram: Tomogram
    labeller: Labeller
    judge: Judge | None
    wanted: Wanted
    subjects: tuple[Subject, ...]

    def estimate(self) -> Cost:
        """What asking will cost: exact in requests and prompts, at most so many reply tokens.

        A label not yet known counts as the longest there may be, and every feature as frequent.
        """
        total = Cost()
        if isinstance(self.labeller, ChatLabeller):
            for subject in self.subjects:
                total += cost_of(self.labeller.messages(subject), REPLY_TOKENS)
        if self.judge is not None:
            total += self._judging(self.judge).times(len(self.subjects))
        return total

    def run(self, model: Model | str | Path | None = None, dictionaries: str | None = None) -> Path:
        """Label and judge whatever has not been yet; the folder of the labels.

        Args:
            model, dictionaries: what was scanned, as `scanned_model` and `scanned_dictionaries`
                take them; only read where there is a judge.

        Raises TomogramError where a model cannot be asked, or the folder not written.
        """
        stage = Stage(self.tomogram.folder, self._name(), VERSION, self._inputs())
        with exclusive(self.tomogram.folder):
            labels = stage.run(lambda work: self._body(work, model, dictionaries))
            list_labels(self.tomogram.folder)
        return labels

    def _body(self, work: Work, model: Model | str | Path | None, dictionaries: str | None) -> None:
        journal = work.checkpoints / "answers.jsonl"
        done = {(each.family, each.unit): each for each in _read(journal)}
        todo = [s for s in self.subjects if (s.family, s.unit) not in done]
        unseen = None
        if self.judge is not None and todo:
            unseen = _unseen(self.tomogram, todo, self.wanted, model, dictionaries)
        parallel = max(1, self.labeller.parallel)
        with (
            progress.task("labels", total=len(self.subjects), unit="features") as task,
            journal.open("a", encoding="utf-8") as out,
            ThreadPoolExecutor(parallel) as pool,
        ):
            task.advance(len(done))
            asked = pool.map(lambda subject: self._ask(subject, unseen), todo)
            try:
                for each in asked:
                    out.write(f"{json.dumps(_as_json(each))}\n")
                    out.flush()
                    done[each.family, each.unit] = each
                    task.advance()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        write_judged(list(done.values()), work.results / "labels.parquet")

    def _ask(self, subject: Subject, unseen: Unseen | None) -> Judged:
        label = self.labeller.label(subject)
        if label is None or self.judge is None or unseen is None:
            return Judged(subject.family, subject.unit, label)
        shown = unseen.trials(subject, self.wanted)
        scores: dict[str, Score | None] = {}
        for task in TASKS:
            said = self.judge.judge(label, shown, task, self.tomogram.spelling)
            scores[task] = score(said, [trial.fires for trial in shown]) if shown else None
        return Judged(subject.family, subject.unit, label, scores["detection"], scores["fuzzing"])

    def _judging(self, judge: Judge) -> Cost:
        """The cost of judging one label, of passages as long as the first of the held-out text."""
        held_out = _held_out(self.tomogram, self.wanted)
        tokens = tuple(held_out.tokens.reshape(-1)[:WINDOW].tolist())
        marks = tuple(i % 4 == 0 for i in range(len(tokens)))
        shown = [Trial(tokens, marks, True)] * (2 * self.wanted.active)
        total = Cost()
        for some in batches(shown, judge.at_once):
            for task in TASKS:
                asked = judge.messages("x" * LONGEST, some, task, self.tomogram.spelling)
                total += cost_of(asked, reply_tokens(some))
        return total

    def _name(self) -> str:
        return FOLDER + (
            re.sub(r"[^a-z0-9]+", "_", self.labeller.name.lower()).strip("_") or "chat"
        )

    def _inputs(self) -> dict:
        folder = self.tomogram.folder
        return {
            "labeller": self.labeller.name,
            "judge": self.judge.name if self.judge else "",
            "at_once": self.judge.at_once if self.judge else 0,
            "exemplars": digest_file(folder / "features" / "exemplars.parquet"),
            "units": [f"{s.family}/{s.unit}" for s in self.subjects],
            "active": self.wanted.active,
            "tokens": self.wanted.tokens,
            "seed": self.wanted.seed,
        }


@dataclass(frozen=True, eq=False)
class Unseen:
    """The firings of some families in the held-out text."""

    text: PackedText
    samples: dict[str, Sample]

    def trials(self, subject: Subject, wanted: Wanted) -> list[Trial]:
        """Passages for one feature."""
        sample = self.samples[subject.family]
        own = sample.unit == subject.unit
        seed = wanted.seed + subject.unit
        return trials(
            sample.position[own], sample.activation[own], self.text, active=wanted.active, seed=seed
        )


def labelling(
    tomogram: Tomogram,
    labeller: Labeller | None = None,
    judge: Judge | None = None,
    wanted: Wanted | None = None,
) -> Labelling:
    """Choose the features of a tomogram and what the labeller is shown of each.

    Raises TomogramError where no feature fires, or the family is not there.
    """
    wanted = wanted or Wanted()
    chosen = _chosen(tomogram, wanted)
    subjects = tuple(_subjects(tomogram, chosen))
    return Labelling(tomogram, labeller or StatisticsLabeller(), judge, wanted, subjects)


def _chosen(tomogram: Tomogram, wanted: Wanted) -> list[Key]:
    """Features that fire, drawn blind, in the order of the table."""
    rows = tomogram.features.query(
        "SELECT family, unit FROM features WHERE kind = 'latent' AND count > 0"
        " AND (?::VARCHAR IS NULL OR family = ?) ORDER BY layer, family, unit",
        (wanted.family, wanted.family),
    )
    if not rows:
        where = f" in '{wanted.family}'" if wanted.family else ""
        raise TomogramError(f"There is no feature that fires{where}.")
    keys = [(row["family"], row["unit"]) for row in rows]
    if not wanted.units or wanted.units >= len(keys):
        return keys
    lots = draw(np.arange(len(keys)) + (wanted.seed << 32))
    return [keys[i] for i in np.sort(np.argsort(lots, kind="stable")[: wanted.units])]


def _subjects(tomogram: Tomogram, keys: Sequence[Key]) -> Iterator[Subject]:
    for family, unit in keys:
        row = tomogram.features.unit(family, unit)
        found = tomogram.features.excerpts(family, unit, "top", tomogram.text)
        yield Subject(
            family,
            unit,
            tuple(_passage(each.tokens, each.activations, tomogram.spelling) for each in found),
            tuple(_spelled(row["promoted"] or (), tomogram.spelling)),
            row["label"],
        )


def _passage(tokens: np.ndarray, activations: np.ndarray, spelling: Sequence[str]) -> Passage:
    peak = float(activations.max(initial=0)) or 1.0
    shares = tuple(float(a) / peak for a in activations)
    return Passage(tuple(_spelled(tokens.tolist(), spelling)), shares)


def _spelled(tokens: Iterable[int], spelling: Sequence[str]) -> list[str]:
    return [spelling[token] if token < len(spelling) else f"[{token}]" for token in tokens]


def _held_out(tomogram: Tomogram, wanted: Wanted) -> PackedText:
    text = load_packed(tomogram.folder / "text" / "held_out.safetensors")
    rows = text.rows if not wanted.tokens else max(1, wanted.tokens // text.context)
    return text.take(np.arange(min(rows, text.rows)))


def _unseen(
    tomogram: Tomogram,
    subjects: Sequence[Subject],
    wanted: Wanted,
    source: Model | str | Path | None,
    dictionaries: str | None,
) -> Unseen:
    model = scanned_model(tomogram, source)
    families = {subject.family for subject in subjects}
    found = scanned_dictionaries(tomogram, model, dictionaries)
    own = [each for each in found if each.name in families]
    text = _held_out(tomogram, wanted)
    with progress.task("unseen text", total=text.n_tokens, unit="tokens") as task:
        observed = survey(
            model,
            text,
            readers(model, text, own, neurons=()),
            batch_rows=max(1, 4_096 // text.context),
            sampled_tokens=text.n_tokens,
            advance=task.advance,
        )
    return Unseen(text, {name: each.sample for name, each in observed.items()})


def _as_json(judged: Judged) -> dict:
    def told(score: Score | None) -> dict | None:
        if score is None:
            return None
        return {"accuracy": score.accuracy.model_dump(), "unread": score.unread}

    return {
        "family": judged.family,
        "unit": judged.unit,
        "label": judged.label,
        "detection": told(judged.detection),
        "fuzzing": told(judged.fuzzing),
    }


def _read(journal: Path) -> Iterator[Judged]:
    """What has been answered; a line that a kill has cut short is passed over."""
    from tomogram.store.schema import Estimate

    def told(value: dict | None) -> Score | None:
        if value is None:
            return None
        return Score(Estimate(**value["accuracy"]), value["unread"])

    if not journal.exists():
        return
    whole, _, rest = journal.read_bytes().rpartition(b"\n")
    if rest:  # what comes next must not be glued to half a line
        journal.write_bytes(whole + b"\n" if whole else b"")
    for line in whole.splitlines():
        row = json.loads(line)
        yield Judged(
            row["family"],
            row["unit"],
            row["label"],
            told(row["detection"]),
            told(row["fuzzing"]),
        )


def labels_of(folder: Path) -> list[Judged]:
    """The labels in a folder that `Labelling.run` gave."""
    return read_judged(folder / "labels.parquet")
