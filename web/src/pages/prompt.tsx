// A text of the reader's own: what fires, what matters, what the stream says, where heads look.
import { useEffect, useRef, useState } from "preact/hooks";
import type { PageProps } from "../pages";
import type { PromptReading } from "../data/types";
import { useHeading } from "../hooks";
import { Bar, Label } from "../parts/bars";
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

  const read = async (event?: SubmitEvent) => {
    event?.preventDefault();
    setBusy(true);
    setError("");
    try {
      const [found, vocabulary] = await Promise.all([source.prompt(text), source.vocabulary()]);
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
          <form class="ask" onSubmit={read}>
            <label>
              A text for the model
              <textarea rows={3} value={text} onInput={(event) => setText(event.currentTarget.value)} required />
            </label>
            <button type="submit" disabled={busy}>{busy ? "Reading …" : "Read it"}</button>
          </form>
          <p class="sr" role="status">{busy ? "The model reads." : ""}</p>
          {error ? <Failure words={error} /> : null}
          {reading ? <Reading {...reading} /> : null}
        </>
      )}
    </>
  );
}

function Reading({ found, vocabulary }: { found: PromptReading; vocabulary: string[] }) {
  const [at, setAt] = useState(found.tokens.length - 1);
  useEffect(() => setAt(found.tokens.length - 1), [found]);
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
  const [likeliest] = found.next;
  return (
    <>
      <section aria-labelledby="fires">
        <h2 id="fires">What fires</h2>
        <p class="intro">Choose a token. The bar is the activation; the signed figure is how much the feature matters for the likeliest next token{likeliest ? <>, <Chip token={spell(likeliest[0])} /></> : null}: its effect on that logit, to first order.</p>
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
                    {fires.map(([unit, activation, effect]) => (
                      <li class="unit-line">
                        <a href={featureAddress(family, unit)}>
                          <span class="where">{unit}</span> <span class="what"><Label label={found.labels[`${family}/${unit}`] ?? null} /></span>
                        </a>
                        <Bar share={activation / strongest} />
                        <span class="value" data-tip={`activation ${short(activation)}`}>{signed(effect)}</span>
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
        <ol class="effects next">
          {found.next.map(([id, chance]) => (
            <li><Chip token={spell(id)} /><Bar share={chance} /><span class="value">{percent(chance)}</span></li>
          ))}
        </ol>
      </section>

      <Lens found={found} spell={spell} at={at} choose={setAt} />
      <Attention found={found} spell={spell} />
    </>
  );
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
