from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from tomogram.features.moved import halves
from tomogram.features.said import LEAST, expected, said_words

DOCUMENTS = np.repeat(np.arange(40), 5)


def test_probabilities_are_kept_where_either_model_expects_a_word() -> None:
    before, after = torch.randn(6, 9), 8 * torch.randn(6, 9)
    one, two = expected(before, after)
    p, q = before.softmax(-1).numpy(), after.softmax(-1).numpy()
    kept = np.maximum(p, q) >= LEAST
    np.testing.assert_allclose(one.toarray(), np.where(kept, p, 0), rtol=1e-6)
    np.testing.assert_allclose(two.toarray(), np.where(kept, q, 0), rtol=1e-6)


def test_a_rare_word_that_rises_leads_a_frequent_one_that_wavers() -> None:
    before, after = np.zeros((200, 3)), np.zeros((200, 3))
    before[:, 0] = 0.6
    after[:, 0] = 0.6 + 0.1 * np.sign(np.sin(np.arange(200)))
    after[::5, 1] = 0.8  # in every document once
    before[1::5, 2] = 0.5  # is not said any more
    codes = sparse.csr_array(before), sparse.csr_array(after)
    more = said_words(*codes, DOCUMENTS, more=True, limit=3, examples=2)
    assert [each.token for each in more] == [1, 0]
    assert more[0].change.value == pytest.approx(0.8)
    assert more[0].change.n == (~halves(np.arange(40))).sum()
    assert more[0].values == ((0.0, 0.8), (0.0, 0.8))
    less = said_words(*codes, DOCUMENTS, more=False, limit=1, examples=1)
    assert less[0].token == 2
    assert less[0].change.value == pytest.approx(-0.5)


def test_two_equal_models_say_the_same() -> None:
    code = sparse.csr_array(np.full((200, 3), 0.3))
    assert said_words(code, code, DOCUMENTS, more=True, limit=3, examples=1) == []
