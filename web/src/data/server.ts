// The data of a running `tomogram view`.
import { remembered, type Source } from "./source";
import type * as T from "./types";

async function answer(response: Response): Promise<unknown> {
  const value = await response.json().catch(() => null);
  if (!response.ok) throw new Error((value as { error?: string } | null)?.error ?? "The server did not answer.");
  return value;
}

const unreachable = () => {
  throw new Error("The server is not running any more; start `tomogram view` again.");
};

const ask = (path: string) => fetch(path).catch(unreachable).then(answer);
const send = (path: string, body: unknown) =>
  fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })
    .catch(unreachable)
    .then(answer);

export function serverSource(): Source {
  const get = remembered(ask);
  return {
    about: () => get("api/about") as Promise<T.About>,
    vocabulary: () => get("api/vocabulary") as Promise<string[]>,
    features: (wanted, offset, limit) => {
      const query = new URLSearchParams({
        words: wanted.words,
        family: wanted.family,
        kind: wanted.kind,
        state: wanted.state,
        sort: wanted.sort,
        descending: wanted.descending ? "1" : "0",
        offset: String(offset),
        limit: String(limit),
      });
      return get(`api/features?${query}`) as Promise<T.Listing>;
    },
    feature: (family, unit) =>
      get(`api/feature?${new URLSearchParams({ family, unit: String(unit) })}`) as Promise<T.Feature>,
    glance: (family, unit) =>
      get(`api/glance?${new URLSearchParams({ family, unit: String(unit) })}`) as Promise<T.Glance>,
    map: () => get("api/map") as Promise<T.MapOfFeatures>,
    graphs: () => get("api/graphs") as Promise<T.GraphEntry[]>,
    graph: (name) => get(`api/graph?${new URLSearchParams({ name })}`) as Promise<T.CircuitGraph>,
    graphFile: (name) => ask(`api/graph-file?${new URLSearchParams({ name })}`) as Promise<T.GraphFile>,
    prompt: (text) => send("api/prompt", { text }) as Promise<T.PromptReading>,
    silence: (order) => send("api/silence", order) as Promise<T.Silenced>,
    steer: (order) => send("api/steer", order) as Promise<T.Steered>,
  };
}
