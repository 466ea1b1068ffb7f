from __future__ import annotations

import numpy as np
import pytest
import torch

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.features.reading import read
from tomogram.models.model import Model

TEXTS = [[3, 17, 5], [8], [1, 2, 3, 4, 5, 6, 7, 8, 9], [30, 31]]


def test_each_text_is_read_as_if_alone(model: Model, dictionaries: list[Dictionary]) -> None:
    found = read(model, dictionaries, TEXTS)
    assert found.starts.tolist() == [0, 3, 4, 13, 15]
    for dictionary in dictionaries:
        dense = np.zeros((15, dictionary.d_dict), np.float32)
        own = found.firings[dictionary.name]
        dense[own.token, own.unit] = own.activation
        for text, start in zip(TEXTS, found.starts, strict=False):
            run = model.run(torch.tensor([text]), capture=[dictionary.read])
            alone = dictionary.encode(run[dictionary.read].flatten(0, 1)).dense().numpy()
            assert dense[start : start + len(text)] == pytest.approx(alone, abs=1e-4)


def test_the_strongest_activation_of_each_text(
    model: Model, dictionaries: list[Dictionary]
) -> None:
    found = read(model, dictionaries, TEXTS)
    name, size = dictionaries[0].name, dictionaries[0].d_dict
    own = found.firings[name]
    for skip in (0, 1):
        dense = np.zeros((4, size), np.float32)
        for text in range(4):
            inside = (own.token >= found.starts[text] + skip) & (own.token < found.starts[text + 1])
            np.maximum.at(dense[text], own.unit[inside], own.activation[inside])
        assert np.array_equal(found.strongest(name, size, skip=skip).toarray(), dense)
