import { readPreview } from "../../../infra/review/preview.ts";
import type { Review } from "../../../infra/review/review.ts";
import { review } from "../../../infra/review/review.ts";

/** Previews made by hand: one step of a two-site stack, in the form of `pulumi preview --json`. */

type Json = Readonly<Record<string, unknown>>;

export interface HandMade {
  /** Types of the parents and its own, as in a URN. */
  readonly types: string;
  readonly name: string;
  readonly op?: string;
  readonly before?: Json;
  readonly after?: Json;
  readonly changed?: readonly string[];
  readonly replacing?: readonly string[];
  readonly state?: Json;
}

export const CONFIG = {
  "heatwave:primary": "dal-01",
  "heatwave:sites": JSON.stringify([{ name: "dal-01" }, { name: "chi-02" }]),
  "heatwave:routers": JSON.stringify([{ host: "dal-01" }]),
};

const SITE = "heatwave:ha-postgres:HaPostgres$heatwave:site:Site";
export const POSTGRES = `${SITE}$heatwave:postgres:PostgresInstance`;
export const POOLER = `${SITE}$heatwave:pgbouncer:PgBouncer`;
export const HEALTH = `${SITE}$heatwave:pg-health:HealthEndpoint`;
export const ROUTER = "heatwave:ha-postgres:HaPostgres$heatwave:router:Router";
export const HOST = "heatwave:ha-postgres:HaPostgres$heatwave:docker-host:DockerHost";
export const COMMAND = "command:remote:Command";
export const CONTAINER = "docker:index/container:Container";

export function digest(steps: readonly HandMade[], more: Json = {}): Json {
  return {
    config: CONFIG,
    steps: steps.map(({ types, name, op, before, after, changed, replacing, state }) => ({
      op: op ?? "update",
      urn: `urn:pulumi:production::heatwave::${types}::${name}`,
      ...(before === undefined ? {} : { oldState: { inputs: before, ...state } }),
      ...(after === undefined ? {} : { newState: { inputs: after } }),
      diffReasons: changed ?? [],
      ...(replacing === undefined ? {} : { replaceReasons: replacing }),
      detailedDiff: null,
    })),
    changeSummary: { same: 90 },
    ...more,
  };
}

export function reviewOf(steps: readonly HandMade[], more: Json = {}): Review {
  const text = JSON.stringify(digest(steps, more));
  return review(readPreview(text, "test"), { kind: "state" }, "production");
}

/** The one finding of a review of one step. */
export function onlyFinding(step: HandMade) {
  const findings = reviewOf([step]).places.flatMap((place) => place.findings);
  const [finding, ...others] = findings;
  if (finding === undefined || others.length > 0) throw new Error(`${findings.length} findings`);
  return finding;
}

/** A text of kind `kind` that changes in force. */
export function fileStep(
  kind: string,
  path: string,
  before: string,
  after: string,
  types = POSTGRES,
): HandMade {
  const line = (hash: string): string =>
    `sudo -n /var/lib/heatwave/bin/host-tool file ${kind} heatwave-postgres ${path} ${hash}`;
  return {
    types: `${types}$heatwave:docker-host:HostFile$${COMMAND}`,
    name: "dal-01-site-postgres-x-apply",
    before: { create: line("aa"), stdin: before },
    after: { create: line("bb"), stdin: after },
    changed: ["create", "stdin"],
  };
}
