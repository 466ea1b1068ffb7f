"""Steered: a block of code within which every forward pass of a model is edited."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tomogram.models.capture import Intervention, Tape, hooked
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.models.start import skipped
from tomogram.steering.edits import Change, interventions
from tomogram.steering.positions import watching


@contextmanager
def steered(model: Model, *edits: Change) -> Iterator[Model]:
    """Within the block, every forward pass of the model makes the edits.

    That holds for `model.run`, `models.generate.generate`, `models.chat.answer` and the module's
    own `generate`. What `model.run` captures at an edited site is the edited value, and its
    interventions there come after the edits. Blocks may be nested; the inner one's edits come
    second.

    Raises:
        TomogramError: the model lacks a site of an edit.
    """
    model.check_sites(site for edit in edits for site in (edit.read, edit.write))
    with watching(model) as watch:
        actions = interventions(edits, watch)
        tape = Tape(interventions={site: _once(model, site, actions[site]) for site in actions})
        with hooked(model.wiring, tape, batch=watch.rows):
            yield model


def _once(model: Model, site: Site, action: Intervention) -> Intervention:
    """The intervention, but where a pass goes on from a stream past this site: the stream is then
    what an edited pass left."""
    block = None if site.layer is None else model.wiring.blocks[site.layer].module
    return lambda value: value if block is not None and skipped(block) else action(value)
