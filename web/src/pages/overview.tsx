// The scan at a glance: how much of the model it explains, what it holds, what it does not say.
import type { PageProps } from "../pages";
import { useHeading, useLoaded } from "../hooks";
import { Figure } from "../parts/figure";
import { When } from "../parts/state";
import { plural, short, whole } from "../words";

export function OverviewPage({ source, about }: PageProps) {
  const findings = useLoaded(() => source.findings(), []);
  const heading = useHeading(about.model.name);
  const [slice, ...others] = about.chapters.coverage;
  const { model, text } = about;
  const live = about.families.reduce((sum, family) => sum + (family.kind === "latent" ? family.live : 0), 0);

  const search = (event: SubmitEvent) => {
    event.preventDefault();
    const words = new FormData(event.target as HTMLFormElement).get("words");
    location.hash = `#/features?${new URLSearchParams({ words: String(words ?? "") })}`;
  };

  return (
    <>
      <header class="title">
        <p class="kicker">A scan of a language model</p>
        <h1 ref={heading}>
          <bdi>{model.name}</bdi>
        </h1>
        <p class="lede">
          {short(model.parameters.total)} parameters in {plural(model.n_layers, "layer")}, read over {whole(text.tokens)}{" "}
          tokens of text. {whole(live)} features fire on it.
        </p>
        <form class="search" role="search" onSubmit={search}>
          <label>
            <span class="sr">Search the features</span>
            <input type="search" name="words" placeholder="Search the features" autocomplete="off" />
          </label>
          <button type="submit">Search</button>
        </form>
      </header>

      <section aria-labelledby="coverage">
        <h2 id="coverage">How much of the model this scan explains</h2>
        <div class="film">
          <p class="film-corner">
            {model.name}
            <br />
            {model.family}
          </p>
          <p class="film-corner right">
            1 − FVU, held out
            <br />
            layers 0–{model.n_layers - 1}
          </p>
          {slice ? <Figure picture={slice} className="on-film" /> : null}
          <div class="readings">
            {about.readings.map((reading) => (
              <p class="reading">
                <strong>{reading.value}</strong> {reading.words}. {reading.detail ? <small>{reading.detail}</small> : null}
              </p>
            ))}
          </div>
        </div>
        <div class="grid">
          {others.map((picture) => (
            <Figure picture={picture} />
          ))}
        </div>
      </section>

      <section aria-labelledby="findings">
        <h2 id="findings">What audits found, and what they could not test</h2>
        <When loaded={findings}>
          {(found) => (
            <p class="lede">
              {found.summary} {found.groups.length ? <a href="#/findings">The verdicts and their evidence</a> : null}
            </p>
          )}
        </When>
      </section>

      <section aria-labelledby="neurons">
        <h2 id="neurons">Neurons against features</h2>
        {about.comparison ? <p class="lede">{about.comparison}</p> : null}
        <div class="grid">
          {about.chapters.neurons.slice(0, 2).map((picture) => (
            <Figure picture={picture} />
          ))}
        </div>
      </section>

      <section aria-labelledby="dark">
        <h2 id="dark">What was not measured</h2>
        <p class="intro">Silence is not health. What follows was not looked at, or not well enough to say.</p>
        <dl class="dark">
          {about.not_measured.map((item) => (
            <div>
              <dt>{item.what}</dt>
              <dd>{item.why}</dd>
            </div>
          ))}
        </dl>
      </section>

      <footer>
        <dl class="facts">
          <div><dt>Family</dt><dd>{model.family}</dd></div>
          <div><dt>Layers × heads</dt><dd>{model.n_layers} × {model.n_heads}</dd></div>
          <div><dt>Width</dt><dd>{whole(model.d_model)}</dd></div>
          <div><dt>Vocabulary</dt><dd>{whole(model.d_vocab)}</dd></div>
          <div><dt>Precision</dt><dd>{model.dtype}{model.weights ? `, ${model.weights}` : ""}</dd></div>
          <div><dt>Text</dt><dd><bdi>{text.name}</bdi></dd></div>
          <div><dt>Plan</dt><dd>{about.plan.name}</dd></div>
          <div><dt>Weights</dt><dd><code>{model.digest.slice(0, 12)}</code></dd></div>
        </dl>
      </footer>
    </>
  );
}
