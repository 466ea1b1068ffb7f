// Numbers and names as a reader wants to see them.
import { format } from "d3-format";
import type { Glance } from "./data/types";

const three = format(".3~r");
export const whole = format(",d");

export function short(value: number): string {
  for (const [size, prefix] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]] as const)
    if (Math.abs(value) >= size) return `${three(value / size)}\u00a0${prefix}`;
  return minus(value !== 0 && Math.abs(value) < 0.001 ? format(".2~e")(value) : three(value));
}

/** The same with as many digits for each, for figures that stand below one another. */
export const even = (value: number) => (value >= 0.001 && value < 1000 ? format(".3r")(value) : short(value));

export const minus = (text: string) => text.replace(/^-/, "−").replace("e-", "e−");
export const decimal = (value: number, places = 2) => minus(value.toFixed(places));
/** What rounds to nothing has no sign. */
export function signed(value: number, places = 2): string {
  if (Math.abs(value) < 0.5 * 10 ** -places) return decimal(0, places);
  return (value > 0 ? "+" : "") + decimal(value, places);
}

export function percent(share: number): string {
  const value = 100 * share;
  if (value === 0 || Math.abs(value) >= 10) return `${decimal(value, 0)}\u00a0%`;
  if (Math.abs(value) >= 1) return `${decimal(value, 1)}\u00a0%`;
  return `${decimal(value, Math.min(4, 1 - Math.floor(Math.log10(Math.abs(value)))))}\u00a0%`;
}

export const plural = (count: number, noun: string) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;

/** A token that stands alone: its leading spaces, or its emptiness, made visible. */
export function alone(token: string): string {
  if (!token) return "∅";
  const rest = token.replace(/^ +/, "");
  return "␣".repeat(token.length - rest.length) + rest;
}

/** Where a unit is: `resid_post.2 · 119`, with the side of a neuron. */
export const place = (unit: Pick<Glance, "family" | "index" | "side">) =>
  `${unit.family} · ${unit.index}${unit.side < 0 ? " (negative side)" : ""}`;

export const featureAddress = (family: string, unit: number) => `#/feature/${encodeURIComponent(family)}/${unit}`;
