/** `/metrics` in Prometheus' text format. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { View } from "./brain.ts";
import type { PoolerReport } from "./pooler.ts";
import type { SqlAnswer, SqlFacts } from "./sql.ts";

export interface MetricsInput {
  readonly site: string;
  /** What `/` answers. */
  readonly word: string;
  readonly sql: SqlAnswer;
  readonly view: View | undefined;
  readonly pooler: PoolerReport | undefined;
  readonly failures: number;
}

/** Words that do not go away by themselves. */
const ALARMS = ["conflict", "held", "superseded", "fenced", "diverged", "empty", "crashed"] as const;
const GRANT_STATES = ["none", "held", "suspended"] as const;

/** The gauges of one answer, made anew each time: what is unknown now must not stand there as an old value or a 0. */
class Page {
  readonly #registry = new Registry();
  readonly #gauges = new Map<string, Gauge>();

  set(
    name: string,
    help: string,
    value: number | boolean | undefined,
    labels: Readonly<Record<string, string>> = {},
  ): void {
    if (value === undefined) return;
    let gauge = this.#gauges.get(name);
    if (gauge === undefined) {
      gauge = new Gauge({
        name: `heatwave_${name}`,
        help,
        labelNames: Object.keys(labels),
        registers: [this.#registry],
      });
      this.#gauges.set(name, gauge);
    }
    gauge.set(labels, Number(value));
  }

  render(): Promise<string> {
    return this.#registry.metrics();
  }
}

/** All metrics of one process. Values are seconds, bytes, or 0 and 1; an unknown value is left out, not zero. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #probes: Histogram<"result">;
  readonly #requests: Counter<"path" | "status">;

  constructor() {
    this.#probes = new Histogram({
      name: "heatwave_probe_duration_seconds",
      help: "Time of a query to PostgreSQL; many requests share one",
      labelNames: ["result"],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
      registers: [this.#registry],
    });
    this.#requests = new Counter({
      name: "heatwave_http_requests_total",
      help: "Answered HTTP requests",
      labelNames: ["path", "status"],
      registers: [this.#registry],
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Counts one query to PostgreSQL. */
  probed(answer: SqlAnswer): void {
    this.#probes.observe({ result: answer.ok ? "ok" : answer.reason }, answer.ms / 1000);
  }

  /** Counts one request; `path` is a known route or `other`. */
  answered(path: string, status: number): void {
    this.#requests.inc({ path, status });
  }

  async render(input: MetricsInput): Promise<string> {
    const page = new Page();
    const { sql, view, pooler } = input;
    page.set("site_info", "The site and the word that / answers", 1, { site: input.site, word: input.word });
    page.set("postgres_up", "Whether PostgreSQL answered the probe", sql.ok);
    page.set("primary", "Whether the site takes writes: what / answers 200 for", input.word === "primary");
    page.set("unordered_ends", "Ends of PostgreSQL in a row that nobody ordered", input.failures);
    if (sql.ok) setSql(page, sql.facts);
    if (view !== undefined) setView(page, view);
    if (pooler !== undefined) setPooler(page, pooler);
    return `${await page.render()}${await this.#registry.metrics()}`;
  }
}

function setSql(page: Page, facts: SqlFacts): void {
  page.set("in_recovery", "Whether PostgreSQL is in recovery", facts.inRecovery);
  page.set("read_only", "Whether a new transaction is read-only", facts.readOnly);
  page.set("timeline", "The timeline that is written or replayed", facts.timeline);
  page.set("system_info", "The cluster's identifier and the server's version", 1, {
    system_identifier: facts.systemId,
    server_version: String(facts.serverVersion),
  });
  page.set("replay_paused", "Whether replay is paused", facts.replayPaused);
  page.set(
    "receiver_streaming",
    "Whether the WAL receiver streams",
    facts.inRecovery ? facts.receiver === "streaming" : undefined,
  );
  page.set("replay_lag_bytes", "WAL of the primary that is not replayed", facts.replayLagBytes);
  page.set("receive_lag_bytes", "WAL of the primary that is not received", facts.receiveLagBytes);
  page.set(
    "replay_lag_seconds",
    "Age of the last replayed commit; 0 when all is replayed",
    facts.replayLagSeconds,
  );
  for (const standby of facts.standbys)
    page.set("standby_lag_bytes", "WAL that a connected standby has not replayed", standby.lagBytes, {
      standby: standby.applicationName,
      state: standby.state,
      sync_state: standby.syncState,
    });
}

function setView(page: Page, view: View): void {
  const { entrypoint, data, grant } = view.facts;
  page.set("entrypoint_up", "Whether the entrypoint of the PostgreSQL container answers", entrypoint.answers);
  if (entrypoint.answers)
    page.set("entrypoint_state", "The entrypoint's state", 1, { state: entrypoint.status.state });
  if (data.kind === "cluster") {
    page.set("data_timeline", "The data directory's timeline, PostgreSQL running or not", data.timeline);
    page.set("data_info", "The data directory's control file", 1, {
      system_identifier: data.control.systemId,
      state: data.control.state,
    });
  }
  for (const peer of view.peers)
    page.set("peer_up", "Whether another site's pg-health answers with a valid MAC", peer.answers, {
      peer: peer.site,
    });
  const word = view.veto?.word ?? (view.decision.do === "wait" ? view.decision.word : undefined);
  for (const alarm of ALARMS)
    page.set("alarm", "Something that an operator has to look at", word === alarm, { alarm });
  if (grant.kind === "grant") {
    page.set("grant_epoch", "The grant's epoch", grant.grant.epoch);
    for (const state of GRANT_STATES)
      page.set("grant_state", "The grant's state: one of them is 1", grant.grant.state === state, { state });
  }
}

function setPooler(page: Page, pooler: PoolerReport): void {
  page.set("pooler_admin_up", "Whether PgBouncer's admin console answers", pooler.admin);
  page.set("pooler_login_up", "Whether a query goes through PgBouncer", pooler.login);
  page.set("pooler_login_seconds", "Time of the query through PgBouncer", pooler.loginSeconds);
  for (const pool of pooler.pools) {
    const labels = { database: pool.database, user: pool.user };
    page.set("pooler_clients_active", "Clients linked to a server", pool.clientsActive, labels);
    page.set("pooler_clients_waiting", "Clients that wait for a server", pool.clientsWaiting, labels);
    page.set("pooler_servers_active", "Servers linked to a client", pool.serversActive, labels);
    page.set("pooler_servers_idle", "Servers that are free", pool.serversIdle, labels);
    page.set(
      "pooler_longest_wait_seconds",
      "Wait of the client that waits longest",
      pool.longestWait,
      labels,
    );
  }
  for (const database of pooler.databases)
    page.set("pooler_paused", "Whether the database is paused", database.paused, {
      database: database.database,
    });
}
