// What a page says while it waits, and when it cannot go on.
import type { ComponentChildren } from "preact";
import type { Loaded } from "../hooks";

export function Failure({ words }: { words: string }) {
  return (
    <p class="failure" role="alert">
      {words}
    </p>
  );
}

export function When<V>(props: { loaded: Loaded<V>; waiting?: string; children: (value: V) => ComponentChildren }) {
  const { value, error } = props.loaded;
  if (error !== null) return <Failure words={error} />;
  if (value === null) return <p class="quiet" role="status">{props.waiting ?? "Reading …"}</p>;
  return <>{props.children(value)}</>;
}
