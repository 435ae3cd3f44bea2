/** Puts the parts together: one running pg-health. */
import type { Server } from "node:http";
import type { Logger } from "pino";
import { Brain, siteWord } from "./brain.ts";
import { CertaintyKeeper } from "./certainty.ts";
import type { Secrets, Settings, SiteConfig } from "./config.ts";
import type { ControlEnd, ControlRoutes } from "./control.ts";
import { listenControl } from "./control.ts";
import { DataOrders, leftovers } from "./data-orders.ts";
import { found, FoundingError } from "./found.ts";
import type { FoundingResult } from "./found.ts";
import { createHealthServer } from "./http.ts";
import { Metrics } from "./metrics.ts";
import { Orders } from "./orders.ts";
import { peerMac } from "./peer.ts";
import { PeerWatch } from "./peer-watch.ts";
import { PoolerProbe } from "./pooler.ts";
import { freeBytes } from "./room.ts";
import { SingleFlight } from "./single-flight.ts";
import { peerFacts, Site } from "./site.ts";
import { parseSize } from "./size.ts";
import { PostgresSource } from "./sql.ts";
import { bootToken } from "./uptime.ts";
import { writeThrough } from "./write-through.ts";

export interface Places {
  /** Directory of grant.json; writable. */
  readonly state: string;
  /** Path of the control socket. */
  readonly control: string;
  /** Folder that is made anew at each boot of the host. */
  readonly boot: string;
}

const DEFAULT_FOUND_SECONDS = 600;

/** A running pg-health. */
export class Sidecar {
  readonly #settings: Settings;
  readonly #places: Places;
  readonly #password: () => string;
  readonly #log: Logger;
  readonly #site: Site;
  readonly #source: PostgresSource;
  readonly #brain: Brain;
  readonly #peers: PeerWatch;
  readonly #orders: Orders;
  readonly #data: DataOrders;
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
    const password = (): string => secrets.healthPassword;
    this.#password = password;
    this.#source = new PostgresSource(settings.postgres, password, settings.limits.probeMs);
    const metrics = new Metrics();
    this.#sql = new SingleFlight(async () => {
      const answer = await this.#source.probe();
      metrics.probed(answer);
      return answer;
    }, settings.limits.cacheMs);
    this.#certainty = new CertaintyKeeper(this.#site.certaintyFile);
    this.#peers = new PeerWatch({
      peers: () => this.#whomToAsk(),
      get secret() {
        return secrets.peerSecret;
      },
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
    this.#orders = new Orders({
      site: this.#site,
      brain: this.#brain,
      peers: this.#peers,
      sql: this.#sql,
      ask: (question) => this.#source.value(question),
      log,
    });
    this.#data = new DataOrders({ site: this.#site, brain: this.#brain, log });
    this.#pooler = settings.pooler && new PoolerProbe(settings.pooler, password, settings.limits);
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
    await this.#site.reserve();
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
          leftovers: await leftovers(this.#settings.postgres.dataDirectory),
          freeBytes: (await freeBytes(this.#settings.postgres.dataDirectory)) ?? null,
        },
      }),
      "GET /peers": async () => ({ ok: true, message: "peers", value: await this.#peers.askAnew() }),
      "POST /grant": (body) => this.#orders.grant(body),
      "POST /replayed": (body) => this.#orders.replayed(body),
      "POST /write": (body) => writeThrough(body, this.#settings.pooler, this.#password),
      "POST /order": (body, say) => this.#orders.order(body, say),
      "POST /data": (body, say) => this.#data.order(body, say),
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
          awaitServing: (signal) => this.#orders.awaitServing(signal),
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
}
