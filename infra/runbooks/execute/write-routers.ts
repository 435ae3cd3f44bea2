import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import type { StackHost } from "../../hosts/stack-host.ts";
import type { Listener, Router } from "../../topology/model.ts";
import type { ProxyServer } from "../../topology/proxies.ts";
import { serversOf } from "../../topology/proxies.ts";
import type { ListenerView } from "../observe/observation.ts";
import { listenerViews, statRows } from "../observe/router-state.ts";
import { allOf } from "./all-of.ts";
import type { Sent } from "./poolers.ts";
import { hostOf, routersOf } from "../observe/observe.ts";
import type { Stack } from "../observe/observe.ts";

/** Milliseconds for one line of commands at a router. */
const COMMAND_MS = 2000;
/** Milliseconds for which connections may be on their way to a pooler; a check that took longer met something else. */
const LONGEST_SETTLE_MS = 250;
/** Milliseconds until a guard must stand: a `docker exec` on a busy host. */
const GUARD_MS = 10_000;

/**
 * The write listeners of all routers while a switchover goes on. Holding is `maxconn 0` on the listener alone:
 * connections wait in its accept queue. A guard inside each router's container undoes all of it by itself when this
 * process, or its network, is gone.
 */
export class WriteRouters {
  readonly #stack: Stack;
  readonly #guards = new Map<string, ChildProcessWithoutNullStreams>();

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  get #listeners(): readonly Listener[] {
    return this.#stack.topology.listeners.filter(({ route }) => route === "write");
  }

  /** A guard at every router, and a connection to each one's HAProxy. @throws Error when a router cannot be guarded */
  async ready(from: string, holdSeconds: number): Promise<void> {
    await this.#each((router, host) => this.#guard(router, host, from, holdSeconds));
    // Opens the forwarding that the gap must not wait for.
    await this.#each((router, host) => host.haproxy(router.container, "show version", COMMAND_MS));
  }

  async #guard(router: Router, host: StackHost, from: string, holdSeconds: number): Promise<void> {
    const child = await host.toolStream(["guard", router.container, String(holdSeconds)]);
    this.#guards.set(router.name, child);
    child.stdin.on("error", () => undefined);
    let said = "";
    child.stderr.on("data", (text: Buffer) => (said += text.toString()));
    const armed = once(child.stdout, "data", { signal: AbortSignal.timeout(GUARD_MS) });
    armed.catch(() => undefined);
    const servers = this.#servers(router, from);
    const owners = this.#listeners.flatMap((listener) =>
      serversOf(this.#stack.topology, router, listener).map(({ checkOwner }) => checkOwner),
    );
    child.stdin.write(
      [
        servers.map(ready).join(";"),
        servers.map((server) => health(server, "down")).join(";"),
        owners.join(" "),
        this.#letThrough().join(";"),
        "",
      ].join("\n"),
    );
    const gone = once(child, "close").then(() => {
      throw new Error(`${router.name} has no guard: ${said.trim() || "it ended"}`);
    });
    gone.catch(() => undefined);
    await Promise.race([armed, gone]);
  }

  /** From now on the guards count. */
  async hold(): Promise<void> {
    for (const guard of this.#guards.values()) guard.stdin.write("go\n");
    await this.#command(() => this.#listeners.map(({ name }) => `set maxconn frontend ${name} 0`));
  }

  /** What the routers have taken for a site by now: also what is with no server yet, which HAProxy counts at its front alone. */
  async sentTo(site: string): Promise<Sent> {
    let taken = 0;
    let settleMs = 0;
    await this.#each(async (router, host) => {
      const rows = statRows(await host.haproxy(router.container, "show stat", COMMAND_MS));
      const value = (proxy: string, name: string, field: string): number =>
        Number(rows.find((row) => row["pxname"] === proxy && row["svname"] === name)?.[field] ?? 0);
      for (const listener of this.#listeners) {
        taken += value(listener.name, "FRONTEND", "scur");
        for (const { proxy, name, local } of serversOf(this.#stack.topology, router, listener))
          if (name !== site) taken -= value(proxy, name, "scur");
          // A connection, a question and an answer: two round trips. On one host there is no way to speak of.
          else if (!local) settleMs = Math.max(settleMs, value(proxy, name, "check_duration"));
      }
    });
    return { taken, settleMs: Math.min(settleMs, LONGEST_SETTLE_MS) };
  }

  /**
   * Lets connections through again, first telling HAProxy of sites that are up or down by now.
   * @param only names of the routers to tell; all by default
   */
  async release({
    up = "",
    down = [],
    routers: only,
  }: {
    readonly up?: string;
    readonly down?: readonly string[];
    readonly routers?: readonly string[];
  }): Promise<void> {
    const said = (router: Router, site: string, word: "up" | "down"): string[] =>
      this.#servers(router, site).map((server) => health(server, word));
    await this.#each(async (router, host) => {
      const commands = [...down.flatMap((site) => said(router, site, "down")), ...said(router, up, "up")];
      await ask(router, host, [...commands, ...this.#letThrough()]);
    }, only);
  }

  /** Its sessions end at once: HAProxy shuts those of a server in maint. */
  async cut(site: string): Promise<void> {
    await this.#command((router) =>
      this.#servers(router, site).map(({ proxy, name }) => `set server ${proxy}/${name} state maint`),
    );
  }

  /**
   * @param healthy what the routers take the site for until they have asked it: a server that leaves maint counts as up
   *   (measured), so the word comes in the same line
   */
  async uncut(site: string, healthy: boolean): Promise<void> {
    await this.#command((router) => this.#back(router, site, healthy));
  }

  /** Everything that a dead controller may have left at a router. */
  async clear(primary: string | null): Promise<void> {
    await this.#each(async (router, host) => {
      const writes = await this.#writes(router, host);
      if (writes.every(({ overrides }) => overrides.length === 0)) return;
      const parked = writes.flatMap(({ servers }) =>
        servers.filter(({ status }) => status.startsWith("MAINT")).map(({ site }) => site),
      );
      await ask(router, host, [
        ...[...new Set(parked)].flatMap((site) => this.#back(router, site, site === primary)),
        ...this.#letThrough(),
      ]);
    });
  }

  /**
   * Why a router does not send its writes to the site, or is not as its file says; undefined when all do.
   * @param only names of the routers that are asked; all by default
   */
  async objection(site: string, only?: readonly string[]): Promise<string | undefined> {
    const wrong = await Promise.all(
      routersOf(this.#stack, only).map(async (router): Promise<string | undefined> => {
        const host = hostOf(this.#stack, router.host.name);
        try {
          await host.connect();
        } catch {
          // A router that cannot be reached holds nobody up; topology names it.
          return undefined;
        }
        const writes = await this.#writes(router, host);
        const up = writes.map(({ servers }) =>
          servers
            .filter(({ status }) => status.startsWith("UP"))
            .map((server) => server.site)
            .join(", "),
        );
        if (!up.every((sites) => sites === site)) return `${router.name} has ${up.join("; ") || "none"} up`;
        // What was forced passes with the next check.
        const forced = writes.flatMap(({ overrides }) => overrides);
        return forced.length === 0 ? undefined : `${router.name}: ${forced.join(", ")}`;
      }),
    );
    return wrong.find((one) => one !== undefined);
  }

  async #writes(router: Router, host: StackHost): Promise<readonly ListenerView[]> {
    const { topology, config } = this.#stack;
    const [stat, state] = await Promise.all([
      host.haproxy(router.container, "show stat", COMMAND_MS),
      host.haproxy(router.container, "show servers state", COMMAND_MS),
    ]);
    return listenerViews(topology, router, config.haproxy.maxconn, stat, state).filter(
      ({ route }) => route === "write",
    );
  }

  /** The guards have nothing to undo any more. */
  dismiss(): void {
    // Ends one that counts, and one that never began to.
    for (const guard of this.#guards.values()) guard.stdin.end("done\n");
    this.#guards.clear();
  }

  /** Ends what watches. A guard that counts and was not dismissed undoes now. */
  leave(): void {
    for (const guard of this.#guards.values()) guard.stdin.end();
    this.#guards.clear();
  }

  #letThrough(): string[] {
    const { maxconn } = this.#stack.config.haproxy;
    return this.#listeners.map(({ name }) => `set maxconn frontend ${name} ${maxconn}`);
  }

  #back(router: Router, site: string, healthy: boolean): string[] {
    return this.#servers(router, site).flatMap((server) => [
      ready(server),
      health(server, healthy ? "up" : "down"),
    ]);
  }

  #servers(router: Router, site: string): ProxyServer[] {
    return this.#listeners.flatMap((listener) =>
      serversOf(this.#stack.topology, router, listener).filter(({ name }) => name === site),
    );
  }

  #command(commands: (router: Router) => readonly string[]): Promise<void> {
    return this.#each((router, host) => ask(router, host, commands(router)));
  }

  /** At all routers at once; every one is tried. @throws Error that names the first router that failed */
  async #each(
    act: (router: Router, host: StackHost) => Promise<unknown>,
    only?: readonly string[],
  ): Promise<void> {
    const routers = routersOf(this.#stack, only);
    await allOf(routers.map((router) => act(router, hostOf(this.#stack, router.host.name))));
  }
}

const ready = ({ proxy, name }: ProxyServer): string => `set server ${proxy}/${name} state ready`;
const health = ({ checkOwner }: ProxyServer, word: "up" | "down"): string =>
  `set server ${checkOwner} health ${word}`;

/** Commands in one line, which HAProxy carries out one after the other before anything else. */
async function ask(router: Router, host: StackHost, commands: readonly string[]): Promise<void> {
  if (commands.length === 0) return;
  let answer: string;
  // The way to a host that has died meanwhile takes longer to fail than others may wait.
  const late = new AbortController();
  try {
    answer = await Promise.race([
      host.haproxy(router.container, commands.join(";"), COMMAND_MS),
      delay(COMMAND_MS, undefined, { signal: late.signal }).then(() => {
        throw new Error(`no answer within ${COMMAND_MS / 1000} s`);
      }),
    ]);
  } catch (error) {
    throw new Error(`router ${router.name}: ${(error as Error).message}`, { cause: error });
  } finally {
    late.abort();
  }
  const objection = answer.trim();
  if (objection !== "") throw new Error(`router ${router.name}: ${objection}`);
}
