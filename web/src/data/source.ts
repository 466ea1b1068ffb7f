// Where the pages' data comes from: a server, or the scripts of an export.
import type * as T from "./types";

export interface Source {
  about(): Promise<T.About>;
  findings(): Promise<T.Findings>;
  vocabulary(): Promise<string[]>;
  features(wanted: T.Wanted, offset: number, limit: number): Promise<T.Listing>;
  feature(family: string, unit: number): Promise<T.Feature>;
  glance(family: string, unit: number): Promise<T.Glance>;
  map(): Promise<T.MapOfFeatures>;
  prompt(text: string, target: number | null): Promise<T.PromptReading>;
  graphs(): Promise<T.GraphEntry[]>;
  graph(name: string): Promise<T.CircuitGraph>;
  graphFile(name: string): Promise<T.GraphFile>;
  silence(order: T.SilenceOrder): Promise<T.Silenced>;
  steer(order: T.SteerOrder): Promise<T.Steered>;
}

/** The same promise for the same question; a failure is asked again. */
export function remembered<V>(ask: (key: string) => Promise<V>, most = 200): (key: string) => Promise<V> {
  const known = new Map<string, Promise<V>>();
  return (key) => {
    const found = known.get(key);
    if (found) return found;
    const made = ask(key);
    known.set(key, made);
    made.catch(() => known.delete(key));
    if (known.size > most) known.delete(known.keys().next().value as string);
    return made;
  };
}
