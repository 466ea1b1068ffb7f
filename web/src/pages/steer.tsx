// Some features raised or lowered: the same prompt continued as the model is, and changed.
import { useEffect, useRef, useState } from "preact/hooks";
import type { PageProps } from "../pages";
import type { Source } from "../data/source";
import type { Family, Feature, Fluency, SteerOrder, Steered, Turn } from "../data/types";
import { useHeading, useLoaded, useSettled } from "../hooks";
import { Label } from "../parts/bars";
import { Failure } from "../parts/state";
import { noteQuery } from "../router";
import { decimal, featureAddress, place, short, signed } from "../words";

const REACH = 4;
const MOST = 8; // features at once, as tomogram/viewer/steer.py has it

export function SteerPage({ source, about, address }: PageProps) {
  const heading = useHeading("Steer");
  return (
    <>
      <h1 ref={heading}>Steer</h1>
      {about.live ? <p class="lede">{about.live}</p> : <Bench source={source} about={about} address={address} />}
    </>
  );
}

/** `resid_post.1/3@2,resid_post.0/5@-1`, as addresses have it. */
const written = (turns: Turn[]) => turns.map(({ family, unit, strength }) => `${family}/${unit}@${strength}`).join(",");

function parsed(text: string): Turn[] {
  return text.split(",").flatMap((each) => {
    const [, family, unit, strength] = /^(.+)\/(\d+)@(-?[\d.]+)$/.exec(each.trim()) ?? [];
    return family ? [{ family, unit: Number(unit), strength: Math.max(-REACH, Math.min(REACH, Number(strength) || 0)) }] : [];
  });
}

function Bench({ source, about, address }: PageProps) {
  const latents = about.families.filter((family) => family.kind === "latent");
  const first: Turn = { family: latents.at(-1)?.name ?? "", unit: 0, strength: 1 };
  const [turns, setTurns] = useState<Turn[]>(() => {
    const asked = parsed(address.query.get("turns") ?? "");
    return asked.length ? asked : [first];
  });
  const [prompt, setPrompt] = useState(address.query.get("prompt") ?? "");
  const [temperature, setTemperature] = useState(0);
  const [result, setResult] = useState<{ turns: Turn[]; texts: Steered } | null>(null);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const newest = useRef(0);
  const settled = useSettled(JSON.stringify({ prompt, turns, tokens: 40, temperature, seed: 0 }), 350);

  // The slider turns the model at once: an answer that a newer order has overtaken is dropped.
  const run = async (order: SteerOrder) => {
    if (!order.prompt.trim()) return;
    const mine = ++newest.current;
    setBusy(true);
    try {
      const texts = await source.steer(order);
      if (mine !== newest.current) return;
      setResult({ turns: order.turns, texts });
      setError("");
      noteQuery("steer", { turns: written(order.turns), prompt: order.prompt });
    } catch (failed) {
      if (mine === newest.current) setError((failed as Error).message);
    }
    if (mine === newest.current) setBusy(false);
  };
  useEffect(() => {
    void run(JSON.parse(settled) as SteerOrder);
  }, [settled]);

  const change = (at: number, part: Partial<Turn>) => setTurns((old) => old.map((turn, i) => (i === at ? { ...turn, ...part } : turn)));
  return (
    <>
      <form class="ask steer" onSubmit={(event) => { event.preventDefault(); void run(JSON.parse(settled) as SteerOrder); }}>
        <label>
          Prompt
          <textarea rows={2} value={prompt} onInput={(event) => setPrompt(event.currentTarget.value)} placeholder="The beginning of a text" />
        </label>
        {turns.map((turn, at) => (
          <Knob key={at} source={source} latents={latents} turn={turn} number={turns.length > 1 ? at + 1 : null} change={(part) => change(at, part)}
            remove={turns.length > 1 ? () => setTurns((old) => old.filter((_, i) => i !== at)) : null} />
        ))}
        <div class="row">
          {turns.length < MOST ? <button type="button" class="more" onClick={() => setTurns((old) => [...old, { ...(old.at(-1) ?? first), strength: 1 }])}>Turn another feature too</button> : null}
          <label>
            Temperature
            <select value={String(temperature)} onChange={(event) => setTemperature(Number(event.currentTarget.value))}>
              <option value="0">0, the likeliest token</option>
              <option value="0.7">0.7</option>
              <option value="1">1</option>
            </select>
          </label>
        </div>
      </form>
      <p class="sr" role="status">{busy ? "The model writes." : result ? "Done." : ""}</p>
      {error ? <Failure words={error} /> : null}
      {result ? (
        <div class={`texts${busy ? " busy" : ""}`}>
          <Text title="As the model is" prompt={prompt} words={result.texts.baseline} other={result.texts.steered} fluency={result.texts.fluency.baseline} />
          <Text title={told(result.turns)} prompt={prompt} words={result.texts.steered} other={result.texts.baseline} fluency={result.texts.fluency.steered} changed />
        </div>
      ) : (
        <p class="quiet">{busy ? "The model writes …" : "Type the beginning of a text."}</p>
      )}
      <p class="note">Each feature’s decoder row is added to the stream at every position. Distinct-3 is the share of different runs of three tokens: a text that repeats itself has a low one, and is easy to predict. One example is no evidence: what an intervention does in general has to be measured, as <code>tomogram steer --toward</code> does.</p>
    </>
  );
}

const told = (turns: Turn[]) =>
  turns.length === 1 ? `With the feature at ${decimal(turns[0]?.strength ?? 0, 1)}` : `With ${turns.length} features at ${turns.map((turn) => signed(turn.strength, 1)).join(", ")}`;

/** One feature to turn: which, and how far. */
function Knob(props: { source: Source; latents: Family[]; turn: Turn; number: number | null; change: (part: Partial<Turn>) => void; remove: (() => void) | null }) {
  const { turn, change, number } = props;
  const feature = useLoaded<Feature>(() => props.source.feature(turn.family, turn.unit), [turn.family, turn.unit]);
  const size = props.latents.find((each) => each.name === turn.family)?.units ?? 1;
  const which = number === null ? "" : ` ${number}`;
  return (
    <fieldset class="knob">
      <legend class="sr">Feature{which}</legend>
      <div class="row">
        <label>
          Dictionary
          <select value={turn.family} onChange={(event) => change({ family: event.currentTarget.value, unit: 0 })}>
            {props.latents.map((each) => <option>{each.name}</option>)}
          </select>
        </label>
        <label>
          Feature
          <input type="number" min={0} max={size - 1} value={turn.unit} onChange={(event) => change({ unit: Math.max(0, Math.min(size - 1, Math.round(Number(event.currentTarget.value)))) })} />
        </label>
        <p class="chosen">
          {feature.value ? <a href={featureAddress(turn.family, turn.unit)}><span class="where">{place(feature.value)}</span> <span class="what"><Label label={feature.value.label} /></span></a> : feature.error}
        </p>
        {props.remove ? <button type="button" class="more" aria-label={`Leave feature${which} as it is`} onClick={props.remove}>Remove</button> : null}
      </div>
      <label>
        <span>Strength <output>{decimal(turn.strength, 1)}</output> <small>× its largest activation{feature.value ? `, ${short(feature.value.largest)}` : ""}</small></span>
        <input type="range" min={-REACH} max={REACH} step={0.1} value={turn.strength} onInput={(event) => change({ strength: Number(event.currentTarget.value) })} />
        <span class="range-ends" aria-hidden="true"><span>−{REACH}</span><span>0</span><span>{REACH}</span></span>
      </label>
    </fieldset>
  );
}

function Text(props: { title: string; prompt: string; words: string[]; other: string[]; fluency: Fluency; changed?: boolean }) {
  const apart = props.words.findIndex((word, i) => word !== props.other[i]);
  const same = apart < 0 ? props.words.length : apart;
  return (
    <section aria-label={props.title} class={props.changed ? "changed" : ""}>
      <h2>{props.title}</h2>
      <p>
        <span class="quiet"><bdi>{props.prompt}</bdi></span>
        <bdi>{props.words.slice(0, same).join("")}</bdi>
        <ins><bdi>{props.words.slice(same).join("")}</bdi></ins>
      </p>
      <p class="fluency">
        {decimal(props.fluency.loss)} nats a token to the model as it is, distinct-3 {decimal(props.fluency.distinct)}
      </p>
    </section>
  );
}
