import type { Place } from "./effect.ts";
import type { Preview, PreviewStep } from "./preview.ts";
import { textInput } from "./preview.ts";

/** What a preview tells of the stack: its places, and who takes the writes while `up` runs. */
export interface ReviewedStack {
  readonly name: string;
  readonly sites: readonly string[];
  readonly routers: readonly string[];
  /** Site that is declared to take the writes before the change; undefined where the preview does not say. */
  readonly primary: string | undefined;
  /** Site that the writes move to at the end of `up`. */
  readonly flipTo: string | undefined;
  /** True while nothing of it is there. */
  readonly isNew: boolean;
  /** Failed health checks, one after the other, that make a router take a site down. */
  readonly failedChecks: number;
}

const ENSURE = /\bensure-primary (\S+)\s*$/;

export function stackOf(preview: Preview): ReviewedStack {
  const before = ensured(preview.steps, "before");
  const after = ensured(preview.steps, "after");
  const declared = preview.config["heatwave:primary"];
  const flips = before !== undefined && after !== undefined && before !== after;
  const steps = preview.steps;
  return {
    name: /^urn:pulumi:([^:]+)::/.exec(steps[0]?.urn ?? "")?.[1] ?? "",
    sites: named(preview.config["heatwave:sites"], "name"),
    routers: named(preview.config["heatwave:routers"], "host"),
    primary: before ?? declared,
    flipTo: flips ? after : undefined,
    // By the counts: the CLI lists no resource that stays the same.
    isNew: Object.entries(preview.counts).every(
      ([operation, count]) => operation === "create" || count === 0,
    ),
    failedChecks: failedChecks(preview.config["heatwave:haproxy"]),
  };
}

function ensured(steps: readonly PreviewStep[], side: "before" | "after"): string | undefined {
  const step = steps.find(isSwitchover);
  return step === undefined ? undefined : ENSURE.exec(textInput(step[side], "create"))?.[1];
}

/** The declared switchover (docs/decisions/0016-declared-switchover.md). */
export function isSwitchover({ type, name }: PreviewStep): boolean {
  return type === "command:local:Command" && name === "switchover";
}

/** `haproxy.check.fall` of the stack file, with the schema's default. */
function failedChecks(json: string | undefined): number {
  const haproxy = parsed(json) as { readonly check?: { readonly fall?: unknown } } | undefined;
  const fall = Number(haproxy?.check?.fall ?? 3);
  return Number.isNaN(fall) ? 1 : fall;
}

function parsed(json: string | undefined): unknown {
  try {
    return JSON.parse(json ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}

/** Texts under one key of each entry of a list. */
function named(json: string | undefined, key: string): readonly string[] {
  const list = parsed(json);
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry: unknown) => {
    const value =
      typeof entry === "object" && entry !== null ? (entry as Record<string, unknown>)[key] : undefined;
    return typeof value === "string" ? [value] : [];
  });
}

/** The component of a box of the picture, by the types of its parents. */
export type Box = "postgres" | "pg-health" | "pgbouncer" | "router" | "host" | "site" | "stack";

const BOXES: readonly (readonly [type: string, box: Box])[] = [
  ["heatwave:postgres:PostgresInstance", "postgres"],
  ["heatwave:pg-health:HealthEndpoint", "pg-health"],
  ["heatwave:pgbouncer:PgBouncer", "pgbouncer"],
  ["heatwave:router:Router", "router"],
  ["heatwave:docker-host:DockerHost", "host"],
  ["heatwave:firewall:Firewall", "host"],
  ["heatwave:site:Site", "site"],
];

export function boxOf({ kinds }: PreviewStep): Box {
  return BOXES.find(([type]) => kinds.includes(type))?.[1] ?? "stack";
}

/** What follows a place's own name in its resources' logical names (docs/decisions/0004-names-by-place.md). */
const ENDINGS = {
  site: /-(site(-.*)?|founding|objects|conversion)$/,
  router: /-haproxy(-.*)?$/,
  host: /(-(tool|settings|network|firewall-rules))?$/,
} as const;

/** Whose a step is. */
export function placeOf(step: PreviewStep, stack: ReviewedStack): Place {
  const box = boxOf(step);
  const kind = box === "stack" || box === "host" || box === "router" ? box : "site";
  if (kind === "stack") return { kind, name: stack.name };
  const known = kind === "site" ? stack.sites : kind === "router" ? stack.routers : [];
  const own = known
    .filter((name) => step.name.startsWith(name) && fullMatch(ENDINGS[kind], step.name.slice(name.length)))
    .sort((a, b) => b.length - a.length)[0];
  // Of a place that has left the stack file the name alone tells.
  return { kind, name: own ?? step.name.replace(ENDINGS[kind], "") };
}

const fullMatch = (pattern: RegExp, text: string): boolean => pattern.exec(text)?.[0] === text;
