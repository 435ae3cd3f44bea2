/** Founding: how an empty site gets its data, once. The same command at every site; what it does follows from the facts. */
import { setTimeout as delay } from "node:timers/promises";
import type { SiteConfig } from "./config.ts";
import { readControlFile } from "./control-file.ts";
import type { ControlFile } from "./control-file.ts";
import { OrderError } from "./entrypoint.ts";
import type { Grant } from "./grant.ts";
import { planFounding } from "./found-plan.ts";
import type { FoundingPlan } from "./found-plan.ts";
import type { PeerAnswer } from "./peer.ts";
import type { Site } from "./site.ts";
import { slotName } from "./site.ts";

/** Why a founding ended without success; the exit codes of the command. */
export type FoundingFailure = "refused" | "timeout" | "failed";

export class FoundingError extends Error {
  override readonly name = "FoundingError";
  readonly kind: FoundingFailure;

  constructor(kind: FoundingFailure, message: string) {
    super(message);
    this.kind = kind;
  }
}

export interface FoundingResult {
  readonly systemId: string;
  readonly role: "primary" | "standby";
  /** False when there was nothing to do. */
  readonly changed: boolean;
}

export interface FoundingTools {
  readonly site: Site;
  /** Asks every other site at once. */
  readonly askPeers: () => Promise<readonly PeerAnswer[]>;
  /** Holds the brain's starts back while true. */
  readonly own: (founding: boolean) => void;
  /**
   * Resolves with undefined when PostgreSQL accepts connections, or with the reason why the start rules hold it back.
   * Rejects when the signal comes first.
   */
  readonly awaitServing: (signal: AbortSignal) => Promise<string | undefined>;
  readonly say: (line: string) => void;
}

/** Milliseconds after which a base backup that fails for one and the same reason is given up. */
const SAME_FAILURE_MS = 180_000;
/** Milliseconds between two looks at the other sites. */
const ASK_EVERY_MS = 1000;
/** Milliseconds that a short order may take. */
const ORDER_MS = 60_000;

/**
 * Founds the site or brings it to its end.
 * @param timeoutMs Milliseconds for everything.
 * @throws {@link FoundingError}
 */
export async function found(tools: FoundingTools, timeoutMs: number): Promise<FoundingResult> {
  const deadline = performance.now() + timeoutMs;
  const run = new Founding(tools, deadline);
  const plan = await run.untilPlanned();
  let changed = false;
  if (plan.do !== "nothing") {
    tools.own(true);
    try {
      await run.carryOut(plan);
      changed = true;
    } finally {
      tools.own(false);
    }
  }
  const role = plan.do === "nothing" ? plan.role : plan.do === "basebackup" ? "standby" : "primary";
  const systemId = run.systemId ?? (plan.do === "nothing" ? plan.systemId : "");
  const heldBack = await run.untilServing();
  if (heldBack !== undefined) {
    if (changed) throw new FoundingError("failed", `PostgreSQL does not start: ${heldBack}`);
    tools.say(`PostgreSQL does not run: ${heldBack}`);
  }
  return { systemId, role, changed };
}

type Work = Exclude<FoundingPlan, { do: "refuse" } | { do: "wait" } | { do: "nothing" }>;

class Founding {
  readonly #tools: FoundingTools;
  readonly #deadline: number;
  readonly #said = new Set<string>();
  #lastWord = "";
  systemId: string | undefined;

  constructor(tools: FoundingTools, deadline: number) {
    this.#tools = tools;
    this.#deadline = deadline;
  }

  get #left(): number {
    return Math.max(0, Math.round(this.#deadline - performance.now()));
  }

  /** A line per reason to wait, not per look. */
  #sayOnce(line: string): void {
    this.#lastWord = line;
    if (this.#said.has(line)) return;
    this.#said.add(line);
    this.#tools.say(line);
  }

  async #pause(): Promise<void> {
    if (this.#left === 0) throw new FoundingError("timeout", `gave up waiting: ${this.#lastWord}`);
    await delay(Math.min(ASK_EVERY_MS, this.#left));
  }

  async #plan(): Promise<FoundingPlan> {
    const { site, askPeers } = this.#tools;
    const [own, peers, scratch] = await Promise.all([
      site.read(),
      askPeers(),
      readControlFile(site.scratch).catch(() => undefined),
    ]);
    const plan = planFounding({
      site: site.settings.site,
      sites: site.settings.sites.map((entry) => entry.name),
      own,
      scratchSystemId: scratch?.systemId,
      peers,
    });
    if (plan.do !== "nothing" && plan.do !== "refuse" && !own.entrypoint.answers)
      return { do: "wait", why: own.entrypoint.why };
    return plan;
  }

  /** Waits until there is something to do or nothing is left to do. */
  async untilPlanned(): Promise<Exclude<FoundingPlan, { do: "refuse" } | { do: "wait" }>> {
    for (;;) {
      const plan = await this.#plan();
      if (plan.do === "refuse") throw new FoundingError("refused", plan.why);
      if (plan.do !== "wait") return plan;
      this.#sayOnce(`waiting: ${plan.why}`);
      await this.#pause();
    }
  }

  async carryOut(plan: Work): Promise<void> {
    await this.#clearOperation();
    if (plan.do === "finish") {
      this.#tools.say("an earlier founding stopped before its rename: finishing it");
      this.systemId = plan.systemId;
    } else if (plan.do === "initdb") await this.#initdb();
    else await this.#baseBackup(plan);
    await this.#order("adopt", [], ORDER_MS);
    this.#tools.say("the data directory is in place");
  }

  /** An operation that an earlier, killed founding left behind. */
  async #clearOperation(): Promise<void> {
    const facts = await this.#tools.site.entrypoint.look();
    if (!facts.answers || !facts.status.state.startsWith("busy:")) return;
    this.#tools.say(`ending ${facts.status.state.slice("busy:".length)} of an earlier founding`);
    await this.#order("cancel", [], ORDER_MS);
    for (;;) {
      const now = await this.#tools.site.entrypoint.look();
      if (!now.answers || !now.status.state.startsWith("busy:")) return;
      this.#sayOnce("waiting: an earlier operation is ending");
      await this.#pause();
    }
  }

  async #initdb(): Promise<void> {
    this.#tools.say("every site answers and none has data: initdb");
    await this.#order("initdb", [], Math.min(this.#left, 600_000));
    const control = await this.#scratchControl();
    await this.#writeGrant({
      systemId: control.systemId,
      epoch: 1,
      timeline: control.timeline,
      state: "held",
      peers: [],
      excluded: [],
    });
  }

  /** Tries until a base backup stands: the role, the slot, the link may come later than this command. */
  async #baseBackup(first: Extract<Work, { do: "basebackup" }>): Promise<void> {
    const { site, say } = this.#tools;
    const { replicationUser, baseBackupMaxRate } = site.settings.postgres;
    let failing: { readonly message: string; readonly since: number } | undefined;
    for (let plan: FoundingPlan = first; ; plan = await this.untilPlanned()) {
      if (plan.do !== "basebackup")
        throw new FoundingError("failed", `the plan became ${plan.do} on the way`);
      const primary = this.#siteNamed(plan.from);
      const { host, port } = primary.postgres;
      this.#sayOnce(`base backup of system ${plan.systemId} from ${plan.from} (${host}:${port})`);
      const rate = baseBackupMaxRate === "" ? [] : [baseBackupMaxRate];
      const own = site.settings.site;
      try {
        await this.#tools.site.entrypoint.order(
          "basebackup",
          [host, String(port), replicationUser, slotName(own), own, ...rate],
          this.#left,
        );
      } catch (error) {
        if (!(error instanceof OrderError)) throw error;
        if (error.result === "silent") await this.#giveUp();
        const since = failing?.message === error.message ? failing.since : performance.now();
        failing = { message: error.message, since };
        if (performance.now() - since > SAME_FAILURE_MS)
          throw new FoundingError("failed", `for ${SAME_FAILURE_MS / 60_000} minutes: ${error.message}`);
        this.#sayOnce(`waiting: ${error.message}`);
        await this.#pause();
        continue;
      }
      const control = await this.#scratchControl();
      if (control.systemId !== plan.systemId)
        throw new FoundingError(
          "refused",
          `the base backup from ${host}:${port} is of system ${control.systemId}, not of ${plan.systemId}`,
        );
      say("base backup complete");
      await this.#writeGrant({
        systemId: control.systemId,
        epoch: plan.epoch,
        timeline: control.timeline,
        state: "none",
        peers: [],
        excluded: [],
      });
      // A note from before would lay claim to this standby.signal.
      await site.writeHeldback(undefined);
      await site.follow(primary.name);
      return;
    }
  }

  async #giveUp(): Promise<never> {
    await this.#tools.site.entrypoint.order("cancel", [], 5000).catch(() => undefined);
    throw new FoundingError("timeout", "the base backup did not end in time and was cancelled");
  }

  #siteNamed(name: string): SiteConfig {
    const found = this.#tools.site.settings.sites.find((site) => site.name === name);
    if (found === undefined) throw new FoundingError("failed", `no site ${name} in the configuration`);
    return found;
  }

  async #scratchControl(): Promise<ControlFile> {
    const control = await readControlFile(this.#tools.site.scratch);
    this.systemId = control.systemId;
    return control;
  }

  async #writeGrant(grant: Grant): Promise<void> {
    await this.#tools.site.writeGrant(grant);
    this.#tools.say(
      `grant written: system identifier ${grant.systemId}, epoch ${grant.epoch}, ${grant.state}`,
    );
  }

  async #order(verb: "initdb" | "adopt" | "cancel", args: readonly string[], limitMs: number): Promise<void> {
    try {
      await this.#tools.site.entrypoint.order(verb, args, limitMs);
    } catch (error) {
      throw new FoundingError("failed", (error as Error).message);
    }
  }

  /** Who comes after this command finds a PostgreSQL that accepts connections. */
  async untilServing(): Promise<string | undefined> {
    this.#tools.say("waiting until PostgreSQL accepts connections");
    try {
      return await this.#tools.awaitServing(AbortSignal.timeout(Math.max(1, this.#left)));
    } catch (error) {
      throw new FoundingError("timeout", (error as Error).message);
    }
  }
}
