"""The text a scan reads: given, sampled from the model, or from the microworld's generator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tomogram.pipeline.session import Session
from tomogram.store.digest import digest_file, digest_folder
from tomogram.store.errors import TomogramError
from tomogram.store.stage import Stage, Work
from tomogram.text import packing
from tomogram.text.microworld.generate import generate
from tomogram.text.packing import PackedText
from tomogram.text.sampled import sample
from tomogram.text.sources import HUB, read_documents
from tomogram.text.spelling import save_spelling, spell

VERSION = 1
Kind = Literal["file", "dataset", "sampled", "microworld"]
MICROWORLD: Literal["microworld"] = "microworld"
SAMPLED: Literal["sampled"] = "sampled"
# Seeds of the generator's streams; training of the reference models uses others.
_TRAIN, _HELD_OUT = 1, 2


@dataclass(frozen=True, eq=False)
class Texts:
    """Training text and held-out text, which share no document."""

    train: PackedText
    held_out: PackedText


def stage(session: Session, source: str | None) -> Stage:
    """The stage for a source: a file, a folder, a Hub dataset, `microworld`, or None.

    None means the generator's text for a reference model and sampled text for any other.
    """
    plan = session.plan
    return Stage(
        session.folder,
        "text",
        VERSION,
        session.inputs(
            source=_identity(kind(session, source), source),
            tokens=_tokens(session, source),
            context=plan.context,
            held_out=plan.held_out,
        ),
    )


def kind(session: Session, source: str | None) -> Kind:
    """microworld, sampled, dataset or file."""
    if source is None:
        return SAMPLED if session.world is None else MICROWORLD
    if source == MICROWORLD:
        if session.world is None:
            raise TomogramError(
                f"{session.model.name} is not a model of the microworld; give another --text."
            )
        return MICROWORLD
    return "dataset" if source.startswith(HUB) else "file"


def run(session: Session, source: str | None) -> Texts:
    """Run the stage unless it is done, and read its results."""
    path = stage(session, source).run(lambda work: _body(session, source, work))
    return Texts(
        packing.load_packed(path / "train.safetensors"),
        packing.load_packed(path / "held_out.safetensors"),
    )


def _body(session: Session, source: str | None, work: Work) -> None:
    plan, model = session.plan, session.model
    chosen = kind(session, source)
    if chosen == MICROWORLD:
        assert session.world is not None
        held_out = int(plan.held_out * plan.made_tokens)
        train = generate(session.world, _TRAIN, plan.made_tokens - held_out, plan.context).text
        rest = generate(session.world, _HELD_OUT, held_out, plan.context).text
    else:
        if chosen == SAMPLED:
            text = sample(
                model, plan.made_tokens, plan.context, session.seed, checkpoints=work.checkpoints
            )
        else:
            assert source is not None
            _require_tokenizer(session)
            documents = read_documents(source)
            text = packing.pack(documents, model.tokenizer, plan.context, plan.text_tokens)
        train, rest = packing.split(text, (1 - plan.held_out, plan.held_out), session.seed)
    train.save(work.results / "train.safetensors")
    rest.save(work.results / "held_out.safetensors")
    save_spelling(_spelling(session), work.results / "vocabulary.json")


def _tokens(session: Session, source: str | None) -> int:
    """How long the text is to be: a text that must be made first is shorter."""
    given = kind(session, source) in ("file", "dataset")
    return session.plan.text_tokens if given else session.plan.made_tokens


def _spelling(session: Session) -> tuple[str, ...]:
    """How each token reads; a model without a tokenizer has numbers for words."""
    size = session.model.d_vocab
    if session.model.tokenizer is None:
        return tuple(f"[{token}]" for token in range(size))
    return spell(session.model.tokenizer, size)


def _require_tokenizer(session: Session) -> None:
    if session.model.tokenizer is None:
        raise TomogramError(f"{session.model.name} has no tokenizer, so it cannot read this text.")


def _identity(chosen: str, source: str | None) -> str:
    """What names the text's content: digests of files, the name of a dataset, or the kind."""
    if chosen != "file":
        return source or chosen
    path = Path(source or "")
    if not path.exists():
        raise TomogramError(f"There is no text at {path}.")
    return digest_folder(path) if path.is_dir() else digest_file(path)
