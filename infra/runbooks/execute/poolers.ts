import { hostOf } from "../observe/observe.ts";
import type { Stack } from "../observe/observe.ts";
import type { LoginLook } from "./logins.ts";
import { awaitLogins } from "./logins.ts";
import { PoolerConsole } from "./pooler-console.ts";

/** Milliseconds until a console must answer: a container is started for it. */
const OPEN_MS = 15_000;
const ASK_MS = 5000;

/** Databases of PgBouncer that are not the application's. */
const OWN = new Set(["pgbouncer", "heatwave_health"]);

/** What routers have of one site. */
export type Sent = Pick<LoginLook, "taken" | "settleMs">;

/** The consoles of sites' poolers, for as long as a run lasts. */
export class Poolers {
  readonly #stack: Stack;
  /** Two each: a pause that waits holds its console. */
  readonly #consoles = new Map<string, readonly [PoolerConsole, PoolerConsole]>();

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  /** @throws Error when a console does not answer */
  async open(siteName: string): Promise<readonly [PoolerConsole, PoolerConsole]> {
    const known = this.#consoles.get(siteName);
    if (known !== undefined) return known;
    const site = this.#stack.topology.sites.find((one) => one.name === siteName);
    if (site === undefined) throw new Error(`no site ${siteName}`);
    const host = hostOf(this.#stack, site.host.name);
    const open = (): Promise<PoolerConsole> => PoolerConsole.open(host, site.pgbouncer.container, OPEN_MS);
    const pair = await Promise.all([open(), open()]);
    this.#consoles.set(siteName, pair);
    return pair;
  }

  /**
   * Waits until nobody is in the middle of a login, as long as that may take.
   * @param sent what the routers have of this site now
   */
  async awaitLogins(site: string, limitMs: number, sent: () => Promise<Sent>): Promise<void> {
    const [console] = await this.open(site);
    await awaitLogins(async () => {
      const [lists, pools, routers] = await Promise.all([
        console.ask("show lists", limitMs),
        console.ask("show pools", limitMs),
        sent(),
      ]);
      const [, loggingIn = "0"] = /^login_clients\|(\d+)$/m.exec(lists) ?? [];
      return { loggingIn: Number(loggingIn), clients: clientsIn(pools), ...routers };
    }, limitMs);
  }

  /** Running transactions end, new ones wait. @throws Error when they do not end within the limit; then nothing is paused */
  async pause(site: string, limitMs: number): Promise<void> {
    const [console] = await this.open(site);
    try {
      await console.ask("pause", limitMs);
    } catch (error) {
      await this.resume(site);
      throw error;
    }
  }

  async resume(site: string): Promise<void> {
    const [, console] = await this.open(site);
    try {
      await console.ask("resume", ASK_MS);
    } catch (error) {
      if (!/not paused|is not paused/i.test((error as Error).message)) throw error;
    }
  }

  /** Ends every session of the application at a site's pooler; new ones may come. */
  async endSessions(site: string): Promise<void> {
    const [, console] = await this.open(site);
    await this.resume(site);
    for (const database of await this.#databases(console)) {
      await console.ask(`kill "${database}"`, ASK_MS);
      await console.ask(`resume "${database}"`, ASK_MS);
    }
  }

  /** Connections to PostgreSQL are made anew once they are released; clients stay. */
  async reconnect(site: string): Promise<void> {
    const [, console] = await this.open(site);
    await console.ask("reconnect", ASK_MS);
  }

  async #databases(console: PoolerConsole): Promise<readonly string[]> {
    const rows = await console.ask("show databases", ASK_MS);
    return rows
      .split("\n")
      .map((row) => row.split("|")[0] ?? "")
      .filter((name) => name !== "" && name !== "*" && !OWN.has(name));
  }

  close(): void {
    for (const pair of this.#consoles.values()) for (const console of pair) console.close();
    this.#consoles.clear();
  }
}

/** Clients of the application that are logged in, from `SHOW POOLS`: database, user, active, waiting, … */
function clientsIn(pools: string): number {
  return pools
    .split("\n")
    .map((row) => row.split("|"))
    .filter(([database = ""]) => database !== "" && !OWN.has(database))
    .reduce((sum, [, , active = "0", waiting = "0"]) => sum + Number(active) + Number(waiting), 0);
}
