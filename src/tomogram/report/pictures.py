"""Which pictures tell what: the charts of each chapter, for the page and for the viewer."""

from __future__ import annotations

from collections.abc import Sequence

from tomogram.circuits.graph.graph import Graph
from tomogram.report.charts.circuit_graph import Labels, circuit_graph
from tomogram.report.charts.concept_scatter import concept_scatter
from tomogram.report.charts.concept_strips import concept_strips
from tomogram.report.charts.coverage_slice import coverage_slice
from tomogram.report.charts.depth_lines import lens_agreement, lens_divergence
from tomogram.report.charts.head_map import SCORES, head_map
from tomogram.report.charts.loss_ruler import loss_ruler
from tomogram.report.charts.parameter_stack import parameter_stack
from tomogram.report.charts.picture import Picture
from tomogram.report.charts.quality_by_layer import fvu_by_layer, rise_by_layer
from tomogram.report.charts.score_distribution import score_distribution
from tomogram.report.charts.unit_counts import unit_counts
from tomogram.store.schema import Manifest


def coverage(manifest: Manifest) -> list[Picture]:
    """How much of the model the scan explains; the slice comes first."""
    pictures = [
        coverage_slice(manifest.dictionaries, manifest.model.n_layers),
        loss_ruler(manifest.coverage, manifest.dictionaries),
    ]
    latents = [group for group in manifest.groups if group.kind == "latent"]
    return [*pictures, unit_counts(latents, "Features")] if latents else pictures


def anatomy(manifest: Manifest) -> list[Picture]:
    """What the model's own parts do, before any dictionary."""
    pictures = [parameter_stack(manifest.model.parameters, tied=manifest.model.tied)]
    if manifest.anatomy.heads:
        pictures += [head_map(manifest.anatomy.heads, score) for score in SCORES]
    if manifest.anatomy.lens:
        pictures += [lens_agreement(manifest.anatomy.lens), lens_divergence(manifest.anatomy.lens)]
    return pictures


def neurons_and_features(
    manifest: Manifest, feature_scores: Sequence[float], neuron_scores: Sequence[float]
) -> list[Picture]:
    """Neurons against features: by known concepts where there are any, by labels' scores."""
    pictures = []
    found = manifest.concepts
    if found is not None:
        word = [concept for concept in found.concepts if concept.single_word]
        several = [concept for concept in found.concepts if not concept.single_word]
        if found.several_words:
            pictures.append(
                concept_strips(several, found.several_words, "Concepts that are not single words")
            )
        if found.single_word:
            pictures.append(
                concept_strips(word, found.single_word, "Concepts that are single words")
            )
        pictures.append(concept_scatter(found.concepts))
    if feature_scores and neuron_scores:
        pictures.append(score_distribution(feature_scores, neuron_scores))
    neurons = [group for group in manifest.groups if group.kind == "neuron"]
    if neurons:
        pictures.append(unit_counts(neurons, "Neurons, each side by itself"))
    return pictures


def quality(manifest: Manifest) -> list[Picture]:
    """How well each dictionary stands in for what it replaces."""
    pictures = []
    for shape, family, what in (
        ("autoencoder", "residual", "residual dictionaries"),
        ("transcoder", "transcoders", "transcoders"),
    ):
        chosen = [d for d in manifest.dictionaries if d.shape == shape]
        together = next((s for s in manifest.coverage.spliced if s.family == family), None)
        if chosen:
            pictures += [rise_by_layer(chosen, together, what), fvu_by_layer(chosen, what)]
    return pictures


def circuits(manifest: Manifest, graphs: Sequence[Graph], labels: Labels) -> list[Picture]:
    """The model's own circuits that were verified best."""
    if manifest.circuits is None:
        return []
    return [
        circuit_graph(graph, record, labels)
        for graph, record in zip(graphs, manifest.circuits.shown, strict=True)
    ]
