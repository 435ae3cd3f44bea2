/** The own site's facts, gathered from the disk and the entrypoint. */
import { readFile, rm } from "node:fs/promises";
import type { Settings, SiteConfig } from "./config.ts";
import { readDataDirectory } from "./data-directory.ts";
import type { DataDirectory } from "./data-directory.ts";
import type { Heldback, Intent } from "./decide.ts";
import { Entrypoint } from "./entrypoint.ts";
import type { EntrypointFacts } from "./entrypoint.ts";
import { keepReserve, readJsonOr, readText, writeDurably } from "./files.ts";
import { readGrant, writeGrant } from "./grant.ts";
import type { Grant, GrantRecord } from "./grant.ts";
import type { PeerFacts, PeerRole } from "./peer.ts";

export interface SiteFacts {
  readonly entrypoint: EntrypointFacts;
  readonly data: DataDirectory;
  readonly grant: GrantRecord;
  readonly intent: Intent;
  readonly heldback: Heldback | undefined;
  /** The site that this one follows while it is a standby. */
  readonly follow: string | undefined;
}

/** What tells a role. */
export type RoleFacts = Pick<SiteFacts, "entrypoint" | "data" | "grant">;

/** The site's role as its peers hear it. */
export function peerRole({ entrypoint, data, grant }: RoleFacts): PeerRole {
  if (data.kind === "unusable" || grant.kind === "unusable") return "unusable";
  if (data.kind === "empty") return "empty";
  if (data.standbySignal) return "standby";
  const state = entrypoint.answers ? entrypoint.status.postgres : "waiting";
  return state === "starting" || state === "running" || state === "stopping" ? "primary" : "held";
}

/** The site's facts as its peers hear them. */
export function peerFacts(site: string, facts: RoleFacts, nonce: string): PeerFacts {
  const { data, grant } = facts;
  return {
    site,
    systemId: data.kind === "cluster" ? data.control.systemId : null,
    role: peerRole(facts),
    timeline: data.kind === "cluster" ? data.timeline : null,
    grant: grant.kind === "grant" ? grant.grant : null,
    nonce,
  };
}

/** What PostgreSQL includes from the run directory: whom this site follows while it is a standby. */
export function renderFollowConf(settings: Settings, primary: SiteConfig | undefined): string {
  if (primary === undefined) return "# Written by pg-health: this instance follows nobody.\n";
  const { runDirectory, replicationUser } = settings.postgres;
  const conninfo = [
    `host=${primary.postgres.host}`,
    `port=${primary.postgres.port}`,
    `user=${replicationUser}`,
    `passfile=${runDirectory}/replication.pgpass`,
    `application_name=${settings.site}`,
    "connect_timeout=5",
    "keepalives_idle=10",
    "keepalives_interval=5",
    "keepalives_count=3",
  ].join(" ");
  return [
    "# Written by pg-health: whom this instance follows while it is a standby.",
    `primary_conninfo = '${conninfo}'`,
    `primary_slot_name = '${slotName(settings.site)}'`,
    "",
  ].join("\n");
}

/** The slot of a place, on whatever instance it follows. */
export function slotName(site: string): string {
  return `heatwave_${site.replaceAll("-", "_")}`;
}

/** Reads and writes what belongs to the own site. */
export class Site {
  readonly settings: Settings;
  readonly entrypoint: Entrypoint;
  readonly #state: string;
  #grantTurn: Promise<unknown> = Promise.resolve();

  /** @param stateDirectory Where grant, intent and the followed site are kept. */
  constructor(settings: Settings, stateDirectory: string) {
    this.settings = settings;
    this.entrypoint = new Entrypoint(settings.postgres.runDirectory);
    this.#state = stateDirectory;
  }

  /** The scratch directory in which the entrypoint prepares data. */
  get scratch(): string {
    return `${this.settings.postgres.dataDirectory}.scratch`;
  }

  async read(): Promise<SiteFacts> {
    const [entrypoint, data, grant, intent, heldback, follow] = await Promise.all([
      this.entrypoint.look(),
      readDataDirectory(this.settings.postgres.dataDirectory),
      readGrant(this.#grantFile),
      this.#readIntent(),
      this.#readHeldback(),
      this.#readFollow(),
    ]);
    return { entrypoint, data, grant, intent, heldback, follow };
  }

  get #grantFile(): string {
    return `${this.#state}/grant.json`;
  }

  /** Where the last certainty of being the primary is kept. */
  get certaintyFile(): string {
    return `${this.#state}/certainty.json`;
  }

  async writeGrant(grant: Grant): Promise<void> {
    await this.changeGrant(() => grant);
  }

  /**
   * Replaces the grant by what `change` makes of it; one change at a time.
   * @returns the grant as it was written; undefined when `change` left it alone
   */
  changeGrant(change: (present: GrantRecord) => Grant | undefined): Promise<Grant | undefined> {
    const turn = this.#grantTurn.then(async () => {
      const next = change(await readGrant(this.#grantFile));
      if (next !== undefined) await writeGrant(this.#grantFile, next);
      await this.reserve();
      return next;
    });
    this.#grantTurn = turn.catch(() => undefined);
    return turn;
  }

  /** Room for the next grant, whatever else fills the disk. */
  reserve(): Promise<void> {
    return keepReserve(this.#state);
  }

  async #readHeldback(): Promise<Heldback | undefined> {
    const note = (await readJsonOr(`${this.#state}/heldback.json`)) as Partial<Heldback> | null | undefined;
    if (typeof note?.epoch !== "number" || typeof note.timeline !== "number") return undefined;
    return { epoch: note.epoch, timeline: note.timeline };
  }

  /** Notes that the standby.signal to come is this site's own, or that there is no such thing any more. */
  async writeHeldback(note: Heldback | undefined): Promise<void> {
    const path = `${this.#state}/heldback.json`;
    if (note === undefined) await rm(path, { force: true });
    else await writeDurably(path, `${JSON.stringify(note)}\n`);
  }

  async writeIntent(intent: Intent): Promise<void> {
    await writeDurably(`${this.#state}/intent.json`, `${JSON.stringify(intent)}\n`);
  }

  async #readIntent(): Promise<Intent> {
    try {
      const intent = JSON.parse(
        await readFile(`${this.#state}/intent.json`, "utf8"),
      ) as Partial<Intent> | null;
      return { run: intent?.run !== false };
    } catch (error) {
      // Never ordered: it runs. A file that is there but cannot be used keeps an ordered stop rather than undoing it.
      return { run: (error as NodeJS.ErrnoException).code === "ENOENT" };
    }
  }

  async #readFollow(): Promise<string | undefined> {
    const followed = (await readJsonOr(`${this.#state}/follow.json`)) as
      { readonly site?: unknown } | null | undefined;
    return typeof followed?.site === "string" ? followed.site : undefined;
  }

  /** Remembers whom this site follows, or that it follows nobody, and writes it down for PostgreSQL. */
  async follow(name: string | undefined): Promise<void> {
    await writeDurably(`${this.#state}/follow.json`, `${JSON.stringify({ site: name ?? null })}\n`);
    await this.refreshFollowConf();
  }

  /**
   * Writes follow.conf again when it is missing or a site's address changed.
   * @returns whether it was written.
   */
  async refreshFollowConf(): Promise<boolean> {
    const record = await readText(`${this.#state}/follow.json`);
    if (record === undefined) return false;
    const name = await this.#readFollow();
    const primary = this.settings.sites.find((site) => site.name === name);
    // A site that is no longer declared: what was written for it stays.
    if (name !== undefined && primary === undefined) return false;
    const path = `${this.settings.postgres.runDirectory}/follow.conf`;
    const text = renderFollowConf(this.settings, primary);
    if ((await readText(path)) === text) return false;
    await writeDurably(path, text);
    return true;
  }
}
