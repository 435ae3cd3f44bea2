import type { StackHost } from "../../hosts/stack-host.ts";
import type { Site } from "../../topology/model.ts";
import { REPLICATION_ROLE } from "../../topology/model.ts";
import type { Heard } from "./ask.ts";
import type { DatabaseAnswer, SiteAnswers, SiteDocument } from "./site-state.ts";
import { DATABASE_QUERY } from "./site-state.ts";

/** What can be seen of a site that runs as it was found: its sidecar's word, and what its superuser is told. */

/** One JSON object in a line of its own: the part of pg-health's facts that a switchover needs. */
const FACTS_QUERY = `select json_build_object('inRecovery', pg_is_in_recovery(),
  'systemId', (select system_identifier::text from pg_control_system()),
  'timeline', case when not pg_is_in_recovery()
    then ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int end,
  'currentLsn', case when not pg_is_in_recovery() then pg_current_wal_lsn()::text end,
  'standbys', coalesce((select json_agg(json_build_object('applicationName', application_name, 'state', state,
      'lagBytes', case when not pg_is_in_recovery()
        then pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::float8 end))
    from pg_stat_replication where usename = '${REPLICATION_ROLE}'), '[]'))::jsonb;`;

/** @param reached why its host cannot be; null: it can */
export async function observeFound(
  host: StackHost,
  site: Site,
  {
    reached,
    heard,
    askMs,
  }: { readonly reached: Promise<string | null>; readonly heard: Promise<Heard>; readonly askMs: number },
): Promise<SiteAnswers> {
  const [{ word }, unreachable] = await Promise.all([heard, reached]);
  const base = { site: site.name, host: site.host.name, word: word?.trim() ?? null };
  const silent = (why: string): SiteAnswers => ({
    ...{ ...base, source: null, silent: why, document: null, database: null },
  });
  if (unreachable !== null) return silent(unreachable);
  try {
    const asked = await host.tool(["found", "ask", site.postgres.container], {
      seconds: askMs / 1000,
      stdin: `${FACTS_QUERY}\n${DATABASE_QUERY};\n`,
    });
    if (asked.exitCode !== 0)
      return silent(asked.stderr.trim().replace(/^error: /, "") || `status ${asked.exitCode}`);
    const [facts = "", ...rest] = asked.stdout.trim().split("\n");
    return {
      ...{ ...base, source: "found", silent: null },
      document: { sql: JSON.parse(facts) as NonNullable<SiteDocument["sql"]> },
      database: JSON.parse(rest.join("\n")) as DatabaseAnswer,
    };
  } catch (error) {
    return silent((error as Error).message);
  }
}
