// A text of the reader's own: what fires, what matters, what the stream says, where heads look.
import { useEffect, useRef, useState } from "preact/hooks";
import type { PageProps } from "../pages";
import type { PromptReading } from "../data/types";
import { useHeading } from "../hooks";
import { Bar, Label, UnitLine } from "../parts/bars";
import { Failure } from "../parts/state";
import { Chip } from "../parts/tokens";
import { noteQuery } from "../router";
import { alone, decimal, featureAddress, percent, short, signed } from "../words";

export function PromptPage({ source, about, address }: PageProps) {
  const heading = useHeading("Prompt");
  const [text, setText] = useState(address.query.get("text") ?? "");
  const [reading, setReading] = useState<{ found: PromptReading; vocabulary: string[] } | null>(null);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);

  const read = async (target: number | null = null) => {
    setBusy(true);
    setError("");
    try {
      const [found, vocabulary] = await Promise.all([source.prompt(text, target), source.vocabulary()]);
      setReading({ found, vocabulary });
      noteQuery("prompt", { text });
    } catch (failed) {
      setError((failed as Error).message);
    }
    setBusy(false);
  };
  useEffect(() => {
    if (text && !about.live) void read();
  }, []);

  return (
    <>
      <h1 ref={heading}>Prompt</h1>
      {about.live ? (
        <p class="lede">{about.live}</p>
      ) : (
        <>
          <form class="ask" onSubmit={(event) => { event.preventDefault(); void read(); }}>
            <label>
              A text for the model
              <textarea rows={3} value={text} onInput={(event) => setText(event.currentTarget.value)} required />
            </label>
            <button type="submit" disabled={busy}>{busy ? "Reading …" : "Read it"}</button>
          </form>
          <p class="sr" role="status">{busy ? "The model reads." : ""}</p>
          {error ? <Failure words={error} /> : null}
          {reading ? <Reading {...reading} aim={(target) => void read(target)} busy={busy} /> : null}
        </>
      )}
    </>
  );
}

function Reading(props: { found: PromptReading; vocabulary: string[]; aim: (target: number) => void; busy: boolean }) {
  const { found, vocabulary } = props;
  const [at, setAt] = useState(found.tokens.length - 1);
  // Another text is read from its end; another question about the same text changes nothing.
  useEffect(() => setAt(found.tokens.length - 1), [found.tokens.join()]);
  const spell = (id: number) => vocabulary[id] ?? `[${id}]`;
  const strip = useRef<HTMLDivElement>(null);
  const choose = (to: number) => {
    const next = Math.max(0, Math.min(found.tokens.length - 1, to));
    setAt(next);
    (strip.current?.children[next] as HTMLElement | undefined)?.focus();
  };
  const press = (event: KeyboardEvent) => {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: found.tokens.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(to);
  };
  const [target, probability] = found.target;
  return (
    <>
      <section aria-labelledby="foremost">
        <h2 id="foremost">What matters most for <Chip token={spell(target)} /></h2>
        <p class="intro">What taking a feature out at one token costs the log probability of that next token, in nats: measured, for those that a first-order estimate puts first.</p>
        <ol class="unit-lines foremost">
          {foremost(found).map(({ family, unit, position, measured, share }) => (
            <UnitLine unit={{ family, unit, index: unit, side: 1, label: found.labels[`${family}/${unit}`] ?? null }} on={<Chip token={spell(found.tokens[position] ?? 0)} />} share={share} value={<strong>{signed(measured)}</strong>} />
          ))}
        </ol>
      </section>

      <section aria-labelledby="fires">
        <h2 id="fires">What fires</h2>
        <p class="intro">Choose a token. The bar is the activation; the signed figure is what the feature does here for <Chip token={spell(target)} />, in nats. Those marked ≈ are estimates, the others were measured.</p>
        <div class="token-strip" role="radiogroup" aria-label="Tokens of the text" ref={strip} onKeyDown={press}>
          {found.tokens.map((id, i) => (
            <button type="button" role="radio" aria-checked={i === at} tabIndex={i === at ? 0 : -1} onClick={() => setAt(i)}>
              <bdi>{alone(spell(id))}</bdi>
            </button>
          ))}
        </div>
        <div class="grid firing">
          {Object.entries(found.families).map(([family, tokens]) => {
            const fires = tokens[at] ?? [];
            const strongest = Math.max(...fires.map(([, activation]) => activation), 1e-9);
            return (
              <div>
                <h3>{family}</h3>
                {fires.length ? (
                  <ol class="unit-lines">
                    {fires.map(([unit, activation, estimated, measured]) => (
                      <li class="unit-line">
                        <a href={featureAddress(family, unit)}>
                          <span class="where">{unit}</span> <span class="what"><Label label={found.labels[`${family}/${unit}`] ?? null} /></span>
                        </a>
                        <Bar share={activation / strongest} />
                        <span class="value" data-tip={`activation ${short(activation)}, estimate ${signed(estimated)}${measured === null ? "" : `, measured ${signed(measured)}`}`}>
                          {measured === null ? <span class="quiet">≈{"\u2009"}{signed(estimated)}</span> : <strong>{signed(measured)}</strong>}
                        </span>
                      </li>
                    ))}
                  </ol>
                ) : <p class="quiet">Nothing fires here.</p>}
              </div>
            );
          })}
        </div>
      </section>

      <section aria-labelledby="next">
        <h2 id="next">What comes next</h2>
        <p class="intro">Choose one to see what matters for it. The figures above are about <Chip token={spell(target)} />, {percent(probability)} probable.</p>
        <ol class="effects next">
          {found.next.map(([id, chance]) => (
            <li>
              <button type="button" class="aim" aria-pressed={id === target} disabled={props.busy} onClick={() => props.aim(id)}><Chip token={spell(id)} /></button>
              <Bar share={chance} /><span class="value">{percent(chance)}</span>
            </li>
          ))}
        </ol>
      </section>

      <Lens found={found} spell={spell} at={at} choose={setAt} />
      <Attention found={found} spell={spell} />
    </>
  );
}

const FOREMOST = 6;

/** The firings whose measured effect is largest, either way. */
function foremost(found: PromptReading) {
  const all = Object.entries(found.families).flatMap(([family, tokens]) =>
    tokens.flatMap((fires, position) =>
      fires.flatMap(([unit, , , measured]) => (measured === null ? [] : [{ family, unit, position, measured }])),
    ),
  );
  const first = all.sort((one, other) => Math.abs(other.measured) - Math.abs(one.measured)).slice(0, FOREMOST);
  const most = Math.max(...first.map((each) => Math.abs(each.measured)), 1e-9);
  return first.map((each) => ({ ...each, share: each.measured / most }));
}

function Lens(props: { found: PromptReading; spell: (id: number) => string; at: number; choose: (at: number) => void }) {
  const { found, spell } = props;
  return (
    <section aria-labelledby="lens">
      <h2 id="lens">What the stream says at each depth</h2>
      <p class="intro">The likeliest next token, read off the residual stream early; the deeper the colour, the more probable (logit lens). Time runs to the right, depth upwards.</p>
      <div class="scroll lens" tabIndex={0} role="region" aria-label="Logit lens">
        <table>
          <tbody>
            {[...found.depths.keys()].reverse().map((depth) => (
              <tr>
                <th scope="row">{found.depths[depth]}</th>
                {found.tokens.map((_, position) => {
                  const top = found.lens[depth]?.[position] ?? [];
                  const [best] = top;
                  if (!best) return <td />;
                  return (
                    <td class={`heat-cell h${Math.round(best[1] * 10)}${position === props.at ? " here" : ""}`} data-tip={top.map(([id, p]) => `${alone(spell(id))} ${percent(p)}`).join("   ")}>
                      <bdi>{alone(spell(best[0]))}</bdi>
                      <span class="sr"> {percent(best[1])}</span>
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row">the text</th>
              {found.tokens.map((id, position) => <td class={position === props.at ? "here" : ""}><bdi>{alone(spell(id))}</bdi></td>)}
            </tr>
          </tfoot>
        </table>
      </div>
    </section>
  );
}

const CELL = 3;

function Attention({ found, spell }: { found: PromptReading; spell: (id: number) => string }) {
  const layers = found.attention.length;
  const [chosen, choose] = useState<[number, number]>([layers - 1, 0]);
  const pattern = found.attention[chosen[0]]?.[chosen[1]] ?? [];
  const [query, setQuery] = useState(found.tokens.length - 1);
  useEffect(() => setQuery(found.tokens.length - 1), [found]);
  const row = pattern[query] ?? [];
  return (
    <section aria-labelledby="attention">
      <h2 id="attention">Where each head looks</h2>
      <p class="intro">A square a head, layers downwards: queries downwards, keys to the right. Choose a head, then a token, to see what that token looks at.</p>
      <div class="scroll heads" tabIndex={0} role="region" aria-label="Attention heads">
        {found.attention.map((heads, layer) => (
          <div class="head-row" role="group" aria-label={`Layer ${layer}`}>
            <span class="quiet">{layer}</span>
            {heads.map((_, head) => (
              <button type="button" aria-pressed={chosen[0] === layer && chosen[1] === head} aria-label={`Layer ${layer}, head ${head}`} data-tip={`layer ${layer}, head ${head}`} onClick={() => choose([layer, head])}>
                <Square pattern={heads[head] ?? []} />
              </button>
            ))}
          </div>
        ))}
      </div>
      <h3>Layer {chosen[0]}, head {chosen[1]}: what <Chip token={spell(found.tokens[query] ?? 0)} /> looks at</h3>
      <div class="token-strip looks" role="group" aria-label="Tokens, shaded by how much they are looked at">
        {found.tokens.map((id, key) => {
          const weight = (row[key] ?? 0) / 255;
          return (
            <button type="button" class={`h${Math.round(weight * 10)}`} aria-pressed={key === query} onClick={() => setQuery(key)} data-tip={key <= query ? decimal(weight) : "later"} aria-label={`${alone(spell(id))}, ${key <= query ? `weight ${decimal(weight)}` : "later"}`}>
              <bdi>{alone(spell(id))}</bdi>
            </button>
          );
        })}
      </div>
    </section>
  );
}

/** A head's whole pattern as a small picture. */
function Square({ pattern }: { pattern: number[][] }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const n = pattern.length;
  useEffect(() => {
    const pen = canvas.current?.getContext("2d");
    if (!pen || !canvas.current) return;
    pen.clearRect(0, 0, n * CELL, n * CELL);
    pen.fillStyle = getComputedStyle(canvas.current).color;
    pattern.forEach((row, query) =>
      row.forEach((weight, key) => {
        if (weight < 4) return;
        pen.globalAlpha = weight / 255;
        pen.fillRect(key * CELL, query * CELL, CELL, CELL);
      }),
    );
  }, [pattern]);
  return <canvas ref={canvas} width={n * CELL} height={n * CELL} aria-hidden="true" />;
}
