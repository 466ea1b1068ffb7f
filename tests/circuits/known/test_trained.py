"""Trained known circuits: they do what they were trained for, and by the parts that were meant."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from tomogram.circuits.discovery.auroc import edge_auroc
from tomogram.circuits.discovery.faithfulness import ends
from tomogram.circuits.discovery.scores import score
from tomogram.circuits.known import induction, modular, siit
from tomogram.circuits.known.case import Case
from tomogram.circuits.known.measure import measure, true_mask
from tomogram.circuits.known.small import WEIGHTS, Size, read, read_file, untrained, write
from tomogram.models.model import Model


def said(model: Model, prompts: list[tuple[int, ...]]) -> list[int]:
    found = []
    for prompt in prompts:
        logits = model.run(torch.tensor([prompt])).logits
        assert logits is not None
        found.append(int(logits[0, -1].argmax()))
    return found


def truth(case: Case) -> set[str]:
    """The names of the edges that exact patching finds on the pairs held out."""
    exact = score(case.model, case.graph, case.held_out, "exact").by_pair
    mask = true_mask(case, exact, ends(case.model, case.graph, case.held_out))
    return {case.graph.name(u, v) for u, v in zip(*mask.nonzero(), strict=True)}


def test_a_model_is_read_as_it_was_written_in_half_precision(tmp_path: Path) -> None:
    size = Size(vocabulary=7, context=5, width=8, heads=2, layers=2, hidden=4)
    module = untrained(size, 3)
    write(module, size, tmp_path / "one.safetensors")
    model = read_file(tmp_path / "one.safetensors", name="one")
    for name, value in module.state_dict().items():
        torch.testing.assert_close(model.module.state_dict()[name], value.half().float())
    same = untrained(size, 3).state_dict()
    assert all(torch.equal(same[name], value) for name, value in module.state_dict().items())


@pytest.mark.parametrize("changed", [{"heads": 3}, {"layers": 0}, {"vocabulary": -1}])
def test_sizes_that_cannot_be_are_refused(changed: dict[str, int]) -> None:
    good = {"vocabulary": 7, "context": 5, "width": 8, "heads": 2, "layers": 2, "hidden": 4}
    with pytest.raises(ValueError, match="heads divide the width"):
        Size(**good | changed)


def test_what_is_shipped_is_small() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) < 2 << 20


def test_the_induction_model_repeats_sequences_it_never_saw() -> None:
    rng = random.Random(17)
    prompts = [induction.drawn(rng) for _ in range(300)]
    right = np.mean(
        np.array(said(read("induction"), prompts)) == list(map(induction.answer, prompts))
    )
    assert right >= 0.93


def test_the_modular_model_adds_numbers_whose_sum_it_was_never_taught() -> None:
    taught, never = modular.table()
    assert set(taught).isdisjoint(never)
    assert len(taught) + len(never) == modular.MODULUS**2
    prompts = [(a, b, modular.EQUALS) for a, b in never]
    right = np.mean(np.array(said(read("modular"), prompts)) == list(map(modular.answer, prompts)))
    assert right >= 0.97


def test_the_induction_circuit_goes_from_a_head_of_the_first_layer_into_keys_of_the_second() -> (
    None
):
    (case,) = induction.cases(pairs=16)
    found = truth(case)
    assert any(
        name.startswith("a0.h") and "->a1.h" in name and name.endswith("<k>") for name in found
    )
    assert any(name.startswith("a1.h") and name.endswith("->logits") for name in found)


def by_hand(name: str, tokens: list[int]) -> list[int]:
    """The answers of a program at each place that has one, token by token."""
    kind = [0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2, 3]
    turn = [3, 1, 0, 2, 1, 0, 3, 2, 2, 3, 1, 0]
    assert name in siit.PROGRAMS
    return [(kind[tokens[i - 2]] + turn[tokens[i]]) % 4 for i in range(2, len(tokens))]


@pytest.mark.parametrize("name", siit.PROGRAMS)
def test_programs_compute_what_they_say(name: str) -> None:
    tokens = torch.tensor([[3, 11, 0, 7, 7, 2, 5, 9]])
    found = siit.PROGRAMS[name].compute(tokens, {})
    assert found[siit.ANSWER][0, 2:].tolist() == by_hand(name, tokens[0].tolist())
    other = siit.PROGRAMS[name].compute(tokens, {"moved": found["moved"] * 0})
    changed = other[siit.ANSWER] != found[siit.ANSWER]
    assert changed[0, 2:].any()


@pytest.mark.parametrize("name", siit.PROGRAMS)
def test_variables_sit_in_their_parts_and_other_parts_do_nothing(name: str) -> None:
    found = siit.accuracies(read(name), siit.PROGRAMS[name])
    assert min(found.values()) >= 0.97, found


def test_exact_patching_finds_the_programs_of_siit_models() -> None:
    missing = {
        case.name: set(siit.PROGRAMS[case.name].edges) - truth(case)
        for case in siit.cases(pairs=16)
    }
    # By itself this one moves the logits of the second model by less than the threshold.
    assert missing == {"siit-class-move": set(), "siit-move-class": {"input->m1"}}


def test_every_method_is_measured_on_a_trained_case_and_exact_patching_agrees_with_itself() -> None:
    (case,) = modular.cases(pairs=8)
    assert set(case.searched).isdisjoint(case.held_out)
    (found,) = measure(case, ["exact"])
    assert found.auroc >= 0.9
    again = score(case.model, case.graph, case.searched, "exact").strength
    assert edge_auroc(again, true_mask_of(case), case.graph.possible) == found.auroc


def true_mask_of(case: Case) -> np.ndarray:
    exact = score(case.model, case.graph, case.held_out, "exact").by_pair
    return true_mask(case, exact, ends(case.model, case.graph, case.held_out))
