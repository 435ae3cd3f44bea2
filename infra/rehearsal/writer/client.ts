/**
 * The application of a rehearsal: writes rows through the write VIP without a pause for thought, reconnects at once, and
 * notes each acknowledged row and each error in a file beside it. Bundled to one file; runs in the stack's node image.
 */
import { openSync, readFileSync, writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { kindOf } from "./errors.ts";
import type { WriterRecord } from "./records.ts";
import { monotonicMs } from "./records.ts";

export interface ClientSettings {
  readonly host: string;
  readonly port: number;
  /** Where else to try, if not there, and whom to ask whether it takes writes: without a router, as libpq's read-write. */
  readonly others?: readonly { readonly host: string; readonly port: number }[];
  readonly user: string;
  readonly database: string;
  readonly table: string;
  /** Names the rows of one run. */
  readonly run: string;
  /** Clients that write side by side. */
  readonly clients: number;
  /** Milliseconds from one write of a client to its next. */
  readonly everyMs: number;
  /** Milliseconds that a connection or a write may take. */
  readonly timeoutMs: number;
  /** `kept`: one session for as long as it lives; `new`: a connection for each row. */
  readonly connection: "kept" | "new";
}

const settings = JSON.parse(readFileSync("/writer/settings.json", "utf8")) as ClientSettings;
const password = readFileSync("/writer/password", "utf8");
const records = openSync("/writer/records.ndjson", "a");
/** A restarted container is another client: its sequence begins anew. */
const incarnation = Math.round(monotonicMs());

function note(record: WriterRecord): void {
  writeSync(records, `${JSON.stringify(record)}\n`);
}

interface Written {
  readonly backend: number;
  readonly instance: string;
}

const targets = [{ host: settings.host, port: settings.port }, ...(settings.others ?? [])];

class Session {
  readonly #client: pg.Client;
  open = false;
  ended = false;

  /** @param attempt chooses among several servers */
  constructor(attempt = 0) {
    const { user, database, timeoutMs } = settings;
    const { host, port } = targets[attempt % targets.length] ?? settings;
    this.#client = new pg.Client({
      ...{ host, port, user, database, password, keepAlive: true },
      ...{ connectionTimeoutMillis: timeoutMs, query_timeout: timeoutMs },
      application_name: "heatwave-writer",
    });
    // Also between two writes: the next one then connects anew.
    this.#client.on("error", () => {
      this.ended = true;
    });
    this.#client.on("end", () => {
      this.ended = true;
    });
  }

  async connect(): Promise<void> {
    await this.#client.connect();
    if (targets.length > 1) {
      const { rows } = await this.#client.query<{ off: boolean }>(
        "select current_setting('transaction_read_only') = 'off' as off",
      );
      if (rows[0]?.off !== true) throw Object.assign(new Error("takes no writes"), { code: "25006" });
    }
    this.open = true;
  }

  async run(statement: string): Promise<void> {
    await this.#client.query(statement);
  }

  async write(client: string, sequence: number): Promise<Written> {
    const { rows } = await this.#client.query<Written>(
      `insert into ${settings.table} (run, client, sequence) values ($1, $2, $3)
       returning pg_backend_pid() as backend, current_setting('cluster_name') as instance`,
      [settings.run, client, sequence],
    );
    if (rows[0] === undefined) throw new Error("the insert returned no row");
    return rows[0];
  }

  /** Without a farewell that a frozen server would never read. */
  cut(): void {
    this.#client.connection.stream.destroy();
    this.#client.end().catch(() => undefined);
  }
}

async function write(name: string): Promise<never> {
  let session: Session | undefined;
  let failures = 0;
  /** Where to try: goes on with each failure, and stays where it worked. */
  let at = 0;
  for (let sequence = 1; ; sequence += 1) {
    const sent = monotonicMs();
    const attempt = { client: name, sequence, sent };
    if (session?.ended === true) session = undefined;
    session ??= new Session(at);
    try {
      if (!session.open) await session.connect();
      const written = await session.write(name, sequence);
      note({ kind: "ack", ...attempt, answered: monotonicMs(), ...written });
      failures = 0;
    } catch (error) {
      const { kind, code, message } = kindOf(error, session.open);
      note({ kind: "error", ...attempt, answered: monotonicMs(), error: kind, code, message });
      session.cut();
      session = undefined;
      failures += 1;
      at += 1;
    }
    if (settings.connection === "new") {
      session?.cut();
      session = undefined;
    }
    // At once after the first failure; a listener that refuses is then not asked more often than rows are written.
    if (failures !== 1) await delay(Math.max(0, sent + settings.everyMs - monotonicMs()));
  }
}

/** The table is the application's own; whoever comes first makes it. */
async function prepare(): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    const session = new Session(attempt);
    try {
      await session.connect();
      await session.run(
        `create table if not exists ${settings.table} (run text not null, client text not null, sequence bigint not null)`,
      );
      session.cut();
      return;
    } catch (error) {
      const { kind, code, message } = kindOf(error, session.open);
      const at = monotonicMs();
      note({
        ...{ kind: "error", client: "prepare", sequence: 0, sent: at, answered: at },
        ...{ error: kind, code, message },
      });
      session.cut();
      await delay(settings.everyMs);
    }
  }
}

await prepare();
await Promise.all(Array.from({ length: settings.clients }, (_, index) => write(`${incarnation}.${index}`)));
