"""A seeded, realistic tomogram made of records: what the page is tested on without any model."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from tomogram.report.cards import Card, Snippet
from tomogram.report.evidence import Evidence
from tomogram.store.schema import (
    Anatomy,
    ConceptMeans,
    ConceptRecord,
    Concepts,
    Coverage,
    DictionaryRecord,
    Estimate,
    Head,
    LayerParameters,
    LensPoint,
    Manifest,
    Match,
    ModelRecord,
    NotMeasured,
    Parameters,
    PcaBaseline,
    Plan,
    Quality,
    Run,
    Spliced,
    TextRecord,
    UnitGroup,
)

_STORY = """once upon a time there was a little girl named Lily who loved to play in the park
with her dog . One day she saw a big red ball and said hello . The boy smiled and they were happy"""
WORDS = _STORY.split()


def spread(value: float, width: float, n: int = 64) -> Estimate:
    """An estimate with a symmetric interval."""
    return Estimate(value=value, low=value - width, high=value + width, n=n)


def digest(text: str) -> str:
    """Some digest that depends on the text."""
    return hashlib.sha256(text.encode()).hexdigest()


def build_manifest(n_layers: int = 6, n_heads: int = 6, *, concepts: bool = True) -> Manifest:
    """A manifest like that of a small scanned model, the same at every call."""
    rng = np.random.default_rng(n_layers * 1000 + n_heads)
    residual = [_dictionary(rng, layer, f"resid_post.{layer}", None) for layer in range(n_layers)]
    transcoders = [
        _dictionary(rng, layer, f"mlp_in.{layer}", f"mlp_out.{layer}") for layer in range(n_layers)
    ]
    layer = LayerParameters(attention=331_776, mlp=663_552, norms=576)
    blocks = n_layers * (331_776 + 663_552 + 576)
    return Manifest(
        model=ModelRecord(
            name="stories15M", digest=digest("weights"), family="LlamaForCausalLM",
            dtype="float32", context=256, n_layers=n_layers, n_heads=n_heads, d_model=288,
            d_mlp=768, d_vocab=32_000, tied=True,
            parameters=Parameters(
                total=blocks + 9_216_000 + 288, embedding=9_216_000, unembedding=0,
                final_norm=288, layers=(layer,) * n_layers,
            ),
        ),
        text=TextRecord(
            kind="file", name="stories.txt", digest=digest("text"), documents=4_100,
            tokens=1_012_480, held_out_tokens=101_376, context=256,
        ),
        plan=Plan(name="standard", settings={"dictionary_width": 2304, "k": 32}),
        sites=tuple(d.read for d in residual + transcoders),
        dictionaries=tuple(residual + transcoders),
        coverage=Coverage(
            loss=spread(1.14, 0.02), unigram_loss=5.93,
            spliced=(
                Spliced(
                    family="residual", dictionaries=tuple(d.name for d in residual),
                    rise=spread(1.31, 0.04), recovered=spread(0.86, 0.01),
                ),
                Spliced(
                    family="transcoders", dictionaries=tuple(d.name for d in transcoders),
                    rise=spread(0.92, 0.03),
                ),
            ),
            labelled=spread(0.58, 0.02),
        ),
        anatomy=Anatomy(heads=_heads(rng, n_layers, n_heads), lens=_lens(n_layers)),
        groups=tuple(
            [_group(rng, d.name, "latent", d.layer, 2304) for d in residual + transcoders]
            + [_group(rng, f"neurons.{n}", "neuron", n, 1536) for n in range(n_layers)]
        ),
        concepts=_concepts(rng, n_layers) if concepts else None,
        not_measured=(
            NotMeasured(what="Attention", why="No dictionary reads the attention of any layer."),
            NotMeasured(what="Circuits", why="No prediction was traced through the model."),
            NotMeasured(what="Behaviour", why="No audit for hidden or harmful behaviour was run."),
        ),
        run=Run(
            command="tomogram scan stories15M --text stories.txt --plan standard",
            tomogram="0.1.0", versions={"torch": "2.13.0", "transformers": "5.1.0"},
            seeds={"training": 0, "text": 0}, threads=2, device="cpu",
        ),
        files={
            f"features/{name}.parquet": digest(name) for name in ("features", "exemplars")
        },
    )  # fmt: skip


def build_evidence(manifest: Manifest, n_cards: int = 24) -> Evidence:
    """Cards for some units of every group of latents."""
    rng = np.random.default_rng(7)
    groups = [group for group in manifest.groups if group.kind == "latent"]
    cards = tuple(_card(rng, groups[i % len(groups)], i) for i in range(n_cards))
    return Evidence(
        cards=cards,
        feature_scores=tuple(np.clip(rng.beta(5, 3, 8000), 0, 1).tolist()),
        neuron_scores=tuple(np.clip(rng.beta(2, 6, 2000), 0, 1).tolist()),
    )


def with_text(card: Card, text: str) -> Card:
    """The card with one text everywhere a model's or a file's text can come up."""
    snippet = Snippet((text, " fine", text), (1.0, 0.0, 0.5))
    return dataclasses.replace(
        card, label=text, promoted=(text,), suppressed=(text,), top=(snippet,), spread=(snippet,),
        concept=text, group=text,
    )  # fmt: skip


def _dictionary(rng, layer: int, read: str, write: str | None) -> DictionaryRecord:
    rise = float(0.05 + 0.25 * rng.random())
    fvu = float(0.1 + 0.25 * rng.random())
    return DictionaryRecord(
        name=read if write is None else f"transcoder.{layer}", kind="topk", read=read,
        write=write or read, layer=layer, d_in=288, d_out=288, d_dict=2304, k=32,
        trained_tokens=2_700_000,
        quality=Quality(
            tokens=101_376, l0=31.6, fvu=fvu, rise=spread(rise, 0.02),
            recovered=spread(1 - rise / 9, 0.003), shrinkage=0.97, dead=int(rng.integers(90)),
            dense=int(rng.integers(9)),
            pca=PcaBaseline(rank=32, fvu=min(1.0, fvu * 2.4), rise=spread(rise * 9, 0.1)),
        ),
    )  # fmt: skip


def _heads(rng, n_layers: int, n_heads: int) -> tuple[Head, ...]:
    scores = rng.beta(0.4, 3, (n_layers, n_heads, 3))
    return tuple(
        Head(
            layer=layer, head=head, induction=spread(float(scores[layer, head, 0]), 0.01),
            previous=spread(float(scores[layer, head, 1]), 0.01),
            duplicate=spread(float(scores[layer, head, 2]), 0.01),
        )
        for layer in range(n_layers)
        for head in range(n_heads)
    )  # fmt: skip


def _lens(n_layers: int) -> tuple[LensPoint, ...]:
    sites = ["resid_pre.0", *(f"resid_post.{layer}" for layer in range(n_layers))]
    depths = np.linspace(0, 1, len(sites))
    return tuple(
        LensPoint(
            site=site, kl=spread(float(7 * (1 - d) ** 1.5), 0.1),
            agreement=spread(float(d**2), 0.01), true_probability=spread(float(0.6 * d**2), 0.01),
            entropy=spread(float(1 + 6 * (1 - d)), 0.1),
        )
        for site, d in zip(sites, depths, strict=True)
    )  # fmt: skip


def _group(rng, name: str, kind: str, layer: int, units: int) -> UnitGroup:
    live = units - int(rng.integers(units // 20))
    share = 0.85 if kind == "latent" else 0.5
    labelled = int(live * share)
    passing = int(labelled * (0.65 if kind == "latent" else 0.2))
    return UnitGroup(
        name=name, kind=kind, layer=layer, units=units, live=live, labelled=labelled,
        passing=passing, label_score=spread(0.6, 0.02),
    )  # fmt: skip


def _concepts(rng, n_layers: int) -> Concepts:
    records = []
    for index in range(120):
        probe = float(rng.beta(20, 1.5))
        feature = float(probe * rng.beta(12, 2))
        neuron = float(feature * rng.beta(3, 3))
        layer = int(rng.integers(n_layers))
        records.append(
            ConceptRecord(
                name=f"concept {index}", group="geography", single_word=bool(index % 2),
                tokens=int(rng.integers(50, 5000)), probe=probe, random=neuron * 0.5,
                neuron=Match(group=f"neurons.{layer}", index=index, f1=neuron),
                feature=Match(group=f"resid_post.{layer}", index=index, f1=feature),
            )
        )  # fmt: skip
    word = [record for record in records if record.single_word]
    several = [record for record in records if not record.single_word]
    return Concepts(
        means=_means(records), single_word=_means(word), several_words=_means(several),
        concepts=tuple(records),
    )  # fmt: skip


def _means(records: list[ConceptRecord]) -> ConceptMeans:
    def mean(values) -> Estimate:
        return spread(float(np.mean(values)), 0.02, len(records))

    return ConceptMeans(
        neuron=mean([r.neuron.f1 for r in records]), feature=mean([r.feature.f1 for r in records]),
        probe=mean([r.probe for r in records]), random=mean([r.random for r in records]),
        margin=mean([r.feature.f1 - r.neuron.f1 for r in records]),
    )  # fmt: skip


def _card(rng, group: UnitGroup, index: int) -> Card:
    word = WORDS[index % len(WORDS)]
    counts = np.zeros(64, int)
    counts[26:38] = (4000 * np.exp(-(((np.arange(12) - 5) / 3) ** 2))).astype(int)
    octave, half = np.divmod(np.arange(65), 2)
    edges = (1 + half / 2) * 2.0 ** (octave - 16)
    drawn = index % 4 == 3
    return Card(
        group=group.name, kind=group.kind, layer=group.layer, index=37 * index + 5,
        label=None if drawn and index % 8 == 7 else f"“{word}”", score=float(rng.beta(8, 3)),
        rate=float(10 ** rng.uniform(-4, -1.5)), largest=8.25,
        histogram=tuple(counts.tolist()), edges=tuple(edges.tolist()),
        promoted=tuple(f" {w}" for w in rng.choice(WORDS, 8)),
        suppressed=tuple(f" {w}" for w in rng.choice(WORDS, 8)),
        top=tuple(_snippet(rng, 8.25) for _ in range(5)),
        spread=tuple(_snippet(rng, 8.25 * 0.6**i) for i in range(6)),
        drawn=drawn,
    )  # fmt: skip


def _snippet(rng, peak: float) -> Snippet:
    tokens = [f" {word}" for word in rng.choice(WORDS, 33)]
    activations = np.zeros(33)
    activations[16] = peak
    activations[rng.choice(33, 3)] = peak * rng.random(3)
    return Snippet(tuple(tokens), tuple(activations.tolist()))
