import type { Site } from "../../topology/model.ts";
import type { Observation } from "./observation.ts";
import { hostOf } from "./observe.ts";
import type { Stack } from "./observe.ts";
import { replicationLogin } from "./replication-login.ts";

/** What a rejoin or a rebuild has to know beyond a look at the stack. Unknown is null, with the reason. */
export interface Survey {
  /** The running primary that was asked; null where there is not exactly one. */
  readonly primary: string | null;
  /** Bytes that a base backup of it would copy, without WAL. */
  readonly backupBytes: number | null;
  /** Where each timeline of its past ended. */
  readonly forks: readonly Fork[] | null;
  /** Bytes that are free where the site's data lies. */
  readonly freeBytes: number | null;
  /** ZFS dataset that the site's data lies on. */
  readonly dataset: string | null;
  /** Why the site cannot log in at the primary for replication, as a base backup does; null when it can. */
  readonly noLogin: string | null;
  /** Why something is not known. */
  readonly problems: readonly string[];
}

export interface Fork {
  readonly timeline: number;
  readonly lsn: string;
}

const ASK_SECONDS = 20;

const PRIMARY_QUERY = `select json_build_object(
  'bytes', (select sum(pg_database_size(oid)) from pg_database)::float8,
  'history', (select pg_read_file('pg_wal/' || name) from pg_ls_waldir()
    where name like '%.history' order by name desc limit 1))`;

/** Asks the primary and the site, at once. */
export async function survey(stack: Stack, seen: Observation, siteName: string): Promise<Survey> {
  const problems: string[] = [];
  const attempt = async <T>(what: string, ask: () => Promise<T>): Promise<T | null> => {
    try {
      return await ask();
    } catch (error) {
      problems.push(`${what}: ${(error as Error).message}`);
      return null;
    }
  };
  const [primary = null, ...more] = seen.primaries;
  const named = (name: string): Site | undefined => stack.topology.sites.find((site) => site.name === name);
  const source = primary === null || more.length > 0 ? undefined : named(primary);
  const site = named(siteName);
  const [database, volume, noLogin] = await Promise.all([
    source === undefined
      ? null
      : attempt(source.name, async () =>
          readPrimary(await hostOf(stack, source.host.name).sql(source.postgres, PRIMARY_QUERY, ASK_SECONDS)),
        ),
    site === undefined ? null : attempt(site.host.name, () => volumeOf(stack, site)),
    site === undefined || source === undefined ? null : loginProblem(stack, seen, site, source),
  ]);
  return {
    primary: source?.name ?? null,
    backupBytes: database?.bytes ?? null,
    forks: database?.forks ?? null,
    freeBytes: volume?.free ?? null,
    dataset: volume?.dataset ?? null,
    noLogin,
    problems,
  };
}

function readPrimary(text: string): { readonly bytes: number; readonly forks: readonly Fork[] } {
  const { bytes, history } = JSON.parse(text) as { readonly bytes: number; readonly history: string | null };
  return { bytes, forks: readForks(history ?? "") };
}

/** The lines of a timeline history file. */
export function readForks(history: string): readonly Fork[] {
  return history.split("\n").flatMap((line): Fork[] => {
    const [, timeline, lsn] = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line) ?? [];
    return timeline === undefined || lsn === undefined ? [] : [{ timeline: Number(timeline), lsn }];
  });
}

async function volumeOf(
  stack: Stack,
  site: Site,
): Promise<{ readonly free: number; readonly dataset: string | null }> {
  const asked = await hostOf(stack, site.host.name).tool(["volume", site.volume], { seconds: ASK_SECONDS });
  if (asked.exitCode !== 0) throw new Error(asked.stderr.trim().replace(/^error: /, ""));
  return JSON.parse(asked.stdout) as { readonly free: number; readonly dataset: string | null };
}

async function loginProblem(
  stack: Stack,
  seen: Observation,
  site: Site,
  source: Site,
): Promise<string | null> {
  const systemId = seen.sites.find(({ name }) => name === source.name)?.systemId;
  if (systemId == null) return null;
  try {
    await replicationLogin(stack, site, source, systemId, ASK_SECONDS);
    return null;
  } catch (error) {
    const at = `${source.name} (${source.host.address}:${source.postgres.port})`;
    return `${site.name} cannot log in at ${at}: ${(error as Error).message}`;
  }
}
