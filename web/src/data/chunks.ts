// The data of an export: scripts that each hand over one piece of JSON.
import { remembered, type Source } from "./source";
import type * as T from "./types";

/** A row with the words it is found by, which the export has in its list. */
interface Searched extends T.Row {
  fires: string;
  promotes: string;
  worth: number | null;
  /** The words of its label, one space before each. */
  said: string;
}

const CHUNK = 100; // units in a file, as tomogram/viewer/export.py writes them

declare global {
  interface Window {
    tomogramChunk?: (name: string, value: unknown) => void;
  }
}

export function chunkSource(): Source {
  const arrived = new Map<string, unknown>();
  window.tomogramChunk = (name, value) => arrived.set(name, value);

  const load = remembered(
    (name: string) =>
      new Promise<unknown>((resolve, reject) => {
        const script = document.createElement("script");
        script.src = `data/${name}.js`;
        script.onload = () => {
          const value = arrived.get(name);
          arrived.delete(name);
          script.remove();
          if (value === undefined) reject(new Error(`The exported file ${name}.js is damaged.`));
          else resolve(value);
        };
        script.onerror = () => reject(new Error(`The exported file ${name}.js is missing.`));
        document.head.append(script);
      }),
    60,
  );

  const about = () => load("about") as Promise<T.About>;
  const listing = remembered(async (name: string) => {
    const rows = (await load(name)) as Searched[];
    return rows.map((row) => ({ ...row, said: ` ${(row.label ?? "").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ")}` }));
  });
  const found = remembered(async (key: string) => select(await listing("listing"), JSON.parse(key) as T.Wanted), 8);
  const live = async (): Promise<never> => {
    throw new Error((await about()).live);
  };

  const feature = async (family: string, unit: number) => {
    const families = (await about()).families;
    const number = families.findIndex((each) => each.name === family);
    const missing = new Error(`There is no unit ${unit} in '${family}'.`);
    if (number < 0 || !(unit >= 0 && unit < (families[number]?.units ?? 0))) throw missing;
    const units = (await load(`features-${number}-${Math.floor(unit / CHUNK)}`)) as T.Feature[];
    const one = units[unit % CHUNK];
    if (!one) throw missing;
    return one;
  };

  const graphs = () => load("graphs") as Promise<T.GraphEntry[]>;
  const graph = async (name: string) => {
    const number = (await graphs()).findIndex((each) => each.name === name);
    if (number < 0) throw new Error("There is no such graph.");
    return (await load(`graph-${number}`)) as T.CircuitGraph;
  };

  return {
    about,
    findings: () => load("findings") as Promise<T.Findings>,
    vocabulary: () => load("vocabulary") as Promise<string[]>,
    features: async (wanted, offset, limit) => {
      const rows = await found(JSON.stringify(wanted));
      return { total: rows.length, rows: rows.slice(offset, offset + limit), note: "" };
    },
    feature,
    glance: feature,
    map: () => load("map") as Promise<T.MapOfFeatures>,
    graphs,
    graph,
    prompt: live,
    graphFile: live,
    silence: live,
    steer: live,
  };
}

const WEIGHTS = [8, 6, 2] as const;

/** How well a row matches: for each word its rarity, times the weight of the best place it stands in. */
function matching(rows: Searched[], words: string[]): Map<Searched, number> {
  const found = new Map<Searched, number>();
  for (const word of words) {
    const starts = (text: string) => text.startsWith(word) || text.includes(` ${word}`);
    const hits = rows.flatMap((row) => {
      const place = [row.said, row.fires, row.promotes].findIndex(starts);
      return place < 0 ? [] : [{ row, weight: WEIGHTS[place] as number }];
    });
    const rarity = Math.log(1 + rows.length / (hits.length + 0.5));
    for (const { row, weight } of hits) found.set(row, (found.get(row) ?? 0) + rarity * weight);
  }
  return found;
}

/** What the server does by its index and SQL: search, filter, sort; rows without a value come last. */
export function select(rows: Searched[], wanted: T.Wanted): T.Row[] {
  const words = wanted.words.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];
  const match = matching(words.length ? rows : [], words);
  const kept = rows.filter(
    (row) =>
      (!wanted.family || row.family === wanted.family) &&
      (!wanted.kind || row.kind === wanted.kind) &&
      (wanted.state !== "labelled" || row.label !== null) &&
      (wanted.state !== "unlabelled" || (row.label === null && row.count > 0)) &&
      (wanted.state !== "silent" || row.count === 0) &&
      (!wanted.words.trim() || match.has(row)),
  );
  const keys: Record<string, (row: Searched) => number | string | null> = {
    best: (row) => (words.length ? (match.get(row) ?? null) : row.worth),
    place: (row) => row.layer,
    label: (row) => row.label?.toLowerCase() ?? null,
  };
  const key = keys[wanted.sort] ?? ((row) => row[wanted.sort as "score" | "rate" | "largest"] ?? null);
  const sign = wanted.descending ? -1 : 1;
  // The sort is stable, so equals keep the listing's order: layer, family, unit.
  return kept.sort((one, other) => {
    const [a, b] = [key(one), key(other)];
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return a < b ? -sign : a > b ? sign : 0;
  });
}
