"""The anatomy of a model: its parameters, its heads, its predictions over depth."""

from __future__ import annotations

from tomogram.circuits.head_scores import head_scores
from tomogram.circuits.logit_lens import logit_lens
from tomogram.pipeline.session import Session
from tomogram.store.atomic import write_bytes
from tomogram.store.canonical import readable_json
from tomogram.store.schema import Anatomy
from tomogram.store.stage import Stage, Work
from tomogram.text.packing import PackedText

VERSION = 3


def stage(session: Session, text: PackedText) -> Stage:
    """The stage for a held-out text."""
    return Stage(session.folder, "anatomy", VERSION, session.inputs(text=text.digest))


def run(session: Session, text: PackedText) -> Anatomy:
    """Run the stage unless it is done, and read its results."""
    path = stage(session, text).run(lambda work: _body(session, text, work))
    return Anatomy.model_validate_json((path / "anatomy.json").read_bytes())


def _body(session: Session, text: PackedText, work: Work) -> None:
    anatomy = Anatomy(
        heads=head_scores(session.model, seed=session.seed),
        lens=logit_lens(session.model, text, seed=session.seed),
    )
    write_bytes(
        work.results / "anatomy.json", readable_json(anatomy.model_dump(mode="json")).encode()
    )
