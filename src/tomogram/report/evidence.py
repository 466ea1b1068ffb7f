"""What the page shows of the tables: a varied choice of units, and the scores of all labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from typing import Any, TypeVar

import numpy as np

from tomogram.circuits.graph.export import read_graph
from tomogram.circuits.graph.graph import Graph
from tomogram.features.exemplars import draw, excerpt
from tomogram.features.statistics import bin_edges
from tomogram.report.cards import Card, Snippet
from tomogram.report.tomogram import Tomogram
from tomogram.report.words import decimal
from tomogram.store.errors import TomogramError
from tomogram.store.schema import ConceptRecord, Concepts

FEATURES = 120
"""Features in the gallery."""
BLIND = 0.25
"""Share of them drawn blind among all that fire, so that the choice does not flatter."""
NEURONS = 8
"""Sides of neurons in the gallery, all drawn blind: what a feature is to be compared with."""
FITTING = 0.8
"""A feature is said to match a concept from this F1."""
TOP, SPREAD = 6, 6
"""Exemplars shown of each unit."""
TOKENS = 8
"""Promoted and suppressed tokens shown of each unit."""

Item = TypeVar("Item")
Key = tuple[str, int]
"""Family and number of the unit in it."""


@dataclass(frozen=True)
class Evidence:
    """What the page shows of the tables, beside the manifest."""

    cards: tuple[Card, ...]
    feature_scores: tuple[float, ...]
    """Label scores of all labelled features."""
    neuron_scores: tuple[float, ...]
    """Label scores of all labelled sides of neurons."""
    graphs: tuple[Graph, ...] = ()
    """The circuits that the manifest tells of."""
    labels: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """What the features of transcoders are called, by layer and number."""


@dataclass(frozen=True)
class Candidate:
    """A unit that fires, as far as choosing it goes."""

    key: Key
    kind: str
    label: str | None
    label_kind: str | None
    score: float | None
    rate: float
    """Share of tokens on which it fires, above 0."""

    @property
    def worth(self) -> float:
        """How much its label tells: the score, times how surprising a firing is (in nats).

        By the score alone, units that fire on every comma would come first.
        """
        return -(self.score or 0.0) * math.log(self.rate)


def gather(tomogram: Tomogram) -> Evidence:
    """Choose the gallery's units and read what their cards show.

    Raises TomogramError where a file is missing, damaged, or belongs to another text.
    """
    candidates = [
        Candidate(
            key=(row["family"], row["unit"]),
            kind=row["kind"],
            label=row["label"],
            label_kind=row["label_kind"],
            score=row["label_f1"],
            rate=row["rate"],
        )
        for row in tomogram.features.query(
            "SELECT family, unit, kind, label, label_kind, label_f1, rate FROM features "
            "WHERE count > 0 ORDER BY layer, family, unit"
        )
    ]
    concepts = matches(tomogram.manifest.concepts)
    features = [c for c in candidates if c.kind == "latent"]
    neurons = [c for c in candidates if c.kind == "neuron"]
    n_blind = round(BLIND * FEATURES)
    picked = chosen(features, FEATURES - n_blind, preferred=concepts)
    blind = drawn([c for c in features if c.key not in set(picked)], n_blind)
    blind += drawn(neurons, NEURONS)
    return Evidence(
        cards=tuple(_cards(tomogram, picked, blind, concepts)),
        feature_scores=tuple(c.score for c in features if c.score is not None),
        neuron_scores=tuple(c.score for c in neurons if c.score is not None),
        graphs=_graphs(tomogram),
        labels=_labels(tomogram, features),
    )


def _graphs(tomogram: Tomogram) -> tuple[Graph, ...]:
    found = tomogram.manifest.circuits
    shown = () if found is None else found.shown
    return tuple(read_graph(tomogram.folder / each.file)[0] for each in shown)


def _labels(tomogram: Tomogram, features: Sequence[Candidate]) -> dict[tuple[int, int], str]:
    layer = {d.name: d.layer for d in tomogram.manifest.dictionaries if d.shape == "transcoder"}
    return {
        (layer[c.key[0]], c.key[1]): c.label
        for c in features
        if c.label is not None and c.key[0] in layer
    }


def chosen(candidates: Sequence[Candidate], n: int, *, preferred: Iterable[Key] = ()) -> list[Key]:
    """At most n units whose labels tell most, no label twice, families and kinds in turn.

    A quarter of the places go to `preferred` units first, in their order.
    """
    known = {candidate.key: candidate for candidate in candidates}
    first = [key for key in preferred if key in known][: n // 4]
    stacks: dict[str, dict[str, list[Candidate]]] = {}
    for candidate in sorted(candidates, key=lambda c: (-c.worth, c.key)):
        if candidate.label is not None and candidate.label_kind is not None:
            family = stacks.setdefault(candidate.key[0], {})
            family.setdefault(candidate.label_kind, []).append(candidate)
    # The kinds of one family take turns, then the families do.
    queues = [list(_in_turn(stacks[family].values())) for family in sorted(stacks)]
    picked, said = list(first), {known[key].label for key in first}
    for candidate in _in_turn(queues):
        if len(picked) >= n:
            break
        if candidate.label not in said:
            said.add(candidate.label)
            picked.append(candidate.key)
    return picked


def drawn(candidates: Sequence[Candidate], n: int) -> list[Key]:
    """n units drawn without looking at them, the same at every call."""
    lots = draw(np.arange(len(candidates)))
    return [candidates[i].key for i in np.sort(np.argsort(lots, kind="stable")[:n])]


def matches(concepts: Concepts | None) -> dict[Key, str]:
    """For each feature that fits a concept, which; those that are not single words first.

    Concepts of one class (`city: Akron`, `city: Athens`) take turns with those of others.
    """
    if concepts is None:
        return {}
    found: dict[Key, str] = {}
    fitting = [c for c in concepts.concepts if c.feature.f1 >= FITTING]
    classes: dict[str, list[ConceptRecord]] = {}
    for concept in sorted(fitting, key=lambda c: (c.single_word, -c.feature.f1, c.name)):
        classes.setdefault(concept.name.partition(":")[0], []).append(concept)
    for concept in _in_turn(classes.values()):
        key = (concept.feature.group, concept.feature.index)
        words = f"matches the concept “{concept.name}” with F1 {decimal(concept.feature.f1)}"
        found.setdefault(key, words)
    return found


def _in_turn(queues: Iterable[Sequence[Item]]) -> Iterator[Item]:
    """The first of each queue, then the second of each, and so on."""
    return (c for c in chain.from_iterable(zip_longest(*queues)) if c is not None)


def _cards(
    tomogram: Tomogram, picked: Sequence[Key], blind: Sequence[Key], concepts: Mapping[Key, str]
) -> Iterator[Card]:
    rows = _rows(tomogram, [*picked, *blind])
    snippets = _snippets(tomogram, [*picked, *blind])
    edges = tuple(bin_edges().tolist())
    spelling = tomogram.spelling
    chance = set(blind)
    for key in _mixed(picked, blind):
        row = rows[key]
        top, spread = snippets.get((*key, "top"), ()), snippets.get((*key, "spread"), ())
        yield Card(
            group=row["family"],
            kind=row["kind"],
            layer=row["layer"],
            index=row["index"],
            side=row["side"],
            label=row["label"],
            score=row["label_f1"],
            rate=row["rate"],
            largest=row["largest"],
            histogram=tuple(row["histogram"]),
            edges=edges,
            promoted=_spelled(row["promoted"], spelling)[:TOKENS],
            suppressed=_spelled(row["suppressed"], spelling)[:TOKENS],
            top=tuple(top[:TOP]),
            spread=tuple(_thinned(spread, SPREAD)),
            drawn=key in chance,
            concept=concepts.get(key),
        )


def _mixed(picked: Sequence[Key], blind: Sequence[Key]) -> Iterator[Key]:
    """Three chosen ones, then one drawn blind, and so on; what is left over comes last."""
    rest = iter(blind)
    for place, key in enumerate(picked, start=1):
        yield key
        if place % 3 == 0:
            yield from islice(rest, 1)
    yield from rest


def _rows(tomogram: Tomogram, keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
    found = tomogram.features.query(f"SELECT * FROM features WHERE {_AMONG}", [_listed(keys)])
    return {(row["family"], row["unit"]): row for row in found}


def _snippets(tomogram: Tomogram, keys: Sequence[Key]) -> dict[tuple[str, int, str], list[Snippet]]:
    """Exemplars by family, unit and kind, strongest first."""
    text, spelling = tomogram.text, tomogram.spelling
    found: dict[tuple[str, int, str], list[Snippet]] = {}
    for row in tomogram.features.query(
        "SELECT family, unit, kind, position, peak, activations FROM exemplars "
        f"WHERE {_AMONG} ORDER BY family, unit, kind, activation DESC, position",
        [_listed(keys)],
    ):
        window = np.frombuffer(row["activations"], np.uint8) * np.float32(row["peak"] / 255)
        try:
            shown = excerpt(text.tokens, text.documents, row["position"], window)
        except ValueError as error:
            raise TomogramError(f"The exemplars are of another text: {error}.") from error
        tokens = _spelled(shown.tokens.tolist(), spelling)
        snippet = Snippet(tokens, tuple(shown.activations.tolist()))
        found.setdefault((row["family"], row["unit"], row["kind"]), []).append(snippet)
    return found


# The units are passed as one list, so that the query is the same however many there are.
_AMONG = "concat(family, '/', unit) IN (SELECT unnest(?))"


def _listed(keys: Sequence[Key]) -> list[str]:
    return [f"{family}/{unit}" for family, unit in keys]


def _spelled(tokens: Sequence[int] | None, spelling: Sequence[str]) -> tuple[str, ...]:
    known = range(len(spelling))
    return tuple(spelling[t] if t in known else f"[{t}]" for t in tokens or ())


def _thinned(snippets: Sequence[Snippet], n: int) -> list[Snippet]:
    """n of them, evenly spread from the first to the last."""
    if len(snippets) <= n:
        return list(snippets)
    return [snippets[round(i * (len(snippets) - 1) / (n - 1))] for i in range(n)]
