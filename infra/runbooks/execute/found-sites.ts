import type { ChildProcessWithoutNullStreams } from "node:child_process";
import type { Site } from "../../topology/model.ts";
import type { Stack } from "../observe/observe.ts";
import { hostOf } from "../observe/observe.ts";
import type { FoundAction } from "../plan/found-actions.ts";
import { Bell } from "./bell.ts";
import type { Learned } from "./learned.ts";

/** Seconds for PostgreSQL to stop before Docker kills it: the undo that follows needs the rest of the step's limit. */
const STOP_SECONDS = 10;

/** Seconds for a session that was to set verifiers to end. */
const USERS_END_SECONDS = 5;

/** Carries out what a switchover away from a site that runs as it was found needs on the hosts. */
export class FoundSites {
  readonly #stack: Stack;
  readonly #learned: Learned;
  /** By what they wait to do: host-tool's `found stop` and `found users`. */
  readonly #waiting = new Map<string, FoundTalk>();

  constructor(stack: Stack, learned: Learned) {
    this.#stack = stack;
    this.#learned = learned;
  }

  async act(action: FoundAction, seconds: number): Promise<void> {
    const site = this.#site(action.site);
    switch (action.do) {
      case "found-ready":
        await this.#talk(site, "stop", seconds);
        return;
      case "found-stop": {
        const [, lsn = ""] = await this.#waits(site, "stop").said(/^stopped (\S+)$/m, seconds, "stop");
        this.#learned.shutdown = lsn;
        return;
      }
      case "found-users-ready":
        await this.#talk(site, "users", seconds);
        return;
      case "found-users": {
        const talk = this.#waiting.get(key(site, "users")) ?? (await this.#talk(site, "users", seconds));
        await talk.said(/^done$/m, seconds, "go");
        return;
      }
      case "found-leave":
        return this.#leave(site, seconds);
      case "found-back":
        await this.#leave(site, seconds);
        return this.#tool(site, ["back", site.name, site.postgres.container, stateOf(site)], seconds);
      case "found-keep":
        await this.#leave(site, seconds);
        return this.#tool(
          site,
          [
            ...["keep", site.name, site.postgres.container, site.volume, stateOf(site)],
            ...[String(action.epoch), site.postgres.image],
          ],
          seconds,
        );
    }
  }

  /** Ends what waits for a word: what was not stopped by then runs as before. */
  close(): void {
    for (const talk of this.#waiting.values()) talk.leave();
    this.#waiting.clear();
  }

  async #talk(site: Site, about: "stop" | "users", seconds: number): Promise<FoundTalk> {
    const { postgres, pgbouncer } = site;
    const words = {
      stop: [site.name, postgres.container, site.volume, stateOf(site), String(STOP_SECONDS), postgres.image],
      users: [postgres.container, String(postgres.port), pgbouncer.container],
    };
    const host = hostOf(this.#stack, site.host.name);
    const talk = new FoundTalk(await host.toolStream(["found", about, ...words[about]]), site.name);
    this.#waiting.set(key(site, about), talk);
    await talk.said(/^ready$/m, seconds);
    return talk;
  }

  #waits(site: Site, about: "stop" | "users"): FoundTalk {
    const talk = this.#waiting.get(key(site, about));
    if (talk === undefined) throw new Error(`${site.name} was not readied for this`);
    return talk;
  }

  async #leave(site: Site, seconds: number): Promise<void> {
    for (const about of ["stop", "users"] as const) {
      const talk = this.#waiting.get(key(site, about));
      this.#waiting.delete(key(site, about));
      talk?.leave();
      // A stop that was begun comes to its end; a statement that hangs is nobody's loss.
      await talk?.ended(about === "stop" ? seconds : USERS_END_SECONDS);
    }
  }

  async #tool(site: Site, words: readonly string[], seconds: number): Promise<void> {
    const done = await hostOf(this.#stack, site.host.name).tool(["found", ...words], { seconds });
    if (done.exitCode !== 0)
      throw new Error(done.stderr.trim().split("\n").at(-1) ?? `status ${done.exitCode}`);
  }

  #site(name: string): Site {
    const site = this.#stack.topology.sites.find((one) => one.name === name);
    if (site === undefined) throw new Error(`no site ${name}`);
    return site;
  }
}

const key = (site: Site, about: string): string => `${site.name} ${about}`;

/** pg-health's folder of that name, where heatwave's containers will look for the grant. */
const stateOf = (site: Site): string => `${site.pgHealth.directory}/state`;

/** One conversation with host-tool: lines in, lines out. */
class FoundTalk {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #site: string;
  readonly #over: Promise<void>;
  #out = "";
  #err = "";
  #isOver = false;
  readonly #bell = new Bell();

  constructor(child: ChildProcessWithoutNullStreams, site: string) {
    this.#child = child;
    this.#site = site;
    child.stdin.on("error", () => undefined);
    child.stdout.on("data", (text: Buffer) => {
      this.#out += text.toString();
      this.#bell.ring();
    });
    child.stderr.on("data", (text: Buffer) => (this.#err += text.toString()));
    this.#over = new Promise((resolve) =>
      child.once("close", () => {
        this.#isOver = true;
        this.#bell.ring();
        resolve();
      }),
    );
  }

  /**
   * Waits for a line.
   * @param word said before
   * @throws Error with the host's words, or when the limit is over
   */
  async said(line: RegExp, seconds: number, word?: string): Promise<RegExpExecArray> {
    if (word !== undefined) this.#child.stdin.write(`${word}\n`);
    const until = performance.now() + seconds * 1000;
    for (;;) {
      const found = line.exec(this.#out);
      if (found !== null) return found;
      if (this.#isOver)
        throw new Error(this.#err.trim().replace(/^error: /, "") || `${this.#site}: it ended without a word`);
      const left = until - performance.now();
      if (left <= 0) throw new Error(`${this.#site}: no answer within ${seconds} s`);
      await this.#bell.heard(left);
    }
  }

  leave(): void {
    this.#child.stdin.end();
  }

  async ended(seconds: number): Promise<void> {
    const timer = setTimeout(() => this.#child.kill("SIGTERM"), seconds * 1000);
    await this.#over;
    clearTimeout(timer);
  }
}
