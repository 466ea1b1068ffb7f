// Addresses stand behind the #, so that they are the same on a server, a web host and in a file.
import { useEffect, useState } from "preact/hooks";

export interface Address {
  page: string;
  parts: string[];
  query: URLSearchParams;
}

export function parse(hash: string): Address {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [page = "", ...parts] = path.split("/").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return "";
    }
  });
  return { page, parts, query: new URLSearchParams(query) };
}

export function useAddress(): Address {
  const [address, set] = useState(() => parse(location.hash));
  useEffect(() => {
    const changed = () => set(parse(location.hash));
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return address;
}

/** Note the state of a page in its address without a new entry in the history. */
export function noteQuery(page: string, values: Record<string, string>) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== ""));
  const hash = `#/${page}${query.size ? `?${query}` : ""}`;
  if (hash !== location.hash) history.replaceState(null, "", hash);
}
