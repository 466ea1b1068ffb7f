"""Load a model from a folder, a GGUF file or the Hugging Face Hub, without running its code."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
)
from transformers.utils import logging as transformers_logging

from tomogram.models.files import ModelFiles, find, read_json
from tomogram.models.model import Model
from tomogram.models.quantisation import stored_as
from tomogram.models.verify import verify
from tomogram.models.wiring import wire
from tomogram.store.errors import TomogramError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load(
    source: str | Path,
    *,
    device: str = "cpu",
    dtype: str = "float32",
    allow_pickle: bool = False,
) -> Model:
    """Load a decoder-only language model and verify its wiring.

    Nothing that comes with the model is executed: weights are safetensors or GGUF (pickles only
    when allowed, and then read with `weights_only`), and modules are transformers' own.

    Args:
        source: a local folder, a GGUF file, or a name on the Hugging Face Hub.
        device: where to put the weights, such as "cpu", "cuda:0" or "mps".
        dtype: "float32" or "bfloat16".
        allow_pickle: accept weights that are pickled.

    Raises:
        TomogramError: the source is missing, damaged, unsafe, no decoder-only model, or wired in a
            way that could not be recognised or verified.
    """
    place, number = _device(device), _dtype(dtype)
    files = find(source, allow_pickle=allow_pickle)
    name = Path(source).resolve().name if Path(source).exists() else str(source)
    with _quiet():
        config = _config(files)
        wire(_skeleton(config))
        module = _weights(files, config, number)
        tokenizer = _tokenizer(files)
    cast(torch.nn.Module, module).to(place)
    stored = "" if files.gguf is None else stored_as(files.folder / files.gguf)
    return _verified(module, tokenizer, name, files.digest(), stored)


def wrap(module: PreTrainedModel, tokenizer: Any = None, *, name: str) -> Model:
    """Make a model of a Hugging Face causal language model that is already in memory.

    The module is put in evaluation mode and its weights stop requiring gradients. Its digest is
    over its tensors, so it differs from that of the same weights in files.

    Raises:
        TomogramError: the wiring could not be recognised or verified.
    """
    _refuse_kind(module.config)
    whole = hashlib.sha256(module.config.to_json_string().encode())
    for key, tensor in sorted(module.state_dict().items()):
        whole.update(key.encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        whole.update(flat.view(torch.uint8).numpy().data)
    return _verified(module, tokenizer, name, whole.hexdigest())


def _verified(
    module: PreTrainedModel, tokenizer: Any, name: str, digest: str, stored: str = ""
) -> Model:
    module.eval().requires_grad_(False)
    for key, tensor in module.named_parameters():
        if not bool(torch.isfinite(tensor).all()):
            raise TomogramError(f"{name} is damaged: '{key}' holds numbers that are not finite.")
    model = Model(module, tokenizer, wire(module), name, digest, stored)
    verify(model)
    return model


def _device(device: str) -> torch.device:
    try:
        place = torch.device(device)
        # Allocating is the only test that holds for every kind of device.
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise TomogramError(f"This machine has no device '{device}' that torch can use.") from error
    if place.type == "meta":
        raise TomogramError("The device 'meta' holds no weights.")
    return place


def _dtype(dtype: str) -> torch.dtype:
    if dtype not in DTYPES:
        raise TomogramError(f"The dtype is {' or '.join(DTYPES)}, not '{dtype}'.")
    return DTYPES[dtype]


def _config(files: ModelFiles) -> Any:
    """Read the configuration and refuse what is no decoder-only model of a known kind."""
    where = files.folder / (files.gguf or "config.json")
    stated = {} if files.gguf else read_json(files.folder / "config.json") or {}
    kind = stated.get("model_type")
    if not files.gguf and kind not in CONFIG_MAPPING:
        if "auto_map" in stated:
            raise TomogramError(
                f"{where} asks to run code of its own ('auto_map'), which is never done."
            )
        raise TomogramError(f"{where} names no model type that transformers knows ('{kind}').")
    if "quantization_config" in stated:
        raise TomogramError(f"{where} describes quantised weights, which only GGUF files may have.")
    try:
        config = AutoConfig.from_pretrained(
            files.folder, gguf_file=files.gguf, trust_remote_code=False, local_files_only=True
        )
    # A damaged file surfaces as an error of any type from the readers below transformers.
    except Exception as error:
        raise TomogramError(f"{where} cannot be read: {_first_line(error)}.") from error
    _refuse_kind(config)
    return config


def _refuse_kind(config: Any) -> None:
    kind = config.model_type
    if config.is_encoder_decoder:
        raise TomogramError(f"'{kind}' is an encoder-decoder model; only decoders are supported.")
    is_decoder = getattr(config, "is_decoder", False)
    if type(config) in MODEL_FOR_MASKED_LM_MAPPING and not is_decoder:
        raise TomogramError(f"'{kind}' is an encoder-only model; only decoders are supported.")
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise TomogramError(f"'{kind}' is not a language model that predicts the next token.")


def _attention(config: Any) -> str:
    """Choose the attention kernel ourselves: a configuration may name one to be downloaded."""
    family: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    return "sdpa" if family._supports_sdpa else "eager"


def _skeleton(config: Any) -> PreTrainedModel:
    """Build the module without weights, to see its wiring before gigabytes are read."""
    try:
        with torch.device("meta"):
            module: PreTrainedModel = AutoModelForCausalLM.from_config(
                config, attn_implementation=_attention(config), trust_remote_code=False
            )
    # Impossible sizes in a configuration surface as errors of any type.
    except Exception as error:
        reason = _first_line(error)
        raise TomogramError(f"config.json describes no possible model: {reason}.") from error
    return module


def _weights(files: ModelFiles, config: Any, dtype: torch.dtype) -> PreTrainedModel:
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            files.folder,
            config=config,
            gguf_file=files.gguf,
            dtype=dtype,
            attn_implementation=_attention(config),
            use_safetensors=None if files.gguf else not files.pickled,
            weights_only=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise TomogramError(f"The weights cannot be read: {_first_line(error)}.") from error
    module, info = loaded
    # transformers would fill these with random numbers and carry on.
    for fault in ("missing_keys", "mismatched_keys"):
        if info.get(fault):
            key = sorted(map(str, info[fault]))[0]
            raise TomogramError(f"The weights do not fit config.json: {fault[:-5]} tensor {key}.")
    return cast(PreTrainedModel, module)


def _tokenizer(files: ModelFiles) -> Any:
    """Load the tokenizer; None where the folder has none."""
    names = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json")
    if files.gguf is None and not any((files.folder / name).is_file() for name in names):
        return None
    try:
        return AutoTokenizer.from_pretrained(
            files.folder, gguf_file=files.gguf, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:
        raise TomogramError(
            f"The tokenizer in {files.folder} cannot be read: {_first_line(error)}."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' warnings and progress bars off the terminal while loading."""
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        # The bars of the GGUF reader have no switch of their own.
        with redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(level)


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
