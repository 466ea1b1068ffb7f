// The shapes of what the server answers and the export holds (tomogram/viewer/content.py).

export interface Estimate {
  value: number;
  low: number;
  high: number;
}

export interface Picture {
  title: string;
  caption: string;
  svg: string;
  columns: string[];
  rows: string[][];
}

export interface Family {
  name: string;
  kind: "latent" | "neuron";
  layer: number;
  units: number;
  live: number;
  labelled: number;
  passing: number;
}

export interface About {
  model: {
    name: string;
    digest: string;
    family: string;
    dtype: string;
    weights: string;
    context: number;
    n_layers: number;
    n_heads: number;
    d_model: number;
    d_mlp: number | null;
    d_vocab: number;
    parameters: { total: number };
  };
  text: { kind: string; name: string; tokens: number; held_out_tokens: number };
  plan: { name: string };
  run: { tomogram: string; command: string };
  not_measured: { what: string; why: string }[];
  dictionaries: { name: string; read: string; write: string; layer: number; source: string }[];
  families: Family[];
  readings: { value: string; words: string; detail: string }[];
  comparison: string;
  chapters: Record<"coverage" | "anatomy" | "neurons" | "quality", Picture[]>;
  edges: number[];
  /** Why the pages that run the model cannot; empty where they can. */
  live: string;
}

export interface Glance {
  family: string;
  unit: number;
  index: number;
  side: number;
  layer: number;
  label: string | null;
  score: number | null;
  rate: number;
}

export interface Row extends Glance {
  kind: "latent" | "neuron";
  low: number | null;
  high: number | null;
  largest: number;
  mean: number;
  count: number;
  /** First filled bin, and a digit for the height of every bin from there on. */
  spark: [number, string];
}

export interface Listing {
  total: number;
  rows: Row[];
}

export interface Wanted {
  words: string;
  family: string;
  kind: string;
  state: string;
  sort: string;
  descending: boolean;
}

export interface Exemplar {
  tokens: number[];
  fires: [number, number][];
  centre: number;
  activation: number;
  document: number;
  position: number;
}

export interface Near extends Glance {
  cosine: number;
}

export interface Concept {
  name: string;
  feature: { group: string; index: number; f1: number };
  neuron: { group: string; index: number; f1: number };
  probe: number;
  random: number | null;
}

export interface Feature extends Row {
  tokens: number;
  deviation: number;
  histogram: number[];
  promoted: [number, number][];
  suppressed: [number, number][];
  rule: {
    kind: string;
    n_marks: number;
    f1: number;
    f1_low: number;
    f1_high: number;
    precision: number;
    recall: number;
    balanced_accuracy: number;
  } | null;
  top: Exemplar[];
  spread: { from: number; to: number; exemplars: Exemplar[] }[];
  similar: Near[];
  neighbours: { family: string; found: Near[] }[];
  concepts: Concept[];
  cofiring: (Glance & { share: number })[];
}

export interface MapOfFeatures {
  families: { family: string; layer: number; units: number[]; x: number[]; y: number[] }[];
  extent: number;
  why: string;
}

export interface PromptReading {
  tokens: number[];
  next: [number, number][];
  /** By dictionary and token: unit, activation, effect on the likeliest next token. */
  families: Record<string, [number, number, number][][]>;
  labels: Record<string, string | null>;
  depths: string[];
  lens: [number, number][][][];
  attention: number[][][][];
}

export interface SteerOrder {
  prompt: string;
  family: string;
  unit: number;
  strength: number;
  tokens: number;
  temperature: number;
  seed: number;
}

export interface Steered {
  baseline: string[];
  steered: string[];
}

export type NodeKind = "feature" | "neuron" | "error" | "token" | "position" | "target";

export interface GraphNode {
  kind: NodeKind;
  layer: number;
  unit: number;
  position: number;
  value: number;
  influence: number;
  /** Share of all influence that the nodes down to this one have, the strongest first. */
  cumulative: number;
  name: string;
}

/** Source, target, weight, and the heads it ran through. */
export type GraphEdge = [number, number, number, string[]];

export interface Checked {
  path: number[];
  predicted: number;
  frozen: number;
  direct: number;
  slope: number;
  live: number;
}

export interface CircuitGraph {
  name: string;
  /** Whether the file is of this package, with its nodes in this order. */
  own: boolean;
  title: string;
  model: string;
  digest: string;
  prompt: string;
  tokens: string[];
  layers: number;
  units: number;
  scores: { replacement: number; completeness: number; kept: number };
  nodes: GraphNode[];
  edges: GraphEdge[];
  targets: { label: string; probability: number }[];
  supernodes: { label: string; nodes: number[] }[];
  looks: { head: string; query: number; key: number; pattern: number; pairs: { query: number; key: number; amount: number }[] }[];
  proof: {
    passed: boolean;
    fault: string;
    agreements: { of: string; spearman: Estimate; signs: number; slope: number | null }[];
    edges: Checked[];
    paths: Checked[];
    whole: { full: number; empty: number; kept: number; value: number; cpr: number; cmd: number } | null;
  } | null;
}

/** What a saved graph's file holds, as far as the page changes it. */
export interface GraphFile {
  qParams: Record<string, unknown>;
  nodes: { node_id: string }[];
}

export interface GraphEntry {
  name: string;
  title: string;
  state: "passed" | "failed" | "unchecked" | "damaged";
  prompt?: string;
  nodes?: number;
  edges?: number;
}

/** The likeliest next tokens, before and after a change of neurons. */
export interface Silenced {
  tokens: number[];
  before: number[];
  after: number[];
}

export interface SilenceOrder {
  graph: string;
  nodes: number[];
  factor: number;
}
