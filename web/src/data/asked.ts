// A source that asks somebody who has the scan: by HTTP, or from a frame by messages.
import { remembered, type Source } from "./source";
import type * as T from "./types";

/** Carries a question to who can answer it. */
export type Ask = (method: "GET" | "POST", path: string, question: Record<string, unknown>) => Promise<unknown>;

export function askedSource(ask: Ask): Source {
  const known = remembered((key: string) => {
    const [path, question] = JSON.parse(key) as [string, Record<string, string>];
    return ask("GET", path, question);
  });
  const get = <V>(path: string, question: Record<string, string> = {}) => known(JSON.stringify([path, question])) as Promise<V>;
  return {
    about: () => get<T.About>("/api/about"),
    findings: () => get<T.Findings>("/api/findings"),
    vocabulary: () => get<string[]>("/api/vocabulary"),
    features: (wanted, offset, limit) =>
      get<T.Listing>("/api/features", {
        words: wanted.way === "words" ? begun(wanted.words) : wanted.words,
        way: wanted.way,
        family: wanted.family,
        kind: wanted.kind,
        state: wanted.state,
        sort: wanted.sort,
        descending: wanted.descending ? "1" : "0",
        offset: String(offset),
        limit: String(limit),
      }),
    feature: (family, unit) => get<T.Feature>("/api/feature", { family, unit: String(unit) }),
    glance: (family, unit) => get<T.Glance>("/api/glance", { family, unit: String(unit) }),
    map: () => get<T.MapOfFeatures>("/api/map"),
    graphs: () => get<T.GraphEntry[]>("/api/graphs"),
    graph: (name) => get<T.CircuitGraph>("/api/graph", { name }),
    graphFile: (name) => ask("GET", "/api/graph-file", { name }) as Promise<T.GraphFile>,
    prompt: (text, target) => ask("POST", "/api/prompt", { text, target }) as Promise<T.PromptReading>,
    silence: (order) => ask("POST", "/api/silence", { ...order }) as Promise<T.Silenced>,
    steer: (order) => ask("POST", "/api/steer", { ...order }) as Promise<T.Steered>,
  };
}

/** The last word may still be being typed: it stands for all words that begin so. */
export const begun = (words: string) => (/[\p{L}\p{N}]{3,}$/u.test(words) ? `${words}*` : words);
