// One feature raised or lowered: the same prompt continued as the model is, and changed.
import { useEffect, useRef, useState } from "preact/hooks";
import type { PageProps } from "../pages";
import type { Feature, Steered } from "../data/types";
import { useHeading, useLoaded, useSettled } from "../hooks";
import { Label } from "../parts/bars";
import { Failure } from "../parts/state";
import { noteQuery } from "../router";
import { decimal, featureAddress, place, short } from "../words";

const REACH = 4;

export function SteerPage({ source, about, address }: PageProps) {
  const heading = useHeading("Steer");
  return (
    <>
      <h1 ref={heading}>Steer</h1>
      {about.live ? <p class="lede">{about.live}</p> : <Bench source={source} about={about} address={address} />}
    </>
  );
}

function Bench({ source, about, address }: PageProps) {
  const latents = about.families.filter((family) => family.kind === "latent");
  const [family, setFamily] = useState(address.query.get("family") ?? latents.at(-1)?.name ?? "");
  const [unit, setUnit] = useState(Number(address.query.get("unit") ?? 0));
  const [prompt, setPrompt] = useState(address.query.get("prompt") ?? "");
  const [strength, setStrength] = useState(Number(address.query.get("strength") ?? 1));
  const [temperature, setTemperature] = useState(0);
  const [result, setResult] = useState<{ strength: number; texts: Steered } | null>(null);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const newest = useRef(0);

  const feature = useLoaded<Feature>(() => source.feature(family, unit), [family, unit]);
  const order = { prompt, family, unit, strength, tokens: 40, temperature, seed: 0 };
  const settled = useSettled(JSON.stringify(order), 350);

  // The slider turns the model at once: an answer that a newer order has overtaken is dropped.
  const run = async (what: typeof order) => {
    if (!what.prompt.trim()) return;
    const mine = ++newest.current;
    setBusy(true);
    try {
      const texts = await source.steer(what);
      if (mine !== newest.current) return;
      setResult({ strength: what.strength, texts });
      setError("");
      noteQuery("steer", { family, unit: String(unit), prompt: what.prompt, strength: String(what.strength) });
    } catch (failed) {
      if (mine === newest.current) setError((failed as Error).message);
    }
    if (mine === newest.current) setBusy(false);
  };
  useEffect(() => {
    void run(JSON.parse(settled) as typeof order);
  }, [settled]);

  const size = latents.find((each) => each.name === family)?.units ?? 1;
  return (
    <>
      <form class="ask steer" onSubmit={(event) => { event.preventDefault(); void run(order); }}>
        <div class="row">
          <label>
            Dictionary
            <select value={family} onChange={(event) => { setFamily(event.currentTarget.value); setUnit(0); }}>
              {latents.map((each) => <option>{each.name}</option>)}
            </select>
          </label>
          <label>
            Feature
            <input type="number" min={0} max={size - 1} value={unit} onChange={(event) => setUnit(Math.max(0, Math.min(size - 1, Math.round(Number(event.currentTarget.value)))))} />
          </label>
          <p class="chosen">
            {feature.value ? <a href={featureAddress(family, unit)}><span class="where">{place(feature.value)}</span> <span class="what"><Label label={feature.value.label} /></span></a> : feature.error}
          </p>
        </div>
        <label>
          Prompt
          <textarea rows={2} value={prompt} onInput={(event) => setPrompt(event.currentTarget.value)} placeholder="The beginning of a text" />
        </label>
        <div class="row">
          <label class="grow">
            <span>Strength <output>{decimal(strength, 1)}</output> <small>× its largest activation{feature.value ? `, ${short(feature.value.largest)}` : ""}</small></span>
            <input type="range" min={-REACH} max={REACH} step={0.1} value={strength} onInput={(event) => setStrength(Number(event.currentTarget.value))} list="strengths" />
            <span class="range-ends" aria-hidden="true"><span>−{REACH}</span><span>0</span><span>{REACH}</span></span>
          </label>
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
          <Text title="As the model is" prompt={prompt} words={result.texts.baseline} other={result.texts.steered} />
          <Text title={`With the feature at ${decimal(result.strength, 1)}`} prompt={prompt} words={result.texts.steered} other={result.texts.baseline} changed />
        </div>
      ) : (
        <p class="quiet">{busy ? "The model writes …" : "Type the beginning of a text."}</p>
      )}
      <p class="note">Its decoder row is added to the stream at every position. One example is no evidence: what an intervention does in general has to be measured.</p>
    </>
  );
}

function Text(props: { title: string; prompt: string; words: string[]; other: string[]; changed?: boolean }) {
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
    </section>
  );
}
