"""What a disclosure tells a person, section by section."""

from __future__ import annotations

from tomogram.custody.consultations import SuiteUse
from tomogram.disclosure import use
from tomogram.disclosure.document import Document, Listing, Pairs, Part, Section, Table
from tomogram.disclosure.facts import Facts
from tomogram.disclosure.form import ITEMS
from tomogram.report import words
from tomogram.report.charts.loss_ruler import FAMILY_WORDS, explained_of_context
from tomogram.store.findings import AUDITS, Finding
from tomogram.store.schema import DictionaryRecord, Estimate

NO_AUDITS = (
    "No audits were given. This disclosure says nothing about whether something is wrong with the "
    "model, and their absence means nothing."
)
AUDITS_APART = "The scan runs no audits. They were run beside it and are told of above."
NOT_CLEAN = (
    "An audit that finds nothing has found nothing down to the strength it names; where it names "
    "none, that strength is not known. No audit here says that a model is clean."
)


def disclosure(facts: Facts) -> Document:
    """The disclosure of one model."""
    return Document(
        title=f"Disclosure: {facts.model.name}",
        subtitle=(
            f"What a scan of this model's inside measured, and {use.TITLE.lower()}."
            f" Made on {facts.made} with Tomogram {facts.tomogram}."
        ),
        sections=(
            at_a_glance(facts),
            use_of_interpretability(facts),
            audits(facts),
            coverage(facts),
            not_measured(facts),
            the_model(facts),
            dictionaries(facts),
            declared(facts),
            checking(facts),
        ),
    )


def at_a_glance(facts: Facts) -> Section:
    """The answers a reader comes for, each in a line."""
    rows = [
        ("Model", f"{facts.model.name}, {words.short(facts.model.parameters.total)} parameters"),
        ("Explained by the scan", _explained(facts)),
        ("Labelled features", _labelled(facts)),
        ("Audits", _audits_in_a_line(facts)),
        ("Sealed tests consulted", _consulted(facts)),
        ("Training signal touched an instrument", use.training_signal(facts)),
        ("Remains sealed", _sealed_in_a_line(facts)),
    ]
    return Section(
        "At a glance",
        (
            "This is a report of measurements and not a certificate. What was measured, recorded in"
            " a ledger, and declared by the developer is kept apart throughout.",
            Pairs(tuple(rows)),
        ),
    )


def use_of_interpretability(facts: Facts) -> Section:
    """The block "how interpretability was used"."""
    declared = use.training_signal(facts).rstrip(".")
    signal = f"Whether any training signal touched an instrument: {declared}."
    if not facts.suites:
        return Section(use.TITLE, (use.NO_SUITE, signal))
    parts: list[Part] = [
        "A sealed suite is a set of hidden tests of the model's inside. Its questions and test"
        " items were drawn by chance and locked before use; every ask is written into a signed"
        " ledger before anything is measured, costs part of a fixed budget, and is answered by one"
        " word: ALARM where the question's number lay above the line that was fixed at sealing,"
        " PASS where it did not, ABSTAIN where the model could not be asked. PASS says no more than"
        " that: the number is told to nobody, and what a word is worth is said below.",
        "Below is every ask in these ledgers. What changed after is the developer's word.",
        signal,
    ]
    for suite in facts.suites:
        parts += _suite(facts, suite)
    parts += ["What remains sealed:", Listing(tuple(use.sealed(facts)) or ("Nothing.",))]
    return Section(use.TITLE, tuple(parts))


def audits(facts: Facts) -> Section:
    """What each audit said, findings first."""
    if facts.audits is None:
        return Section("Findings of audits", (NO_AUDITS,))
    order = {"finding": 0, "suspicion": 1, "no finding": 2, "reported": 3, "abstained": 4}
    found = sorted(facts.audits.findings, key=lambda each: order[each.kind])
    return Section(
        "Findings of audits",
        (
            f"{words.plural(len(facts.audits.declared), 'audit')} were declared before the run and"
            f" count as tests; the others report. {NOT_CLEAN}",
            Table(
                ("Audit", "Verdict", "What it saw", "p, adjusted", "Clean copies"),
                tuple(_finding(each, facts.audits.declared) for each in found),
                "No audit is in the file.",
            ),
        ),
    )


def coverage(facts: Facts) -> Section:
    """How much of the model the scan explains."""
    own = facts.coverage
    rows = [
        ("The model alone", f"{words.span(own.loss, 3)} nats per token", "", ""),
        *(
            (
                f"All {len(each.dictionaries)} {FAMILY_WORDS[each.family]} in place at once",
                f"+{words.span(each.rise, 3)} nats per token",
                _share(each.recovered),
                str(each.rise.n),
            )
            for each in own.spliced
        ),
    ]
    if own.unigram_loss is not None:
        unigram = f"{words.decimal(own.unigram_loss, 3)} nats per token"
        rows.append(("Guessing by how frequent each token is", unigram, "", ""))
    parts: list[Part] = [
        "A scan opens with what it explains: dictionaries stand in for parts of the model, and the"
        " loss on text that no dictionary was trained on says what is lost. Values are given with"
        " their 95 % intervals.",
        Table(("What predicts", "Loss, or its rise", "Share of loss recovered", "Rows"), (*rows,)),
        f"Labels: {_labelled(facts)}",
    ]
    if facts.concepts is not None:
        parts.append(
            f"Of {facts.n_concepts} concepts whose truth is known on every token, the best single"
            f" feature finds them with a mean F1 of {words.span(facts.concepts.feature)}, the best"
            f" neuron with {words.span(facts.concepts.neuron)}, a linear probe with"
            f" {words.span(facts.concepts.probe)}."
        )
    return Section("How much of the model the scan explains", tuple(parts))


def not_measured(facts: Facts) -> Section:
    """What a reader may look for in vain."""
    rows = tuple(
        (each.what, AUDITS_APART if each.what == AUDITS and facts.audits else each.why)
        for each in facts.not_measured
    )
    said = "What this scan itself left out, and why."
    table = Table(("What", "Why"), rows, "Nothing is listed.")
    return Section("What was not measured", (said, table))


def the_model(facts: Facts) -> Section:
    """The model's identity and build."""
    model, own = facts.model, facts.model.parameters
    mlp = str(model.d_mlp) if model.d_mlp is not None else "a mixture of experts"
    rows = (
        ("Name", model.name),
        ("Digest of weights and configuration (SHA-256)", model.digest),
        ("Family", model.family),
        ("Weights", f"{model.weights or 'as stored'}, run in {model.dtype}"),
        ("Parameters", f"{words.whole(own.total)} ({words.whole(own.embedding)} of the embedding)"),
        ("Layers, heads, width, MLP", f"{model.n_layers}, {model.n_heads}, {model.d_model}, {mlp}"),
        ("Vocabulary, context", f"{words.whole(model.d_vocab)}, {words.whole(model.context)}"),
        ("Unembedding", "the embedding again" if model.tied else "of its own"),
    )
    return Section("The model", (Pairs(rows),))


def dictionaries(facts: Facts) -> Section:
    """What the scan looked through, and how good each of them is."""
    text = facts.text
    read = (
        f"The scan read {words.whole(text.tokens)} tokens of {text.name} ({text.kind}),"
        f" {words.whole(text.held_out_tokens)} of them held out. Every figure below is measured on"
        " those."
    )
    columns = (
        "Dictionary", "Kind", "Latents", "Active per token", "Unexplained variance",
        "Rise in loss, nats", "Dead",
    )  # fmt: skip
    return Section(
        "Dictionaries",
        (read, Table(columns, tuple(_dictionary(each) for each in facts.dictionaries), "None.")),
    )


def declared(facts: Facts) -> Section:
    """What the developer declares; nothing of it is measured."""
    own = facts.statement
    rows = [(item.name, own.declared(item.key)) for item in ITEMS if own.declared(item.key)]
    if own.licence:
        rows.append(("Licence (SPDX)", own.licence))
    if own.base_models:
        rows.append(("Base models", ", ".join(own.base_models)))
    if not rows:
        return Section("Declared by the developer", ("The developer declared nothing here.",))
    said = "These are the developer's words. No part of them was measured."
    return Section("Declared by the developer", (said, Pairs(tuple(rows))))


def checking(facts: Facts) -> Section:
    """How a stranger can check all this."""
    versions = ", ".join(f"{name} {v}" for name, v in facts.run.versions.items())
    rows = tuple((each.name, str(each.outcome), each.reason) for each in facts.checks)
    return Section(
        "How to check this",
        (
            "Run the scan again: the same bytes come out, for the same weights, seeds, versions and"
            " number of threads. Check the folder with tomogram verify DIR; repeat a sample of its"
            " measurements with tomogram verify DIR --rerun --model MODEL.",
            Pairs(
                (
                    ("Command", facts.run.command),
                    ("Seeds", ", ".join(f"{k} {v}" for k, v in facts.run.seeds.items())),
                    ("Threads, device", f"{facts.run.threads}, {facts.run.device}"),
                    ("Versions", f"tomogram {facts.run.tomogram}, {versions}"),
                    ("SHA-256 of tomogram.json", facts.manifest),
                )
            ),
            "What verification of the folder said when this was made:",
            Table(("Check", "Outcome", "Reason"), rows, "Nothing was checked."),
        ),
    )


def _suite(facts: Facts, suite: SuiteUse) -> list[Part]:
    questions = "; ".join(
        f"{each.name} (ALARM above {each.threshold:g}, on a scale from 0 to 1"
        + (f" where 1 says: {each.meaning})" if each.meaning else ")")
        for each in suite.questions
    )
    asks = tuple(
        (
            str(asked.row), asked.time, asked.shard, asked.question, use.about(facts, asked),
            use.answered(asked), f"{asked.bits:.2f}", use.changed_after(facts, suite.suite, asked),
        )
        for asked in suite.consultations
    )  # fmt: skip
    budget = tuple(
        (
            shard.name,
            f"{shard.asks} of {shard.asks_allowed}",
            str(shard.aborted),
            f"{shard.alarms} of {shard.alarms_allowed}",
            f"{shard.bits:.2f}",
            f"{shard.width:.3f} of {shard.width_promised:g}",
            "burnt" if shard.burnt else "sealed",
        )
        for shard in suite.shards
    )
    parts: list[Part] = [
        f"Suite {suite.suite}, sealed at {suite.sealed} for {', '.join(suite.custodians)};"
        f" {suite.rows} ledger rows up to {suite.latest}. Questions: {questions}.",
        Table(
            ("Row", "Time", "Shard", "Question", "About", "Answer", "Bits", "What changed after"),
            asks,
            f"Suite {suite.suite} was never asked.",
        ),
        *_consents(suite),
        "Budget by shard. Bits count how many different courses the asks could have taken; the"
        f" width is how far any answer's mean may lie from its true value, with probability"
        f" {1 - suite.delta:g}.",
        Table(("Shard", "Asks", "Aborted", "Alarms", "Bits", "Width", "Draws"), budget),
        f"What an answer is worth, with probability {1 - suite.delta:g} for each shard:",
        Listing(
            tuple(
                sentence
                for shard in suite.shards
                if shard.asks
                for sentence in use.worth(suite, shard)
            )
            or ("Nothing was asked.",)
        ),
        Table(
            ("Refused because", "Shard", "Question", "Times", "First", "Last"),
            tuple(
                (each.reason, each.shard, each.question, str(each.count), each.first, each.last)
                for each in suite.refusals
            ),
            f"No ask of suite {suite.suite} was refused.",
        ),
    ]
    if suite.burnt:
        rows = tuple((str(b.row), b.time, b.shard, b.purpose) for b in suite.burnt)
        parts.append(Table(("Row", "Opened at", "Shard", "Purpose"), rows))
    checks = tuple((each.name, str(each.outcome), each.reason) for each in suite.checks)
    parts.append(Table(("Check of the ledger", "Outcome", "Reason"), checks))
    return parts


def _consents(suite: SuiteUse) -> list[Part]:
    """Which asks one custodian made alone, with the others' consent."""
    agreed = [asked for asked in suite.consultations if asked.consents]
    if not agreed:
        return []
    rows = ", ".join(str(asked.row) for asked in agreed)
    names = ", ".join(dict.fromkeys(name for asked in agreed for name in asked.consents))
    return [
        f"The keys were on different machines: the asks of rows {rows} rest on a signed consent of"
        f" {names} to that question about that model, and were signed by the other custodians."
    ]


def _finding(found: Finding, declared: tuple[str, ...]) -> tuple[str, ...]:
    name = found.audit if found.audit in declared else f"{found.audit} (reports)"
    p = "" if found.adjusted_p is None else words.decimal(found.adjusted_p, 3)
    return name, found.verdict, found.told, p, str(found.clean_copies)


def _dictionary(record: DictionaryRecord) -> tuple[str, ...]:
    quality = record.quality
    dead = words.percent(quality.dead / record.d_dict)
    return (
        record.name,
        f"{record.kind} {record.shape}",
        words.whole(record.d_dict),
        words.decimal(quality.l0, 1),
        words.decimal(quality.fvu, 3),
        words.span(quality.rise, 3),
        dead,
    )


def _explained(facts: Facts) -> str:
    said = []
    for each in facts.coverage.spliced:
        kept = explained_of_context(facts.coverage, each.rise.value)
        which = FAMILY_WORDS[each.family]
        if kept is None:
            said.append(f"loss rises by {words.span(each.rise)} nats with all {which} in place")
        else:
            share = words.percent(kept)
            said.append(f"{share} of what the model gains from context is kept by its {which}")
    return "; ".join(said) or "nothing was measured"


def _labelled(facts: Facts) -> str:
    share = facts.coverage.labelled
    if share is None:
        return "no features were labelled."
    low, high = words.percent(share.low), words.percent(share.high)
    return (
        f"{words.percent(share.value)} of {words.whole(share.n)} live features have a label that"
        f" holds on unseen text (95 % interval {low} to {high})."
    )


def _audits_in_a_line(facts: Facts) -> str:
    if facts.audits is None:
        return "none was given; that says nothing about the model"
    kinds = [each.kind for each in facts.audits.findings]
    if kinds and set(kinds) <= {"reported", "abstained"}:
        return f"all {len(kinds)} abstained, so they say nothing about this model"
    return ", ".join(
        (
            words.plural(kinds.count("finding"), "finding"),
            words.plural(kinds.count("suspicion"), "suspicion"),
            f"{kinds.count('no finding')} that found nothing",
            f"{kinds.count('reported')} that report",
            f"{kinds.count('abstained')} abstained",
        )
    )


def _consulted(facts: Facts) -> str:
    if not facts.suites:
        return "not known: no ledger was given"
    asks = [asked for suite in facts.suites for asked in suite.consultations]
    answers = [use.answered(asked) for asked in asks]
    counts = "; ".join(f"{answers.count(word)} {word}" for word in dict.fromkeys(answers))
    spent = sum(shard.bits for suite in facts.suites for shard in suite.shards)
    mine = [use.answered(asked) for asked in asks if asked.model == facts.model.digest]
    own = f"{len(mine)} about this model ({', '.join(mine)})" if mine else "none about this model"
    times = words.plural(len(asks), "time")
    return f"{times}{' (' + counts + ')' if counts else ''}, {own}; {spent:.1f} bits spent"


def _sealed_in_a_line(facts: Facts) -> str:
    if not facts.suites:
        return "not known: no ledger was given"
    shards = [shard for suite in facts.suites for shard in suite.shards]
    kept = [shard for shard in shards if not shard.burnt]
    opened = len(shards) - len(kept)
    burnt = f"{opened} opened for treatment" if opened else "none was opened for treatment"
    return f"{len(kept)} of {words.plural(len(shards), 'shard')}; {burnt}"


def _share(estimate: Estimate | None) -> str:
    return "" if estimate is None else words.span(estimate, 3)
