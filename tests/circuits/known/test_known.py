"""Known circuits: models compute what they were made for, and exact patching finds the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tomogram.circuits.discovery.auroc import edge_auroc
from tomogram.circuits.discovery.scores import score
from tomogram.circuits.known import planted, tracr
from tomogram.circuits.known.parts import Layer, Parts, as_gpt2


def by_definition(parts: Parts, tokens: list[int]) -> np.ndarray:
    """The logits of the parts, written down as the formulas say."""
    x = parts.embed[tokens] + parts.positions[: len(tokens)]
    masked = np.triu(np.full((len(tokens), len(tokens)), -1e30), 1)
    for layer in parts.layers:
        added = np.zeros_like(x)
        for h in range(len(layer.query)):
            q = x @ layer.query[h] + layer.query_bias[h]
            k = x @ layer.key[h] + layer.key_bias[h]
            scores = q @ k.T / np.sqrt(q.shape[1]) + masked
            weights = np.exp(scores - scores.max(1, keepdims=True))
            weights /= weights.sum(1, keepdims=True)
            added += weights @ (x @ layer.value[h] + layer.value_bias[h]) @ layer.output[h]
        x = x + added
        hidden = np.maximum(x @ layer.into + layer.into_bias, 0)
        x = x + hidden @ layer.out + layer.out_bias
    return x @ parts.unembed


def test_the_gpt2_computes_what_the_parts_say() -> None:
    generator = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return generator.normal(size=shape) * 0.25

    heads, d, size, hidden = 2, 6, 5, 7
    layers = tuple(
        Layer(
            query=drawn(heads, d, size),
            key=drawn(heads, d, size),
            value=drawn(heads, d, size),
            output=drawn(heads, size, d),
            query_bias=drawn(heads, size),
            key_bias=drawn(heads, size),
            value_bias=drawn(heads, size),
            into=drawn(d, hidden),
            into_bias=drawn(hidden),
            out=drawn(hidden, d),
            out_bias=drawn(d),
        )
        for _ in range(2)
    )
    parts = Parts(drawn(9, d), drawn(8, d), layers, drawn(d, 9))
    tokens = [3, 1, 4, 1, 5]
    logits = as_gpt2(parts, name="random parts").run(torch.tensor([tokens])).logits
    assert logits is not None
    np.testing.assert_allclose(logits[0].numpy(), by_definition(parts, tokens), atol=1e-3)


def test_layers_of_wrong_shapes_are_refused() -> None:
    good = planted.two_hop().layers[0]
    fields = {name: getattr(good, name) for name in Layer.__dataclass_fields__}
    with pytest.raises(ValueError, match="out_bias"):
        Layer(**fields | {"out_bias": np.zeros(1)})


@pytest.mark.parametrize("name", ["previous token", "induction", "repeated token"])
def test_compiled_programs_do_what_they_say(name: str) -> None:
    case = next(case for case in tracr.cases(pairs=4) if case.name == name)
    answers = {}
    for pair in case.searched:
        for prompt, answer in ((pair.clean, pair.answer), (pair.counterfactual, pair.other)):
            outcome = _outcome(name, list(prompt[1:]))
            assert answers.setdefault(outcome, answer) == answer
    assert len(set(answers.values())) == len(answers) > 1


def _outcome(name: str, body: list[int]) -> object:
    match name:
        case "previous token":
            return body[-2]
        case "induction":
            return body[body.index(body[-1]) + 1]
    return body[-1] == body[-2]


def test_planted_two_hop_gives_the_capital_of_the_state() -> None:
    case = next(case for case in planted.cases(pairs=6) if case.name == "two-hop")
    state = [0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2, 3]
    for pair in case.searched:
        assert pair.answer == [5, 7, 9, 11][state[pair.clean[-3]]]


def test_true_edges_of_the_planted_two_hop_are_its_path() -> None:
    case = next(case for case in planted.cases(pairs=2) if case.name == "two-hop")
    assert case.truth is not None
    names = {case.graph.name(u, v) for u, v in zip(*case.truth.nonzero(), strict=True)}
    assert names == {"input->m0", "m0->a1.h1<v>", "a1.h1->m2", "m2->logits"}


@pytest.mark.parametrize("kind", [planted, tracr])
def test_exact_patching_finds_every_true_edge(kind: object) -> None:
    for case in kind.cases(pairs=12):  # type: ignore[attr-defined]
        assert case.truth is not None
        found = score(case.model, case.graph, case.searched, "exact").strength
        assert edge_auroc(found, case.truth, case.graph.possible) == 1, case.name
        assert set(case.searched).isdisjoint(case.held_out) or case.kind == "tracr"
