import type { StackConfig } from "../../config/schema.ts";
import type { StackHost } from "../../hosts/stack-host.ts";
import type { Host, Router, Site, Topology } from "../../topology/model.ts";
import { isAdopted, lists } from "../../topology/places.ts";
import type { Heard } from "./ask.ts";
import { hear, login } from "./ask.ts";
import type { Doubts } from "./doubts.ts";
import { DOUBTFUL_MS, NO_DOUBTS } from "./doubts.ts";
import type { HostView, LedgerEntry, Observation, RouterView } from "./observation.ts";
import { mergeLedgers, readOperations } from "./operations.ts";
import { observeFound } from "./found-site.ts";
import { listenerViews } from "./router-state.ts";
import { DATABASE_QUERY, siteView, withLag } from "./site-state.ts";
import type { DatabaseAnswer, SiteAnswers, SiteDocument } from "./site-state.ts";

/** Milliseconds for each question of a look that must be quick. All are asked at once. */
export const QUICK_MS = 2500;
/** The same for a runbook, which must not take a slow site for a silent one. */
const PATIENT_MS = 10_000;
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

export interface Look {
  /**
   * Milliseconds for each question.
   * @default 10 s
   */
  readonly askMs?: number;
  /**
   * What was asked of hosts that were silent a moment ago.
   * @default nobody is doubted
   */
  readonly doubts?: Doubts;
  /**
   * Only what pg-health and the routers say at once: neither ledgers nor what PostgreSQL's superuser alone sees, which
   * cost a command on each host. Writes may be waiting.
   * @default false
   */
  readonly brief?: boolean;
}

/** Looks at everything at once. A host that cannot be reached costs its own rows alone. */
export async function observe(
  stack: Stack,
  { askMs = PATIENT_MS, doubts = NO_DOUBTS, brief = false }: Look = {},
): Promise<Observation & { readonly ledger: readonly LedgerEntry[] }> {
  const { topology } = stack;
  const logins = new Map(
    topology.hosts.map(({ name }) => [name, doubts.logins.get(name) ?? login(hostOf(stack, name))] as const),
  );
  const reach = (name: string): Promise<string | null> => logins.get(name) ?? Promise.resolve("no such host");
  const [hosts, answers, routers] = await Promise.all([
    Promise.all(topology.hosts.map((host) => observeHost(stack, host, reach(host.name), askMs, brief))),
    Promise.all(
      topology.sites.map((site) => {
        const limitMs = doubts.logins.has(site.host.name) ? Math.min(askMs, DOUBTFUL_MS) : askMs;
        const heard = doubts.heard.get(site.name) ?? hear(site, limitMs);
        const asked = { reached: reach(site.host.name), heard, askMs: limitMs };
        return isAdopted(site, stack.config.adopted)
          ? observeFound(hostOf(stack, site.host.name), site, asked)
          : observeSite(stack, site, { ...asked, brief });
      }),
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

/** The last site that runs as it was found: routers and all other sites are heatwave's, so its writes can be taken away. */
export function siteToHandOver(stack: Stack): string | undefined {
  const { topology, config } = stack;
  const [site, ...more] = adoptedSites(stack);
  const ours = topology.routers.every((router) => !lists(config.adopted, router));
  return more.length === 0 && topology.sites.length > 1 && ours ? site : undefined;
}

export function hostOf(stack: Stack, name: string): StackHost {
  const host = stack.hosts.get(name);
  if (host === undefined) throw new Error(`no connection to host ${name}`);
  return host;
}

/** @param only names; all by default */
export function routersOf({ topology }: Stack, only?: readonly string[]): readonly Router[] {
  return only === undefined ? topology.routers : topology.routers.filter(({ name }) => only.includes(name));
}

async function observeHost(
  stack: Stack,
  { name, address }: Host,
  reached: Promise<string | null>,
  askMs: number,
  brief: boolean,
): Promise<{ readonly view: HostView; readonly ledger: readonly LedgerEntry[] }> {
  const unreachable = await reached;
  const view = { name, address, unreachable, lock: null, operationsUnknown: null };
  if (unreachable !== null || brief) return { view, ledger: [] };
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
  {
    reached,
    heard,
    askMs,
    brief,
  }: {
    readonly reached: Promise<string | null>;
    readonly heard: Promise<Heard>;
    readonly askMs: number;
    readonly brief: boolean;
  },
): Promise<SiteAnswers> {
  const base = { site: site.name, host: site.host.name };
  const [{ word, status }, overSsh] = await Promise.all([
    heard,
    reached.then(async (unreachable) => {
      if (unreachable !== null) return { silent: unreachable, document: null, database: null };
      const [facts, database] = await Promise.all([
        controlFacts(stack, site, askMs),
        brief ? null : databaseFacts(stack, site, askMs),
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
