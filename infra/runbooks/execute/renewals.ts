import { setTimeout as pause } from "node:timers/promises";
import type { ControlEnd } from "../../hosts/control-socket.ts";
import { hostOf, observe } from "../observe/observe.ts";
import type { Stack } from "../observe/observe.ts";
import type { GrantView, SiteView } from "../observe/observation.ts";
import { survey } from "../observe/survey.ts";
import { expectation } from "../plan/grants.ts";
import { roomObjection } from "../plan/rebuild.ts";
import type { RenewAction } from "../plan/renew-actions.ts";
import { ActionRefused } from "./action-refused.ts";
import type { Learned } from "./learned.ts";
import type { Poolers } from "./poolers.ts";
import { dropSlot, makeSlot, standbySlots } from "./slots.ts";

/** Milliseconds between two looks at a standby that comes up. */
const LOOK_MS = 250;
/** Milliseconds without any progress after which a standby that does not stream is given up. */
const STALL_MS = 60_000;
/** Words of a standby that will not come up by itself. */
const LOST = new Set(["diverged", "held", "conflict"]);

/** Who looks at sites, and keeps what is learned. */
export interface Looks {
  view(site: string): Promise<SiteView>;
  readonly learned: Learned;
}

/** Carries out what gives a site's data a new beginning. */
export class Renewals {
  readonly #stack: Stack;
  readonly #looks: Looks;
  readonly #poolers: Poolers;
  readonly #say: (line: string) => void;

  /** @param say a line for the operator while a step runs */
  constructor(stack: Stack, looks: Looks, poolers: Poolers, say: (line: string) => void) {
    this.#stack = stack;
    this.#looks = looks;
    this.#poolers = poolers;
    this.#say = say;
  }

  /** A line that goes into the ledger too. */
  #note(line: string): void {
    this.#looks.learned.notes.push(line);
    this.#say(line);
  }

  /** @throws {ActionRefused} when nothing of it happened; any other error leaves that open */
  async act(action: RenewAction, seconds: number): Promise<void> {
    switch (action.do) {
      case "data":
        await this.#data(action.site, { verb: action.verb, id: action.id }, seconds);
        return;
      case "adopt":
        await this.#data(action.site, { verb: "adopt", systemId: action.systemId }, seconds);
        return;
      case "base-backup":
        return this.#baseBackup(action, seconds);
      case "rewind":
        return this.#rewind(action, seconds);
      case "join-grant":
        return this.#joinGrant(action.site, action.primary);
      case "unexclude":
        return this.#unexclude(action.at, action.site);
      case "await-following":
        return this.#awaitFollowing(action.standby, action.primary, seconds);
      case "make-slot":
        return this.#sql(action.site, makeSlot(action.slot), seconds);
      case "drop-slot":
        return this.#sql(action.site, dropSlot(action.slot), seconds);
      case "standby-slots":
        return this.#sql(action.site, standbySlots(action.slots), seconds);
      case "reconnect":
        return this.#poolers.reconnect(action.site);
      case "snapshot":
      case "drop-snapshot":
        return this.#snapshot(action, seconds);
    }
  }

  #site(name: string) {
    const site = this.#stack.topology.sites.find((one) => one.name === name);
    if (site === undefined) throw new Error(`no site ${name}`);
    return site;
  }

  async #sql(name: string, statement: string, seconds: number): Promise<void> {
    const site = this.#site(name);
    await hostOf(this.#stack, site.host.name).sql(site.postgres, statement, seconds);
  }

  #ask(
    name: string,
    route: "POST /data" | "POST /grant",
    body: unknown,
    limitMs: number,
  ): Promise<ControlEnd> {
    const site = this.#site(name);
    return hostOf(this.#stack, site.host.name).control(site.pgHealth.container, {
      route,
      body,
      limitMs,
      onLine: (line) => {
        const [, found] = /^found: (.*)$/.exec(line) ?? [];
        if (found === undefined) this.#say(`${name}: ${line}`);
        else this.#note(`${name}: ${found}`);
      },
    });
  }

  /** An order for the data. @throws {ActionRefused} when it was refused, or `unfit` */
  async #data(site: string, order: Readonly<Record<string, unknown>>, seconds: number): Promise<string> {
    const limitMs = seconds * 1000;
    const end = await this.#ask(site, "POST /data", { ...order, limitMs }, limitMs + 5000);
    if (end.ok) return end.message;
    if (end.kind === "unfit") throw new Unfit(end.message);
    throw end.kind === "refused" ? new ActionRefused(end.message) : new Error(end.message);
  }

  async #baseBackup(
    {
      site,
      from,
      slot,
      systemId,
    }: Pick<Extract<RenewAction, { do: "base-backup" }>, "site" | "from" | "slot" | "systemId">,
    seconds: number,
  ): Promise<void> {
    this.#say(`${site}: ${await this.#data(site, { verb: "basebackup", from, slot, systemId }, seconds)}`);
  }

  /** Refused as long as what was put aside is whole: then it can be put back. */
  async #rewind(action: Extract<RenewAction, { do: "rewind" }>, seconds: number): Promise<void> {
    const { site, from, slot, systemId, id, backupBytes } = action;
    let why: string;
    try {
      const done = await this.#data(
        site,
        { verb: "rewind", id, from, slot, systemId, bytes: backupBytes },
        seconds,
      );
      this.#note(`${site}: ${done}`);
      return;
    } catch (error) {
      if (error instanceof ActionRefused && !(error instanceof Unfit)) throw error;
      why = (error as Error).message;
    }
    this.#note(`${site}: a base backup is taken, since it cannot be rewound: ${why}`);
    try {
      await this.#demandRoom(site);
      await this.#baseBackup(action, seconds);
    } catch (error) {
      const { leftovers } = await this.#looks.view(site);
      if (leftovers?.includes(`kept-${id}`) !== true) throw error;
      for (const undo of [{ verb: "cancel" }, { verb: "discard" }]) await this.#data(site, undo, 600);
      await this.#sql(from, dropSlot(slot), 15);
      throw new ActionRefused((error as Error).message);
    }
  }

  async #demandRoom(site: string): Promise<void> {
    const seen = await observe(this.#stack);
    const objection = roomObjection(seen, site, await survey(this.#stack, seen, site));
    if (objection !== undefined) throw new Error(objection);
  }

  async #joinGrant(name: string, primary: string): Promise<void> {
    const [site, followed] = await Promise.all([this.#looks.view(name), this.#looks.view(primary)]);
    const { grant } = followed;
    if (grant === null || followed.role !== "primary")
      throw new ActionRefused(`${primary} is the primary no longer`);
    const given: GrantView = {
      systemId: grant.systemId,
      epoch: Math.max(grant.epoch, site.grant?.epoch ?? 0),
      timeline: followed.timeline ?? grant.timeline,
      state: "none",
      peers: site.grant?.peers ?? [],
      excluded: grant.excluded.filter((one) => one !== name),
    };
    await this.#grant(name, site.grant, given);
  }

  async #unexclude(at: string, name: string): Promise<void> {
    const { grant } = await this.#looks.view(at);
    if (grant?.excluded.includes(name) !== true) return;
    await this.#grant(at, grant, { ...grant, excluded: grant.excluded.filter((one) => one !== name) });
  }

  /** Compare and set, by what was read a moment ago. */
  async #grant(site: string, expected: GrantView | null, grant: GrantView): Promise<void> {
    const end = await this.#ask(site, "POST /grant", { expect: expectation(expected), grant }, 5000);
    if (!end.ok) throw new ActionRefused(end.message);
  }

  async #awaitFollowing(standby: string, primary: string, seconds: number): Promise<void> {
    const until = performance.now() + seconds * 1000;
    let [stalledMs, position, why] = [0, "", ""];
    for (let looked = performance.now(); ;) {
      let starting = false;
      try {
        const [site, followed] = await Promise.all([this.#looks.view(standby), this.#looks.view(primary)]);
        // Both: the primary may not have noticed yet that an earlier receiver is gone.
        if (followed.streamingTo.includes(standby) && site.receiver === "streaming") return;
        const word = site.word ?? "nothing";
        why =
          site.running === true
            ? `it replayed ${site.lsn.replayed ?? "?"} and does not stream`
            : `it says ${word}`;
        if (site.running !== true && LOST.has(word))
          throw new ActionRefused(`${standby} says ${word}: ${site.why ?? "no reason given"}`);
        // PostgreSQL tells no position before it is consistent, however long that takes; of a crash its word tells.
        starting = word === "starting";
        const now = JSON.stringify(site.lsn);
        if (now !== position) [position, stalledMs] = [now, 0];
      } catch (error) {
        if (error instanceof ActionRefused) throw error;
        why = (error as Error).message;
      }
      const now = performance.now();
      if (!starting) stalledMs += now - looked;
      looked = now;
      if (now > until || stalledMs > STALL_MS)
        throw new ActionRefused(
          `${standby} does not follow ${primary}: ${why}; see docker logs of its PostgreSQL container`,
        );
      await pause(LOOK_MS);
    }
  }

  async #snapshot(
    { do: what, site: name, id }: Extract<RenewAction, { do: "snapshot" | "drop-snapshot" }>,
    seconds: number,
  ) {
    const site = this.#site(name);
    const verb = what === "snapshot" ? "snapshot" : "unsnapshot";
    const done = await hostOf(this.#stack, site.host.name).tool([verb, site.volume, `heatwave-${id}`], {
      seconds,
    });
    if (done.exitCode !== 0) throw new Error(done.stderr.trim().replace(/^error: /, ""));
    if (what === "drop-snapshot") return;
    const snapshot = done.stdout.trim();
    this.#note(
      `${name}: ${snapshot} is kept if this fails; back to it, with all that lies on that dataset, on ${site.host.name}: ` +
        `docker stop ${site.postgres.container} && zfs rollback -r ${snapshot} && docker start ${site.postgres.container}`,
    );
  }
}

/** It cannot be rewound, and nothing was done to it. */
class Unfit extends ActionRefused {}
