/**
 * Asks one instance over its unix socket, again and again, whether it takes a write, by writing. Bundled to one file;
 * runs in the stack's node image as the user `postgres`, beside each site's PostgreSQL.
 */
import { openSync, readFileSync, writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { Sample } from "./records.ts";
import { monotonicMs } from "./records.ts";

export interface SamplerSettings {
  readonly port: number;
  readonly database: string;
  readonly table: string;
  /** Milliseconds from one look to the next. */
  readonly everyMs: number;
  /** Milliseconds that a look may take. */
  readonly timeoutMs: number;
}

const settings = JSON.parse(readFileSync("/sampler/settings.json", "utf8")) as SamplerSettings;
const records = openSync("/sampler/samples.ndjson", "a");

/** One row per instance, so that the table stays small. An instance of before the table has its own word for that. */
const WRITE = `insert into ${settings.table} as t values (current_setting('cluster_name'), 1)
  on conflict (site) do update set writes = t.writes + 1`;
const TABLE = `create table if not exists ${settings.table} (site text primary key, writes bigint not null)`;
const NO_TABLE = "42P01";

let client: pg.Client | undefined;

function drop(): void {
  client?.connection.stream.destroy();
  client?.end().catch(() => undefined);
  client = undefined;
}

async function connect(): Promise<pg.Client> {
  const { port, database, timeoutMs } = settings;
  const made = new pg.Client({
    ...{ host: "/run/heatwave/sql", port, user: "postgres", database },
    ...{ connectionTimeoutMillis: timeoutMs, query_timeout: timeoutMs, statement_timeout: timeoutMs },
    application_name: "heatwave-sampler",
  });
  client = made;
  made.on("error", () => {
    if (client === made) client = undefined;
  });
  await made.connect();
  return made;
}

async function look(): Promise<Sample> {
  const sent = monotonicMs();
  try {
    await (client ?? (await connect())).query(WRITE);
    return { sent, answered: monotonicMs(), writable: true, code: "" };
  } catch (error) {
    const { code = "", message = "" } = error as { readonly code?: string; readonly message?: string };
    const server = error instanceof pg.DatabaseError && error.severity !== "FATAL";
    if (code === NO_TABLE) await client?.query(TABLE).catch(() => undefined);
    if (!server) drop();
    return { sent, answered: monotonicMs(), writable: false, code: code === "" ? message : code };
  }
}

for (;;) {
  const sample = await look();
  writeSync(records, `${JSON.stringify(sample)}\n`);
  await delay(Math.max(0, sample.sent + settings.everyMs - monotonicMs()));
}
