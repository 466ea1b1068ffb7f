// Which nodes and edges of a graph are shown, and how nodes are put together.
import type { CircuitGraph, GraphEdge, GraphNode } from "../data/types";

/** A node as it is drawn: one of the graph's, or several that are shown as one. */
export interface Shown {
  key: string;
  members: number[];
  name: string;
  node: GraphNode;
}

export interface Wire {
  from: Shown;
  to: Shown;
  weight: number;
  heads: string[];
  /** Share of what enters the target. */
  share: number;
}

export interface Group {
  label: string;
  nodes: number[];
}

const fixed = (node: GraphNode) => node.kind === "token" || node.kind === "position" || node.kind === "target";

/** The most influential nodes up to a share of all influence; tokens and targets always. */
export function keptNodes(graph: CircuitGraph, share: number): Set<number> {
  const found = new Set<number>();
  graph.nodes.forEach((node, i) => {
    // The node that reaches the share is still kept: before it, less was there.
    if (fixed(node) || node.cumulative - node.influence / total(graph) < share) found.add(i);
  });
  return found;
}

const totals = new WeakMap<CircuitGraph, number>();
function total(graph: CircuitGraph): number {
  let found = totals.get(graph);
  if (found === undefined) {
    found = graph.nodes.reduce((sum, node) => sum + node.influence, 0) || 1;
    totals.set(graph, found);
  }
  return found;
}

/** Of every node the strongest incoming edges, up to a share of all that enters it. */
export function keptEdges(edges: GraphEdge[], nodes: Set<number>, share: number): GraphEdge[] {
  const into = new Map<number, GraphEdge[]>();
  for (const edge of edges) {
    if (!nodes.has(edge[0]) || !nodes.has(edge[1])) continue;
    into.set(edge[1], [...(into.get(edge[1]) ?? []), edge]);
  }
  const found: GraphEdge[] = [];
  for (const own of into.values()) {
    own.sort((one, other) => Math.abs(other[2]) - Math.abs(one[2]));
    const mass = own.reduce((sum, edge) => sum + Math.abs(edge[2]), 0);
    let reached = 0;
    for (const edge of own) {
      if (reached >= share * mass && share < 1) break;
      reached += Math.abs(edge[2]);
      found.push(edge);
    }
  }
  return found;
}

/** Nodes as they are drawn; those of a group become one, with the values added up. */
export function merged(graph: CircuitGraph, kept: Set<number>, groups: Group[]): Shown[] {
  const grouped = new Map<number, Group>();
  for (const group of groups) for (const node of group.nodes) grouped.set(node, group);
  const found: Shown[] = [];
  const made = new Map<Group, Shown>();
  for (const i of kept) {
    const node = graph.nodes[i] as GraphNode;
    const group = grouped.get(i);
    if (!group) {
      found.push({ key: String(i), members: [i], name: node.name, node });
      continue;
    }
    const one = made.get(group);
    if (!one) {
      const shown = { key: `g${i}`, members: [i], name: group.label, node: { ...node } };
      made.set(group, shown);
      found.push(shown);
      continue;
    }
    one.members.push(i);
    one.node.influence += node.influence;
    one.node.value += node.value;
    // It stands where its last members stand.
    one.node.layer = Math.max(one.node.layer, node.layer);
    one.node.position = Math.max(one.node.position, node.position);
  }
  return found;
}

/** Edges between what is drawn; parallel ones are added up. */
export function wires(edges: GraphEdge[], shown: Shown[]): Wire[] {
  const owner = new Map<number, Shown>();
  for (const each of shown) for (const member of each.members) owner.set(member, each);
  const found = new Map<string, Wire>();
  const entering = new Map<Shown, number>();
  for (const [source, target, weight, heads] of edges) {
    const [from, to] = [owner.get(source), owner.get(target)];
    if (!from || !to || from === to) continue;
    const key = `${from.key}>${to.key}`;
    const one = found.get(key) ?? { from, to, weight: 0, heads: [], share: 0 };
    one.weight += weight;
    one.heads = [...new Set([...one.heads, ...heads])];
    found.set(key, one);
  }
  for (const wire of found.values()) entering.set(wire.to, (entering.get(wire.to) ?? 0) + Math.abs(wire.weight));
  for (const wire of found.values()) wire.share = Math.abs(wire.weight) / (entering.get(wire.to) || 1);
  return [...found.values()];
}

/** The groups after one node was put on another: into its group, or into a new one of the two. */
export function joined(groups: Group[], moved: number[], onto: number[], label: string): Group[] {
  const target = groups.find((group) => onto.some((node) => group.nodes.includes(node)));
  const rest = groups
    .filter((group) => group !== target)
    .map((group) => ({ ...group, nodes: group.nodes.filter((node) => !moved.includes(node)) }))
    .filter((group) => group.nodes.length > 1);
  const nodes = [...new Set([...(target?.nodes ?? onto), ...moved])];
  return [...rest, { label: target?.label ?? label, nodes }];
}
