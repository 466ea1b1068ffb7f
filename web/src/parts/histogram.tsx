// How strongly one unit fires: firings by activation, on a logarithmic axis.
import { scaleLinear, scaleLog } from "d3-scale";
import { short, whole } from "../words";
import { Numbers } from "./figure";

const WIDTH = 460;
const HEIGHT = 150;
const LEFT = 6;

export function Histogram({ edges, counts }: { edges: number[]; counts: number[] }) {
  const filled = counts.flatMap((count, i) => (count ? [i] : []));
  const [first, last] = [filled[0], filled.at(-1)];
  if (first === undefined || last === undefined) return <p class="quiet">It never fired on this text.</p>;
  const [low, high] = [edges[first] as number, edges[last + 1] as number];
  const x = scaleLog([low, high], [LEFT, WIDTH - LEFT]);
  const y = scaleLinear([0, Math.sqrt(Math.max(...counts))], [HEIGHT, 8]);
  const octaves = edges.filter((edge) => edge >= low && edge <= high && Number.isInteger(Math.log2(edge)));
  const step = Math.ceil(octaves.length / 9);
  const bins = filled.map((i) => ({ from: edges[i] as number, to: edges[i + 1] as number, count: counts[i] as number }));
  const total = bins.reduce((sum, bin) => sum + bin.count, 0);
  return (
    <figure class="figure wide">
      <h2 class="small-head">How strongly it fires</h2>
      <svg class="drawing" viewBox={`0 0 ${WIDTH} ${HEIGHT + 34}`} role="img" aria-label={`${whole(total)} firings, activations from ${short(low)} to ${short(high)}`}>
        <line class="rule" x1={LEFT} x2={WIDTH - LEFT} y1={HEIGHT} y2={HEIGHT} />
        {bins.map((bin) => (
          <rect class="bar-feature" x={x(bin.from) + 0.5} width={Math.max(1, x(bin.to) - x(bin.from) - 1)} y={y(Math.sqrt(bin.count))} height={HEIGHT - y(Math.sqrt(bin.count))} data-tip={`${whole(bin.count)} firings from ${short(bin.from)} to ${short(bin.to)}`} />
        ))}
        {octaves.map((edge, i) =>
          i % step ? null : (
            <text class="tick" x={x(edge)} y={HEIGHT + 15} text-anchor="middle">
              {short(edge)}
            </text>
          ),
        )}
        <text class="axis" x={WIDTH - LEFT} y={HEIGHT + 31} text-anchor="end">
          activation
        </text>
      </svg>
      <figcaption>Half an octave a bar; heights are square roots, so that rare strong firings can be seen.</figcaption>
      <Numbers title="How strongly it fires" columns={["from", "to", "firings"]} rows={bins.map((bin) => [short(bin.from), short(bin.to), whole(bin.count)])} />
    </figure>
  );
}
