import { describe, expect, it } from "vitest";
import { answerProbe } from "../../../components/pg-health/sidecar/routes.ts";
import type { ProbePath, RouteView } from "../../../components/pg-health/sidecar/routes.ts";
import type { SqlAnswer } from "../../../components/pg-health/sidecar/sql.ts";
import { sqlFacts, sqlFails, standbyFacts } from "./facts.ts";

const primary = sqlFacts();
const readOnly = sqlFacts({ readOnly: true });
const standby = standbyFacts();
const behind = standbyFacts({ replayLagBytes: 20_000, receiveLagBytes: 100 });
const alone = standbyFacts({ receiver: undefined, replayLagBytes: undefined, receiveLagBytes: undefined });
const down = sqlFails("unreachable");

const TABLE: readonly (readonly [string, SqlAnswer, number, string])[] = [
  ["/", primary, 200, "primary"],
  ["/primary", primary, 200, "primary"],
  ["/read-write", primary, 200, "primary"],
  ["/leader", primary, 200, "primary"],
  ["/replica", primary, 503, "primary"],
  ["/read-only", primary, 200, "primary"],
  ["/health", primary, 200, "primary"],
  ["/readiness", primary, 200, "primary"],
  ["/", readOnly, 503, "read-only"],
  ["/primary", readOnly, 503, "read-only"],
  ["/health", readOnly, 200, "read-only"],
  ["/read-only", readOnly, 200, "read-only"],
  ["/", standby, 503, "standby"],
  ["/primary", standby, 503, "standby"],
  ["/replica", standby, 200, "standby"],
  ["/replica?lag=0", standby, 200, "standby"],
  ["/replica?replication_state=streaming", standby, 200, "standby"],
  ["/replica?replication_state=streaming", alone, 503, "not streaming"],
  ["/read-only", standby, 200, "standby"],
  ["/replica?lag=16kB", behind, 503, "lagging"],
  ["/replica?lag=20kB", behind, 200, "standby"],
  ["/replica?lag=20000", behind, 200, "standby"],
  ["/replica?lag=19999", behind, 503, "lagging"],
  ["/read-only?lag=16kB", behind, 503, "lagging"],
  ["/replica", alone, 200, "standby"],
  ["/replica?lag=1GB", alone, 503, "lag unknown"],
  ["/readiness", behind, 200, "standby"],
  ["/readiness?lag=16kB", behind, 503, "lagging"],
  ["/readiness?lag=16kB&mode=apply", behind, 503, "lagging"],
  ["/readiness?lag=16kB&mode=write", behind, 200, "standby"],
  ["/readiness", alone, 503, "lag unknown"],
  ["/replica?lag=much", standby, 400, "lag=much is no size; use bytes, 16kB, 10MB, 1GB"],
  ["/readiness?mode=x", standby, 400, "mode=x is unknown; use apply or write"],
  ["/", down, 503, "held"],
  ["/replica", down, 503, "held"],
  ["/read-only", down, 503, "held"],
  ["/health", down, 503, "held"],
  ["/readiness", down, 503, "held"],
  ["/", sqlFails("starting"), 503, "starting"],
  ["/", sqlFails("login"), 503, "login"],
];

describe("answerProbe", () => {
  it.each(TABLE)("%s", (target, sql, status, body) => {
    const url = new URL(target, "http://x");
    const view: RouteView = { sql, word: "held", veto: undefined, readinessLag: 1_048_576 };
    expect(answerProbe(url.pathname as ProbePath, url.searchParams, view)).toEqual({ status, body });
  });

  it.each([
    ["/", primary, 503, "superseded"],
    ["/health", primary, 200, "superseded"],
    ["/read-only", primary, 503, "superseded"],
    ["/readiness", primary, 503, "superseded"],
    ["/", standby, 503, "superseded"],
    ["/replica", standby, 200, "standby"],
  ] as const)("%s of an instance that must get no writes", (target, sql, status, body) => {
    const view: RouteView = { sql, word: "superseded", veto: "superseded", readinessLag: 1_048_576 };
    expect(answerProbe(target, new URLSearchParams(), view)).toEqual({ status, body });
  });
});
