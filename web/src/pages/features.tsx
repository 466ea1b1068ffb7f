// All units: searched, filtered, sorted, and never more rows in the page than can be seen.
import { useEffect, useRef, useState } from "preact/hooks";
import type { PageProps } from "../pages";
import type { Source } from "../data/source";
import type { Row, Wanted, Way } from "../data/types";
import { useHeading, useLoaded, useSettled } from "../hooks";
import { Bar, Label } from "../parts/bars";
import { Spark } from "../parts/spark";
import { Failure } from "../parts/state";
import { noteQuery } from "../router";
import { decimal, featureAddress, percent, place, plural, short, whole } from "../words";

const WAYS: Record<Way, { words: string; help: string }> = {
  words: { words: "words", help: "in labels, exemplars and promoted tokens" },
  meaning: { words: "meaning", help: "what it should be about" },
  examples: { words: "example sentences", help: "one sentence a line; three do well" },
  promotes: { words: "promoted token", help: "a token it should make likelier" },
  suppresses: { words: "suppressed token", help: "a token it should make unlikelier" },
};
const HEIGHT = 52;
const PAGE = 100;
const COLUMNS = [
  { sort: "label", words: "What it fires on", className: "wide" },
  { sort: "place", words: "Layer", className: "layer" },
  { sort: "score", words: "Score", className: "score" },
  { sort: "rate", words: "Fires on", className: "rate" },
  { sort: "largest", words: "Activations", className: "spark-cell" },
] as const;

export function FeaturesPage({ source, about, address }: PageProps) {
  const heading = useHeading("Features");
  const [wanted, set] = useState<Wanted>(() => ({
    words: address.query.get("words") ?? "",
    way: about.ways.find((way) => way === address.query.get("by")) ?? "words",
    family: address.query.get("family") ?? "",
    kind: address.query.get("kind")?.replace("all", "") ?? "latent",
    state: address.query.get("state") ?? "",
    sort: address.query.get("sort") ?? "best",
    descending: address.query.get("descending") !== "0",
  }));
  // Examples are read by the model, which takes longer than a list does.
  const settled = useSettled(wanted, wanted.way === "examples" ? 700 : 120);
  const first = useLoaded(() => source.features(settled, 0, PAGE), [JSON.stringify(settled)]);

  useEffect(() => {
    const { words, way, family, kind, state, sort, descending } = settled;
    noteQuery("features", {
      words,
      by: way === "words" ? "" : way,
      family,
      kind: kind === "latent" ? "" : kind || "all",
      state,
      sort: sort === "best" ? "" : sort,
      descending: descending ? "" : "0",
    });
  }, [settled]);

  // A slash leads to the search, as on many pages.
  const search = useRef<HTMLInputElement & HTMLTextAreaElement>(null);
  useEffect(() => {
    const slash = (event: KeyboardEvent) => {
      if (event.key !== "/" || (event.target as HTMLElement).closest("input, select, textarea")) return;
      event.preventDefault();
      search.current?.focus();
    };
    addEventListener("keydown", slash);
    return () => removeEventListener("keydown", slash);
  }, []);

  const change = (part: Partial<Wanted>) => set((old) => ({ ...old, ...part }));
  const families = about.families.filter((family) => !wanted.kind || family.kind === wanted.kind);
  return (
    <>
      <h1 ref={heading}>Features</h1>
      <form class="filter list" role="search" aria-label="Filter the features" onSubmit={(event) => event.preventDefault()}>
        {about.ways.length > 1 ? (
          <label>
            Search by
            <select value={wanted.way} onChange={(event) => change({ way: event.currentTarget.value as Way, sort: "best", descending: true })}>
              {about.ways.map((way) => <option value={way}>{WAYS[way].words}</option>)}
            </select>
          </label>
        ) : null}
        <label class="grow">
          {WAYS[wanted.way].help.replace(/^./, (letter) => letter.toUpperCase())}
          {wanted.way === "examples" ? (
            <textarea ref={search} rows={3} value={wanted.words} onInput={(event) => change({ words: event.currentTarget.value })} spellcheck={false} />
          ) : (
            <input ref={search} type="search" value={wanted.words} onInput={(event) => change({ words: event.currentTarget.value })} autocomplete="off" spellcheck={false} />
          )}
        </label>
        <label>
          Kind
          <select value={wanted.kind} onChange={(event) => change({ kind: event.currentTarget.value, family: "" })}>
            <option value="latent">features</option>
            <option value="neuron">neurons</option>
            <option value="">both</option>
          </select>
        </label>
        <label>
          From
          <select value={wanted.family} onChange={(event) => change({ family: event.currentTarget.value })}>
            <option value="">everywhere</option>
            {families.map((family) => (
              <option value={family.name}>{family.name}</option>
            ))}
          </select>
        </label>
        <label>
          Show
          <select value={wanted.state} onChange={(event) => change({ state: event.currentTarget.value })}>
            <option value="">all</option>
            <option value="labelled">labelled</option>
            <option value="unlabelled">firing, unlabelled</option>
            <option value="silent">silent</option>
          </select>
        </label>
        <output aria-live="polite">{first.value ? plural(first.value.total, "unit") : " "}</output>
      </form>
      {first.error ? (
        <Failure words={first.error} />
      ) : (
        <Grid source={source} wanted={settled} total={first.value?.total ?? null} note={first.value?.note ?? ""}
          sort={(sort) => change(sorted(wanted, sort))} />
      )}
    </>
  );
}

/** A column is sorted one way, then the other, then the best come first again. */
function sorted(wanted: Wanted, sort: string): Partial<Wanted> {
  const first = sort !== "label" && sort !== "place";
  if (wanted.sort !== sort) return { sort, descending: first };
  return wanted.descending === first ? { descending: !first } : { sort: "best", descending: true };
}

function Grid(props: { source: Source; wanted: Wanted; total: number | null; note: string; sort: (column: string) => void }) {
  const { source, wanted } = props;
  const total = props.total ?? 0;
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const [active, setActive] = useState(0);
  const [pages, setPages] = useState<Map<number, Row[]>>(new Map());
  const asked = useRef(new Set<number>());
  const question = JSON.stringify(wanted);

  // Another question: nothing of the old answer stays, but the focus does.
  useEffect(() => {
    asked.current = new Set();
    setPages(new Map());
    setActive(0);
    setTop(0);
    if (scroller.current) scroller.current.scrollTop = 0;
  }, [question]);

  const first = Math.max(0, Math.floor(top / HEIGHT) - 6);
  const last = Math.min(total, Math.ceil((top + height) / HEIGHT) + 6);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const watcher = new ResizeObserver(() => setHeight(element.clientHeight));
    watcher.observe(element);
    return () => watcher.disconnect();
  }, []);

  // What is flung past is not asked for: only what stays in sight for a moment.
  const settled = useSettled(`${Math.floor(first / PAGE)}-${Math.floor(Math.max(first, last - 1) / PAGE)}`, top ? 60 : 0);
  useEffect(() => {
    if (!total) return;
    const [from = 0, to = 0] = settled.split("-").map(Number);
    const mine = asked.current;
    for (let page = from; page <= to; page++) {
      if (mine.has(page)) continue;
      mine.add(page);
      source.features(wanted, page * PAGE, PAGE).then(
        (found) => mine === asked.current && setPages((old) => new Map(old).set(page, found.rows)),
        () => mine.delete(page),
      );
    }
  }, [settled, total, question]);

  const go = (to: number) => {
    const next = Math.max(0, Math.min(total - 1, to));
    setActive(next);
    const element = scroller.current;
    if (!element) return;
    const head = 40;
    const [above, below] = [next * HEIGHT, (next + 1) * HEIGHT + head];
    if (above < element.scrollTop) element.scrollTop = above;
    if (below > element.scrollTop + element.clientHeight) element.scrollTop = below - element.clientHeight;
  };
  const row = (at: number) => pages.get(Math.floor(at / PAGE))?.[at % PAGE];
  const press = (event: KeyboardEvent) => {
    if (event.target !== scroller.current) return;
    const page = Math.max(1, Math.floor(height / HEIGHT) - 2);
    const to = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: total - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      go(to);
    }
    const chosen = row(active);
    if (event.key === "Enter" && chosen) location.hash = featureAddress(chosen.family, chosen.unit);
  };

  const shown = Array.from({ length: Math.max(0, last - first) }, (_, i) => first + i);
  return (
    <>
    <div class="units" ref={scroller} role="grid" aria-label="Features" aria-rowcount={total + 1} tabIndex={0}
      aria-activedescendant={total && active >= first && active < last ? `row-${active}` : undefined}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)} onKeyDown={press}>
      <div class="units-head" role="row" aria-rowindex={1}>
        {COLUMNS.map((column) => (
          <div role="columnheader" class={column.className} aria-sort={wanted.sort === column.sort ? (wanted.descending ? "descending" : "ascending") : "none"}>
            <button type="button" onClick={() => props.sort(column.sort)}>
              {column.words}
              <span aria-hidden="true" class="sorted">{wanted.sort === column.sort ? (wanted.descending ? " ↓" : " ↑") : ""}</span>
            </button>
          </div>
        ))}
      </div>
      <div class="units-body" role="rowgroup" style={{ height: `${total * HEIGHT}px` }}>
        {shown.map((at) => {
          const unit = row(at);
          return (
            <div key={at} id={`row-${at}`} class={`units-row${at === active ? " active" : ""}`} role="row" aria-rowindex={at + 2} aria-selected={at === active}
              style={{ top: `${at * HEIGHT}px` }} onClick={() => setActive(at)}>
              {unit ? <Cells unit={unit} /> : <div role="gridcell" class="wide waiting">…</div>}
            </div>
          );
        })}
      </div>
    </div>
    {props.total === 0 ? <p class="quiet nothing" role="status"><bdi>{props.note || "Nothing fits."}</bdi></p> : null}
    </>
  );
}

function Cells({ unit }: { unit: Row }) {
  return (
    <>
      <div role="gridcell" class="wide">
        <a href={featureAddress(unit.family, unit.unit)} tabIndex={-1}>
          <span class="where">{place(unit)}{unit.duplicates ? ` and ${plural(unit.duplicates, "near-duplicate")}` : ""}</span>
          <span class="what"><Label label={unit.label} /></span>
        </a>
      </div>
      <div role="gridcell" class="layer">{unit.layer}</div>
      <div role="gridcell" class="score" data-tip={unit.score === null ? undefined : `${unit.labeller ? `detection of the label by ${unit.labeller}, chance is 0.5:` : "F1 of the rule"} ${decimal(unit.low ?? 0)} to ${decimal(unit.high ?? 0)} on unseen text`}>
        {unit.score === null ? "–" : <>{decimal(unit.score)} <Bar share={unit.score} /></>}
      </div>
      <div role="gridcell" class="rate">{unit.count ? percent(unit.rate) : "silent"}</div>
      <div role="gridcell" class="spark-cell" data-tip={unit.count ? `${whole(unit.count)} firings, up to ${short(unit.largest)}` : undefined}>
        <Spark spark={unit.spark} />
        <span class="sr">up to {short(unit.largest)}</span>
      </div>
    </>
  );
}
