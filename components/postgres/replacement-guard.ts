import { setTimeout as pause } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import { holdHost } from "../../infra/hosts/operation-hold.ts";
import { lookAtPostgres } from "../../infra/hosts/postgres-sighting.ts";
import { borrowHost } from "../../infra/hosts/ssh-pool.ts";
import type { SshTarget } from "../../infra/hosts/ssh-options.ts";
import type { Site, Topology } from "../../infra/topology/model.ts";
import { refusalForPreview, refusalOfLeaving, refusalOfPrimary } from "./replacement-messages.ts";
import type { Sightings, Verdict } from "./replacement-rules.ts";
import { isBack, mayReplace } from "./replacement-rules.ts";
import { SOCKET_DIRECTORY } from "./render/postgresql-conf.ts";

/** Between two looks at the sites, ms. */
const LOOK_EVERY = 1000;

/** How long what is not ready yet is waited for. */
export interface ReplacementLimits {
  /** Until a standby may go, ms. @default 5 min */
  readonly ready: number;
  /** Until a replaced standby has caught up, ms. @default 15 min */
  readonly back: number;
  /** Without any other container of the run being done, until the primary is refused, ms. @default 10 min */
  readonly idle: number;
}

const LIMITS: ReplacementLimits = { ready: 300_000, back: 900_000, idle: 600_000 };

/**
 * Keeps `up` from replacing the observed primary's PostgreSQL container, and lets standbys go one at a time. Resource
 * hooks call it right before a container is deleted and right after it was made again; a preview only warns.
 */
export class ReplacementGuard {
  /** For PostgreSQL's containers. */
  readonly container: pulumi.ResourceHookBinding;
  /** For their images: a state that was written before there were hooks has none to call at the container. */
  readonly image: pulumi.ResourceHookBinding;
  readonly #topology: Topology;
  readonly #limits: ReplacementLimits;
  /** Site by the logical name of its container and of its image. */
  readonly #sites = new Map<string, Site>();
  /** Retired sites by the logical name of their container, which is about to be deleted. */
  readonly #retired = new Map<string, Site>();
  /** Containers whose registration is not over, by logical name. */
  readonly #pending = new Map<
    string,
    { readonly over: Promise<void>; readonly waitsFor: string | undefined }
  >();
  /** Ends with the replacement that is under way. */
  #turn: Promise<void> = Promise.resolve();
  #underWay: { readonly site: string; readonly end: () => void } | undefined;
  /** Lets runbooks at the host of the replacement that is under way again. */
  #release: (() => Promise<unknown>) | undefined;
  /** Why no further standby may go. */
  #stuck: string | undefined;

  /** @param name unique in the program: hooks are found by it */
  constructor(name: string, topology: Topology, limits: ReplacementLimits = LIMITS) {
    this.#topology = topology;
    this.#limits = limits;
    const options: pulumi.ResourceHookOptions = { onDryRun: true };
    this.container = {
      beforeDelete: [
        new pulumi.ResourceHook(
          `${name}-before-postgres-container-delete`,
          (args) => this.#connected(() => this.#beforeDelete(args.name)),
          options,
        ),
      ],
      afterCreate: [
        new pulumi.ResourceHook(`${name}-after-postgres-container-create`, (args) =>
          this.#connected(() => this.#afterCreate(args.name)),
        ),
      ],
    };
    this.image = {
      beforeCreate: [
        new pulumi.ResourceHook(`${name}-before-postgres-image-create`, (args) =>
          this.#connected(() => this.#beforeImage(args.name, String(args.newInputs?.["name"]))),
        ),
      ],
    };
  }

  /** Says whose container and image these logical names are. Before they are declared: hooks are called by name. */
  belongs(site: Site, ...names: readonly string[]): void {
    for (const name of names) this.#sites.set(name, site);
  }

  /** Says whose container goes because its site is retired. */
  retires(site: Site, name: string): void {
    this.#retired.set(name, site);
  }

  /**
   * A container of the stack: the primary is refused only when all that does not wait for it is done.
   * @param waitsFor site whose PostgreSQL container it is, or waits for
   */
  follow(name: string, container: pulumi.Resource, waitsFor?: Site): void {
    const registered = new Promise<void>((resolve) => container.urn.apply(() => resolve()));
    const over = registered.then(() => void this.#pending.delete(name));
    this.#pending.set(name, { over, waitsFor: waitsFor?.name });
  }

  async #beforeDelete(name: string): Promise<void> {
    const site = this.#sites.get(name);
    const retired = this.#retired.get(name);
    if (retired !== undefined) return this.#beforeRetirement(retired);
    // No other site's container is ever deleted, but for a replacement: then it is declared.
    if (site === undefined) throw new Error(refusalOfLeaving(name));
    if (pulumi.runtime.isDryRun()) {
      if (site.name === this.#topology.primary)
        await pulumi.log.warn(refusalForPreview(this.#topology, site, pulumi.getStack()));
      return;
    }
    // Registered and then deleted: not a replacement, the whole stack goes (`destroy --run-program`).
    if (!this.#pending.has(name)) return;
    await this.#takeTurn(site.name);
    try {
      // Before the look: what is seen then is not changed by a runbook until the container is back.
      this.#release = (await holdHost(site.host)).release;
      await this.#untilItMayGo(site);
    } catch (error) {
      await this.#endTurn();
      throw error;
    }
  }

  /** The retirement stopped it: whoever started it since wants it to stay. */
  async #beforeRetirement(site: Site): Promise<void> {
    if (pulumi.runtime.isDryRun()) return;
    if ((await this.#look(site)).kind === "primary")
      throw new Error(
        `${site.name} is to be retired but is the primary now; its container stays. Flip to a site that stays first.`,
      );
  }

  async #afterCreate(name: string): Promise<void> {
    const site = this.#sites.get(name);
    if (site === undefined || this.#underWay?.site !== site.name) return;
    try {
      await this.#untilBack(site.name);
    } catch (error) {
      this.#stuck = error instanceof Error ? error.message : String(error);
      throw error;
    } finally {
      await this.#endTurn();
    }
  }

  async #beforeImage(name: string, image: string): Promise<void> {
    const site = this.#sites.get(name);
    if (site === undefined) return;
    const own = await this.#look(site);
    if (own.kind !== "primary" || own.image === image) return;
    await this.#untilOthersAreDone(site);
    if ((await this.#look(site)).kind === "primary")
      throw new Error(refusalOfPrimary(this.#topology, site, pulumi.getStack()));
  }

  async #untilItMayGo(going: Site): Promise<void> {
    const site = going.name;
    const deadline = performance.now() + this.#limits.ready;
    for (;;) {
      if (this.#stuck !== undefined)
        throw new Error(
          `${site} keeps its PostgreSQL container, since the one before is not back: ${this.#stuck}`,
        );
      const verdict = mayReplace(site, await this.#lookAtAll());
      switch (verdict.kind) {
        case "go":
          if (verdict.unseen.length > 0)
            await pulumi.log.warn(
              `${site} is replaced although ${verdict.unseen.join(", ")} cannot be asked`,
            );
          return;
        case "primary":
          await this.#refusePrimary(going);
          break;
        case "unseen":
          throw new Error(
            `${verdict.message}\nso nobody knows whether ${site} is the primary, and its PostgreSQL container stays. ` +
              "Mend the host and run `pulumi up` again, or leave the site out with --exclude.",
          );
        case "wait":
          await this.#later(deadline, site, verdict);
      }
    }
  }

  async #later(deadline: number, site: string, verdict: Extract<Verdict, { kind: "wait" }>): Promise<void> {
    if (performance.now() > deadline)
      throw new Error(
        `${site} keeps its PostgreSQL container: ${verdict.why}. Waited ${Math.round(this.#limits.ready / 1000)} s; ` +
          "mend that and run `pulumi up` again.",
      );
    await pause(LOOK_EVERY);
  }

  /** Gives the turn away meanwhile: the standbys' replacements are what it waits for. */
  async #refusePrimary(site: Site): Promise<void> {
    await this.#endTurn();
    await this.#untilOthersAreDone(site);
    await this.#takeTurn(site.name);
    this.#release = (await holdHost(site.host)).release;
    const again = mayReplace(site.name, await this.#lookAtAll());
    if (again.kind === "primary") throw new Error(refusalOfPrimary(this.#topology, site, pulumi.getStack()));
  }

  async #untilOthersAreDone(site: Site): Promise<void> {
    for (;;) {
      const others = [...this.#pending.values()].filter(({ waitsFor }) => waitsFor !== site.name);
      if (others.length === 0) return;
      const idle = pause(this.#limits.idle, "idle" as const, { ref: false });
      if ((await Promise.race([idle, ...others.map(({ over }) => over)])) === "idle") return;
    }
  }

  async #untilBack(site: string): Promise<void> {
    const deadline = performance.now() + this.#limits.back;
    for (;;) {
      const lacks = isBack(site, await this.#lookAtAll());
      if (lacks === true) return;
      if (performance.now() > deadline)
        throw new Error(
          `${site} has a new PostgreSQL container but is not back within ${Math.round(this.#limits.back / 1000)} s: ${lacks}`,
        );
      await pause(LOOK_EVERY);
    }
  }

  async #takeTurn(site: string): Promise<void> {
    const before = this.#turn;
    let end = (): void => undefined;
    this.#turn = new Promise<void>((resolve) => (end = resolve));
    const limit = this.#limits.ready + this.#limits.back + this.#limits.idle;
    if ((await Promise.race([before, pause(limit, "late" as const, { ref: false })])) === "late")
      throw new Error(
        `${site} keeps its PostgreSQL container: ${this.#underWay?.site ?? "another site"} was replaced before it and never came to an end`,
      );
    this.#underWay = { site, end };
  }

  async #endTurn(): Promise<void> {
    const release = this.#release;
    this.#release = undefined;
    await release?.();
    this.#underWay?.end();
    this.#underWay = undefined;
  }

  /** Keeps the connections of its looks, so that only the first one logs in. */
  async #connected(hook: () => Promise<void>): Promise<void> {
    const leases = this.#topology.sites.map((site) => borrowHost(targetOf(site)));
    try {
      await hook();
    } finally {
      await Promise.all(leases.map(({ release }) => release()));
    }
  }

  #look(site: Site): ReturnType<typeof lookAtPostgres> {
    return lookAtPostgres({
      target: targetOf(site),
      container: site.postgres.container,
      port: site.postgres.port,
      socketDirectory: SOCKET_DIRECTORY,
    });
  }

  async #lookAtAll(): Promise<Sightings> {
    const looks = this.#topology.sites.map(async (site) => [site.name, await this.#look(site)] as const);
    return new Map(await Promise.all(looks));
  }
}

function targetOf({ host }: Site): SshTarget {
  const { address, ssh } = host;
  return { address, port: ssh.port, user: ssh.user, hostKey: ssh.hostKey };
}
