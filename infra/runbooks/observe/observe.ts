import { setTimeout as delay } from "node:timers/promises";
import type { StackConfig } from "../../config/schema.ts";
import { httpGet } from "../../hosts/http-get.ts";
import type { StackHost } from "../../hosts/stack-host.ts";
import type { Host, Router, Site, Topology } from "../../topology/model.ts";
import { isAdopted } from "../../topology/places.ts";
import type { HostView, LedgerEntry, Observation, RouterView } from "./observation.ts";
import { mergeLedgers, readOperations } from "./operations.ts";
import { listenerViews } from "./router-state.ts";
import { DATABASE_QUERY, siteView, withLag } from "./site-state.ts";
import type { DatabaseAnswer, SiteAnswers, SiteDocument } from "./site-state.ts";

/** Milliseconds for each question of a look that must be quick. All are asked at once. */
export const QUICK_MS = 2500;
/** The same for a runbook, which must not take a slow site for a silent one. */
const PATIENT_MS = 10_000;
/** The same for what was silent a moment ago: writes may be waiting for this look. */
const DOUBTFUL_MS = 300;
/** Ledger lines that are read of each host. */
const LEDGER_LINES = 200;

export interface Stack {
  readonly name: string;
  readonly topology: Topology;
  readonly config: Pick<
    StackConfig,
    "adopted" | "haproxy" | "hosts" | "maintenance" | "pgbouncer" | "postgres" | "routers"
  >;
  /** By the host's name. */
  readonly hosts: ReadonlyMap<string, StackHost>;
}

/**
 * Looks at everything at once. A host that cannot be reached costs its own rows alone.
 * @param doubtful hosts that were silent a moment ago: who is back answers quickly, and nobody waits for the others
 */
export async function observe(
  stack: Stack,
  askMs: number = PATIENT_MS,
  doubtful: ReadonlySet<string> = new Set(),
): Promise<Observation & { readonly ledger: readonly LedgerEntry[] }> {
  const { topology } = stack;
  const limitAt = (host: string): number => (doubtful.has(host) ? Math.min(askMs, DOUBTFUL_MS) : askMs);
  const logins = new Map(
    topology.hosts.map(({ name }) => {
      const reached = login(hostOf(stack, name));
      return [name, doubtful.has(name) ? soon(reached) : reached] as const;
    }),
  );
  const reach = (name: string): Promise<string | null> => logins.get(name) ?? Promise.resolve("no such host");
  const [hosts, answers, routers] = await Promise.all([
    Promise.all(topology.hosts.map((host) => observeHost(stack, host, reach(host.name), askMs))),
    Promise.all(
      topology.sites.map((site) => observeSite(stack, site, reach(site.host.name), limitAt(site.host.name))),
    ),
    Promise.all(
      topology.routers.map((router) => observeRouter(stack, router, reach(router.host.name), askMs)),
    ),
  ]);
  const documents = new Map(
    answers.flatMap(({ site, document }) => (document === null ? [] : [[site, document] as const])),
  );
  const sites = withLag(answers.map(siteView), documents);
  const ledger = mergeLedgers(hosts.map((host) => host.ledger));
  const adopted = adoptedSites(stack);
  return {
    stack: stack.name,
    at: new Date().toISOString(),
    declared: topology.primary,
    primaries: sites.filter((site) => site.role === "primary").map((site) => site.name),
    ...(adopted.length === 0 ? {} : { adopted }),
    hosts: hosts.map((host) => host.view),
    sites,
    routers,
    unfinished: ledger.filter((entry) => entry.ended === null),
    ledger,
  };
}

/** Sites that run as they were found (docs/adoption.md). */
export function adoptedSites({ topology, config }: Stack): readonly string[] {
  return topology.sites.filter((site) => isAdopted(site, config.adopted)).map(({ name }) => name);
}

export function hostOf(stack: Stack, name: string): StackHost {
  const host = stack.hosts.get(name);
  if (host === undefined) throw new Error(`no connection to host ${name}`);
  return host;
}

async function soon(reached: Promise<string | null>): Promise<string | null> {
  const late = new AbortController();
  try {
    return await Promise.race([
      reached,
      delay(DOUBTFUL_MS, `no answer within ${DOUBTFUL_MS / 1000} s, and none before`, {
        signal: late.signal,
      }),
    ]);
  } finally {
    late.abort();
  }
}

/** Null when the host can be reached; else why not. */
async function login(host: StackHost): Promise<string | null> {
  try {
    await host.connect();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

async function observeHost(
  stack: Stack,
  { name, address }: Host,
  reached: Promise<string | null>,
  askMs: number,
): Promise<{ readonly view: HostView; readonly ledger: readonly LedgerEntry[] }> {
  const unreachable = await reached;
  const view = { name, address, unreachable, lock: null, operationsUnknown: null };
  if (unreachable !== null) return { view, ledger: [] };
  try {
    const asked = await hostOf(stack, name).tool(["operations", String(LEDGER_LINES)], {
      seconds: askMs / 1000,
    });
    if (asked.exitCode !== 0) throw new Error(asked.stderr.trim() || `status ${asked.exitCode}`);
    const { lock, ledger } = readOperations(asked.stdout);
    return { view: { ...view, lock }, ledger };
  } catch (error) {
    return { view: { ...view, operationsUnknown: (error as Error).message }, ledger: [] };
  }
}

async function observeSite(
  stack: Stack,
  site: Site,
  reached: Promise<string | null>,
  askMs: number,
): Promise<SiteAnswers> {
  const base = { site: site.name, host: site.host.name };
  const [word, status, overSsh] = await Promise.all([
    httpText(site, "/", askMs),
    httpText(site, "/status", askMs),
    reached.then(async (unreachable) => {
      if (unreachable !== null) return { silent: unreachable, document: null, database: null };
      const [facts, database] = await Promise.all([
        controlFacts(stack, site, askMs),
        databaseFacts(stack, site, askMs),
      ]);
      return { ...facts, database };
    }),
  ]);
  const http = status === null ? null : httpDocument(status);
  if (overSsh.document !== null)
    return {
      ...base,
      source: "control",
      ...overSsh,
      document: { ...http, ...overSsh.document },
      word,
    };
  if (http !== null)
    return { ...base, source: "http", silent: null, document: http, word, database: overSsh.database };
  return { ...base, source: null, silent: overSsh.silent, document: null, word, database: overSsh.database };
}

async function controlFacts(
  stack: Stack,
  site: Site,
  askMs: number,
): Promise<{ readonly silent: string | null; readonly document: SiteDocument | null }> {
  try {
    const end = await hostOf(stack, site.host.name).control(site.pgHealth.container, {
      route: "GET /facts",
      limitMs: askMs,
    });
    if (!end.ok) throw new Error(end.message);
    return { silent: null, document: end.value as SiteDocument };
  } catch (error) {
    return { silent: `pg-health: ${(error as Error).message}`, document: null };
  }
}

async function databaseFacts(stack: Stack, site: Site, askMs: number): Promise<DatabaseAnswer | null> {
  try {
    const text = await hostOf(stack, site.host.name).sql(site.postgres, DATABASE_QUERY, askMs / 1000);
    return JSON.parse(text) as DatabaseAnswer;
  } catch {
    // PostgreSQL does not run, or does not answer: pg-health says which.
    return null;
  }
}

/** A GET as the routers ask it; null when there is no answer. */
async function httpText(site: Site, path: string, askMs: number): Promise<string | null> {
  try {
    return await httpGet(`http://${site.host.address}:${site.pgHealth.port}${path}`, askMs);
  } catch {
    return null;
  }
}

function httpDocument(text: string): SiteDocument | null {
  try {
    return (JSON.parse(text) as { readonly heatwave?: SiteDocument }).heatwave ?? null;
  } catch {
    return null;
  }
}

async function observeRouter(
  stack: Stack,
  router: Router,
  reached: Promise<string | null>,
  askMs: number,
): Promise<RouterView> {
  const { name, container } = router;
  const unreachable = await reached;
  if (unreachable !== null) return { name, container, silent: unreachable, listeners: [] };
  try {
    const host = hostOf(stack, router.host.name);
    const [stat, state] = await Promise.all([
      host.haproxy(container, "show stat", askMs),
      host.haproxy(container, "show servers state", askMs),
    ]);
    const { maxconn } = stack.config.haproxy;
    return {
      name,
      container,
      silent: null,
      listeners: listenerViews(stack.topology, router, maxconn, stat, state),
    };
  } catch (error) {
    return { name, container, silent: (error as Error).message, listeners: [] };
  }
}
