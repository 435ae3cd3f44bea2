/** The brain's loop: look at the site, decide, order. */
import type { Logger } from "pino";
import type { CertaintyKeeper } from "./certainty.ts";
import { CERTAIN_SECONDS, decide, heldBySilence, isHeldback, leaseUntil } from "./decide.ts";
import type { Decision, Facts, Failures, IdleWord, VetoWord } from "./decide.ts";
import { Muscle } from "./muscle.ts";
import type { PeerAnswer } from "./peer.ts";
import { followTarget, tendGrant } from "./peer-rules.ts";
import type { Limits } from "./limits.ts";
import { shortOf } from "./limits.ts";
import type { SingleFlight } from "./single-flight.ts";
import type { Site, SiteFacts } from "./site.ts";
import type { SqlAnswer } from "./sql.ts";
import { uptime } from "./uptime.ts";

/** A start that was ordered is over for the back-off once PostgreSQL ran that long, milliseconds. */
const STABLE_AFTER_MS = 60_000;

export interface View {
  readonly facts: SiteFacts;
  readonly decision: Decision;
  /** Why an instance that runs must get no writes. */
  readonly veto: { readonly word: VetoWord | "stopping"; readonly why: string } | undefined;
  /** The other sites' answers as of the look. */
  readonly peers: readonly PeerAnswer[];
  /** Seconds since boot when the site was last sure to be the rightful primary. */
  readonly certainAt: number | undefined;
  /** Monotonic milliseconds of the look. */
  readonly at: number;
}

/** Words of a 503 that name the site's state. */
export type SiteWord = IdleWord | VetoWord | "starting" | "stopping" | "unreachable";

/** The word for a site whose PostgreSQL does not answer. */
export function siteWord(view: View | undefined): SiteWord {
  if (view === undefined) return "waiting";
  if (view.veto !== undefined) return view.veto.word;
  if (view.decision.do === "wait") return view.decision.word;
  if (view.decision.do === "start" || view.decision.do === "release") return "starting";
  if (view.decision.do === "recover" || view.decision.do === "settle") return "held";
  const { entrypoint } = view.facts;
  const state = entrypoint.answers ? entrypoint.status.postgres : "waiting";
  // `running`, and no answer from it: frozen, overloaded, or out of connections.
  return state === "starting" || state === "stopping" ? state : "unreachable";
}

export interface BrainParts {
  readonly site: Site;
  readonly sql: SingleFlight<SqlAnswer>;
  /** The last answers of the other sites. */
  readonly peers: () => readonly PeerAnswer[];
  readonly certainty: CertaintyKeeper;
  readonly log: Logger;
}

export class Brain {
  readonly #site: Site;
  readonly #sql: SingleFlight<SqlAnswer>;
  readonly #peers: () => readonly PeerAnswer[];
  readonly #certainty: CertaintyKeeper;
  readonly #muscle: Muscle;
  readonly #log: Logger;
  readonly #now: () => number;
  #view: View | undefined;
  #failures: Failures = { count: 0, lastAt: 0 };
  #starts = 0;
  #countedStarts = 0;
  #runningSince: number | undefined;
  #founding = false;
  #silentSince: number | undefined;
  #stopping: Promise<void> | undefined;
  #outgrowing: Promise<void> | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  #said = "";
  #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;
  #watch: { close: () => void } | undefined;

  constructor({ site, sql, peers, certainty, log }: BrainParts, now: () => number = () => performance.now()) {
    this.#site = site;
    this.#sql = sql;
    this.#peers = peers;
    this.#certainty = certainty;
    this.#muscle = new Muscle(site, log);
    this.#log = log;
    this.#now = now;
  }

  /** What the last look saw; undefined before the first. */
  get view(): View | undefined {
    return this.#view;
  }

  /** Times that PostgreSQL ended unordered in a row. */
  get failures(): number {
    return this.#failures.count;
  }

  /** Times that this process ordered a start. */
  get starts(): number {
    return this.#starts;
  }

  /** Milliseconds since the last look; infinite before the first. */
  get age(): number {
    return this.#view === undefined ? Number.POSITIVE_INFINITY : this.#now() - this.#view.at;
  }

  /** While true, nothing is started: a founding owns the data directory. */
  set founding(value: boolean) {
    this.#founding = value;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), this.#site.settings.limits.lookEveryMs);
    void this.look();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#watch?.close();
  }

  /** Calls back after each look, until the returned function is called. */
  onLook(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** An ordered start: the back-off begins anew. */
  forgive(): void {
    this.#failures = { count: 0, lastAt: 0 };
    this.#countedStarts = this.#starts;
  }

  /** Looks now; a look that is under way is followed by another. */
  look(): Promise<void> {
    this.#again = true;
    this.#looking ??= this.#lookUntilQuiet().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #lookUntilQuiet(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      try {
        await this.#lookOnce();
      } catch (error) {
        this.#log.error({ err: error }, "a look at the site failed");
      }
      for (const listener of this.#listeners) listener();
    }
  }

  async #lookOnce(): Promise<void> {
    this.#watchEntrypoint();
    const [site, clock] = await Promise.all([this.#site.read(), uptime()]);
    this.#count(site);
    this.#noticePromotion(site, clock);
    const facts = this.#factsOf(site, clock);
    const decision = decide(facts);
    const previous = siteWord(this.#view);
    this.#view = {
      facts: site,
      decision,
      veto: this.#vetoOf(site, decision),
      peers: facts.peers,
      certainAt: this.#certainty.value?.at,
      at: this.#now(),
    };
    if (siteWord(this.#view) !== previous) this.#sql.forget();
    this.#say(decision, site);
    await this.#beCertain(facts, decision);
    if (this.#founding) return;
    await this.#tend(site);
    if (decision.do === "nothing") await this.#muscle.renewLease(facts);
    else await this.#carryOut(decision);
  }

  #factsOf(site: SiteFacts, clock: number): Facts {
    const now = this.#now();
    const facts: Facts = {
      ...site,
      site: this.#site.settings.site,
      peers: this.#peers(),
      certainty: this.#certainty.value,
      clock,
      silentForMs: 0,
      silenceMs: this.#site.settings.limits.silenceMs,
      founding: this.#founding,
      failures: this.#failures,
      now,
    };
    if (!heldBySilence(facts)) {
      this.#silentSince = undefined;
      return facts;
    }
    this.#silentSince ??= now;
    return { ...facts, silentForMs: now - this.#silentSince };
  }

  #vetoOf({ entrypoint }: SiteFacts, decision: Decision): View["veto"] {
    if (decision.do === "stop") return decision.veto;
    if (decision.do === "nothing" && decision.veto !== undefined) return decision.veto;
    if (entrypoint.answers && entrypoint.status.postgres === "stopping")
      return { word: "stopping", why: "PostgreSQL is stopping" };
    return undefined;
  }

  /** A standby that became the primary under a held grant was promoted by a runbook: that is a certainty. */
  #noticePromotion(site: SiteFacts, clock: number): void {
    const before = this.#view?.facts;
    const { data, grant } = site;
    if (before?.data.kind !== "cluster" || !before.data.standbySignal || !isRunning(before)) return;
    if (data.kind !== "cluster" || data.standbySignal || !isRunning(site)) return;
    if (grant.kind === "grant" && grant.grant.state === "held")
      this.#certainty.renew({ at: clock, epoch: grant.grant.epoch });
  }

  /** Remembers that the site was the rightful primary now, or may come up as it. */
  async #beCertain(facts: Facts, decision: Decision): Promise<void> {
    const { data, grant, clock } = facts;
    if (data.kind !== "cluster" || data.standbySignal || grant.kind !== "grant") return;
    if (grant.grant.state !== "held") return;
    const { epoch } = grant.grant;
    if (isRunning(facts) && decision.do === "nothing" && decision.veto === undefined) {
      this.#certainty.renew({ at: clock, epoch });
      await this.#certainty.keep();
    } else if (!isRunning(facts) && (leaseUntil(facts) ?? 0) >= clock + CERTAIN_SECONDS)
      this.#certainty.renew({ at: clock, epoch });
  }

  /** Keeps grant and followed site as the other sites' answers say. */
  async #tend(site: SiteFacts): Promise<void> {
    const { data } = site;
    if (data.kind !== "cluster" || site.grant.kind !== "grant") return;
    if (site.grant.grant.systemId !== data.control.systemId) return;
    const own = { site: this.#site.settings.site, data, running: isRunning(site) && !data.standbySignal };
    const declared = this.#site.settings.sites.map(({ name, health }) => ({ site: name, health }));
    const peers = this.#peers();
    if (tendGrant({ ...own, grant: site.grant.grant }, declared, peers) !== undefined) {
      const written = await this.#site.changeGrant((present) =>
        present.kind === "grant" ? tendGrant({ ...own, grant: present.grant }, declared, peers) : undefined,
      );
      if (written !== undefined) this.#log.info({ grant: written }, "grant kept up with the other sites");
    }
    if (!data.standbySignal) return;
    const target = isHeldback(site) ? undefined : followTarget({ ...own, grant: site.grant.grant }, peers);
    if (target !== undefined && target !== site.follow) {
      this.#log.info({ follow: target }, "follows another site");
      await this.#site.follow(target);
      await this.#muscle.reload();
    } else if (await this.#site.refreshFollowConf()) {
      this.#log.info("follow.conf written again");
      await this.#muscle.reload();
    }
    // In the background: a silent PostgreSQL must not hold up the looks.
    if (isRunning(site))
      this.#outgrowing ??= this.#outgrow(data.control.limits).finally(() => {
        this.#outgrowing = undefined;
      });
  }

  /** A standby whose primary has come to need more than it has: paused, it could not take over. */
  async #outgrow(needed: Limits): Promise<void> {
    try {
      const answer = await this.#sql.get();
      if (!answer.ok || !answer.facts.inRecovery || !answer.facts.replayPaused) return;
      const short = shortOf(needed, answer.facts.limits);
      if (short.length === 0) return;
      // This end is ordered: it is no failure. The next look starts it.
      this.#countedStarts = this.#starts;
      await this.#muscle.stop(
        `replay is paused, since the primary has higher limits (${short.join(", ")}): a start takes them`,
      );
      void this.look();
    } catch (error) {
      this.#log.error({ err: error }, "a paused standby was not restarted");
    }
  }

  async #carryOut(decision: Decision): Promise<void> {
    if (decision.do === "start") {
      this.#starts += 1;
      if (await this.#muscle.start(decision)) return;
      // Refused or lost: the next look sees what became of it, after the back-off.
      this.#countedStarts = this.#starts;
      this.#failures = { count: this.#failures.count + 1, lastAt: this.#now() };
    } else if (decision.do === "stop") {
      // This end is ordered: it is no failure.
      this.#countedStarts = this.#starts;
      // In the background: the looks go on, and with them the answers that say why there are no writes.
      this.#stopping ??= this.#muscle.stop(decision.veto.why).finally(() => {
        this.#stopping = undefined;
        void this.look();
      });
    } else if (await this.#muscle.changeRole(decision)) this.#again = true;
  }

  /** The shared directory may come later than this process. */
  #watchEntrypoint(): void {
    if (this.#watch !== undefined) return;
    try {
      this.#watch = this.#site.entrypoint.onChange(() => {
        if (this.#looking === undefined) void this.look();
      });
    } catch {
      this.#watch = undefined;
    }
  }

  /** Counts ends that nobody ordered, once per start. */
  #count(facts: SiteFacts): void {
    const state = facts.entrypoint.answers ? facts.entrypoint.status.postgres : undefined;
    const now = this.#now();
    if (state === "running") {
      this.#runningSince ??= now;
      if (now - this.#runningSince > STABLE_AFTER_MS) this.#failures = { count: 0, lastAt: 0 };
      return;
    }
    this.#runningSince = undefined;
    const ended = state === "crashed" || state === "stopped";
    if (!ended || !facts.intent.run || this.#countedStarts === this.#starts) return;
    this.#countedStarts = this.#starts;
    this.#failures = { count: this.#failures.count + 1, lastAt: now };
  }

  /** One line per change, not per look. */
  #say(decision: Decision, facts: SiteFacts): void {
    const state = facts.entrypoint.answers ? facts.entrypoint.status.state : "silent";
    const text = `${decision.do} ${state} ${wordsOf(decision)}`;
    if (text === this.#said) return;
    this.#said = text;
    this.#log.info({ decision, entrypoint: state }, "decided");
  }
}

function isRunning({ entrypoint }: Pick<SiteFacts, "entrypoint">): boolean {
  return entrypoint.answers && entrypoint.status.postgres === "running";
}

function wordsOf(decision: Decision): string {
  if (decision.do === "nothing") return decision.veto?.why ?? "";
  return decision.do === "stop" ? decision.veto.why : decision.why;
}
