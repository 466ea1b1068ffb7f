"""Ask a sealed suite: charge first, then measure, then say one word.

Why it happens in this order is in docs/custody.md, section "Asking".
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tomogram.custody.budget import bits
from tomogram.custody.clock import Clock, utc_now
from tomogram.custody.consent import Given
from tomogram.custody.custodians import Custodians, all_custodians, refuse
from tomogram.custody.history import Answer, History, replay
from tomogram.custody.keys import Key
from tomogram.custody.ledger import Broken, Held, Ledger
from tomogram.custody.questions.question import Question, Subject
from tomogram.custody.refusal import Refused
from tomogram.custody.suite import (
    Opened,
    Suite,
    generator,
    ledger_path,
    load,
    open_shard,
    read_sealed,
)
from tomogram.store.canonical import Json, canonical_json
from tomogram.store.digest import digest_file
from tomogram.store.errors import TomogramError


@dataclass(frozen=True)
class Reply:
    """What an ask gives back.

    recorded: whether the answer stood in the ledger already and cost nothing.
    bits: spent from the shard so far. asks_left: how many more its width allows.
    """

    answer: Answer
    shard: str
    recorded: bool
    bits: float
    asks_left: int


def ask(
    folder: Path,
    question: str,
    model: Subject,
    keys: Sequence[Key],
    *,
    questions: Mapping[str, Question],
    shard: str = "run-1",
    consents: Sequence[Given] = (),
    clock: Clock = utc_now,
) -> Reply:
    """Put a suite's question to a model.

    Args:
        folder: the suite.
        question: its name.
        model: what is asked about; `model.digest` names it in the ledger.
        keys: of the custodians who are here.
        questions: the plug-ins that are installed, by name.
        shard: which shard is charged.
        consents: of the other custodians, to this question about this model on this shard.
        clock: where the ledger gets its time.

    Raises:
        Refused: the ask is not allowed; the refusal is recorded.
        TomogramError: the suite or its ledger is damaged, or the clock is wrong.
    """
    suite = load(folder)
    ledger = Ledger(ledger_path(folder), clock=clock)
    commitment = suite.shard(shard)
    if commitment is not None:
        read_sealed(folder, commitment)  # a copy without it charges nothing and refuses nothing
    body: dict[str, Json] = {"shard": shard, "question": question, "model": model.digest}
    with ledger.held() as held:
        history = state(folder, suite, held)
        custodians = _allowed(history, held, body, keys, consents, questions)
        past = history.shards[shard].answers
        asking = (question, model.digest)
        recorded = past.get(asking)
        if recorded is not None:
            return _reply(history, shard, recorded, recorded=True)
        if asking not in past:
            held.append("ask", custodians.signed(body), custodians.keys)
    answer = Answer.ABSTAIN
    if askable(questions[question], model):
        opened = opened_by(folder, suite, shard, custodians)
        answer = judged(suite, opened, questions[question], model)
    with ledger.held() as held:  # whoever finished the same open ask first has said it
        history = state(folder, suite, held)
        recorded = history.shards[shard].answers[asking]
        if recorded is None:
            recorded = answer
            held.append("answer", body | {"answer": str(answer)}, custodians.keys)
            history.shards[shard].answers[asking] = answer
    return _reply(history, shard, recorded, recorded=False)


def askable(question: Question, model: Subject) -> bool:
    """Whether unsealed draws, which everybody can repeat, can be asked of this model.

    It says nothing about sealed draws, and so ABSTAIN does not either.
    """
    draws = [
        question.draw(generator(b"", "unsealed", str(i))) for i in range(question.unsealed_draws)
    ]
    return None not in question.measure(model, draws)


def judged(
    suite: Suite, opened: Opened, question: Question, model: Subject, *, backwards: bool = False
) -> Answer:
    """Measure the sealed draws and answer, without a word to the ledger.

    backwards: measure them in the opposite order, to see whether the order decides.
    Raises TomogramError where the question measures nonsense.
    """
    draws = opened.draws(question.name)
    values = question.measure(model, draws[::-1] if backwards else draws)
    mean = _mean(values, suite.terms.clusters)
    return answer_of(mean, suite, opened, question.name, model.digest)


def opened_by(folder: Path, suite: Suite, shard: str, who: Custodians) -> Opened:
    """A shard's content. Raises the errors of `Custodians.parts` and `open_shard`."""
    commitment = suite.shard(shard)
    assert commitment is not None
    return open_shard(folder, suite, commitment, who.parts(folder, suite, shard))


def answer_of(mean: float, suite: Suite, opened: Opened, question: str, model: str) -> Answer:
    """The word for a mean: ALARM above the threshold with its noise, otherwise PASS."""
    noise = suite.terms.noise * _noise(opened.noise_key, question, model)
    return Answer.ALARM if mean + noise > suite.questions[question].threshold else Answer.PASS


def state(folder: Path, suite: Suite, held: Held) -> History:
    """Replay the whole ledger. Raises TomogramError where it is not what it should be."""
    try:
        return replay(suite, digest_file(folder / "suite.json"), held.rows())
    except Broken as error:
        raise TomogramError(
            f"The ledger of {folder} cannot be trusted: {error}; `tomogram verify` says more."
        ) from error


def _allowed(
    history: History,
    held: Held,
    body: Mapping[str, Json],
    keys: Sequence[Key],
    consents: Sequence[Given],
    questions: Mapping[str, Question],
) -> Custodians:
    """All custodians, or a recorded refusal."""
    try:
        custodians = all_custodians(history, keys, consents, "ask", body, held.now())
        _check_budget(history, body, questions)
    except Refused as refused:
        refuse(refused, history, held, body, keys)
    return custodians


def _check_budget(
    history: History, body: Mapping[str, Json], questions: Mapping[str, Question]
) -> None:
    question, shard_name = str(body["question"]), str(body["shard"])
    asked = history.suite.questions.get(question)
    if asked is None:
        known = ", ".join(sorted(history.suite.questions))
        raise Refused("unknown question", f"The suite has no question {question}; it has {known}.")
    if question not in questions or questions[question].version != asked.version:
        raise Refused(
            "other version", f"Version {asked.version} of the question {question} is not installed."
        )
    shard = history.shards.get(shard_name)
    if shard is None:
        known = ", ".join(history.shards)
        raise Refused("unknown shard", f"The suite has no shard {shard_name}; it has {known}.")
    if (question, str(body["model"])) in shard.answers:
        return  # recorded or open: already charged
    if shard.burnt:
        raise Refused("burnt shard", f"The shard {shard_name} was opened for treatment.")
    exhausted = shard.spent.refusal(history.suite.terms)
    if exhausted:
        raise Refused("exhausted budget", f"The shard {shard_name} answers no more: {exhausted}.")


def _reply(history: History, shard: str, answer: Answer, *, recorded: bool) -> Reply:
    terms, spent = history.suite.terms, history.shards[shard].spent
    left = 0 if spent.refusal(terms) else terms.asks - spent.asks
    return Reply(answer, shard, recorded, bits(spent.asks, terms.alarms), left)


def _mean(values: Sequence[float | None], clusters: int) -> float:
    """Mean over the clusters; what cannot be asked counts as the worst."""
    numbers = [1.0 if value is None else float(value) for value in values]
    if len(numbers) != clusters or not all(0 <= number <= 1 for number in numbers):
        raise TomogramError("The question did not give a number in [0, 1] for every sealed draw.")
    return math.fsum(numbers) / clusters


def _noise(key: bytes, question: str, model: str) -> float:
    """A number in [−1, 1), the same for the same question and model."""
    message = canonical_json({"question": question, "model": model}).encode("ascii")
    number = int.from_bytes(hmac.digest(key, message, hashlib.sha256)[:8], "big")
    return number / 2**63 - 1
