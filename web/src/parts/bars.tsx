// Short lists with a bar for each entry.
import type { ComponentChildren } from "preact";
import type { Glance } from "../data/types";
import { featureAddress, place } from "../words";

export function Bar({ share, className = "" }: { share: number; className?: string }) {
  const width = Math.max(0, Math.min(1, Math.abs(share))) * 100;
  return (
    <svg class={`bar ${className}`} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
      <rect class="track" width="100" height="6" />
      <rect class="fill" width={width} height="6" />
    </svg>
  );
}

/** What a unit stands for. Most words of a model begin with a space, which only looks like a slip between quotes. */
export function Label({ label }: { label: string | null }) {
  return label ? <bdi>{label.replaceAll("“ ", "“")}</bdi> : <span class="unlabelled">no label</span>;
}

/** A unit in a list of units: where it is, what it means, and one figure. */
export function UnitLine(props: {
  unit: Pick<Glance, "family" | "unit" | "index" | "side" | "label">;
  share: number;
  value: ComponentChildren;
  /** On which token it fires, where that is told. */
  on?: ComponentChildren;
  tip?: string;
}) {
  return (
    <li class="unit-line">
      <a href={featureAddress(props.unit.family, props.unit.unit)}>
        <span class="where">{place(props.unit)}{props.on ? <> on {props.on}</> : null}</span>
        <span class="what">
          <Label label={props.unit.label} />
        </span>
      </a>
      <Bar share={props.share} className={props.share < 0 ? "less" : ""} />
      <span class="value" data-tip={props.tip}>{props.value}</span>
    </li>
  );
}
