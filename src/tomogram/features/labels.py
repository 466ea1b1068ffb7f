"""Labels: what a unit fires on, said from token statistics and tested on text not seen before.

The documents of the sample are dealt into three parts. On the first, the best rule of every kind
is learned; on the second, the best kind is chosen, and a unit no rule fits stays unlabelled; on
the third, the chosen rule is scored. No model judges the label: its score says how well the rule
predicts where the unit fires.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from scipy import sparse

from tomogram.features.exemplars import draw
from tomogram.features.rules import KINDS, Kind, Marks, Tally, Tokens, learn, marks, predict
from tomogram.features.survey import Observation
from tomogram.store.estimates import resample
from tomogram.store.schema import Estimate
from tomogram.text.packing import PackedText

LEARNED, CHOSEN = 0.5, 0.25
"""Shares of the documents on which rules are learned and chosen; the rest scores them."""
FITS = 0.5
"""A rule with a smaller F1 on the second part is no label."""
SHOWN = 5
"""Marks of a rule that a label shows."""
_CLUSTERS = 256
_SEED = 0


@dataclass(frozen=True)
class Label:
    """What one unit fires on, as a rule of tokens, and how well the rule holds on new text."""

    unit: int
    kind: Kind
    marks: tuple[tuple[int, ...], ...]
    """Token ids of the rule's marks, those that explain the most firings first; SHOWN at most."""
    n_marks: int
    """Marks of the whole rule."""
    f1: Estimate
    """Harmonic mean of precision and recall, firings weighed by activation (`rules.Tally`)."""
    precision: float
    """Share of the tokens the rule names on which the unit fires."""
    recall: float
    """Share of the unit's activation that lies on tokens the rule names."""
    balanced_accuracy: float
    """Mean of recall and of the share of silent tokens that the rule leaves out."""


@dataclass(frozen=True)
class Predictions:
    """What rules say of text that neither learning nor choosing saw, and what is so."""

    tokens: Int[np.ndarray, " scored"]
    """Which tokens of the sampled rows these are."""
    said: sparse.csr_array
    """[scored units], 1 where a unit's rule says that it fires; empty for a unit without a rule."""
    fired: sparse.csr_array
    """[scored units], the weight of each firing (`rules.Tally`)."""


class Labeller:
    """Labels families from one sample of rows, whose tokens and marks are worked out once."""

    def __init__(self, text: PackedText, rows: Int[np.ndarray, " rows"]) -> None:
        context = text.context
        self._position = (rows[:, None] * context + np.arange(context)).reshape(-1)
        self._text = Tokens(
            text.tokens[rows].reshape(-1),
            text.documents[rows].reshape(-1),
            np.repeat(rows, context),
        )
        self._marks = {kind: marks(kind, self._text) for kind in KINDS}
        lot = draw(self._text.document)
        self._learned = np.flatnonzero(lot < LEARNED)
        self._chosen = np.flatnonzero((lot >= LEARNED) & (lot < LEARNED + CHOSEN))
        self._scored = np.flatnonzero(lot >= LEARNED + CHOSEN)

    def label(self, observation: Observation) -> list[Label | None]:
        """A label for each unit of a family, or None where no rule fits or nothing fired."""
        firing = self._firing(observation)
        rules, best, fit = self._fitted(firing)
        clusters = self._clusters(self._scored)
        labels: list[Label | None] = [None] * observation.family.size
        for number, kind in enumerate(KINDS):
            units = np.flatnonzero((best == number) & (fit[number] >= FITS))
            if len(units):
                rule = rules[kind][:, units]
                said = self._said(kind, rule, self._scored)
                tally = Tally.of(said, firing[:, units][self._scored], clusters)
                for label in _labels(self._marks[kind], rule, units, tally, len(self._scored)):
                    labels[label.unit] = label
        return labels

    def predictions(self, observation: Observation) -> Predictions:
        """Where each unit's rule says that it fires on the last part, and where it does."""
        firing = self._firing(observation)
        rules, best, fit = self._fitted(firing)
        size = observation.family.size
        said = sparse.csr_array((len(self._scored), size), dtype=np.float32)
        for number, kind in enumerate(KINDS):
            holds = ((best == number) & (fit[number] >= FITS)).astype(np.float32)
            said = said + self._said(kind, rules[kind], self._scored) @ sparse.diags_array(holds)
        said.eliminate_zeros()
        return Predictions(self._scored, sparse.csr_array(said), firing[self._scored])

    def _fitted(
        self, firing: sparse.csr_array
    ) -> tuple[dict[Kind, sparse.csc_array], np.ndarray, np.ndarray]:
        """Rules of every kind, the best kind of each unit, and the F1 of all of them."""
        rules = {kind: learn(self._marks[kind], firing, self._learned) for kind in KINDS}
        whole = sparse.csr_array(np.ones((1, len(self._chosen)), np.float32))
        fired = firing[self._chosen]
        fit = np.concatenate(
            [Tally.of(self._said(k, rules[k], self._chosen), fired, whole).f1() for k in KINDS]
        )
        return rules, fit.argmax(0), fit

    def _said(
        self, kind: Kind, rule: sparse.csc_array, part: Int[np.ndarray, " part"]
    ) -> sparse.csr_array:
        return predict(self._marks[kind], rule, part)

    def _firing(self, observation: Observation) -> sparse.csr_array:
        """[tokens units], each firing with its weight (`Tally`)."""
        sample, size = observation.sample, observation.family.size
        total = np.bincount(sample.unit, sample.activation, minlength=size)
        mean = total / np.maximum(np.bincount(sample.unit, minlength=size), 1)
        weight = (sample.activation / mean[sample.unit]).astype(np.float32)
        token = np.searchsorted(self._position, sample.position)
        return sparse.csr_array((weight, (token, sample.unit)), shape=(len(self._position), size))

    def _clusters(self, part: Int[np.ndarray, " part"]) -> sparse.csr_array:
        """[clusters tokens]: documents, many of them together where there are many."""
        document = np.unique(self._text.document[part], return_inverse=True)[1]
        place = (document % _CLUSTERS, np.arange(len(part)))
        return sparse.csr_array((np.ones(len(part), np.float32), place))


def _labels(
    marks: Marks,
    rule: sparse.csc_array,
    units: Int[np.ndarray, " units"],
    tally: Tally,
    tokens: int,
) -> list[Label]:
    n = len(tally.claimed)
    low, high = np.quantile(
        tally.mixed(resample(n, seed=_SEED, draws=500)).f1(), [0.025, 0.975], axis=0
    )
    whole = tally.mixed(np.ones((1, n)))
    score, claimed, true = whole.f1()[0], whole.claimed[0], whole.true[0]
    recall = whole.true_weight[0] / np.maximum(whole.positive_weight[0], 1e-9)
    silent = np.maximum(tokens - whole.positive[0], 1)
    found = []
    for i, unit in enumerate(units):
        members = slice(rule.indptr[i], rule.indptr[i + 1])
        chosen = rule.indices[members][np.argsort(-rule.data[members], kind="stable")]
        value = float(score[i])
        specificity = 1 - float((claimed[i] - true[i]) / silent[i])
        found.append(
            Label(
                unit=int(unit),
                kind=marks.kind,
                marks=tuple(tuple(map(int, marks.tokens[mark])) for mark in chosen[:SHOWN]),
                n_marks=len(chosen),
                f1=Estimate(
                    value=value, low=min(float(low[i]), value), high=max(float(high[i]), value), n=n
                ),
                precision=float(true[i] / max(claimed[i], 1)),
                recall=float(recall[i]),
                balanced_accuracy=(float(recall[i]) + specificity) / 2,
            )
        )
    return found
