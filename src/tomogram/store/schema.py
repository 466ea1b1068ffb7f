"""The schema of ``tomogram.json``: what a scan says about a model, as frozen validated records.

The file holds no time, no path and no machine, so two scans of the same model with the same seeds
give the same bytes.  It does hold what decides the numbers: seeds, versions, thread count, device.
Losses are in nats per token; shares are between 0 and 1.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from tomogram.store.canonical import readable_json
from tomogram.store.errors import TomogramError

SCHEMA_VERSION: Final = 1

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Record(BaseModel):
    """What every record shares: frozen, strict, no unknown field, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Estimate(Record):
    """A measured value with its 95 % interval over ``n`` samples (rows, sequences, concepts)."""

    value: float
    low: float
    high: float
    n: PositiveInt

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("the interval's low end is above its high end")
        return self


# --- what was scanned -------------------------------------------------------------------------


class LayerParameters(Record):
    """Parameters of one block, by component."""

    attention: NonNegativeInt
    mlp: NonNegativeInt
    norms: NonNegativeInt = 0


class Parameters(Record):
    """Parameters by component; a tied unembedding counts once, in ``embedding``."""

    total: NonNegativeInt
    embedding: NonNegativeInt
    unembedding: NonNegativeInt
    positions: NonNegativeInt = 0
    final_norm: NonNegativeInt = 0
    other: NonNegativeInt = 0
    layers: tuple[LayerParameters, ...]

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        blocks = sum(layer.attention + layer.mlp + layer.norms for layer in self.layers)
        outside = self.embedding + self.unembedding + self.positions + self.final_norm + self.other
        if blocks + outside != self.total:
            raise ValueError(f"the components add up to {blocks + outside}, not to {self.total}")
        return self


class ModelRecord(Record):
    """The model under the scanner."""

    name: str
    digest: Digest
    family: str
    dtype: str
    weights: str = ""
    """What was done to the weights before they came here, such as ``4-bit weights (Q4_1)``."""
    context: PositiveInt
    n_layers: PositiveInt
    n_heads: PositiveInt
    d_model: PositiveInt
    d_mlp: PositiveInt | None
    d_vocab: PositiveInt
    tied: bool
    """Whether the unembedding is the embedding."""
    parameters: Parameters

    @model_validator(mode="after")
    def _layers(self) -> Self:
        if len(self.parameters.layers) != self.n_layers:
            raise ValueError("parameters must be given for every layer")
        return self


class TextRecord(Record):
    """The text the model read while it was scanned."""

    kind: Literal["file", "dataset", "sampled", "microworld"]
    name: str
    digest: Digest
    documents: PositiveInt
    tokens: PositiveInt
    held_out_tokens: NonNegativeInt
    """Tokens no dictionary was trained on; every quality figure is measured on them."""
    context: PositiveInt
    seed: int | None = None


class Plan(Record):
    """How thorough the scan was."""

    name: str
    settings: dict[str, bool | int | float | str] = {}


class Run(Record):
    """What a stranger needs to run the scan again and get the same bytes."""

    command: str
    tomogram: str
    versions: dict[str, str]
    seeds: dict[str, int]
    threads: PositiveInt
    device: str

    @field_validator("command")
    @classmethod
    def _one_line(cls, command: str) -> str:
        if "\n" in command:
            raise ValueError("the command is one line")
        return command


# --- dictionaries and coverage ----------------------------------------------------------------


class PcaBaseline(Record):
    """Principal components of the same rank at the same site."""

    rank: PositiveInt
    fvu: float
    rise: Estimate
    """Rise in loss in nats with the PCA reconstruction spliced in."""


class Quality(Record):
    """How well one dictionary stands for its activations, on held-out text.

    ``fvu`` is Σ‖x − x̂‖² / Σ‖x − x̄‖², ``recovered`` is (CE_zero − CE_spliced) / (CE_zero − CE_clean)
    and ``shrinkage`` is the mean of ‖x̂‖ / ‖x‖.
    """

    tokens: PositiveInt
    l0: float
    fvu: float
    rise: Estimate
    recovered: Estimate
    shrinkage: float
    dead: NonNegativeInt
    """Latents that never fired on the measured tokens."""
    dense: NonNegativeInt
    """Latents that fired on more than a tenth of the measured tokens."""
    pca: PcaBaseline | None = None


class DictionaryRecord(Record):
    """One dictionary: where it reads and writes, how it was made, how good it is."""

    name: str
    kind: str
    read: str
    write: str
    layer: NonNegativeInt
    d_in: PositiveInt
    d_out: PositiveInt
    d_dict: PositiveInt
    k: PositiveInt | None
    trained_tokens: NonNegativeInt
    """Tokens it was trained on in this scan; 0 when it was brought along."""
    source: str = ""
    """Where it came from, when it was brought along."""
    quality: Quality

    @property
    def shape(self) -> Literal["autoencoder", "transcoder"]:
        """An autoencoder writes what it reads; a transcoder does not."""
        return "autoencoder" if self.read == self.write else "transcoder"


class Spliced(Record):
    """Several dictionaries in the model at once, in place of what they stand for."""

    family: Literal["residual", "transcoders", "all"]
    dictionaries: tuple[str, ...]
    rise: Estimate
    """Rise in loss in nats."""
    recovered: Estimate | None = None


class Coverage(Record):
    """How much of the model the scan explains."""

    loss: Estimate
    """The model's own loss on the held-out text."""
    unigram_loss: float | None
    """Loss of guessing by token frequency alone: what knowing nothing of the context costs."""
    spliced: tuple[Spliced, ...]
    labelled: Estimate | None
    """Share of live features whose label passes its test on unseen text."""


# --- anatomy ----------------------------------------------------------------------------------


class Head(Record):
    """One attention head and what it looks for."""

    layer: NonNegativeInt
    head: NonNegativeInt
    induction: Estimate
    previous: Estimate
    duplicate: Estimate


class LensPoint(Record):
    """The model's prediction read off early, at one depth (the logit lens)."""

    site: str
    kl: Estimate
    """KL divergence in nats from the final prediction to this one."""
    agreement: Estimate
    """Share of positions where the top token is already the final one."""
    true_probability: Estimate
    """Probability given to the true next token."""
    entropy: Estimate
    """Entropy of the prediction in nats."""


class Anatomy(Record):
    """What the model's own parts do, before any dictionary."""

    heads: tuple[Head, ...]
    lens: tuple[LensPoint, ...]


# --- features and concepts --------------------------------------------------------------------


class UnitGroup(Record):
    """The units of one dictionary, or the neurons of one layer, counted."""

    name: str
    kind: Literal["latent", "neuron"]
    layer: NonNegativeInt
    units: PositiveInt
    live: NonNegativeInt
    labelled: NonNegativeInt
    """Units with a label."""
    passing: NonNegativeInt
    """Units whose label passes its test on unseen text."""
    label_score: Estimate | None
    """Mean score of the labels on unseen text."""

    @model_validator(mode="after")
    def _nested(self) -> Self:
        if not self.units >= self.live >= self.labelled >= self.passing:
            raise ValueError("units, live, labelled and passing must not grow")
        return self


class Match(Record):
    """The unit that matches a concept best, chosen on one split and measured on another."""

    group: str
    index: NonNegativeInt
    f1: Share


class ConceptRecord(Record):
    """One ground-truth concept and how well a neuron, a feature and a probe find it."""

    name: str
    group: str
    single_word: bool
    tokens: PositiveInt
    """Tokens of the measured split on which the concept is true."""
    neuron: Match
    feature: Match
    probe: Share
    random: Share | None = None
    """F1 of the best of as many random directions: the floor."""


class ConceptMeans(Record):
    """Mean F1 over a set of concepts; the margin is feature − neuron, paired by concept."""

    neuron: Estimate
    feature: Estimate
    probe: Estimate
    random: Estimate | None = None
    margin: Estimate


class Concepts(Record):
    """Known only where the generator of the text says what is true of every token."""

    means: ConceptMeans
    single_word: ConceptMeans | None
    several_words: ConceptMeans | None
    concepts: tuple[ConceptRecord, ...]


# --- circuits ---------------------------------------------------------------------------------


class CircuitRecord(Record):
    """The attribution graph of one prediction, as far as it was measured."""

    file: str
    """The graph's file inside the tomogram."""
    prompt: str
    says: str
    """The predicted token."""
    probability: float
    passed: bool
    """Whether the graph stood its check."""
    replacement: float
    completeness: float
    frozen: Estimate
    """Spearman of predicted and measured effects of edges, attention and norms held."""
    direct: Estimate
    """The same with attention and norms live and the other MLPs held."""
    total: Estimate
    """The same in the original model."""
    kept: float
    """Share of all units and errors that the pruned graph has."""
    faithfulness: float
    """What the model does with nothing but the pruned graph (MIB's f)."""


class Circuits(Record):
    """Graphs of a few predictions, those that stood their check best."""

    tried: int
    """Predictions that were traced."""
    passed: int
    """Those whose graph stood its check."""
    shown: tuple[CircuitRecord, ...]
    refused: str | None = None
    """Why no graph could be drawn, where none could."""


# --- the file ---------------------------------------------------------------------------------


class NotMeasured(Record):
    """Something a reader may expect that this scan does not say."""

    what: str
    why: str


class Manifest(Record):
    """All of ``tomogram.json``."""

    schema_version: Literal[1] = SCHEMA_VERSION
    model: ModelRecord
    text: TextRecord
    plan: Plan
    sites: tuple[str, ...]
    dictionaries: tuple[DictionaryRecord, ...]
    coverage: Coverage
    anatomy: Anatomy
    groups: tuple[UnitGroup, ...]
    concepts: Concepts | None = None
    circuits: Circuits | None = None
    not_measured: tuple[NotMeasured, ...]
    run: Run
    files: dict[str, Digest]
    """SHA-256 of every file of evidence, by its path inside the tomogram."""

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name:
                raise ValueError(f"{name!r} is not a plain path inside the tomogram")
        return files

    @model_validator(mode="after")
    def _names(self) -> Self:
        known = {record.name for record in self.dictionaries}
        twice = [name for name, n in Counter(d.name for d in self.dictionaries).items() if n > 1]
        if twice:
            raise ValueError(f"two dictionaries are named {twice[0]!r}")
        for spliced in self.coverage.spliced:
            for name in spliced.dictionaries:
                if name not in known:
                    raise ValueError(f"there is no dictionary named {name!r}")
        return self


class StageTiming(Record):
    """How long one stage took."""

    seconds: Annotated[float, Field(ge=0.0)]
    """Wall time of the attempt that finished."""
    attempts: PositiveInt
    """How often the stage was begun."""


class Timings(Record):
    """All of ``timings.json``: what differs from run to run, kept out of ``tomogram.json``."""

    schema_version: Literal[1] = SCHEMA_VERSION
    stages: dict[str, StageTiming]
    machine: dict[str, str | int | float] = {}
    peak_memory_bytes: NonNegativeInt | None = None


def parse_manifest(data: bytes) -> Manifest:
    """Read the bytes of a ``tomogram.json``.

    Raises TomogramError when they are not JSON, come from a newer schema, or break the schema.
    """
    try:
        version = json.loads(data)["schema_version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise TomogramError("tomogram.json is not a tomogram's manifest.") from None
    if type(version) is not int or version < 1:
        raise TomogramError(f"tomogram.json has no valid schema version ({version!r}).")
    if version > SCHEMA_VERSION:
        raise TomogramError(
            f"tomogram.json was written by a newer Tomogram: its schema is {version}, this one "
            f"reads up to {SCHEMA_VERSION}; upgrade with pip install --upgrade tomogram."
        )
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise TomogramError(
            f"tomogram.json does not follow its schema at {place}: {first['msg']}."
        ) from None


def manifest_bytes(manifest: Manifest) -> bytes:
    """The file's bytes: canonical JSON, so that equal manifests have equal bytes."""
    return readable_json(manifest.model_dump(mode="json")).encode("ascii")
