// Attribution graphs: what led to a token, by token and layer, with what interventions measured of it.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { PageProps } from "../pages";
import type { About, CircuitGraph, GraphEntry, GraphFile, GraphNode, Silenced } from "../data/types";
import { type Group, joined, keptEdges, keptNodes, merged, type Shown, type Wire, wires } from "../graph/kept";
import { curve, GUTTER, layout, nearest, type Placed } from "../graph/layout";
import { asFile, download } from "../graph/save";
import { useHeading, useLoaded } from "../hooks";
import { Failure, When } from "../parts/state";
import { noteQuery } from "../router";
import { alone, decimal, featureAddress, percent, plural, short, signed } from "../words";

const STATES = { passed: "passed its check", failed: "fails its check", unchecked: "not checked", damaged: "cannot be read" };

export function CircuitPage({ source, about, address }: PageProps) {
  const name = address.parts[0] ?? "";
  const heading = useHeading("Circuits");
  const listing = useLoaded(() => source.graphs(), []);
  const graph = useLoaded(() => (name ? source.graph(name) : Promise.resolve(null)), [name]);
  const silence = about.live ? null : (nodes: number[], factor: number) => source.silence({ graph: name, nodes, factor });
  return (
    <>
      <h1 ref={heading}>Circuits</h1>
      <When loaded={listing}>{(found) => <Listing found={found} name={name} />}</When>
      {name ? (
        <When loaded={graph} waiting="Reading the graph …">
          {(found) => (found && found.name === name ? <Drawing key={name} graph={found} about={about} pins={address.query.get("pins") ?? ""} file={about.live || !found.own ? null : () => source.graphFile(name)} spell={source.vocabulary} silence={silence} /> : null)}
        </When>
      ) : null}
    </>
  );
}

function Listing({ found, name }: { found: GraphEntry[]; name: string }) {
  if (!found.length)
    return (
      <p class="lede">
        No graph was given. <code>tomogram trace MODEL "a prompt" --out DIR/graphs/a-name.json</code> draws one and puts it where this page looks.
      </p>
    );
  return (
    <ol class="graph-list">
      {found.map((each) => (
        <li>
          {each.state === "damaged" ? (
            <span>{each.name}</span>
          ) : (
            <a href={`#/circuit/${encodeURIComponent(each.name)}`} aria-current={each.name === name ? "page" : undefined}>{each.prompt || each.name}</a>
          )}{" "}
          {each.says?.length ? <span class="says">→ {each.says.map((word) => `“${alone(word)}”`).join(", ")}</span> : null}{" "}
          <span class={`state ${each.state}`}>{STATES[each.state]}</span>
          {each.state === "damaged" ? <span class="quiet"> {each.title}</span> : null}
        </li>
      ))}
    </ol>
  );
}

type Silence = ((nodes: number[], factor: number) => Promise<Silenced>) | null;

function Drawing(props: { graph: CircuitGraph; about: About; pins: string; file: (() => Promise<GraphFile>) | null; spell: () => Promise<string[]>; silence: Silence }) {
  const { graph } = props;
  const [nodeShare, setNodeShare] = useState(graph.nodes.length > 160 ? 0.6 : 0.8);
  const [edgeShare, setEdgeShare] = useState(0.6);
  const [groups, setGroups] = useState<Group[]>(graph.supernodes);
  const [together, setTogether] = useState(false);
  const [pinned, setPinned] = useState<Set<number>>(() => new Set(props.pins.split(".").filter(Boolean).map(Number).filter((i) => i in graph.nodes)));
  const [at, setAt] = useState<string | null>(null);
  const svg = useRef<SVGSVGElement>(null);

  const kept = useMemo(() => new Set([...keptNodes(graph, nodeShare), ...pinned]), [graph, nodeShare, pinned]);
  const edges = useMemo(() => keptEdges(graph.edges, kept, edgeShare), [graph, kept, edgeShare]);
  const shown = useMemo(() => merged(graph, kept, together ? groups : []), [graph, kept, together, groups]);
  const drawn = useMemo(() => wires(edges, shown), [edges, shown]);
  const place = useMemo(() => layout(shown, graph.tokens.length, graph.layers), [shown, graph]);
  const checked = useMemo(() => new Map((graph.proof?.edges ?? []).filter((each) => each.path.length === 2).map((each) => [each.path.join(">"), each])), [graph]);

  useEffect(() => {
    noteQuery(`circuit/${encodeURIComponent(graph.name)}`, { pins: [...pinned].join(".") });
  }, [pinned]);

  const looked = at ? (shown.find((each) => each.key === at) ?? null) : null;
  const isPinned = (each: Shown) => each.members.some((member) => pinned.has(member));
  const toggle = (each: Shown) => {
    const next = new Set(pinned);
    if (isPinned(each)) each.members.forEach((member) => next.delete(member));
    else each.members.forEach((member) => next.add(member));
    setPinned(next);
  };
  const join = (moved: Shown, onto: Shown) => {
    if (moved === onto || [moved, onto].some((each) => each.node.kind === "target" || each.node.kind === "token")) return;
    setGroups(joined(groups, moved.members, onto.members, `group ${groups.length + 1}`));
    setTogether(true);
  };
  const check = (wire: Wire) =>
    wire.from.members.length === 1 && wire.to.members.length === 1 ? checked.get(`${wire.from.members[0]}>${wire.to.members[0]}`) : undefined;

  return (
    <>
      <section aria-labelledby="drawing">
        <h2 id="drawing">{graph.title}</h2>
        <p class="intro">
          Tokens to the right, layers upwards. A line is what a node adds to another directly: teal raises it, red lowers it; a ring marks one that was measured. Point at a node to see its lines, press it to pin it, drag it onto another to make one of both.
        </p>
        <form class="ask graph-ask" onSubmit={(event) => event.preventDefault()}>
          <div class="row">
            <label class="grow">
              <span>Nodes with <output>{percent(nodeShare)}</output> of the influence</span>
              <input type="range" min={0.05} max={1} step={0.01} value={nodeShare} onInput={(event) => setNodeShare(Number(event.currentTarget.value))} />
            </label>
            <label class="grow">
              <span>Lines with <output>{percent(edgeShare)}</output> of what enters a node</span>
              <input type="range" min={0.05} max={1} step={0.01} value={edgeShare} onInput={(event) => setEdgeShare(Number(event.currentTarget.value))} />
            </label>
            <label class="check">
              <input type="checkbox" checked={together} disabled={!groups.length} onChange={(event) => setTogether(event.currentTarget.checked)} /> Supernodes as one
            </label>
            <button type="button" class="action" onClick={() => svg.current && download(asFile(svg.current, graph.title), `${graph.name}.svg`, "image/svg+xml")}>Save as SVG</button>
          </div>
        </form>
        <p class="quiet" role="status">{plural(shown.length, "node")}, {plural(drawn.length, "line")} of {plural(graph.nodes.length, "node")} and {plural(graph.edges.length, "line")}</p>
        <div class="scroll graph" tabIndex={0} role="region" aria-label="The graph">
          <Picture graph={graph} place={place} drawn={drawn} groups={together ? [] : groups} at={at} look={setAt} isPinned={isPinned} toggle={toggle} join={join} measured={(wire) => check(wire) !== undefined} svg={svg} />
        </div>
        <Details page={(node) => pageOf(node, graph, props.about)} looked={looked ?? shown.find(isPinned) ?? null} drawn={drawn} check={check} look={(each) => setAt(each.key)} />
      </section>
      <Pinned graph={graph} pinned={pinned} clear={() => setPinned(new Set())} silence={props.silence} spell={props.spell} />
      <Supernodes graph={graph} groups={groups} change={setGroups} file={props.file} />
      <Proof graph={graph} look={(node) => setAt(shown.find((each) => each.members.includes(node))?.key ?? null)} />
    </>
  );
}

interface PictureProps {
  graph: CircuitGraph;
  place: ReturnType<typeof layout>;
  drawn: Wire[];
  groups: Group[];
  at: string | null;
  look: (key: string | null) => void;
  isPinned: (each: Shown) => boolean;
  toggle: (each: Shown) => void;
  join: (moved: Shown, onto: Shown) => void;
  measured: (wire: Wire) => boolean;
  svg: { current: SVGSVGElement | null };
}

function Picture(props: PictureProps) {
  const { graph, place, drawn, at, look, isPinned } = props;
  const drag = useRef<{ shown: Shown; x: number; y: number } | null>(null);
  const first = [...place.placed.values()].at(-1);
  const current = (at && place.placed.get(at)) || first;
  const touches = (wire: Wire) => wire.from.key === at || wire.to.key === at;
  const loud = (wire: Wire) => touches(wire) || isPinned(wire.from) || isPinned(wire.to);
  const quietest = at !== null || drawn.some(loud);

  const find = (target: EventTarget | null) => {
    const key = (target as Element | null)?.closest?.("[data-key]")?.getAttribute("data-key");
    return key ? place.placed.get(key) : undefined;
  };
  const release = (event: PointerEvent) => {
    const from = drag.current;
    drag.current = null;
    if (!from || Math.hypot(event.clientX - from.x, event.clientY - from.y) < 6) return;
    const onto = find(document.elementFromPoint(event.clientX, event.clientY));
    if (onto) props.join(from.shown, onto.shown);
  };
  const press = (event: KeyboardEvent) => {
    if (!current) return;
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Enter" || event.key === " ") props.toggle(current.shown);
    else if (event.key === "Escape") look(null);
    else if (move) {
      const next = nearest(place.placed.values(), current, move[0] as number, move[1] as number);
      if (next) {
        look(next.shown.key);
        (props.svg.current?.querySelector(`[data-key="${next.shown.key}"]`) as SVGElement | null)?.focus();
      }
    } else return;
    event.preventDefault();
  };

  return (
    <svg ref={props.svg} class="circuit" width={place.width} height={place.height} viewBox={`0 0 ${place.width} ${place.height}`} role="group" aria-label={graph.title} onKeyDown={press} onPointerUp={release}>
      <g aria-hidden="true">
        {place.rows.map((row, i) => (
          <>
            {i % 2 ? <rect class="band" x={0} y={row.top} width={place.width} height={row.height} /> : null}
            <text class="row-name" x={GUTTER - 12} y={row.top + row.height / 2}>{i === 0 ? "input" : i === graph.layers + 1 ? "output" : i - 1}</text>
          </>
        ))}
        {place.columns.map((column, i) => (
          <text class="token-name" x={column.left + column.width / 2} y={place.height - 10}>{clipped(alone(graph.tokens[i] ?? ""), column.width)}</text>
        ))}
        {props.groups.map((group) => <Frame group={group} place={place} />)}
        {[...drawn].sort((one, other) => Number(loud(one)) - Number(loud(other))).map((wire) => {
          const [from, to] = [place.placed.get(wire.from.key), place.placed.get(wire.to.key)];
          if (!from || !to) return null;
          const shape = curve(from, to);
          return (
            <>
              <path class={`wire ${wire.weight < 0 ? "less" : "more"}${loud(wire) ? " loud" : quietest ? " faint" : ""}`} d={shape} stroke-width={0.6 + 4 * Math.sqrt(wire.share)} />
              {props.measured(wire) ? <circle class={`measured${loud(wire) || !quietest ? "" : " faint"}`} cx={(from.x + to.x) / 2} cy={(from.y + to.y) / 2} r={2.6} /> : null}
            </>
          );
        })}
      </g>
      {[...place.placed.values()].map((each) => {
        const { shown, x, y } = each;
        const size = 3.5 + 5 * Math.sqrt(Math.min(1, shown.node.influence));
        return (
          <g class={`node ${shown.node.kind}${isPinned(shown) ? " pinned" : ""}${shown.key === at ? " here" : ""}`} data-key={shown.key} data-tip={`${shown.name}, ${short(shown.node.value)}`} role="button" tabIndex={current?.shown.key === shown.key ? 0 : -1} aria-pressed={isPinned(shown)} aria-label={shown.name}
            onPointerEnter={() => look(shown.key)} onFocus={() => look(shown.key)}
            onPointerDown={(event) => { drag.current = { shown, x: event.clientX, y: event.clientY }; }}
            onClick={() => props.toggle(shown)}>
            <circle class="reach" cx={x} cy={y} r={9} />
            <Mark shown={shown} x={x} y={y} size={size} />
          </g>
        );
      })}
    </svg>
  );
}

function Mark({ shown, x, y, size }: { shown: Shown; x: number; y: number; size: number }) {
  if (shown.members.length > 1) return <rect class="mark" x={x - size} y={y - size} width={2 * size} height={2 * size} rx={3} />;
  switch (shown.node.kind) {
    case "error":
      return <path class="mark" d={`M${x} ${y - size}L${x + size} ${y}L${x} ${y + size}L${x - size} ${y}Z`} />;
    case "token":
    case "position":
      return <rect class="mark" x={x - size} y={y - size} width={2 * size} height={2 * size} />;
    case "target":
      return <rect class="mark" x={x - 1.4 * size} y={y - size} width={2.8 * size} height={2 * size} rx={size} />;
    default:
      return <circle class="mark" cx={x} cy={y} r={size} />;
  }
}

function Frame({ group, place }: { group: Group; place: ReturnType<typeof layout> }) {
  const own = group.nodes.map((node) => place.placed.get(String(node))).filter((each): each is Placed => each !== undefined);
  if (own.length < 2) return null;
  const [xs, ys] = [own.map((each) => each.x), own.map((each) => each.y)];
  const [left, top] = [Math.min(...xs) - 9, Math.min(...ys) - 9];
  return <rect class="frame" x={left} y={top} width={Math.max(...xs) + 9 - left} height={Math.max(...ys) + 9 - top} rx={8} />;
}

const clipped = (word: string, width: number) => {
  const most = Math.max(3, Math.floor(width / 8));
  return word.length > most ? `${word.slice(0, most - 1)}…` : word;
};

type Check = (wire: Wire) => { predicted: number; frozen: number; direct: number; slope: number; live: number } | undefined;

/** The address of a neuron's own page, where the scan is of the graph's model and has it. */
function pageOf(node: GraphNode, graph: CircuitGraph, about: About): string | null {
  const family = about.families.find((each) => each.kind === "neuron" && each.layer === node.layer);
  if (node.kind !== "neuron" || graph.digest !== about.model.digest || !family) return null;
  // The second half of a family holds the negative sides.
  return featureAddress(family.name, node.unit + (node.value < 0 ? family.units / 2 : 0));
}

function Details(props: { page: (node: GraphNode) => string | null; looked: Shown | null; drawn: Wire[]; check: Check; look: (each: Shown) => void }) {
  const { looked, drawn } = props;
  if (!looked) return <p class="note">Point at a node: what drives it and what it drives is told here.</p>;
  const page = looked.members.length === 1 ? props.page(looked.node) : null;
  const strongest = (found: Wire[]) => [...found].sort((one, other) => Math.abs(other.weight) - Math.abs(one.weight)).slice(0, 8);
  const sides: [string, Wire[], (wire: Wire) => Shown][] = [
    ["What drives it", strongest(drawn.filter((wire) => wire.to.key === looked.key)), (wire) => wire.from],
    ["What it drives", strongest(drawn.filter((wire) => wire.from.key === looked.key)), (wire) => wire.to],
  ];
  return (
    <div class="node-details">
      <h3>{looked.name}</h3>
      {page ? <p><a href={page}>Its own page</a></p> : null}
      <p class="quiet">value {short(looked.node.value)}, influence {short(looked.node.influence)}{looked.members.length > 1 ? `, ${plural(looked.members.length, "node")}` : ""}</p>
      <div class="grid firing">
        {sides.map(([title, found, end]) => (
          <div>
            <h4>{title}</h4>
            {found.length ? (
              <ol class="unit-lines">
                {found.map((wire) => {
                  const measured = props.check(wire);
                  return (
                    <li class="edge-line">
                      <button type="button" onClick={() => props.look(end(wire))}>{end(wire).name}</button>
                      <span class="value">{signed(wire.weight)}</span>
                      <small class="quiet">{wire.heads.length ? `through ${wire.heads.join(", ")}` : ""}{measured ? ` measured ${signed(measured.frozen)} frozen, ${signed(measured.direct)} live` : ""}</small>
                    </li>
                  );
                })}
              </ol>
            ) : <p class="quiet">Nothing that is shown.</p>}
          </div>
        ))}
      </div>
    </div>
  );
}

function Pinned(props: { graph: CircuitGraph; pinned: Set<number>; clear: () => void; silence: Silence; spell: () => Promise<string[]> }) {
  const { graph, pinned } = props;
  const [factor, setFactor] = useState(0);
  const [result, setResult] = useState<{ found: Silenced; words: string[] } | null>(null);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const units = [...pinned].filter((i) => ["neuron", "feature"].includes(graph.nodes[i]?.kind ?? ""));
  const words = units.some((i) => graph.nodes[i]?.kind === "feature") ? (units.some((i) => graph.nodes[i]?.kind === "neuron") ? "unit" : "feature") : "neuron";
  if (!pinned.size) return null;
  const run = async () => {
    if (!props.silence) return;
    setBusy(true);
    setError("");
    try {
      const [found, vocabulary] = await Promise.all([props.silence(units, factor), props.spell()]);
      setResult({ found, words: vocabulary });
    } catch (failed) {
      setError((failed as Error).message);
    }
    setBusy(false);
  };
  return (
    <section aria-labelledby="pinned">
      <h2 id="pinned">Pinned</h2>
      <ul class="pin-list">{[...pinned].map((i) => <li>{graph.nodes[i]?.name}</li>)}</ul>
      <div class="row pin-row">
        <button type="button" class="action" onClick={props.clear}>Unpin all</button>
        {props.silence && units.length ? (
          <>
            <label>Times <input type="number" step={0.5} value={factor} onInput={(event) => setFactor(Number(event.currentTarget.value))} /></label>
            <button type="button" class="action" disabled={busy} onClick={run}>{busy ? "Running …" : `Change ${plural(units.length, words)}`}</button>
          </>
        ) : null}
      </div>
      {error ? <Failure words={error} /> : null}
      {result ? (
        <table class="silenced">
          <caption>Next token with {plural(units.length, words)} times {short(factor)}</caption>
          <thead><tr><th scope="col">token</th><th scope="col">as it is</th><th scope="col">changed</th></tr></thead>
          <tbody>
            {result.found.tokens.map((id, i) => (
              <tr><th scope="row"><bdi>{alone(result.words[id] ?? `[${id}]`)}</bdi></th><td>{percent(result.found.before[i] ?? 0)}</td><td>{percent(result.found.after[i] ?? 0)}</td></tr>
            ))}
          </tbody>
        </table>
      ) : null}
    </section>
  );
}

function Supernodes(props: { graph: CircuitGraph; groups: Group[]; change: (groups: Group[]) => void; file: (() => Promise<GraphFile>) | null }) {
  const { file } = props;
  if (!props.groups.length) return null;
  const save = async () => {
    const content = await file?.();
    if (!content) return;
    content.qParams.supernodes = props.groups.map((group) => [group.label, ...group.nodes.map((node) => content.nodes[node]?.node_id ?? "")]);
    download(JSON.stringify(content), `${props.graph.name}.json`, "application/json");
  };
  return (
    <section aria-labelledby="supernodes">
      <h2 id="supernodes">Supernodes</h2>
      <p class="intro">Nodes that the same nodes drive and that drive the same nodes. Drag a node onto another to add it.</p>
      <ul class="group-list">
        {props.groups.map((group) => (
          <li>
            <label class="sr" for={`group-${group.nodes[0]}`}>Name of the supernode</label>
            <input id={`group-${group.nodes[0]}`} value={group.label} onInput={(event) => props.change(props.groups.map((each) => (each === group ? { ...each, label: event.currentTarget.value } : each)))} />
            <span class="quiet">{plural(group.nodes.length, "node")}</span>
            <button type="button" class="plain" onClick={() => props.change(props.groups.filter((each) => each !== group))}>Dissolve<span class="sr"> {group.label}</span></button>
          </li>
        ))}
      </ul>
      {file ? <button type="button" class="action" onClick={save}>Save the graph with these supernodes</button> : null}
    </section>
  );
}

function Proof({ graph, look }: { graph: CircuitGraph; look: (node: number) => void }) {
  const { proof } = graph;
  if (!proof)
    return (
      <section aria-labelledby="proof">
        <h2 id="proof">Not checked</h2>
        <p class="intro">No intervention measured anything of this graph.</p>
      </section>
    );
  const edges = [...proof.edges].sort((one, other) => Math.abs(other.predicted) - Math.abs(one.predicted));
  return (
    <section aria-labelledby="proof">
      <h2 id="proof">{proof.passed ? "What interventions measured" : "It fails its check"}</h2>
      {proof.passed ? null : <Failure words={proof.fault} />}
      <p class="intro">A sample of the lines, each taken away in the model itself: what the graph predicts to the right, what was measured upwards.</p>
      <div class="split">
        <Scatter edges={edges} />
        <div class="scroll agreements" tabIndex={0} role="region" aria-label="Agreement of what was predicted and measured">
        <table>
          <thead><tr><th scope="col">over {plural(edges.length, "line")}</th><th scope="col">Spearman</th><th scope="col">signs</th><th scope="col">slope</th></tr></thead>
          <tbody>
            {proof.agreements.map((each) => (
              <tr><th scope="row">{each.of}</th><td>{decimal(each.spearman.value, 3)} <small>[{decimal(each.spearman.low)}, {decimal(each.spearman.high)}]</small></td><td>{percent(each.signs)}</td><td>{each.slope === null ? "–" : decimal(each.slope)}</td></tr>
            ))}
          </tbody>
        </table>
        </div>
      </div>
      {proof.whole ? (
        <p class="note">The kept part alone ({percent(proof.whole.kept)} of what writes) gives {decimal(proof.whole.value)} of the target, where 0 is {signed(proof.whole.empty)} with nothing and 1 is {signed(proof.whole.full)} with all. CPR {decimal(proof.whole.cpr)}, CMD {decimal(proof.whole.cmd)}.</p>
      ) : null}
      <details class="numbers">
        <summary>Every measured line</summary>
        <div class="scroll" tabIndex={0} role="region" aria-label="Every measured line">
          <table>
            <thead><tr><th scope="col">from</th><th scope="col">to</th><th scope="col">predicted</th><th scope="col">frozen</th><th scope="col">live, a part predicted</th><th scope="col">live, a part measured</th><th scope="col">live, all measured</th></tr></thead>
            <tbody>
              {edges.map((each) => (
                <tr>
                  <th scope="row"><button type="button" class="plain" onClick={() => look(each.path[0] as number)}>{graph.nodes[each.path[0] as number]?.name}</button></th>
                  <td>{graph.nodes[each.path.at(-1) as number]?.name}</td>
                  <td>{signed(each.predicted, 3)}</td><td>{signed(each.frozen, 3)}</td><td>{signed(each.slope, 3)}</td><td>{signed(each.live, 3)}</td><td>{signed(each.direct, 3)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
      <Looks graph={graph} />
    </section>
  );
}

const SIDE = 240;

/** Predicted against measured with attention and norms live, both as they were told to first order. */
function Scatter({ edges }: { edges: { slope: number; live: number }[] }) {
  const reach = Math.max(...edges.flatMap((each) => [Math.abs(each.slope), Math.abs(each.live)]), 1e-9);
  // The root spreads the many small effects; signs stay.
  const at = (value: number) => (Math.sign(value) * Math.sqrt(Math.abs(value) / reach) * (SIDE - 20)) / 2;
  return (
    <svg class="scatter" viewBox={`${-SIDE / 2} ${-SIDE / 2} ${SIDE} ${SIDE}`} width={SIDE} height={SIDE} role="img" aria-label={`Predicted against measured effect of ${edges.length} lines`}>
      <path class="axis" d={`M${-SIDE / 2} 0H${SIDE / 2}M0 ${-SIDE / 2}V${SIDE / 2}`} />
      <path class="diagonal" d={`M${-SIDE / 2} ${SIDE / 2}L${SIDE / 2} ${-SIDE / 2}`} />
      {edges.map((each) => <circle class="dot" cx={at(each.slope)} cy={-at(each.live)} r={2.5} />)}
    </svg>
  );
}

function Looks({ graph }: { graph: CircuitGraph }) {
  if (!graph.looks.length) return null;
  const spelled = (position: number) => alone(graph.tokens[position] ?? "");
  return (
    <>
      <h3>Why heads looked where they did</h3>
      <ul class="looks-list">
        {graph.looks.map((look) => (
          <li>
            <p>{look.head} from “{spelled(look.query)}” at “{spelled(look.key)}”, weight {decimal(look.pattern)}</p>
            <ul>{look.pairs.map((pair) => <li>{signed(pair.amount)}: {graph.nodes[pair.query]?.name} asks, {graph.nodes[pair.key]?.name} answers</li>)}</ul>
          </li>
        ))}
      </ul>
    </>
  );
}
