/** Puts the parts together: one running pg-health. */
import type { Server } from "node:http";
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { Brain, siteWord } from "./brain.ts";
import { CertaintyKeeper } from "./certainty.ts";
import type { Secrets, Settings, SiteConfig } from "./config.ts";
import type { ControlEnd, ControlRoutes } from "./control.ts";
import { listenControl } from "./control.ts";
import { isHeldback, promotionObjection } from "./decide.ts";
import { OrderError } from "./entrypoint.ts";
import { found, FoundingError } from "./found.ts";
import type { FoundingResult } from "./found.ts";
import { createHealthServer } from "./http.ts";
import { Metrics } from "./metrics.ts";
import { checkGrant } from "./grant.ts";
import { peerMac } from "./peer.ts";
import { PeerWatch } from "./peer-watch.ts";
import { PoolerProbe } from "./pooler.ts";
import { SingleFlight } from "./single-flight.ts";
import { peerFacts, Site } from "./site.ts";
import { parseSize } from "./size.ts";
import { PostgresSource } from "./sql.ts";
import { bootToken } from "./uptime.ts";

export interface Places {
  /** Directory of grant.json; writable. */
  readonly state: string;
  /** Path of the control socket. */
  readonly control: string;
  /** Folder that is made anew at each boot of the host. */
  readonly boot: string;
}

const DEFAULT_FOUND_SECONDS = 600;
const ORDER_MS = 120_000;

/** A running pg-health. */
export class Sidecar {
  readonly #settings: Settings;
  readonly #places: Places;
  readonly #log: Logger;
  readonly #site: Site;
  readonly #source: PostgresSource;
  readonly #brain: Brain;
  readonly #peers: PeerWatch;
  readonly #certainty: CertaintyKeeper;
  readonly #health: Server;
  readonly #pooler: PoolerProbe | undefined;
  readonly #sql: SingleFlight<Awaited<ReturnType<PostgresSource["probe"]>>>;
  #control: Server | undefined;
  #founding:
    | { readonly lines: string[]; readonly end: Promise<ControlEnd>; listeners: Set<(line: string) => void> }
    | undefined;

  constructor(settings: Settings, secrets: Secrets, places: Places, log: Logger) {
    this.#settings = settings;
    this.#places = places;
    this.#log = log;
    this.#site = new Site(settings, places.state);
    this.#source = new PostgresSource(settings.postgres, secrets.healthPassword, settings.limits.probeMs);
    const metrics = new Metrics();
    this.#sql = new SingleFlight(async () => {
      const answer = await this.#source.probe();
      metrics.probed(answer);
      return answer;
    }, settings.limits.cacheMs);
    this.#certainty = new CertaintyKeeper(this.#site.certaintyFile);
    this.#peers = new PeerWatch({
      peers: () => this.#whomToAsk(),
      secret: secrets.peerSecret,
      limitMs: settings.limits.peerMs,
      everyMs: settings.limits.peerEveryMs,
      onChange: () => void this.#brain.look(),
    });
    this.#brain = new Brain({
      site: this.#site,
      sql: this.#sql,
      peers: () => this.#peers.answers,
      certainty: this.#certainty,
      log,
    });
    this.#pooler =
      settings.pooler && new PoolerProbe(settings.pooler, secrets.healthPassword, settings.limits);
    const facts = new SingleFlight(() => this.#site.read(), settings.limits.cacheMs);
    this.#health = createHealthServer({
      site: settings.site,
      readinessLag: parseSize(settings.limits.readinessLag) ?? 0,
      sql: this.#sql,
      view: () => this.#brain.view,
      age: () => this.#brain.age,
      failures: () => this.#brain.failures,
      pooler: () => this.#pooler?.report,
      peer: async (nonce) => {
        const peer = peerFacts(settings.site, await facts.get(), nonce);
        return { peer, mac: peerMac(peer, secrets.peerSecret) };
      },
      metrics,
      log,
    });
  }

  /** Listens and begins to look. @throws Error when an address is taken. */
  async start(): Promise<void> {
    const { host, port } = this.#settings.listen;
    this.#control = await listenControl(this.#places.control, this.#routes(), this.#log);
    await new Promise<void>((resolve, reject) => {
      this.#health.once("error", reject);
      this.#health.listen(port, host, resolve);
    });
    await this.#certainty.load(await bootToken(this.#places.boot));
    this.#peers.start();
    this.#brain.start();
    this.#pooler?.start();
    this.#log.info({ host, port }, "pg-health serves");
  }

  /** Stops listening and looking. PostgreSQL stays as it is. */
  async stop(): Promise<void> {
    this.#brain.stop();
    this.#peers.stop();
    this.#pooler?.stop();
    this.#source.close();
    for (const server of [this.#health, this.#control]) {
      if (server === undefined) continue;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    }
  }

  #routes(): ControlRoutes {
    return {
      "GET /liveness": () =>
        Promise.resolve(
          this.#brain.age < 30_000
            ? { ok: true, message: "alive" }
            : { ok: false, kind: "failed", message: "the brain has not looked for 30 s" },
        ),
      "GET /facts": async () => ({
        ok: true,
        message: "facts",
        value: {
          site: this.#settings.site,
          ...(await this.#site.read()),
          sql: await this.#sql.get(),
          decision: this.#brain.view?.decision ?? null,
          word: siteWord(this.#brain.view),
          certainty: this.#certainty.value ?? null,
          peers: this.#peers.answers,
          pooler: this.#pooler?.report ?? null,
        },
      }),
      "GET /peers": async () => ({ ok: true, message: "peers", value: await this.#peers.askAnew() }),
      "POST /grant": (body) => this.#grant(body),
      "POST /order": (body, say) => this.#order(body, say),
      "POST /found": (body, say) => this.#found(body, say),
    };
  }

  /** Every declared site and every peer of the grant, the declared address before the remembered one. */
  #whomToAsk(): readonly Pick<SiteConfig, "name" | "health">[] {
    const { sites, site } = this.#settings;
    const record = this.#brain.view?.facts.grant;
    const remembered = record?.kind === "grant" ? record.grant.peers : [];
    const known = new Set(sites.map(({ name }) => name));
    return [
      ...sites,
      ...remembered
        .filter((peer) => !known.has(peer.site))
        .map((peer) => ({ name: peer.site, health: peer.health })),
    ].filter(({ name }) => name !== site);
  }

  /**
   * `{expect: {epoch, state} | null, grant}`: replaces the grant if it still is what the asker saw.
   */
  async #grant(body: unknown): Promise<ControlEnd> {
    const { expect, grant } = (body ?? {}) as { readonly expect?: unknown; readonly grant?: unknown };
    const refused = (message: string): ControlEnd => ({ ok: false, kind: "refused", message });
    const checked = checkGrant(grant);
    if (checked.kind !== "grant")
      return refused(`grant: ${checked.kind === "unusable" ? checked.why : "none was given"}`);
    const before = await this.#site.read();
    let found = "";
    const written = await this.#site.changeGrant((present) => {
      const seen =
        present.kind === "grant" ? { epoch: present.grant.epoch, state: present.grant.state } : null;
      found =
        present.kind === "grant" ? `epoch ${present.grant.epoch}, ${present.grant.state}` : present.kind;
      return isDeepStrictEqual(seen, expect) ? checked.grant : undefined;
    });
    if (written === undefined) return refused(`the grant is another one by now: ${found}`);
    this.#log.info({ grant: written }, "grant given");
    // The standby.signal of a site that was held back stays its own under the new grant.
    if (written.state === "held" && isHeldback(before) && before.heldback !== undefined)
      await this.#site.writeHeldback({ ...before.heldback, epoch: written.epoch });
    await this.#brain.look();
    return { ok: true, message: `grant of epoch ${written.epoch}, ${written.state}`, value: written };
  }

  /**
   * `{verb: start | stop | restart | reload | promote, mode?: fast | immediate}`. A start goes through the start
   * rules, a restart too; a promotion needs a held grant, which the runbook gives first.
   */
  async #order(body: unknown, say: (line: string) => void): Promise<ControlEnd> {
    const { verb, mode = "fast" } = body as { readonly verb?: unknown; readonly mode?: unknown };
    const refused = (message: string): ControlEnd => ({ ok: false, kind: "refused", message });
    if (mode !== "fast" && mode !== "immediate") return refused("mode: fast or immediate");
    this.#log.info({ verb, mode }, "ordered");
    try {
      switch (verb) {
        case "stop":
          // Written first: a stop that a crash interrupts must not be undone by the next look.
          await this.#site.writeIntent({ run: false });
          await this.#site.entrypoint.order("stop", [mode], ORDER_MS);
          break;
        case "reload":
          await this.#site.entrypoint.order(verb, [], ORDER_MS);
          break;
        case "restart":
        case "start": {
          await this.#site.writeIntent({ run: true });
          if (verb === "restart") await this.#site.entrypoint.order("stop", [mode], ORDER_MS);
          this.#brain.forgive();
          await this.#peers.askAnew();
          say("waiting until PostgreSQL accepts connections");
          const heldBack = await this.#awaitServing(AbortSignal.timeout(ORDER_MS));
          if (heldBack !== undefined) return refused(`held back: ${heldBack}`);
          break;
        }
        case "promote":
          return await this.#promote(say);
        default:
          return refused("verb: start, stop, restart, reload or promote");
      }
    } catch (error) {
      if (error instanceof OrderError) return { ok: false, kind: error.result, message: error.message };
      throw error;
    } finally {
      this.#sql.forget();
      await this.#brain.look();
    }
    return { ok: true, message: `${verb} done` };
  }

  async #promote(say: (line: string) => void): Promise<ControlEnd> {
    const facts = await this.#site.read();
    const objection = promotionObjection(facts, this.#settings.site);
    if (objection !== undefined) return { ok: false, kind: "refused", message: `promote: ${objection}` };
    await this.#site.entrypoint.order("promote", [], ORDER_MS);
    say("PostgreSQL left recovery");
    this.#sql.forget();
    await this.#brain.look();
    const answer = await this.#sql.get();
    if (!answer.ok || answer.facts.inRecovery)
      return { ok: false, kind: "failed", message: "promoted, but PostgreSQL does not say so yet" };
    const { timeline, currentLsn } = answer.facts;
    return { ok: true, message: `promoted to timeline ${timeline}`, value: { timeline, currentLsn } };
  }

  /** One founding at a time; whoever asks while it runs hears the same lines and the same end. */
  async #found(body: unknown, say: (line: string) => void): Promise<ControlEnd> {
    const { timeout = DEFAULT_FOUND_SECONDS } = body as { readonly timeout?: unknown };
    if (typeof timeout !== "number" || !(timeout > 0 && timeout <= 86_400))
      return { ok: false, kind: "refused", message: "timeout: seconds, above 0 and up to 86400" };
    if (this.#founding === undefined) {
      const lines: string[] = [];
      const listeners = new Set<(line: string) => void>();
      const tell = (line: string): void => {
        lines.push(line);
        this.#log.info({ founding: line }, "founding");
        for (const listener of listeners) listener(line);
      };
      const end = this.#runFounding(timeout * 1000, tell).finally(() => {
        this.#founding = undefined;
      });
      this.#founding = { lines, listeners, end };
    }
    const { lines, listeners, end } = this.#founding;
    for (const line of lines) say(line);
    listeners.add(say);
    try {
      return await end;
    } finally {
      listeners.delete(say);
    }
  }

  async #runFounding(timeoutMs: number, say: (line: string) => void): Promise<ControlEnd> {
    let result: FoundingResult;
    try {
      result = await found(
        {
          site: this.#site,
          askPeers: () => this.#peers.askAnew(),
          own: (founding) => {
            this.#brain.founding = founding;
          },
          awaitServing: (signal) => this.#awaitServing(signal),
          say,
        },
        timeoutMs,
      );
    } catch (error) {
      if (error instanceof FoundingError) return { ok: false, kind: error.kind, message: error.message };
      throw error;
    }
    const { systemId, role, changed } = result;
    return {
      ok: true,
      message: `site ${this.#settings.site}: system identifier ${systemId}, role ${role}${changed ? "" : ", nothing to do"}`,
      value: result,
    };
  }

  /** Looks until PostgreSQL accepts connections; ends with the reason when the start rules hold it back. */
  async #awaitServing(signal: AbortSignal): Promise<string | undefined> {
    for (;;) {
      const looked = this.#nextLook(signal);
      await this.#brain.look();
      const decision = this.#brain.view?.decision;
      if (decision?.do === "wait" && ["held", "stopped", "conflict"].includes(decision.word))
        return decision.why;
      const veto = this.#brain.view?.veto;
      if (veto !== undefined && veto.word !== "stopping" && decision?.do === "nothing") return veto.why;
      const entrypoint = this.#brain.view?.facts.entrypoint;
      const settled = decision?.do === "nothing" && veto === undefined;
      if (settled && entrypoint?.answers === true && entrypoint.status.postgres === "running") {
        this.#sql.forget();
        const answer = await this.#sql.get();
        // A refused role is a server that accepts connections; the role comes with the next command.
        if (answer.ok || answer.reason === "login") return undefined;
      }
      if (signal.aborted) throw new Error("PostgreSQL did not accept connections in time");
      await looked;
    }
  }

  #nextLook(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        forget();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const forget = this.#brain.onLook(done);
      signal.addEventListener("abort", done);
    });
  }
}
