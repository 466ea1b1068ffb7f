// Where the nodes of a graph stand: tokens to the right, layers upwards.
import type { Shown } from "./kept";

export interface Placed {
  shown: Shown;
  x: number;
  y: number;
}

export interface Layout {
  placed: Map<string, Placed>;
  columns: { left: number; width: number }[];
  /** From the bottom: embeddings, the layers, the targets. */
  rows: { top: number; height: number }[];
  width: number;
  height: number;
}

export const GUTTER = 58;
const STEP = 17;
const ACROSS = 6;
const LINE = 17;
const PAD = 12;
const FOOT = 30;

/** A node's row: 0 for embeddings, 1 and on for layers, the last for targets. */
export const rowOf = (shown: Shown, layers: number) =>
  shown.node.kind === "target" ? layers + 1 : shown.node.kind === "token" || shown.node.kind === "position" ? 0 : shown.node.layer + 1;

export function layout(all: Shown[], tokens: number, layers: number): Layout {
  const cells = new Map<string, Shown[]>();
  for (const each of all) {
    const key = `${each.node.position}/${rowOf(each, layers)}`;
    cells.set(key, [...(cells.get(key) ?? []), each]);
  }
  const most = (test: (position: number, row: number) => boolean) =>
    Math.max(0, ...[...cells].filter(([key]) => test(...(key.split("/").map(Number) as [number, number]))).map(([, own]) => own.length));

  const columns: Layout["columns"] = [];
  let left = GUTTER;
  for (let position = 0; position < tokens; position++) {
    const width = Math.max(52, Math.min(ACROSS, most((p) => p === position)) * STEP + 2 * PAD);
    columns.push({ left, width });
    left += width;
  }
  const rows: Layout["rows"] = [];
  const heights = Array.from({ length: layers + 2 }, (_, row) => Math.max(1, Math.ceil(most((_, r) => r === row) / ACROSS)) * LINE + 2 * PAD);
  let bottom = heights.reduce((sum, height) => sum + height, 0);
  const height = bottom + FOOT;
  heights.forEach((own) => {
    rows.push({ top: bottom - own, height: own });
    bottom -= own;
  });

  const placed = new Map<string, Placed>();
  for (const [key, own] of cells) {
    const [position, row] = key.split("/").map(Number) as [number, number];
    const [column, band] = [columns[position], rows[row]];
    if (!column || !band) continue;
    own.sort((one, other) => one.node.layer - other.node.layer || one.node.unit - other.node.unit);
    const lines = Math.ceil(own.length / ACROSS);
    own.forEach((shown, i) => {
      const line = Math.floor(i / ACROSS);
      const inLine = Math.min(ACROSS, own.length - line * ACROSS);
      const x = column.left + column.width / 2 + ((i % ACROSS) - (inLine - 1) / 2) * STEP;
      const y = band.top + band.height / 2 + (line - (lines - 1) / 2) * LINE;
      placed.set(shown.key, { shown, x, y });
    });
  }
  return { placed, columns, rows, width: left + PAD, height };
}

/** A smooth line from one place up to another. */
export function curve(from: Placed, to: Placed): string {
  const middle = (from.y + to.y) / 2;
  return `M${from.x} ${from.y}C${from.x} ${middle} ${to.x} ${middle} ${to.x} ${to.y}`;
}

/** The nearest node in a direction: sideways distance counts three times. */
export function nearest(all: Iterable<Placed>, from: Placed, dx: number, dy: number): Placed | null {
  let best: Placed | null = null;
  let least = Infinity;
  for (const each of all) {
    const [x, y] = [each.x - from.x, each.y - from.y];
    const along = x * dx + y * dy;
    if (along <= 0.5) continue;
    const distance = along + 3 * (dx ? Math.abs(y) : Math.abs(x));
    if (distance < least) [best, least] = [each, distance];
  }
  return best;
}
