"""What a pass tells about its tokens, in all the ways in which transformers is called."""

from __future__ import annotations

import pytest
import torch

from tomogram.models.generate import generate
from tomogram.models.model import Model
from tomogram.steering.positions import Pass, everywhere, generated, watching
from tomogram.store.errors import TomogramError


def test_padded_prompts_are_counted_from_their_own_beginning(model: Model) -> None:
    seen: list[Pass] = []
    with watching(model) as watch:
        handle = model.module.register_forward_hook(lambda *_: seen.append(watch.now()))
        generate(model, [[1, 2, 3, 4], [5, 6]], max_new_tokens=2)
        handle.remove()
    assert seen[0].positions.tolist() == [[0, 1, 2, 3], [0, 0, 0, 1]]
    assert seen[1].positions.tolist() == [[4], [2]]
    assert [now.first for now in seen] == [True, False]


def test_a_mask_alone_tells_positions(model: Model) -> None:
    with watching(model) as watch:
        ids = torch.tensor([[0, 7, 8]])
        model.module(input_ids=ids, attention_mask=torch.tensor([[0, 1, 1]]))
        assert watch.now().positions.tolist() == [[0, 0, 1]]
        model.module(ids)
        assert watch.now().positions.tolist() == [[0, 1, 2]]
        assert watch.rows() == 1


def test_embeddings_in_the_place_of_tokens_are_refused(model: Model) -> None:
    with watching(model), pytest.raises(TomogramError, match="reads token ids"):
        model.module(inputs_embeds=torch.zeros(1, 2, model.d_model))


def test_where_by_hand() -> None:
    first = Pass(torch.tensor([[4, 5, 6]]), torch.tensor([[0, 1, 2]]), True)
    later = Pass(torch.tensor([[7]]), torch.tensor([[3]]), False)
    assert everywhere(first).tolist() == [[True, True, True]]
    assert generated(first).tolist() == [[False, False, True]]
    assert generated(later).tolist() == [[True]]
