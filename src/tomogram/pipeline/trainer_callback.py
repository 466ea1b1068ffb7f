"""A callback for the Trainer of transformers: vital signs over a training, in a file of lines."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState
from transformers.training_args import TrainingArguments

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.load import wrap
from tomogram.models.model import Model
from tomogram.models.wiring import wire
from tomogram.pipeline.vital_signs import Reference, reference, vital_signs
from tomogram.store.atomic import write_text
from tomogram.store.errors import TomogramError

FILE = "vital_signs.jsonl"


class VitalSigns(TrainerCallback):
    """Records vital signs at the start, every so many steps, and at the end.

    `Trainer(..., callbacks=[VitalSigns(texts)])` writes `vital_signs.jsonl` into the Trainer's
    output folder, a line a record: `{"step", "since", "signs"}`, where `since` is the step that
    drift is counted from. A training that goes on from a checkpoint goes on with the file, too;
    lines past that checkpoint are dropped, and drift counts from there.

    Args:
        text: documents that the model is not trained on.
        every: steps between records.
        dictionaries: dictionaries of the model as it was, whose fit is followed.
        tokenizer: where the Trainer has none (no `processing_class`).
        audits: raw scores of the declared audits too, for a model of the microworld; a copy of the
            model at the start is kept for them.
        context, tokens: length of a row of the text, and how much of it is read.
    """

    def __init__(
        self,
        text: Iterable[str],
        *,
        every: int = 100,
        dictionaries: Sequence[Dictionary] = (),
        tokenizer: Any = None,
        audits: bool = True,
        context: int = 128,
        tokens: int = 2_048,
    ) -> None:
        if every < 1:
            raise TomogramError(f"Signs are recorded every 1 step or more, not every {every}.")
        self.text = tuple(text)
        self.every = every
        self.dictionaries = tuple(dictionaries)
        self.tokenizer = tokenizer
        self.audits = audits
        self.context, self.tokens = context, tokens
        self.records: list[dict[str, Any]] = []
        """What was recorded, the lines of the file."""
        self._model: Model | None = None
        self._since: Reference | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Fix the start, and record it. Raises TomogramError where the model cannot be read."""
        if not state.is_world_process_zero:
            return
        module = kwargs["model"]
        if not isinstance(module, PreTrainedModel):
            raise TomogramError(
                f"Vital signs read a causal language model of transformers, not {type(module)}."
            )
        tokenizer = self.tokenizer or kwargs.get("processing_class")
        # A copy, since what is loaded for reading stops requiring gradients.
        start = wrap(copy.deepcopy(module), tokenizer, name="the model at the start")
        self._model = Model(module, tokenizer, wire(module), "the model in training", start.digest)
        self._since = reference(
            start,
            self.text,
            context=self.context,
            tokens=self.tokens,
            dictionaries=self.dictionaries,
            start=start if self.audits else None,
        )
        self.records = _kept(Path(str(args.output_dir)) / FILE, state.global_step)
        self._first = state.global_step
        self._record(args, state)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Record where it is time."""
        if state.global_step % self.every == 0:
            self._record(args, state)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Record the end, and let go of the model."""
        self._record(args, state)
        self._model = self._since = None

    def _record(self, args: TrainingArguments, state: TrainerState) -> None:
        model, since = self._model, self._since
        if model is None or since is None:
            return
        if self.records and self.records[-1]["step"] == state.global_step:
            return
        with _reading(model.module):
            signs = vital_signs(model, since)
        made = {"step": state.global_step, "since": self._first, "signs": signs}
        self.records.append(made)
        lines = "".join(json.dumps(each) + "\n" for each in self.records)
        write_text(Path(str(args.output_dir)) / FILE, lines)


@contextmanager
def _reading(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode; its mode and the random numbers are as before afterwards."""
    modes = {name: part.training for name, part in module.named_modules()}
    devices = sorted({p.device.index or 0 for p in module.parameters() if p.device.type == "cuda"})
    module.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices):
            yield
    finally:
        for name, part in module.named_modules():
            part.training = modes[name]


def _kept(path: Path, step: int) -> list[dict[str, Any]]:
    """The records of an earlier part of the same training, before this step."""
    if step == 0 or not path.exists():
        return []
    try:
        records = [json.loads(line) for line in path.read_text().splitlines()]
        return [each for each in records if each["step"] < step]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TomogramError(f"{path} holds no vital signs that can be read.") from error
