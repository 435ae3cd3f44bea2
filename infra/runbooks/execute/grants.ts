import type { ControlEnd } from "../../hosts/control-socket.ts";
import type { GrantView, SiteView } from "../observe/observation.ts";
import type { Action } from "../plan/step.ts";
import { ActionRefused } from "./action-refused.ts";
import type { Learned } from "./learned.ts";
import { lookUntil } from "./look-until.ts";

const ASK_MS = 5000;
const HEARD_MS = 10_000;

/** A part of what `GET /peers` gives. */
interface PeerAnswer {
  readonly site: string;
  readonly facts?: { readonly grant: GrantView | null };
}

/** What grants need of sites, by their names. */
export interface GrantSites {
  view(site: string): Promise<SiteView>;
  ask(site: string, route: "GET /peers" | "POST /grant", body: unknown, limitMs: number): Promise<ControlEnd>;
}

/** Grants that a run gives, and whether other sites have heard of them. */
export class Grants {
  readonly #sites: GrantSites;
  readonly #learned: Learned;
  /** By site. */
  readonly #given = new Map<string, GrantView>();

  constructor(sites: GrantSites, learned: Learned) {
    this.#sites = sites;
    this.#learned = learned;
  }

  /**
   * Replaces a site's grant where it is as expected.
   * @throws {ActionRefused} when it is another one
   */
  async give(action: Extract<Action, { do: "grant" }>, until: number): Promise<void> {
    const grant: GrantView =
      action.timeline === "promoted"
        ? { ...action.grant, timeline: await this.#promotedTimeline(action.site, until) }
        : action.grant;
    // Until the answer is there nobody knows which one it has.
    this.#given.delete(action.site);
    const end = await this.#sites.ask(action.site, "POST /grant", { expect: action.expect, grant }, ASK_MS);
    if (end.ok) {
      this.#given.set(action.site, grant);
      return;
    }
    // Done before, by a controller that died before it heard so?
    const { grant: present } = await this.#sites.view(action.site);
    const there =
      present !== null &&
      present.epoch === grant.epoch &&
      present.state === grant.state &&
      present.timeline === grant.timeline;
    if (!there) throw new ActionRefused(end.message);
    this.#given.set(action.site, grant);
  }

  /**
   * Waits until a site has heard the grants that were given to others: a claim that was taken back a moment ago would
   * turn it into a standby of a site that follows it.
   */
  async awaitHeard(name: string): Promise<void> {
    const until = performance.now() + HEARD_MS;
    await lookUntil(until, `${name} has not heard of the other sites' grants`, async () => {
      const end = await this.#sites.ask(name, "GET /peers", undefined, ASK_MS);
      const peers = end.value as readonly PeerAnswer[];
      for (const [site, { epoch, state }] of this.#given) {
        const answer = peers.find((peer) => peer.site === site);
        // Who is silent has no claim that counts, and the start rules decide on the silence.
        if (site === name || answer?.facts === undefined) continue;
        const heard = answer.facts.grant;
        if (heard?.epoch !== epoch || heard.state !== state)
          return `it hears epoch ${heard?.epoch ?? "?"}, ${heard?.state ?? "nothing"} of ${site}`;
      }
      return undefined;
    });
  }

  async #promotedTimeline(name: string, until: number): Promise<number> {
    if (this.#learned.timeline !== null) return this.#learned.timeline;
    await lookUntil(until, `${name}'s timeline is not known`, async () => {
      const site = await this.#sites.view(name);
      if (site.role !== "primary") return `it is ${site.role}`;
      this.#learned.timeline = site.timeline;
      return site.timeline === null ? "PostgreSQL does not say" : undefined;
    });
    return this.#promotedTimeline(name, until);
  }
}
