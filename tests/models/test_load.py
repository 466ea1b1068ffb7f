"""Loading: what is good loads exactly, what is damaged or unsafe is refused in one sentence."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers as hf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tests.models.families import CONFIGS, LLAMA_LIKE, build
from tomogram.models.load import load, wrap
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError

TOKENS = torch.arange(3, 15).reshape(2, 6)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama in a folder, as transformers saves it."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    build(CONFIGS["llama"]()).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of the tiny Llama to damage."""
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


def _refused(source: Path | str, **options: Any) -> str:
    """Load what must be refused; return the sentence, after checking that it is one."""
    with pytest.raises(TomogramError) as caught:
        load(source, **options)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def _logits(model: Model) -> torch.Tensor:
    logits = model.run(TOKENS).logits
    assert logits is not None
    return logits


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "llama-tied", "mixtral", "opt"])
def test_a_saved_model_computes_what_transformers_computes(family: str, tmp_path: Path) -> None:
    build(CONFIGS[family]()).save_pretrained(tmp_path / "m")
    plain = hf.AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    with torch.no_grad():
        assert torch.equal(_logits(load(tmp_path / "m")), plain(TOKENS).logits)


def test_bfloat16_and_a_missing_tokenizer(saved: Path) -> None:
    model = load(saved, dtype="bfloat16")
    assert model.dtype == torch.bfloat16
    assert model.tokenizer is None
    assert model.name == "tiny"


def test_shards_load_like_one_file(saved: Path, tmp_path: Path) -> None:
    build(CONFIGS["llama"]()).save_pretrained(tmp_path / "m", max_shard_size="10KB")
    assert len(list((tmp_path / "m").glob("*.safetensors"))) > 1
    assert torch.equal(_logits(load(tmp_path / "m")), _logits(load(saved)))


def test_the_digest_is_of_the_content(saved: Path, folder: Path) -> None:
    digest = load(saved).digest
    assert load(folder).digest == digest
    weights = load_file(folder / "model.safetensors")
    next(iter(weights.values())).flatten()[0] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert load(folder).digest != digest


def test_the_digest_of_a_wrapped_module_is_of_its_tensors() -> None:
    one, same, other = (
        wrap(build(CONFIGS["gpt2"](), seed), name=name)
        for seed, name in ((0, "a"), (0, "b"), (1, "c"))
    )
    assert one.digest == same.digest != other.digest


def test_stories15M_loads_with_its_tokenizer(stories15M: Path) -> None:  # noqa: RUF100
    model = load(stories15M)
    ids = model.tokenizer("Once upon a time")["input_ids"]
    assert model.tokenizer.decode(ids, skip_special_tokens=True) == "Once upon a time"
    assert (model.n_layers, model.d_model, model.context) == (6, 288, 256)


# Sources that are not there.


@pytest.mark.parametrize("source", ["/no/such/folder", "./nowhere", "a/b/c", "../x", ""])
def test_a_missing_folder(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sentence = _refused(source)
    assert "There is no folder" in sentence or "config.json is missing" in sentence


def test_an_unreachable_hub() -> None:
    assert "Hugging Face Hub" in _refused("nobody/such-model")


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "config.json is missing" in _refused(tmp_path)


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "no weights" in _refused(folder)


def test_a_missing_shard(tmp_path: Path) -> None:
    build(CONFIGS["llama"]()).save_pretrained(tmp_path / "m", max_shard_size="10KB")
    victim = sorted((tmp_path / "m").glob("*.safetensors"))[1]
    victim.unlink()
    assert victim.name in _refused(tmp_path / "m")


def test_an_index_that_points_out_of_the_folder(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    index = {"weight_map": {"lm_head.weight": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "outside the folder" in _refused(folder)


# Damage.


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_truncated_safetensors(folder: Path, share: float) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "damaged or cut short" in _refused(folder)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(head=st.binary(min_size=0, max_size=64))
def test_a_corrupted_header_never_escapes_as_another_error(
    saved: Path, tmp_path: Path, head: bytes
) -> None:
    folder = tmp_path / "c"
    shutil.copytree(saved, folder, dirs_exist_ok=True)
    good = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(head + good[len(head) :])
    if head != good[: len(head)]:
        _refused(folder)


def test_a_header_longer_than_the_file(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    assert "damaged or cut short" in _refused(folder)


def test_numbers_that_are_not_finite(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] = torch.inf
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert "model.layers.1.mlp.up_proj.weight" in _refused(folder)


def test_a_missing_tensor_is_not_filled_with_random_numbers(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert "model.layers.1.mlp.up_proj.weight" in _refused(folder)


def _changed_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_weights_of_another_size_than_the_configuration(folder: Path) -> None:
    _changed_config(folder, intermediate_size=48)
    assert "do not fit" in _refused(folder) or "cannot be read" in _refused(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\ufffe", '{"model_type": 3}', "{}"])
def test_a_damaged_configuration(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    assert "config.json" in _refused(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": -1},
        {"num_hidden_layers": "three"},
        {"hidden_size": 0},
        {"num_attention_heads": 7},
        {"hidden_act": "no-such-function"},
        {"vocab_size": -5},
    ],
)
def test_an_impossible_configuration(folder: Path, changes: dict[str, Any]) -> None:
    _changed_config(folder, **changes)
    _refused(folder)


def test_a_damaged_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": "1.0", "model": 3}')
    assert "tokenizer" in _refused(folder)


# What could run code.


class _Trap:
    """Unpickling this leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


def test_pickles_are_refused_unless_allowed(folder: Path) -> None:
    expected = _logits(load(folder))
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert "pickled" in _refused(folder)
    assert torch.equal(_logits(load(folder, allow_pickle=True)), expected)


def test_an_allowed_pickle_still_runs_nothing(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    (folder / "model.safetensors").unlink()
    torch.save({"lm_head.weight": _Trap(mark)}, folder / "pytorch_model.bin")
    _refused(folder, allow_pickle=True)
    assert not mark.exists()


def _code_that_leaves_a_mark(folder: Path) -> Path:
    mark = folder / "executed"
    code = f"from pathlib import Path\nPath({str(mark)!r}).touch()\nclass C: pass\n"
    (folder / "modeling_evil.py").write_text(code)
    return mark


def test_code_in_the_folder_of_an_unknown_type_is_refused(folder: Path) -> None:
    mark = _code_that_leaves_a_mark(folder)
    auto = {"AutoConfig": "modeling_evil.C", "AutoModelForCausalLM": "modeling_evil.C"}
    _changed_config(folder, model_type="evil", auto_map=auto)
    assert "auto_map" in _refused(folder)
    assert not mark.exists()


def test_code_beside_a_known_type_is_never_run(folder: Path) -> None:
    """Phi-3's own folders carry such code; transformers' class is used instead."""
    mark = _code_that_leaves_a_mark(folder)
    auto = {"AutoConfig": "modeling_evil.C", "AutoModelForCausalLM": "modeling_evil.C"}
    _changed_config(folder, auto_map=auto)
    load(folder)
    assert not mark.exists()


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_a_kernel_named_in_the_configuration_is_not_fetched(folder: Path, key: str) -> None:
    expected = _logits(load(folder))
    _changed_config(folder, **{key: "somebody/evil-kernel"})
    assert torch.equal(_logits(load(folder)), expected)


def test_quantised_weights_are_refused(folder: Path) -> None:
    _changed_config(folder, quantization_config={"quant_method": "gptq", "bits": 4})
    assert "quantised" in _refused(folder)


# What is no decoder.


def _encoder() -> Any:
    return hf.BertModel(
        hf.BertConfig(
            vocab_size=50,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
        )
    )


def _encoder_decoder() -> Any:
    config = hf.T5Config(vocab_size=50, d_model=16, d_ff=16, num_layers=1, num_heads=2, d_kv=8)
    return hf.T5ForConditionalGeneration(config)


def _other_decoder() -> Any:
    return hf.BloomForCausalLM(hf.BloomConfig(vocab_size=50, hidden_size=16, n_layer=1, n_head=2))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (_encoder, "encoder-only"),
        (_encoder_decoder, "encoder-decoder"),
        (_other_decoder, "'transformer.word_embeddings_layernorm'|has no module"),
    ],
)
def test_other_kinds_are_named(make: Callable[[], Any], word: str, tmp_path: Path) -> None:
    make().save_pretrained(tmp_path / "m")
    assert any(each in _refused(tmp_path / "m") for each in word.split("|"))


def test_an_unknown_type_is_named(folder: Path) -> None:
    _changed_config(folder, model_type="no-such-model")
    assert "no-such-model" in _refused(folder)


# Options.


@pytest.mark.parametrize(
    "options", [{"device": "warp"}, {"device": "meta"}, {"device": "cuda:99"}, {"dtype": "int8"}]
)
def test_options_that_cannot_be_met(saved: Path, options: dict[str, str]) -> None:
    _refused(saved, **options)


# GGUF.


def _write_gguf(path: Path, module: Any) -> None:
    """Write a Llama as GGUF, with the rotary halves interleaved as llama.cpp has them."""
    config = module.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    tokens = ["<|endoftext|>", *(chr(0x21 + i) for i in range(94))]
    tokens += ["!!"]
    tokens += [f"<{i}>" for i in range(config.vocab_size - len(tokens))]
    writer.add_token_list(tokens)
    writer.add_token_types([1] * len(tokens))
    writer.add_token_merges(["! !"])
    writer.add_eos_token_id(0)
    writer.add_bos_token_id(0)
    names = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}

    def add(name: str, weight: torch.Tensor) -> None:
        writer.add_tensor(name, np.ascontiguousarray(weight.detach().numpy()))

    add("token_embd.weight", module.model.embed_tokens.weight)
    add("output_norm.weight", module.model.norm.weight)
    add("output.weight", module.lm_head.weight)
    for layer, block in enumerate(module.model.layers):
        for ours, theirs in names.items():
            weight = block.get_submodule(ours).weight
            if theirs in heads:
                halves = weight.unflatten(0, (heads[theirs], 2, -1))
                weight = halves.transpose(1, 2).flatten(0, 2)
            add(f"blk.{layer}.{theirs}.weight", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="session")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    module = build(hf.LlamaConfig(**LLAMA_LIKE))
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    _write_gguf(path, module)
    return path, module


def test_a_gguf_file_computes_what_it_was_made_from(gguf_file: tuple[Path, Any]) -> None:
    path, module = gguf_file
    model = load(path)
    with torch.no_grad():
        torch.testing.assert_close(_logits(model), module(TOKENS).logits, rtol=1e-4, atol=1e-5)
    assert model.tokenizer is not None
    assert model.name == "tiny.gguf"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_gguf_file(gguf_file: tuple[Path, Any], share: float, tmp_path: Path) -> None:
    content = gguf_file[0].read_bytes()
    (tmp_path / "cut.gguf").write_bytes(content[: int(len(content) * share)])
    _refused(tmp_path / "cut.gguf")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"\x80\x04")
    assert "give the model's folder" in _refused(tmp_path / "weights.bin")
    (tmp_path / "fake.gguf").write_bytes(b"\x80\x04")
    assert "not a GGUF file" in _refused(tmp_path / "fake.gguf")


def test_a_folder_of_gguf_files_says_which_to_give(
    gguf_file: tuple[Path, Any], tmp_path: Path
) -> None:
    shutil.copy(gguf_file[0], tmp_path)
    assert "tiny.gguf" in _refused(tmp_path)
