/** What runbooks order of a site's data: put aside, taken anew or rewound, put in place. */
import { readdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { Logger } from "pino";
import type { Brain } from "./brain.ts";
import type { SiteConfig } from "./config.ts";
import { readControlFile } from "./control-file.ts";
import type { ControlEnd } from "./control.ts";
import { OrderError } from "./entrypoint.ts";
import type { Verb } from "./entrypoint.ts";
import { readText } from "./files.ts";
import { progressOf, rateText } from "./progress.ts";
import type { Progress } from "./progress.ts";
import type { Site, SiteFacts } from "./site.ts";

/** Milliseconds that an order which only renames may take; deleting takes longer. */
const RENAME_MS = 30_000;
const DELETE_MS = 30 * 60_000;
/** Milliseconds between two lines of progress, and how long they come so often. */
const TELL_MS = 2000;
const TELL_LATER_MS = 10_000;
const OFTEN_MS = 60_000;
/** What the entrypoint says where data cannot be rewound and nothing was done to it (renew.sh). */
const UNFIT = /^rewind failed: code 5: (?:error: )?(?:cannot rewind: )?(.*)$/s;

const VERBS = [
  "allow",
  "cancel",
  "aside",
  "restore",
  "forget",
  "discard",
  "basebackup",
  "rewind",
  "adopt",
] as const;
type DataVerb = (typeof VERBS)[number];

/** Operations that a runbook may end. */
const CANCELLABLE = new Set(["basebackup", "rewind", "aside", "restore", "forget", "adopt", "discard"]);

export interface DataOrder {
  readonly verb: DataVerb;
  /** Run that the kept data is named after. */
  readonly id: string;
  /** Site that is copied from. */
  readonly from: string;
  readonly slot: string;
  readonly systemId: string;
  /** Bytes that a base backup would copy. */
  readonly bytes: number;
  /** Milliseconds for all of it. */
  readonly limitMs: number;
}

/**
 * Why this site's data must not be worked on; undefined when it may be. Whoever holds a grant may have to come up with
 * this very data.
 */
export function dataObjection({ entrypoint, data, grant }: SiteFacts): string | undefined {
  if (!entrypoint.answers) return entrypoint.why;
  if (grant.kind === "unusable") return `grant.json is unusable: ${grant.why}`;
  if (grant.kind === "grant" && grant.grant.state !== "none")
    return `this site's grant is ${grant.grant.state}`;
  const { postgres } = entrypoint.status;
  const runs = postgres === "starting" || postgres === "running" || postgres === "stopping";
  return runs && data.kind === "cluster" && !data.standbySignal ? "it runs as primary" : undefined;
}

/** What lies beside the data directory and is not in use: kept-ID, rewinding-ID, lost-wal-ID, and the scratch directory. */
export async function leftovers(dataDirectory: string): Promise<readonly string[]> {
  const names = await readdir(dirname(dataDirectory)).catch(() => []);
  const own = dataDirectory.slice(dataDirectory.lastIndexOf("/") + 1);
  return names
    .filter(
      (name) => /^(kept|rewinding|lost-wal|gone)-[A-Za-z0-9-]+$/.test(name) || name === `${own}.scratch`,
    )
    .map((name) => (name === `${own}.scratch` ? "scratch" : name))
    .toSorted();
}

export class DataOrders {
  readonly #site: Site;
  readonly #brain: Brain;
  readonly #log: Logger;

  constructor({ site, brain, log }: { readonly site: Site; readonly brain: Brain; readonly log: Logger }) {
    this.#site = site;
    this.#brain = brain;
    this.#log = log;
  }

  /** `{verb, id?, from?, slot?, systemId?, bytes?, limitMs?}`: see {@link DataOrder}. Each may be given again. */
  async order(body: unknown, say: (line: string) => void): Promise<ControlEnd> {
    const order = body as Partial<DataOrder>;
    const { verb } = order;
    if (verb === undefined || !VERBS.includes(verb)) return refused(`verb: ${VERBS.join(", ")}`);
    this.#log.info({ order }, "ordered for the data");
    try {
      if (verb !== "allow" && verb !== "cancel" && verb !== "forget") {
        const objection = dataObjection(await this.#site.read());
        if (objection !== undefined) return refused(objection);
      }
      return await this.#carryOut(verb, order, say);
    } catch (error) {
      if (!(error instanceof OrderError)) throw error;
      const [, unfit] = UNFIT.exec(error.message) ?? [];
      return unfit === undefined
        ? { ok: false, kind: error.result, message: error.message }
        : { ok: false, kind: "unfit", message: unfit };
    } finally {
      await this.#brain.look();
    }
  }

  async #carryOut(
    verb: DataVerb,
    order: Partial<DataOrder>,
    say: (line: string) => void,
  ): Promise<ControlEnd> {
    const { id = "", limitMs = RENAME_MS } = order;
    switch (verb) {
      case "allow":
        // As an ordered start, without waiting for its end.
        await this.#site.writeIntent({ run: true });
        this.#brain.forgive();
        break;
      case "cancel":
        return this.#cancel();
      case "forget":
      case "discard":
        await this.#order(verb, verb === "forget" ? [id] : [], DELETE_MS);
        break;
      case "aside":
      case "restore":
        await this.#order(verb, [id], DELETE_MS);
        break;
      case "adopt":
        return this.#adopt(order.systemId ?? "");
      case "basebackup":
      case "rewind":
        return this.#copy(verb, order, limitMs, say);
    }
    return { ok: true, message: `${verb} done` };
  }

  async #order(verb: Verb, args: readonly string[], limitMs: number): Promise<void> {
    await this.#site.entrypoint.order(verb, args, limitMs);
  }

  async #cancel(): Promise<ControlEnd> {
    const until = performance.now() + RENAME_MS;
    for (;;) {
      const facts = await this.#site.entrypoint.look();
      if (!facts.answers) return refused(facts.why);
      const [, busy] = /^busy:(.*)$/.exec(facts.status.state) ?? [];
      if (busy === undefined) return { ok: true, message: "nothing runs" };
      if (!CANCELLABLE.has(busy)) return refused(`the entrypoint runs ${busy}`);
      if (performance.now() > until) return { ok: false, kind: "failed", message: `${busy} does not end` };
      await this.#order("cancel", [], RENAME_MS);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  /** The scratch directory becomes the data directory, where that was not done before. */
  async #adopt(systemId: string): Promise<ControlEnd> {
    const scratch = await readControlFile(this.#site.scratch).catch(() => undefined);
    const { data } = await this.#site.read();
    if (scratch === undefined)
      return data.kind === "cluster" && data.control.systemId === systemId && data.standbySignal
        ? { ok: true, message: "in place already" }
        : refused("there is no prepared data to put in place");
    if (scratch.systemId !== systemId)
      return refused(`the prepared data is of system ${scratch.systemId}, not of ${systemId}`);
    // A note of an earlier silence would lay claim to this standby.signal.
    await this.#site.writeHeldback(undefined);
    await this.#order("adopt", [], RENAME_MS);
    return { ok: true, message: "the data is in place" };
  }

  async #copy(
    verb: "basebackup" | "rewind",
    order: Partial<DataOrder>,
    limitMs: number,
    say: (line: string) => void,
  ): Promise<ControlEnd> {
    const { settings } = this.#site;
    const { id = "", from, slot = "", systemId = "", bytes = 0 } = order;
    const source: SiteConfig | undefined = settings.sites.find((site) => site.name === from);
    if (source === undefined || source.name === settings.site)
      return refused(`from: another site, not ${from ?? "none"}`);
    const { host, port } = source.postgres;
    const { replicationUser, baseBackupMaxRate: rate } = settings.postgres;
    const login = [host, String(port), replicationUser, slot, settings.site];
    const args =
      verb === "rewind"
        ? [id, ...login, String(Math.round(bytes))]
        : [...login, ...(rate === "" ? [] : [rate])];
    const began = performance.now();
    const stopTelling = this.#tell(began, say);
    try {
      await this.#order(verb, args, limitMs);
    } catch (error) {
      // Nobody waits for it any more.
      if (error instanceof OrderError && error.result === "silent")
        await this.#order("cancel", [], RENAME_MS).catch(() => undefined);
      throw error;
    } finally {
      stopTelling();
      // What it found is worth knowing, however it ended.
      for (const line of (await this.#operationLog()).split("\n")) if (line.startsWith("found: ")) say(line);
    }
    const control = await readControlFile(this.#site.scratch);
    if (control.systemId !== systemId)
      return refused(
        `${source.name} at ${host}:${port} is of system ${control.systemId}, not of ${systemId}`,
      );
    const total = progressOf(await this.#operationLog())?.bytes;
    const copied = total === undefined ? "" : `, ${rateText(total, performance.now() - began)}`;
    return { ok: true, message: `${verb === "rewind" ? "rewound" : "base backup"} complete${copied}` };
  }

  /** Lines of progress, often at first. @returns what ends them */
  #tell(began: number, say: (line: string) => void): () => void {
    let ended = false;
    let last: Progress | undefined;
    let lastAt = began;
    const tell = async (): Promise<void> => {
      const now = progressOf(await this.#operationLog());
      const at = performance.now();
      if (ended) return;
      if (now !== undefined && now.bytes !== last?.bytes) {
        say(`${now.text}, ${rateText(now.bytes - (last?.bytes ?? 0), at - lastAt)}`);
        last = now;
        lastAt = at;
      }
      timer = setTimeout(() => void tell(), at - began < OFTEN_MS ? TELL_MS : TELL_LATER_MS);
    };
    let timer = setTimeout(() => void tell(), TELL_MS);
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }

  async #operationLog(): Promise<string> {
    return (
      (await readText(`${this.#site.settings.postgres.runDirectory}/operation.log`).catch(() => undefined)) ??
      ""
    );
  }
}

const refused = (message: string): ControlEnd => ({ ok: false, kind: "refused", message });
