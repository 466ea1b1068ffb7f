"""`tomogram seal`: sealed suites, from the custodian's key to the anchor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

if TYPE_CHECKING:
    from tomogram.custody.keys import Key

PASSPHRASE = "TOMOGRAM_PASSPHRASE"

app = typer.Typer(
    help="Sealed audit suites: make, ask, burn, anchor.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_SUITE = typer.Argument(..., help="Folder of the sealed suite.")
_KEYS = typer.Option(..., "--key", help="A custodian's key file; once for each custodian.")
_KEY = typer.Option(..., "--key", help="The custodian's key file.")
_CONSENTS = typer.Option([], "--consent", help="Consent of a custodian whose key is not here.")


@app.command("key")
def make_key(
    path: Path = typer.Argument(..., help="Where to write the key file, such as auditor.key."),
    name: str = typer.Option(..., help="Whose key it is."),
    last_day: str = typer.Option(..., help="The last day of its use, such as 2030-12-31."),
) -> None:
    """Make a custodian's key; its public half is written beside it (.pub.json)."""
    from tomogram.custody.keys import new_key, write_key

    public = write_key(new_key(name, last_day), path, passphrase(path))
    typer.echo(f"{path} is yours alone; give {public} to others.")


@app.command()
def new(
    suite: Path = _SUITE,
    question: list[str] = typer.Option(..., help="A question to seal; can be given repeatedly."),
    key: Path = _KEY,
    custodian: list[Path] = typer.Option(
        [], help="Public identity of a further custodian, whose key every ask will need."
    ),
    threshold: float | None = typer.Option(None, help="ALARM above this; the question's own."),
    clusters: int = typer.Option(1000, help="Independent draws of each question in a shard."),
    width: float = typer.Option(0.1, help="Largest acceptable half-width of a mean."),
    delta: float = typer.Option(0.05, help="Probability with which the width may fail."),
    alarms: int = typer.Option(3, help="A shard closes at this many alarms."),
    noise: float = typer.Option(0.02, help="The threshold moves by at most this much."),
    run_shards: int = typer.Option(2, help="Shards for use during a run; one more is for release."),
) -> None:
    """Draw and seal a suite, and publish its commitments."""
    from tomogram.custody import suite as suites
    from tomogram.custody.budget import Terms
    from tomogram.custody.keys import read_identity
    from tomogram.custody.questions import installed
    from tomogram.store.errors import TomogramError

    known = installed()
    for name in question:
        if name not in known:
            raise TomogramError(f"There is no question {name}; known are {', '.join(known)}.")
    terms = Terms(clusters, width, delta, alarms, noise)
    made = suites.new(
        suite,
        suite.name,
        {
            known[name]: known[name].threshold if threshold is None else threshold
            for name in question
        },
        terms,
        key=unlocked(key),
        others=[read_identity(path) for path in custodian],
        run_shards=run_shards,
    )
    typer.echo(f"Sealed {len(made.shards)} shards; each answers {terms.asks} asks at most.")
    for shard in made.shards:
        typer.echo(f"{shard.name}  {shard.root}")


@app.command()
def ask(
    suite: Path = _SUITE,
    model: str = typer.Option(..., help="Model folder, GGUF file or Hub name."),
    question: str = typer.Option(..., help="Which of the suite's questions."),
    key: list[Path] = _KEYS,
    shard: str = typer.Option("run-1", help="The shard to charge; `release` is for the release."),
    consent: list[Path] = _CONSENTS,
) -> None:
    """Ask a suite one question about a model: PASS, ALARM or ABSTAIN, nothing finer."""
    from tomogram.custody.asking import ask as put
    from tomogram.custody.consent import read_consent
    from tomogram.custody.questions import installed
    from tomogram.models.load import load

    reply = put(
        suite,
        question,
        load(model),
        [unlocked(path) for path in key],
        questions=installed(),
        shard=shard,
        consents=[read_consent(path) for path in consent],
    )
    typer.echo(str(reply.answer))
    cost = "recorded before, nothing charged" if reply.recorded else "charged"
    typer.echo(
        f"{reply.shard}: {cost}; {reply.bits:.1f} bits spent, {reply.asks_left} asks left.",
        err=True,
    )


@app.command("consent")
def agree(
    suite: Path = _SUITE,
    key: Path = _KEY,
    to: Path = typer.Option(..., help="Public identity of the custodian who may act."),
    out: Path = typer.Option(..., help="Where the consent goes; send it to that custodian."),
    shard: str = typer.Option("run-1", help="The shard that may be asked, or burnt."),
    question: str | None = typer.Option(None, help="The question that may be asked."),
    model: str | None = typer.Option(None, help="About which model: folder, GGUF or Hub name."),
    digest: str | None = typer.Option(None, help="Its digest, in place of the model."),
    burn: str | None = typer.Option(None, help="Agree to burn the shard, for this purpose."),
    days: int = typer.Option(7, min=1, help="For how long the consent holds."),
) -> None:
    """Agree that another custodian asks once, or burns a shard, on another machine."""
    from tomogram.custody.consent import write_consent
    from tomogram.custody.consenting import give_consent
    from tomogram.custody.keys import read_identity
    from tomogram.store.errors import TomogramError

    if (burn is None) == (question is None):
        raise TomogramError("Agree to an ask (--question) or to a burn (--burn).")
    if question is not None and (model is None) == (digest is None):
        raise TomogramError("Name what is asked about: --model or --digest.")
    identity = read_identity(to)
    if question is None:
        body = {"shard": shard, "purpose": str(burn)}
    else:
        body = {"shard": shard, "question": question, "model": digest or _digest_of(str(model))}
    kind: Literal["ask", "burn"] = "ask" if question is not None else "burn"
    given = give_consent(suite, kind, body, unlocked(key), identity, days=days)
    write_consent(given, out)
    typer.echo(f"{out} lets {identity.name} {kind} until {given.consent.until}.")


@app.command()
def follow(
    suite: Path = _SUITE,
    ledger: Path = typer.Argument(..., help="The ledger as another custodian has written it on."),
) -> None:
    """Take over the rows that another copy of the ledger has beyond this one."""
    from tomogram.custody.consenting import follow as take_over

    rows = take_over(suite, ledger)
    typer.echo(f"{rows} new rows; nothing that was here is missing there.")


@app.command()
def status(suite: Path = _SUITE) -> None:
    """Say what every shard has spent."""
    from tomogram.custody.keeping import standing

    for shard in standing(suite):
        typer.echo(
            f"{shard.shard}: {shard.asks} of {shard.asks_allowed} asks,"
            f" {shard.alarms} of {shard.alarms_allowed} alarms, {shard.open} never answered,"
            f" {shard.bits:.1f} bits{', burnt' if shard.burnt else ''}"
        )


@app.command()
def log(
    suite: Path = _SUITE,
    kind: str | None = typer.Option(None, help="Rows of one kind, such as ask or refusal."),
    shard: str | None = typer.Option(None, help="Rows about one shard."),
    question: str | None = typer.Option(None, help="Rows about one question."),
    model: str | None = typer.Option(None, help="Rows about one model: how its digest begins."),
    limit: int = typer.Option(100, min=1, help="At most so many, the latest first."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Look up rows of the ledger, through an index that is made from it."""
    from dataclasses import asdict

    from tomogram.custody.index import look_up
    from tomogram.store.canonical import canonical_json

    found = look_up(suite, kind=kind, shard=shard, question=question, model=model, limit=limit)
    if json:
        typer.echo(canonical_json({"rows": [asdict(entry) for entry in found]}))
        return
    for entry in found:
        about = (entry.shard, entry.question, entry.model[:12], entry.answer, entry.reason)
        typer.echo(f"{entry.number} {entry.time} {entry.kind} {' '.join(filter(None, about))}")


@app.command()
def burn(
    suite: Path = _SUITE,
    shard: str = typer.Option(..., help="The shard to open."),
    purpose: str = typer.Option(..., help="What it is opened for; this is recorded."),
    out: Path = typer.Option(..., help="Where its draws go."),
    key: list[Path] = _KEYS,
    consent: list[Path] = _CONSENTS,
) -> None:
    """Open a shard for treatment. It never answers again."""
    from tomogram.custody import keeping
    from tomogram.custody.consent import read_consent

    keys = [unlocked(path) for path in key]
    consents = [read_consent(path) for path in consent]
    keeping.burn(suite, shard, purpose, keys, out, consents=consents)
    typer.echo(f"{shard} is burnt; its draws are in {out}.")


@app.command()
def rotate(
    suite: Path = _SUITE,
    key: Path = _KEY,
    new_key: Path = typer.Option(..., help="Key file that takes its place."),
) -> None:
    """Exchange a custodian's key before its last day."""
    from tomogram.custody import keeping

    keeping.rotate(suite, unlocked(key), unlocked(new_key))
    typer.echo("The new key is in force.")


@app.command()
def checkpoint(suite: Path = _SUITE, key: list[Path] = _KEYS) -> None:
    """Append a signed row to the ledger."""
    from tomogram.custody import keeping

    keeping.checkpoint(suite, [unlocked(path) for path in key])


@app.command()
def anchor(
    suite: Path = _SUITE,
    out: Path = typer.Option(..., help="Where to write the anchor; keep it elsewhere."),
    stamp_request: Path | None = typer.Option(
        None, help="Also write an RFC 3161 request, to be sent to a time-stamping authority."
    ),
) -> None:
    """Write the ledger's head to a small file, to be kept where nobody can roll it back."""
    from tomogram.custody.anchor import anchor as write_anchor

    made = write_anchor(suite, out)
    if stamp_request is not None:
        from tomogram.custody.stamp import request
        from tomogram.store.atomic import write_bytes

        write_bytes(stamp_request, request(out.read_bytes()))
    typer.echo(f"{made.rows} rows, head {made.head}.")


@app.command()
def sign(
    folder: Path = typer.Argument(..., help="Folder of evidence, such as a tomogram."),
    key: Path = _KEY,
    suite: list[Path] = typer.Option([], help="A suite whose use the statement tells."),
) -> None:
    """Sign a folder as an in-toto statement that says how sealed suites were used."""
    from tomogram.custody.statement import sign_folder, use_of

    typer.echo(sign_folder(folder, [use_of(path) for path in suite], unlocked(key)))


@app.command("sign-model")
def sign_weights(
    folder: Path = typer.Argument(..., help="Folder of the model."),
    key: Path = typer.Option(..., "--key", help="Elliptic-curve key in PEM."),
    out: Path = typer.Option(Path("model.sig"), help="Where the signature goes."),
) -> None:
    """Sign a model's files in the format of OpenSSF model-signing."""
    from tomogram.custody.model_signature import sign_model

    sign_model(folder, out, key, passphrase(key) or None)
    typer.echo(out)


@app.command("verify-model")
def verify_weights(
    folder: Path = typer.Argument(..., help="Folder of the model."),
    key: Path = typer.Option(..., "--key", help="Public elliptic-curve key in PEM."),
    signature: Path = typer.Option(Path("model.sig"), help="The signature."),
) -> None:
    """Check that a model's files are those that were signed."""
    from tomogram.custody.model_signature import verify_model

    verify_model(folder, signature, key)
    typer.echo(f"reproduced: {folder} is the model that was signed.")


def _digest_of(model: str) -> str:
    from tomogram.models.load import load

    return load(model).digest


def unlocked(path: Path) -> Key:
    """Read a key file with the passphrase from the environment or the terminal."""
    from tomogram.custody.keys import read_key

    return read_key(path, passphrase(path))


def passphrase(path: Path) -> str:
    """The passphrase from TOMOGRAM_PASSPHRASE, or asked for without echo."""
    given = os.environ.get(PASSPHRASE)
    if given is not None:
        return given
    return str(typer.prompt(f"Passphrase of {path}", hide_input=True, err=True))
