/** One write as an application would make it: what proves that the way through a router to the primary is open. */
import pg from "pg";
import type { PoolerConfig } from "./config.ts";
import type { ControlEnd } from "./control.ts";
import { cut, within } from "./sql.ts";

/** Writes WAL and nothing else, and is refused by an instance in recovery. A pooler hands over one statement as it is. */
const WRITE =
  "select current_setting('cluster_name') as instance, pg_logical_emit_message(true, 'heatwave', 'written')::text as lsn";

const LONGEST_MS = 30_000;

/**
 * `{host, port, limitMs}`: logs in there as the probe does at its own pooler, and writes.
 * @returns `{instance}`, the site that took it
 */
export async function writeThrough(
  body: unknown,
  pooler: PoolerConfig | undefined,
  password: () => string,
): Promise<ControlEnd> {
  const { host, port, limitMs } = body as Readonly<Record<string, unknown>>;
  const refused = (message: string): ControlEnd => ({ ok: false, kind: "refused", message });
  if (pooler === undefined)
    return refused("this pg-health knows no pooler, whose pool it could write through");
  if (typeof host !== "string" || typeof port !== "number" || typeof limitMs !== "number")
    return refused("host: text; port, limitMs: numbers");
  if (!(limitMs > 0 && limitMs <= LONGEST_MS)) return refused(`limitMs: above 0 and up to ${LONGEST_MS}`);
  const { user, database } = pooler;
  const client = new pg.Client({
    ...{ host, port, user, database, password },
    application_name: "pg-health",
    connectionTimeoutMillis: limitMs,
  });
  client.on("error", () => undefined);
  const ask = async (): Promise<{ readonly instance: string; readonly lsn: string } | undefined> => {
    await client.connect();
    return (await client.query<{ instance: string; lsn: string }>(WRITE)).rows[0];
  };
  try {
    const value = await within(limitMs, `${host}:${port}`, ask());
    client.end().catch(() => undefined);
    return { ok: true, message: `${value?.instance ?? "nobody"} wrote`, value };
  } catch (error) {
    cut(client);
    return { ok: false, kind: "failed", message: (error as Error).message };
  }
}
