// One unit: what it fires on, how strongly, what it does, and what is like it.
import { useEffect } from "preact/hooks";
import type { PageProps } from "../pages";
import type { Exemplar, Feature, Glance, MadeLabel, Near, Relation } from "../data/types";
import { useHeading, useLoaded } from "../hooks";
import { Bar, Label, UnitLine } from "../parts/bars";
import { Histogram } from "../parts/histogram";
import { When } from "../parts/state";
import { Chip, Excerpt } from "../parts/tokens";
import { decimal, featureAddress, percent, place, plural, short, signed, whole } from "../words";

const RULES: Record<string, string> = {
  current: "a rule of the token itself",
  previous: "a rule of the token before",
  pair: "a rule of the token and the one before",
  next: "a rule of the token after",
  context: "a rule of words some way before",
};

export function FeaturePage({ source, about, address }: PageProps) {
  const [family = "", number = ""] = address.parts;
  const unit = /^\d+$/.test(number) ? Number(number) : -1;
  const loaded = useLoaded(
    () => Promise.all([source.feature(family, unit), source.vocabulary()] as const),
    [family, unit],
  );
  const size = about.families.find((each) => each.name === family)?.units ?? 0;

  useEffect(() => {
    const turn = (event: KeyboardEvent) => {
      if (event.altKey || event.ctrlKey || event.metaKey || (event.target as HTMLElement).closest("input, select, textarea")) return;
      const to = unit + ({ j: 1, k: -1 }[event.key] ?? 0);
      if (to !== unit && to >= 0 && to < size) location.hash = featureAddress(family, to);
    };
    addEventListener("keydown", turn);
    return () => removeEventListener("keydown", turn);
  }, [family, unit, size]);

  return (
    <When loaded={loaded}>
      {([feature, vocabulary]) => (
        <Shown feature={feature} vocabulary={vocabulary} edges={about.edges} size={size} live={about.live} />
      )}
    </When>
  );
}

function Shown(props: { feature: Feature; vocabulary: string[]; edges: number[]; size: number; live: string }) {
  const { feature, vocabulary, edges } = props;
  const heading = useHeading(feature.label ?? place(feature));
  const last = feature.unit + 1 >= props.size;
  return (
    <article class={`unit-page ${feature.kind}`}>
      <header class="title">
        <p class="kicker">
          {place(feature)}
          <span class="turns">
            {feature.unit > 0 ? <a href={featureAddress(feature.family, feature.unit - 1)} aria-keyshortcuts="k">← previous</a> : null}
            {last ? null : <a href={featureAddress(feature.family, feature.unit + 1)} aria-keyshortcuts="j">next →</a>}
          </span>
        </p>
        <h1 ref={heading} class="unit-title"><Label label={feature.label} /></h1>
        {feature.rule ? <Score feature={feature} /> : (
          <p class="lede">{feature.count ? "It fires, but no rule of tokens says when well enough to be called a label." : "It never fired on the text of this scan."}</p>
        )}
        {feature.labels.length ? <MadeLabels labels={feature.labels} /> : null}
        {feature.kind === "latent" && feature.count ? (
          <p><a class="action" href={`#/steer?${new URLSearchParams({ turns: `${feature.family}/${feature.unit}@1` })}`}>Steer with it</a></p>
        ) : null}
      </header>

      <div class="split">
        <Histogram edges={edges} counts={feature.histogram} />
        <dl class="facts two">
          <div><dt>Fires on</dt><dd>{percent(feature.rate)} of tokens</dd></div>
          <div><dt>Firings</dt><dd>{whole(feature.count)} in {whole(feature.tokens)}</dd></div>
          <div><dt>Mean activation</dt><dd>{short(feature.mean)} ± {short(feature.deviation)}</dd></div>
          <div><dt>Largest</dt><dd>{short(feature.largest)}</dd></div>
        </dl>
      </div>

      {feature.concepts.length ? <Concepts feature={feature} /> : null}

      {feature.promoted.length ? (
        <section aria-labelledby="effects">
          <h2 id="effects">What it does to the next token</h2>
          <div class="grid">
            <Effects words="Promotes" tokens={feature.promoted} vocabulary={vocabulary} />
            <Effects words="Suppresses" tokens={feature.suppressed} vocabulary={vocabulary} />
          </div>
          <p class="note">Logits for a unit of activation, read directly from its direction; what later layers make of it is not in it.</p>
        </section>
      ) : null}

      {feature.count ? (
        <section aria-labelledby="exemplars">
          <h2 id="exemplars">Where it fires</h2>
          <h3>Most strongly</h3>
          <Exemplars list={feature.top} vocabulary={vocabulary} largest={feature.largest} />
          {feature.spread.map((octave) => (
            <>
              <h3>From {short(octave.from)} to {short(octave.to)}</h3>
              <Exemplars list={octave.exemplars} vocabulary={vocabulary} largest={feature.largest} />
            </>
          ))}
        </section>
      ) : null}

      <Relatives feature={feature} />
    </article>
  );
}

const RELATIONS: { name: Relation; words: string; cosine?: boolean }[] = [
  { name: "resembles", words: "Writes nearly the same", cosine: true },
  { name: "cofires", words: "Fires together with" },
  { name: "earlier", words: "Fires along a layer before" },
  { name: "later", words: "Fires along a layer after" },
  { name: "neuron", words: "The neuron most like it" },
];

/** What the scan found related to a unit, and the groups it stands in. */
function Relatives({ feature }: { feature: Feature }) {
  const { related, groups } = feature;
  const lists = RELATIONS.filter(({ name }) => related[name]?.length);
  const named = [
    { words: "Near-duplicates", group: groups.duplicates },
    { words: "The rest of its family of features", group: groups.kin },
  ].filter(({ group }) => group.total);
  if (!lists.length && !named.length) return null;
  return (
    <section aria-labelledby="near">
      <h2 id="near">What is like it</h2>
      <div class="grid">
        {lists.map(({ name, words, cosine }) => (
          <div>
            <h3>{words}</h3>
            <ol class="unit-lines">{(related[name] as Near[]).map((each) => <RelatedLine unit={each} cosine={cosine ?? false} />)}</ol>
          </div>
        ))}
        {named.map(({ words, group }) => (
          <div>
            <h3>{words}</h3>
            <ol class="unit-lines">{group.units.map((each) => <MemberLine unit={each} />)}</ol>
            {group.total > group.units.length ? <p class="note">and {whole(group.total - group.units.length)} more</p> : null}
          </div>
        ))}
      </div>
      <p class="note">Cosines of what two features write; otherwise the share of tokens on which both fire among those on which either does.</p>
    </section>
  );
}

function RelatedLine({ unit, cosine }: { unit: Near; cosine: boolean }) {
  return <UnitLine unit={unit} share={unit.near} value={cosine ? decimal(unit.near) : percent(unit.near)} tip={unit.both === null ? undefined : `${plural(unit.both, "shared firing")} seen`} />;
}

function MemberLine({ unit }: { unit: Glance }) {
  return <UnitLine unit={unit} share={unit.rate} value={percent(unit.rate)} tip="share of tokens it fires on" />;
}

/** Labels that were made after the scan, and what judges found of them. */
function MadeLabels({ labels }: { labels: MadeLabel[] }) {
  return (
    <dl class="made-labels">
      {labels.map((made) => (
        <div>
          <dt>{made.labeller}</dt>
          <dd>
            {made.label ? <bdi>{made.label}</bdi> : <span class="unlabelled">had no label to give</span>}{" "}
            <span class="quiet">
              {made.stands ? "stands here; " : ""}
              {(["detection", "fuzzing"] as const)
                .flatMap((task) => {
                  const found = made[task];
                  return found ? [`${task} ${decimal(found.value)} (${decimal(found.low)} to ${decimal(found.high)})`] : [];
                })
                .join(", ") || "not judged"}
            </span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Score({ feature }: { feature: Feature }) {
  const rule = feature.rule as NonNullable<Feature["rule"]>;
  return (
    <div class="score-line">
      <p>
        <strong>{decimal(rule.f1)}</strong> {feature.labeller ? "score of the scan’s own rule" : "label score"} <span class="quiet">({decimal(rule.f1_low)} to {decimal(rule.f1_high)})</span>
      </p>
      <Interval value={rule.f1} low={rule.f1_low} high={rule.f1_high} />
      <p class="quiet">
        {feature.labeller ? <>The rule “<bdi>{rule.label}</bdi>”: </> : null}F1 of {RULES[rule.kind] ?? `a ${rule.kind} rule`} with {plural(rule.n_marks, "mark")}, on text it was not learned from: precision {decimal(rule.precision)}, recall {decimal(rule.recall)}.
      </p>
    </div>
  );
}

function Interval({ value, low, high }: { value: number; low: number; high: number }) {
  return (
    <svg class="interval" viewBox="0 0 300 14" role="img" aria-label={`${decimal(value)}, 95 % interval ${decimal(low)} to ${decimal(high)}, on a scale from 0 to 1`}>
      <line class="rule" x1="0" x2="300" y1="7" y2="7" />
      <line class="mean-span feature" x1={300 * low} x2={300 * high} y1="7" y2="7" />
      <circle class="mean feature" cx={300 * value} cy="7" r="5" />
    </svg>
  );
}

function Effects(props: { words: string; tokens: [number, number][]; vocabulary: string[] }) {
  const strongest = Math.max(...props.tokens.map(([, by]) => Math.abs(by)), 1e-9);
  return (
    <div>
      <h3>{props.words}</h3>
      <ol class="effects">
        {props.tokens.map(([id, by]) => (
          <li>
            <Chip token={props.vocabulary[id] ?? `[${id}]`} />
            <Bar share={by / strongest} className={by < 0 ? "less" : ""} />
            <span class="value">{signed(by)}</span>
          </li>
        ))}
      </ol>
    </div>
  );
}

function Exemplars(props: { list: Exemplar[]; vocabulary: string[]; largest: number }) {
  return (
    <ol class="exemplars">
      {props.list.map((exemplar) => (
        <Excerpt exemplar={exemplar} vocabulary={props.vocabulary} largest={props.largest} />
      ))}
    </ol>
  );
}

function Concepts({ feature }: { feature: Feature }) {
  return (
    <section aria-labelledby="concepts">
      <h2 id="concepts">Beside what is known to be true</h2>
      {feature.concepts.map((concept) => (
        <div class="concept-bars">
          <h3><bdi>{concept.name}</bdi></h3>
          <ol class="effects">
            <li>
              <a href={featureAddress(concept.feature.group, concept.feature.index)}>best feature, {concept.feature.group} · {concept.feature.index}</a>
              <Bar share={concept.feature.f1} /><span class="value">{decimal(concept.feature.f1)}</span>
            </li>
            <li>
              <span>best neuron, {concept.neuron.group} · {concept.neuron.index}</span>
              <Bar share={concept.neuron.f1} className="neuron" /><span class="value">{decimal(concept.neuron.f1)}</span>
            </li>
            <li>
              <span>linear probe, the ceiling</span>
              <Bar share={concept.probe} className="probe" /><span class="value">{decimal(concept.probe)}</span>
            </li>
          </ol>
        </div>
      ))}
      <p class="note">F1 on text that was not used to choose the unit.</p>
    </section>
  );
}
