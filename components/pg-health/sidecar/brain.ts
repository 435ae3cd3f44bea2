/** The brain's loop: look at the site, decide, order. */
import type { Logger } from "pino";
import { decide } from "./decide.ts";
import type { Decision, Failures, IdleWord } from "./decide.ts";
import type { SingleFlight } from "./single-flight.ts";
import type { Site, SiteFacts } from "./site.ts";
import type { SqlAnswer } from "./sql.ts";

/** A start that was ordered is over for the back-off once PostgreSQL ran that long, milliseconds. */
const STABLE_AFTER_MS = 60_000;
/** Milliseconds that an order to start, stop or reload may take to be accepted. */
const ORDER_MS = 10_000;

export interface View {
  readonly facts: SiteFacts;
  readonly decision: Decision;
  /** Monotonic milliseconds of the look. */
  readonly at: number;
}

/** Words of a 503 that name the site's state. */
export type SiteWord = IdleWord | "starting" | "stopping" | "unreachable";

/** The word for a site whose PostgreSQL does not answer. */
export function siteWord(view: View | undefined): SiteWord {
  if (view === undefined) return "waiting";
  if (view.decision.do === "wait") return view.decision.word;
  if (view.decision.do === "start") return "starting";
  const { entrypoint } = view.facts;
  const state = entrypoint.answers ? entrypoint.status.postgres : "waiting";
  // `running`, and no answer from it: frozen, overloaded, or out of connections.
  return state === "starting" || state === "stopping" ? state : "unreachable";
}

export class Brain {
  readonly #site: Site;
  readonly #sql: SingleFlight<SqlAnswer>;
  readonly #log: Logger;
  readonly #now: () => number;
  #view: View | undefined;
  #failures: Failures = { count: 0, lastAt: 0 };
  #starts = 0;
  #countedStarts = 0;
  #runningSince: number | undefined;
  #founding = false;
  #looking: Promise<void> | undefined;
  #again = false;
  #said = "";
  #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;
  #watch: { close: () => void } | undefined;

  constructor(
    site: Site,
    sql: SingleFlight<SqlAnswer>,
    log: Logger,
    now: () => number = () => performance.now(),
  ) {
    this.#site = site;
    this.#sql = sql;
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
    const facts = await this.#site.read();
    this.#count(facts);
    const now = this.#now();
    const decision = decide({ ...facts, founding: this.#founding, failures: this.#failures, now });
    const previous = siteWord(this.#view);
    this.#view = { facts, decision, at: now };
    if (siteWord(this.#view) !== previous) this.#sql.forget();
    this.#say(decision, facts);
    if (!this.#founding) await this.#refreshFollowConf(facts);
    if (decision.do === "start") await this.#order(decision.as);
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

  async #order(as: "primary" | "standby"): Promise<void> {
    this.#starts += 1;
    try {
      await this.#site.entrypoint.order("start", [as], ORDER_MS);
    } catch (error) {
      // Refused or lost: the next look sees what became of it, after the back-off.
      this.#countedStarts = this.#starts;
      this.#failures = { count: this.#failures.count + 1, lastAt: this.#now() };
      this.#log.error({ err: error }, "the entrypoint did not start PostgreSQL");
    }
  }

  async #refreshFollowConf(facts: SiteFacts): Promise<void> {
    const standby = facts.data.kind === "cluster" && facts.data.standbySignal;
    if (!standby || !(await this.#site.refreshFollowConf())) return;
    this.#log.info("follow.conf written again");
    if (facts.entrypoint.answers && facts.entrypoint.status.postgres === "running")
      await this.#site.entrypoint.order("reload", [], ORDER_MS);
  }

  /** One line per change, not per look. */
  #say(decision: Decision, facts: SiteFacts): void {
    const state = facts.entrypoint.answers ? facts.entrypoint.status.state : "silent";
    const text = `${decision.do} ${decision.do === "nothing" ? state : decision.why}`;
    if (text === this.#said) return;
    this.#said = text;
    this.#log.info({ decision, entrypoint: state }, "decided");
  }
}
