// Text with a unit's activations laid over it, and tokens that stand alone.
import { useRef } from "preact/hooks";
import type { Exemplar } from "../data/types";
import { alone, even, short } from "../words";
import { showTip } from "./tip";

/** One of ten shades; what fires at all never looks silent. */
export const shade = (activation: number, largest: number) =>
  Math.max(1, Math.min(10, Math.round((10 * activation) / (largest || 1))));

export function Chip({ token }: { token: string }) {
  return <bdi class="chip">{alone(token)}</bdi>;
}

/** An exemplar in its context. Values show on hover, on a tap, and with the arrow keys. */
export function Excerpt(props: { exemplar: Exemplar; vocabulary: string[]; largest: number }) {
  const { exemplar, vocabulary, largest } = props;
  const line = useRef<HTMLElement>(null);
  const at = useRef(-1);
  const fires = new Map(exemplar.fires);

  const step = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by || !line.current) return;
    event.preventDefault();
    const marks = [...line.current.querySelectorAll("mark")];
    if (!marks.length) return;
    at.current = (at.current + by + marks.length) % marks.length;
    showTip(marks[at.current] as HTMLElement);
  };

  return (
    <li class="exemplar">
      <span class="peak">
        <span class="sr">activation </span>
        {even(exemplar.activation)}
      </span>
      <bdi ref={line} tabIndex={0} role="group" aria-label={`Activation ${short(exemplar.activation)}; arrow keys read each token`} onKeyDown={step}>
        {exemplar.tokens.map((id, place) => {
          const raw = vocabulary[id] ?? `[${id}]`;
          const token = place ? raw : raw.replace(/^ +/, "");
          const activation = fires.get(place);
          if (!activation) return token;
          // A space before the word stays outside the mark, or line ends show slivers of colour.
          const word = token.replace(/^ +/, "") || token;
          return [
            token.slice(0, token.length - word.length),
            <mark class={`s${shade(activation, largest)}${place === exemplar.centre ? " centre" : ""}`} data-tip={short(activation)}>
              {word}
            </mark>,
          ];
        })}
      </bdi>
    </li>
  );
}
