/** Facts for tables: each test changes what it is about. */
import type { ControlFile } from "../../../components/pg-health/sidecar/control-file.ts";
import type { ClusterData } from "../../../components/pg-health/sidecar/data-directory.ts";
import type { EntrypointFacts, EntrypointStatus } from "../../../components/pg-health/sidecar/entrypoint.ts";
import type { Grant, GrantRecord } from "../../../components/pg-health/sidecar/grant.ts";
import type { Limits } from "../../../components/pg-health/sidecar/limits.ts";
import type { PeerAnswer, PeerFacts } from "../../../components/pg-health/sidecar/peer.ts";
import type { SqlAnswer, SqlFacts } from "../../../components/pg-health/sidecar/sql.ts";

export const SYSTEM = "7710864517428597008";

export function entrypoint(
  postgres: EntrypointStatus["postgres"],
  state: string = postgres,
): EntrypointFacts {
  const pid = postgres === "running" || postgres === "starting" ? 42 : null;
  const status = { state, postgres, pid, exitCode: null, order: null, heartbeat: 1, incarnation: "1.1" };
  return { answers: true, status };
}

export const SILENT: EntrypointFacts = { answers: false, why: "the entrypoint has not reported yet" };

export function cluster(change: Partial<ClusterData> & { systemId?: string } = {}): ClusterData {
  const { systemId = SYSTEM, ...rest } = change;
  const control: ControlFile = {
    systemId,
    state: "shut down",
    checkpointLsn: "0/1766578",
    redoLsn: "0/1766578",
    timeline: 1,
    previousTimeline: 1,
    minRecoveryLsn: "0/0",
    minRecoveryTimeline: 0,
    changedAt: 0,
    checksums: true,
    walLogHints: false,
    limits: DEFAULT_LIMITS,
    walSegmentBytes: 16_777_216,
    catalogVersion: 202506291,
  };
  return { kind: "cluster", control, standbySignal: false, history: undefined, timeline: 1, ...rest };
}

/** PostgreSQL's own defaults. */
export const DEFAULT_LIMITS: Limits = {
  max_connections: 100,
  max_worker_processes: 8,
  max_wal_senders: 10,
  max_prepared_transactions: 0,
  max_locks_per_transaction: 64,
};

export const NO_GRANT: GrantRecord = { kind: "absent" };

export function grant(change: Partial<Grant> = {}): GrantRecord {
  return {
    kind: "grant",
    grant: { systemId: SYSTEM, epoch: 1, timeline: 1, state: "held", peers: [], excluded: [], ...change },
  };
}

export function sqlFacts(change: Partial<SqlFacts> = {}): SqlAnswer {
  return {
    ok: true,
    ms: 1,
    facts: {
      inRecovery: false,
      readOnly: false,
      systemId: SYSTEM,
      timeline: 1,
      serverVersion: 180_006,
      startedAt: "2026-11-22 05:33:14+00",
      currentLsn: "0/1766578",
      receivedLsn: undefined,
      replayedLsn: undefined,
      replayedAt: undefined,
      replayPaused: false,
      limits: DEFAULT_LIMITS,
      receiver: undefined,
      replayLagBytes: undefined,
      receiveLagBytes: undefined,
      replayLagSeconds: undefined,
      standbys: [],
      ...change,
    },
  };
}

export function standbyFacts(change: Partial<SqlFacts> = {}): SqlAnswer {
  return sqlFacts({
    inRecovery: true,
    readOnly: true,
    currentLsn: undefined,
    receivedLsn: "0/1766578",
    replayedLsn: "0/1766578",
    receiver: "streaming",
    replayLagBytes: 0,
    receiveLagBytes: 0,
    replayLagSeconds: 0,
    ...change,
  });
}

export function sqlFails(reason: "starting" | "login" | "unreachable"): SqlAnswer {
  return { ok: false, reason, message: "no", ms: 1000 };
}

/** What chi-02, a standby on timeline 1, answers; each test changes what it is about. */
export function peer(change: Partial<PeerFacts> & { held?: Partial<Grant> } = {}): PeerAnswer {
  const { held, ...rest } = change;
  const record = grant({ state: "none", ...held });
  const facts: PeerFacts = {
    site: "chi-02",
    systemId: SYSTEM,
    role: "standby",
    timeline: 1,
    grant: record.kind === "grant" ? record.grant : null,
    nonce: "",
    ...rest,
  };
  return { site: facts.site, answers: true, facts };
}

export const silentPeer = (site = "chi-02"): PeerAnswer => ({
  site,
  answers: false,
  why: "no answer within 2000 ms",
});

/** A grant's entry for a site. */
export const member = (site: string): Grant["peers"][number] => ({
  site,
  health: { host: "100.64.0.2", port: 8008 },
});
