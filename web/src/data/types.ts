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
  /** In which ways the list can be searched. */
  ways: Way[];
}

/** One audit's verdict, with what a person can look at. */
export interface Verdict {
  audit: string;
  verdict: string;
  told: string;
  asks: string;
  controls: string;
  score: number | null;
  p: number | null;
  adjusted_p: number | null;
  clean_copies: number;
  site: string | null;
  /** How far repairing the site moves the bad answer, in nats, and the most that a random repair does. */
  effect: number | null;
  random: number | null;
  evidence: [string, string][];
  examples: string[];
}

export interface Findings {
  summary: string;
  groups: { kind: "finding" | "suspicion" | "no finding" | "reported" | "abstained"; title: string; audits: Verdict[] }[];
}

export type Way = "words" | "meaning" | "examples" | "promotes" | "suppresses";

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
  /** Who made the label, where it was made after the scan; its score is then that of detection. */
  labeller: string | null;
  largest: number;
  mean: number;
  count: number;
  /** Near-duplicates that a search found besides it. */
  duplicates: number;
  /** First filled bin, and a digit for the height of every bin from there on. */
  spark: [number, string];
}

export interface Listing {
  total: number;
  rows: Row[];
  /** Why a search found nothing, where there is a reason. */
  note: string;
}

export interface Wanted {
  words: string;
  way: Way;
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
  /** Cosine of directions, or the share of tokens on which both fire. */
  near: number;
  /** Firings of both that were seen; null for directions. */
  both: number | null;
}

export type Relation = "resembles" | "earlier" | "later" | "cofires" | "neuron";

export interface Group {
  units: Glance[];
  total: number;
}

interface Judgement extends Estimate {
  n: number;
}

export interface MadeLabel {
  labeller: string;
  label: string | null;
  /** Whether it is shown in the place of the rule. */
  stands: boolean;
  detection: Judgement | null;
  fuzzing: Judgement | null;
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
    label: string;
    kind: string;
    n_marks: number;
    f1: number;
    f1_low: number;
    f1_high: number;
    precision: number;
    recall: number;
    balanced_accuracy: number;
  } | null;
  labels: MadeLabel[];
  top: Exemplar[];
  spread: { from: number; to: number; exemplars: Exemplar[] }[];
  related: Partial<Record<Relation, Near[]>>;
  groups: { duplicates: Group; kin: Group };
  concepts: Concept[];
}

export interface MapOfFeatures {
  families: { family: string; layer: number; units: number[]; x: number[]; y: number[] }[];
  extent: number;
  why: string;
}

export interface PromptReading {
  tokens: number[];
  next: [number, number][];
  /** The next token in question, and its probability. */
  target: [number, number];
  /** By dictionary and token: unit, activation, what taking it out would cost the target's log
   * probability by a first-order estimate, and the same measured where it was. */
  families: Record<string, [number, number, number, number | null][][]>;
  labels: Record<string, string | null>;
  depths: string[];
  lens: [number, number][][][];
  attention: number[][][][];
}

/** A feature and how far it is turned, in units of its largest activation. */
export interface Turn {
  family: string;
  unit: number;
  strength: number;
}

export interface SteerOrder {
  prompt: string;
  turns: Turn[];
  tokens: number;
  temperature: number;
  seed: number;
}

/** Of a text: nats a token to the model as it is, and the share of different runs of three tokens. */
export interface Fluency {
  loss: number;
  distinct: number;
}

export interface Steered {
  baseline: string[];
  steered: string[];
  fluency: { baseline: Fluency; steered: Fluency };
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
  /** The first targets: the tokens that the graph explains. */
  says?: string[];
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
