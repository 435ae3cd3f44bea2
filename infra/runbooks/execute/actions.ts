import type { ControlEnd } from "../../hosts/control-socket.ts";
import { httpGet } from "../../hosts/http-get.ts";
import type { Site } from "../../topology/model.ts";
import type { SiteView } from "../observe/observation.ts";
import type { Stack } from "../observe/observe.ts";
import { hostOf } from "../observe/observe.ts";
import { replicationLogin } from "../observe/replication-login.ts";
import { siteView } from "../observe/site-state.ts";
import type { SiteDocument } from "../observe/site-state.ts";
import type { Action } from "../plan/step.ts";
import { ActionRefused } from "./action-refused.ts";
import { allOf } from "./all-of.ts";
import { FoundSites } from "./found-sites.ts";
import { Grants } from "./grants.ts";
import { lookUntil } from "./look-until.ts";
import { prove, proveReplay } from "./proof.ts";
import { Renewals } from "./renewals.ts";
import { FREE_SLOTS, reserveSlot } from "./slots.ts";
import type { Learned } from "./learned.ts";
import { Poolers } from "./poolers.ts";
import { WriteRouters } from "./write-routers.ts";
import { writeObjection } from "./write-through.ts";

export { ActionRefused } from "./action-refused.ts";

const ASK_MS = 5000;

/** Carries actions out on a stack. */
export class Actions {
  readonly #stack: Stack;
  readonly #grants: Grants;
  readonly #routers: WriteRouters;
  readonly #poolers: Poolers;
  /** Stops that were left to end by themselves, by site. */
  readonly #stopping = new Map<string, Promise<void>>();
  readonly #renewals: Renewals;
  readonly #found: FoundSites;
  readonly learned: Learned = { shutdown: null, replayed: null, timeline: null, notes: [] };

  /** @param say a line of progress inside a step */
  constructor(stack: Stack, say: (line: string) => void = () => undefined) {
    this.#stack = stack;
    this.#routers = new WriteRouters(stack);
    this.#poolers = new Poolers(stack);
    this.#grants = new Grants(
      {
        view: (site) => this.view(site),
        ask: (site, ...question) => this.#ask(this.#site(site), ...question),
      },
      this.learned,
    );
    this.#renewals = new Renewals(stack, this, this.#poolers, say);
    this.#found = new FoundSites(stack, this.learned);
  }

  /** Ends what was kept open. Guards that have not been told otherwise undo what they guard. */
  close(): void {
    this.#routers.leave();
    this.#poolers.close();
    this.#found.close();
  }

  /**
   * @param seconds limit
   * @throws {ActionRefused} when nothing was done; any other error leaves that open
   */
  async act(action: Action, seconds: number): Promise<void> {
    const until = performance.now() + seconds * 1000;
    switch (action.do) {
      case "together":
        return allOf(action.actions.map((one) => this.act(one, seconds)));
      case "order":
        return action.until === undefined
          ? this.#order(action.site, action.verb, seconds)
          : this.#stopUntilCheckpoint(action.site, seconds);
      case "grant":
        return this.#grants.give(action, until);
      case "prove":
        return prove((site) => this.view(site), this.learned, { from: action.from, to: action.to, until });
      case "prove-replay":
        return proveReplay(
          (body) => this.#ask(this.#site(action.to), "POST /replayed", body, body.limitMs + 1000),
          this.learned,
          { to: action.to, systemId: action.systemId, seconds },
        );
      case "await-stopped":
        return this.#stopping.get(action.site) ?? Promise.resolve();
      case "checkpoint":
        await this.#sql(action.site, "checkpoint; checkpoint", seconds);
        return;
      case "reserve-slot":
        await this.#sql(action.site, reserveSlot(action.slot), seconds);
        return;
      case "ready":
        await Promise.all([
          this.#routers.ready(action.from, action.holdSeconds),
          action.foundPooler === true ? undefined : this.#poolers.open(action.from),
        ]);
        return;
      case "dismiss":
        this.#routers.dismiss();
        return;
      case "reverse":
        return replicationLogin(
          this.#stack,
          this.#site(action.from),
          this.#site(action.to),
          action.systemId,
          seconds,
        );
      case "hold":
        return this.#routers.hold();
      case "release":
        return this.#routers.release(action);
      case "cut":
        return this.#routers.cut(action.site);
      case "uncut":
        return this.#routers.uncut(action.site, action.healthy);
      case "settle-routers":
        await lookUntil(until, `${action.site} still answers primary`, async () => {
          const word = await this.#word(action.site);
          return word === "primary" ? `it says ${word}` : undefined;
        });
        await this.#routers.uncut(action.site, false);
        this.#routers.dismiss();
        return;
      case "clear-overrides":
        return this.#routers.clear(action.primary);
      case "await-logins":
        return this.#poolers.awaitLogins(action.site, seconds * 1000, () =>
          this.#routers.sentTo(action.site),
        );
      case "pause":
        return this.#poolers.pause(action.site, seconds * 1000);
      case "resume-pooler":
        return this.#poolers.resume(action.site);
      case "end-sessions":
        return this.#poolers.endSessions(action.site);
      case "await-primary":
        return lookUntil(until, `${action.site} does not answer primary`, async () => {
          const word = await this.#word(action.site);
          return word === "primary" ? undefined : `it says ${word}`;
        });
      case "await-streaming":
        return lookUntil(until, `${action.standby} does not stream`, async () => {
          const primary = await this.view(action.primary);
          return primary.streamingTo.includes(action.standby)
            ? undefined
            : `${action.primary} streams to ${primary.streamingTo.join(", ") || "nobody"}`;
        });
      case "free-slots":
        await this.#sql(action.site, FREE_SLOTS, seconds);
        return;
      case "await-routers":
        return lookUntil(
          until,
          `not every router sends writes to ${action.site}`,
          async () =>
            (await this.#routers.objection(action.site, action.routers)) ??
            (await this.#unwritten(action.site, action.routers)),
        );
      case "found-ready":
      case "found-leave":
      case "found-stop":
      case "found-users-ready":
      case "found-users":
      case "found-back":
      case "found-keep":
        return this.#found.act(action, seconds);
      default:
        return this.#renewals.act(action, seconds);
    }
  }

  /** Why a write of an application does not get to the site. */
  #unwritten(name: string, routers: readonly string[] | undefined): Promise<string | undefined> {
    const site = this.#site(name);
    return writeObjection(
      this.#stack,
      site,
      (body) => this.#ask(site, "POST /write", body, body.limitMs + ASK_MS),
      routers,
    );
  }

  /** A site by its control socket, now. */
  async view(name: string): Promise<SiteView> {
    const site = this.#site(name);
    const end = await this.#ask(site, "GET /facts", undefined, ASK_MS);
    return siteView({
      site: name,
      host: site.host.name,
      source: "control",
      silent: null,
      document: end.value as SiteDocument,
      word: null,
      database: null,
    });
  }

  #site(name: string): Site {
    const site = this.#stack.topology.sites.find((one) => one.name === name);
    if (site === undefined) throw new Error(`no site ${name}`);
    return site;
  }

  #ask(
    site: Site,
    route: "GET /facts" | "GET /peers" | "POST /order" | "POST /grant" | "POST /replayed" | "POST /write",
    body: unknown,
    limitMs: number,
    onLine: (line: string) => void = () => undefined,
  ): Promise<ControlEnd> {
    return hostOf(this.#stack, site.host.name).control(site.pgHealth.container, {
      route,
      body,
      limitMs,
      onLine,
    });
  }

  async #sql(name: string, statement: string, seconds: number): Promise<void> {
    const site = this.#site(name);
    await hostOf(this.#stack, site.host.name).sql(site.postgres, statement, seconds);
  }

  /** Done with the line that names the last record; the order itself goes on. */
  #stopUntilCheckpoint(name: string, seconds: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const order = this.#ask(
        this.#site(name),
        "POST /order",
        { verb: "stop", mode: "fast" },
        seconds * 1000,
        (line) => {
          const [, checkpoint] = /^shutdown checkpoint (\S+)$/.exec(line) ?? [];
          if (checkpoint === undefined) return;
          this.learned.shutdown = checkpoint;
          resolve();
        },
      ).then((end) => {
        if (!end.ok) throw end.kind === "refused" ? new ActionRefused(end.message) : new Error(end.message);
        if (this.learned.shutdown === null)
          throw new Error(`${name} stopped without a shutdown checkpoint: it did not stop cleanly`);
      });
      this.#stopping.set(name, order);
      order.then(resolve, reject);
    });
  }

  async #order(name: string, verb: "start" | "stop" | "promote", seconds: number): Promise<void> {
    if (verb === "start") await this.#grants.awaitHeard(name);
    const end = await this.#ask(this.#site(name), "POST /order", { verb, mode: "fast" }, seconds * 1000);
    if (end.ok) {
      const timeline = (end.value as { readonly timeline?: unknown } | undefined)?.timeline;
      if (verb === "promote" && typeof timeline === "number") this.learned.timeline = timeline;
      return;
    }
    if (end.kind === "refused") throw new ActionRefused(end.message);
    throw new Error(end.message);
  }

  async #word(name: string): Promise<string> {
    const site = this.#site(name);
    try {
      return await httpGet(`http://${site.host.address}:${site.pgHealth.port}/`, ASK_MS);
    } catch (error) {
      return (error as Error).message;
    }
  }
}
