// State that several pages need.
import { useEffect, useRef, useState } from "preact/hooks";

export interface Loaded<V> {
  value: V | null;
  error: string | null;
  busy: boolean;
}

/** What a promise gives; while a newer one is under way the older value stays. */
export function useLoaded<V>(ask: () => Promise<V>, on: unknown[]): Loaded<V> {
  const [state, set] = useState<Loaded<V>>({ value: null, error: null, busy: true });
  useEffect(() => {
    let current = true;
    set((old) => ({ ...old, busy: true }));
    ask().then(
      (value) => current && set({ value, error: null, busy: false }),
      (error: unknown) =>
        current && set({ value: null, error: error instanceof Error ? error.message : String(error), busy: false }),
    );
    return () => {
      current = false;
    };
  }, on);
  return state;
}

/** The value as it was when it last stood still for so many milliseconds. */
export function useSettled<V>(value: V, milliseconds: number): V {
  const [settled, set] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => set(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}

/** The page's title and, after a change of page, the focus on its heading. */
export function useHeading(title: string) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Tomogram`;
  }, [title]);
  return heading;
}
