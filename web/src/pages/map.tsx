// All features on one map: neighbours point the same way. The canvas holds 100,000 dots.
import { type Quadtree, quadtree } from "d3-quadtree";
import { scaleLinear } from "d3-scale";
import { select } from "d3-selection";
import { zoom, type ZoomBehavior, zoomIdentity } from "d3-zoom";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { PageProps } from "../pages";
import type { Source } from "../data/source";
import type { Glance, MapOfFeatures, Wanted } from "../data/types";
import { useHeading, useLoaded, useSettled } from "../hooks";
import { Label } from "../parts/bars";
import { When } from "../parts/state";
import { featureAddress, place, plural } from "../words";

interface Dot {
  x: number;
  y: number;
  family: string;
  layer: number;
  unit: number;
}

export function MapPage({ source, about }: PageProps) {
  const heading = useHeading("Map");
  const loaded = useLoaded(() => source.map(), []);
  return (
    <>
      <h1 ref={heading}>Map</h1>
      <p class="lede">Every feature that fires, placed so that neighbours write nearly the same into the stream. Distances between far groups mean nothing.</p>
      <When loaded={loaded} waiting="Drawing the map: this takes some seconds the first time …">
        {(found) => (found.families.length ? <Chart map={found} source={source} layers={about.model.n_layers} /> : <p class="lede">{found.why}</p>)}
      </When>
    </>
  );
}

/** Early layers warm, late ones teal, in both colour schemes. */
function colours(layers: number, dark: boolean) {
  const ends = dark ? ["#e49b5e", "#9aa7ad", "#54c5bb"] : ["#c0722f", "#8b979d", "#0b746f"];
  return scaleLinear<string>([0, Math.max(1, layers - 1) / 2, Math.max(1, layers - 1)], ends).clamp(true);
}

const isDark = () => matchMedia("(prefers-color-scheme: dark)");

function Chart(props: { map: MapOfFeatures; source: Source; layers: number }) {
  const { map, source, layers } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [family, setFamily] = useState("");
  const [words, setWords] = useState("");
  const [size, setSize] = useState({ width: 600, height: 480 });
  const [view, setView] = useState(zoomIdentity);
  const [at, setAt] = useState<Dot | null>(null);
  const [dark, setDark] = useState(() => isDark().matches);
  const behaviour = useRef<ZoomBehavior<HTMLCanvasElement, unknown> | null>(null);

  const dots = useMemo<Dot[]>(
    () =>
      map.families
        .filter((each) => !family || each.family === family)
        .flatMap((each) =>
          each.units.map((unit, i) => ({ x: each.x[i] as number, y: each.y[i] as number, family: each.family, layer: each.layer, unit })),
        ),
    [map, family],
  );
  const tree = useMemo<Quadtree<Dot>>(() => quadtree<Dot>(dots, (dot) => dot.x, (dot) => dot.y), [dots]);
  const settled = useSettled(words.trim(), 200);
  const matches = useLoaded(async () => {
    if (!settled) return null;
    const wanted: Wanted = { words: settled, way: "words", family, kind: "latent", state: "", sort: "best", descending: true };
    const found = await source.features(wanted, 0, 500);
    return { total: found.total, keys: new Set(found.rows.map((row) => `${row.family}/${row.unit}`)) };
  }, [settled, family]);
  const lit = settled ? (matches.value?.keys ?? null) : null;
  const glance = useLoaded<Glance | null>(() => (at ? source.glance(at.family, at.unit) : Promise.resolve(null)), [at]);

  useEffect(() => {
    const query = isDark();
    const changed = () => setDark(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);

  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const watcher = new ResizeObserver(() => {
      const width = element.clientWidth;
      setSize({ width, height: element.clientHeight });
    });
    watcher.observe(element);
    const made = zoom<HTMLCanvasElement, unknown>().scaleExtent([1, 40]).on("zoom", (event) => setView(event.transform));
    behaviour.current = made;
    select(element).call(made).on("dblclick.zoom", null);
    return () => watcher.disconnect();
  }, []);

  const side = Math.min(size.width, size.height) - 24;
  const x = (value: number) => view.applyX((size.width - side) / 2 + (value / map.extent) * side);
  const y = (value: number) => view.applyY((size.height - side) / 2 + (value / map.extent) * side);

  useEffect(() => {
    const element = canvas.current;
    const pen = element?.getContext("2d");
    if (!element || !pen) return;
    const ratio = devicePixelRatio || 1;
    element.width = size.width * ratio;
    element.height = size.height * ratio;
    pen.scale(ratio, ratio);
    pen.clearRect(0, 0, size.width, size.height);
    const colour = colours(layers, dark);
    const radius = Math.max(0.9, Math.min(4, (dots.length > 20000 ? 0.9 : 1.5) * Math.sqrt(view.k)));
    const shades = new Map<number, string>();
    for (const pass of lit ? [false, true] : [true]) {
      for (const dot of dots) {
        if (lit && lit.has(`${dot.family}/${dot.unit}`) !== pass) continue;
        const [left, top] = [x(dot.x), y(dot.y)];
        if (left < -5 || top < -5 || left > size.width + 5 || top > size.height + 5) continue;
        if (!shades.has(dot.layer)) shades.set(dot.layer, colour(dot.layer));
        pen.fillStyle = shades.get(dot.layer) as string;
        pen.globalAlpha = pass ? (lit ? 1 : 0.62) : 0.12;
        pen.beginPath();
        pen.arc(left, top, pass && lit ? radius + 1.6 : radius, 0, 7);
        pen.fill();
      }
    }
    if (at) {
      pen.globalAlpha = 1;
      pen.strokeStyle = dark ? "#fff" : "#111";
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.arc(x(at.x), y(at.y), radius + 4, 0, 7);
      pen.stroke();
    }
  }, [dots, size, view, at, lit, dark]);

  const nearest = (left: number, top: number, reach: number): Dot | null => {
    const [atX, atY] = [view.invertX(left), view.invertY(top)];
    const scale = map.extent / side;
    const found = tree.find((atX - (size.width - side) / 2) * scale, (atY - (size.height - side) / 2) * scale, (reach / view.k) * scale);
    return found ?? null;
  };
  const point = (event: PointerEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const found = nearest(event.clientX - box.left, event.clientY - box.top, 14);
    if (found && found !== at) setAt(found);
  };
  const open = () => at && (location.hash = featureAddress(at.family, at.unit));

  /** The nearest dot in a direction: sideways distance counts three times. */
  const step = (dx: number, dy: number) => {
    const from = at ?? { x: map.extent / 2, y: map.extent / 2, family: "", unit: -1, layer: 0 };
    let best: Dot | null = null;
    let least = Infinity;
    for (const dot of dots) {
      const [along, across] = [(dot.x - from.x) * dx + (dot.y - from.y) * dy, Math.abs((dot.x - from.x) * dy) + Math.abs((dot.y - from.y) * dx)];
      if (along <= 0) continue;
      const distance = along + 3 * across;
      if (distance < least) [best, least] = [dot, distance];
    }
    if (best) setAt(best);
  };
  const press = (event: KeyboardEvent) => {
    const element = canvas.current;
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (move) step(move[0] as number, move[1] as number);
    else if (event.key === "Enter") open();
    else if ((event.key === "+" || event.key === "-") && element && behaviour.current)
      behaviour.current.scaleBy(select(element), event.key === "+" ? 1.5 : 1 / 1.5);
    else return;
    event.preventDefault();
  };

  return (
    <>
      <form class="filter" role="search" aria-label="Find on the map" onSubmit={(event) => event.preventDefault()}>
        <label class="grow">
          Light up
          <input type="search" value={words} placeholder="words of labels, exemplars or promoted tokens" onInput={(event) => setWords(event.currentTarget.value)} autocomplete="off" spellcheck={false} />
        </label>
        <label>
          From
          <select value={family} onChange={(event) => setFamily(event.currentTarget.value)}>
            <option value="">everywhere</option>
            {map.families.map((each) => <option>{each.family}</option>)}
          </select>
        </label>
        <output aria-live="polite">{lit ? `${plural(matches.value?.total ?? 0, "match").replace("matchs", "matches")}` : plural(dots.length, "feature")}</output>
      </form>
      <div class="map">
        <canvas ref={canvas} tabIndex={0} role="application" aria-label="Map of features: arrow keys go to the next feature, plus and minus zoom, Enter opens it" aria-describedby="map-at"
          onPointerMove={point} onPointerDown={point} onDblClick={open} onKeyDown={press} />
        <p id="map-at" class="map-at" aria-live="polite">
          {at && glance.value ? (
            <a href={featureAddress(at.family, at.unit)}>
              <span class="where">{place(glance.value)}</span> <span class="what"><Label label={glance.value.label} /></span>
            </a>
          ) : (
            <span class="quiet">Point at a dot to see its label.</span>
          )}
        </p>
        <p class="legend" aria-hidden="true">
          {Array.from({ length: Math.min(layers, 24) }, (_, i) => {
            const layer = layers <= 24 ? i : Math.round((i * (layers - 1)) / 23);
            return <span style={{ background: colours(layers, dark)(layer) }} />;
          })}
          <small>layer 0 to {layers - 1}</small>
        </p>
      </div>
    </>
  );
}
