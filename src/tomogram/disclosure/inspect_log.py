"""An Inspect log (`.eval`), written through Inspect's own API (extra `inspect`).

Every audit and every consultation of a sealed suite is a sample with one score, so that teams who
read evaluations in Inspect's viewer find these beside them. A run that was aborted is a sample with
an error, which Inspect counts as not completed. The scan's figures are the log's metrics.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomogram
from tomogram.custody.consultations import Consultation, SuiteUse
from tomogram.disclosure.facts import Facts
from tomogram.disclosure.figures import figures
from tomogram.disclosure.use import about, answered, changed_after, use_block
from tomogram.report.tokens import visible
from tomogram.store.atomic import writing
from tomogram.store.digest import digest_json
from tomogram.store.errors import TomogramError
from tomogram.store.findings import Finding

TASK = "tomogram/disclosure"


def write_inspect(facts: Facts, path: Path) -> None:
    """Write the log.

    Raises TomogramError where Inspect is not installed or the file cannot be written.
    """
    try:
        from inspect_ai.log import write_eval_log
    except ImportError as error:
        raise TomogramError("Inspect logs need an extra: pip install 'tomogram[inspect]'.") from (
            error
        )
    log = _log(facts)
    with writing(path) as temporary:
        write_eval_log(log, str(temporary), format="eval")


def _log(facts: Facts) -> Any:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalResults, EvalSpec

    samples = [
        *(_audit(each) for each in (facts.audits.findings if facts.audits else ())),
        *(_consultation(facts, use, asked) for use in facts.suites for asked in use.consultations),
    ]
    identity = digest_json(facts.model_dump(mode="json"))[:22]
    return EvalLog(
        status="success",
        eval=EvalSpec(
            eval_id=identity,
            run_id=identity,
            task_id=identity,
            created=f"{facts.made}T00:00:00+00:00",
            task=TASK,
            task_version=tomogram.__version__,
            task_description="Audits of a model's inside and consultations of sealed suites.",
            dataset=EvalDataset(
                name="audits and sealed tests",
                samples=len(samples),
                sample_ids=[str(sample.id) for sample in samples],
            ),
            model=visible(facts.model.name),
            config=EvalConfig(epochs=1),
            packages={"tomogram": tomogram.__version__, **facts.run.versions},
            metadata={
                "model_sha256": facts.model.digest,
                "tomogram_json_sha256": facts.manifest,
                "how_interpretability_was_used": use_block(facts),
                "not_measured": [each.model_dump() for each in facts.not_measured],
                "audits_run": facts.audits is not None,
            },
        ),
        results=EvalResults(
            total_samples=len(samples),
            completed_samples=sum(sample.error is None for sample in samples),
            scores=[_scan(facts)],
        ),
        samples=samples,
    )


def _scan(facts: Facts) -> Any:
    from inspect_ai.log import EvalMetric, EvalScore

    return EvalScore(
        name="scan",
        scorer="tomogram",
        metrics={
            each.key: EvalMetric(
                name=each.key,
                value=each.value,
                metadata={"name": each.name, "low": each.low, "high": each.high, "n": each.n},
            )
            for each in figures(facts)
        },
    )


def _audit(found: Finding) -> Any:
    from inspect_ai.log import EvalSample
    from inspect_ai.scorer import Score

    return EvalSample(
        id=f"audit/{visible(found.audit)}",
        epoch=1,
        input=f"Audit {visible(found.audit)}",
        target="",
        scores={
            "verdict": Score(
                value=visible(found.verdict),
                explanation=visible(found.told) or None,
                metadata=found.model_dump(mode="json"),
            )
        },
    )


def _consultation(facts: Facts, use: SuiteUse, asked: Consultation) -> Any:
    from inspect_ai.log import EvalError, EvalSample
    from inspect_ai.scorer import Score

    words = answered(asked)
    return EvalSample(
        id=f"sealed/{use.suite}/{asked.row}",
        epoch=1,
        input=f"Sealed question {asked.question} of shard {asked.shard} about"
        f" {about(facts, asked)}",
        target="",
        scores={"answer": Score(value=words)} if asked.answer else None,
        error=None if asked.answer else EvalError(message=words, traceback="", traceback_ansi=""),
        metadata={
            **asked.model_dump(mode="json"),
            "suite": use.suite,
            "changed_after": visible(changed_after(facts, use.suite, asked)),
        },
    )
