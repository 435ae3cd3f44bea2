/** `/status` (and `/patroni`): Patroni's document, with the site's own facts beside it. */
import type { View } from "./brain.ts";
import type { PoolerReport } from "./pooler.ts";
import { roleWord } from "./routes.ts";
import type { SiteWord } from "./brain.ts";
import { peerRole } from "./site.ts";
import { parseLsn } from "./size.ts";
import type { SqlAnswer, SqlFacts } from "./sql.ts";

export interface StatusInput {
  readonly site: string;
  readonly sql: SqlAnswer;
  readonly word: SiteWord;
  readonly veto: string | undefined;
  readonly view: View | undefined;
  readonly pooler: PoolerReport | undefined;
}

/** Patroni writes positions as numbers. */
function location(lsn: string | undefined): number | undefined {
  const bytes = lsn === undefined ? undefined : parseLsn(lsn);
  return bytes === undefined ? undefined : Number(bytes);
}

function patroni(facts: SqlFacts): Readonly<Record<string, unknown>> {
  return {
    state: "running",
    role: facts.inRecovery ? "replica" : "primary",
    server_version: facts.serverVersion,
    postmaster_start_time: facts.startedAt,
    timeline: facts.timeline,
    database_system_identifier: facts.systemId,
    replication_state: facts.receiver,
    xlog: facts.inRecovery
      ? {
          received_location: location(facts.receivedLsn),
          replayed_location: location(facts.replayedLsn),
          replayed_timestamp: facts.replayedAt ?? null,
          paused: facts.replayPaused,
        }
      : { location: location(facts.currentLsn) },
    ...(facts.standbys.length === 0
      ? {}
      : {
          replication: facts.standbys.map((standby) => ({
            application_name: standby.applicationName,
            state: standby.state,
            sync_state: standby.syncState,
          })),
        }),
  };
}

/** Everything that is known, as one document. No secret is in it. */
export function statusDocument(input: StatusInput): Readonly<Record<string, unknown>> {
  const { site, sql, word, veto, view, pooler } = input;
  const idle = { state: word, role: view === undefined ? "unknown" : peerRole(view.facts) };
  return {
    ...(sql.ok ? patroni(sql.facts) : idle),
    heatwave: {
      site,
      word: roleWord({ sql, word, veto }),
      sql: sql.ok ? sql.facts : { reason: sql.reason, message: sql.message },
      decision: view?.decision ?? null,
      veto: view?.veto ?? null,
      entrypoint: view?.facts.entrypoint ?? null,
      data: view?.facts.data ?? null,
      grant: view?.facts.grant ?? null,
      intent: view?.facts.intent ?? null,
      heldback: view?.facts.heldback ?? null,
      follow: view?.facts.follow ?? null,
      peers: view?.peers ?? [],
      pooler: pooler ?? null,
    },
  };
}
