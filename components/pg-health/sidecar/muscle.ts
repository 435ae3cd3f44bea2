/** What the brain decided, carried out: orders to the entrypoint, and the files beside the grant. */
import type { Logger } from "pino";
import { leaseUntil } from "./decide.ts";
import type { Decision, Facts } from "./decide.ts";
import type { Site } from "./site.ts";

/** Milliseconds that a short order may take. */
const ORDER_MS = 10_000;
/** Milliseconds that PostgreSQL has for a fast stop before an immediate one. */
const FAST_STOP_MS = 30_000;
/** Seconds by which a lease has to have grown to be worth another order. */
const LEASE_STEP_SECONDS = 1;

export class Muscle {
  readonly #site: Site;
  readonly #log: Logger;
  #lease = 0;

  constructor(site: Site, log: Logger) {
    this.#site = site;
    this.#log = log;
  }

  /** @returns whether the entrypoint took the order */
  async start(decision: Extract<Decision, { do: "start" }>): Promise<boolean> {
    const { entrypoint } = this.#site;
    try {
      if (decision.as === "primary") {
        // A note of an earlier silence would lay claim to a standby.signal of somebody else's.
        await this.#site.writeHeldback(undefined);
        this.#lease = decision.until;
        await entrypoint.order("start", ["primary", decision.until.toFixed(2)], ORDER_MS);
      } else await entrypoint.order("start", ["standby"], ORDER_MS);
      return true;
    } catch (error) {
      this.#log.error({ err: error }, "the entrypoint did not start PostgreSQL");
      return false;
    }
  }

  /** Stops PostgreSQL, at once if need be. Never rejects. */
  async stop(why: string): Promise<void> {
    this.#log.warn({ why }, "stops PostgreSQL to start it anew");
    const { entrypoint } = this.#site;
    try {
      await entrypoint.order("stop", ["fast"], FAST_STOP_MS);
    } catch (error) {
      this.#log.error({ err: error }, "a fast stop did not end: stopping at once");
      await entrypoint.order("stop", ["immediate"], FAST_STOP_MS).catch((late: unknown) => {
        this.#log.error({ err: late }, "PostgreSQL does not stop");
      });
    }
  }

  /**
   * Prepares the role that the next start takes. In such an order that a crash at any point leaves a site that may do
   * less, never one that may do more.
   * @returns whether there was something to do
   */
  async changeRole(decision: Decision): Promise<boolean> {
    const { entrypoint } = this.#site;
    switch (decision.do) {
      case "recover":
        if (decision.note === undefined) await this.#giveUpGrant(decision.epoch);
        await this.#site.writeHeldback(decision.note);
        await this.#site.follow(decision.follow);
        await entrypoint.order("signal", ["on"], ORDER_MS);
        return true;
      case "settle":
        await this.#giveUpGrant(decision.epoch);
        await this.#site.writeHeldback(undefined);
        await this.#site.follow(decision.follow);
        await this.reload();
        return true;
      case "release":
        await entrypoint.order("signal", ["off"], ORDER_MS);
        await this.#site.writeHeldback(undefined);
        return true;
      default:
        return false;
    }
  }

  async #giveUpGrant(epoch: number): Promise<void> {
    await this.#site.changeGrant((present) =>
      present.kind === "grant"
        ? { ...present.grant, state: "none", epoch: Math.max(epoch, present.grant.epoch) }
        : undefined,
    );
  }

  /** Makes a running PostgreSQL read its files again. */
  async reload(): Promise<void> {
    const { entrypoint } = this.#site;
    const facts = await entrypoint.look();
    if (facts.answers && facts.status.postgres === "running") await entrypoint.order("reload", [], ORDER_MS);
  }

  /** PostgreSQL recovers before it opens: the start may go on for as long as the site stays sure. */
  async renewLease(facts: Facts): Promise<void> {
    const { entrypoint, data } = facts;
    const starting = entrypoint.answers && entrypoint.status.postgres === "starting";
    if (!starting || data.kind !== "cluster" || data.standbySignal) return;
    const until = leaseUntil(facts);
    if (until === undefined || until < this.#lease + LEASE_STEP_SECONDS) return;
    this.#lease = until;
    await this.#site.entrypoint.order("lease", [until.toFixed(2)], ORDER_MS);
  }
}
