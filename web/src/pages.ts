// Every page: its address, its name in the rail, and what it shows. A page more is a line more.
import type { ComponentType } from "preact";
import type { Source } from "./data/source";
import type { About } from "./data/types";
import { CircuitPage } from "./pages/circuit";
import { FeaturePage } from "./pages/feature";
import { FeaturesPage } from "./pages/features";
import { FindingsPage } from "./pages/findings";
import { MapPage } from "./pages/map";
import { OverviewPage } from "./pages/overview";
import { PromptPage } from "./pages/prompt";
import { QualityPage } from "./pages/quality";
import { SteerPage } from "./pages/steer";
import type { Address } from "./router";

export interface PageProps {
  source: Source;
  about: About;
  address: Address;
}

interface Page {
  name: string;
  /** Absent for pages that are reached from others. */
  rail?: string;
  component: ComponentType<PageProps>;
}

export const pages: Page[] = [
  { name: "", rail: "Overview", component: OverviewPage },
  { name: "findings", rail: "Findings", component: FindingsPage },
  { name: "features", rail: "Features", component: FeaturesPage },
  { name: "feature", component: FeaturePage },
  { name: "map", rail: "Map", component: MapPage },
  { name: "circuit", rail: "Circuits", component: CircuitPage },
  { name: "prompt", rail: "Prompt", component: PromptPage },
  { name: "steer", rail: "Steer", component: SteerPage },
  { name: "quality", rail: "Quality", component: QualityPage },
];
