/** The own site's facts, gathered from the disk and the entrypoint. */
import { readFile } from "node:fs/promises";
import type { Settings, SiteConfig } from "./config.ts";
import { readDataDirectory } from "./data-directory.ts";
import type { DataDirectory } from "./data-directory.ts";
import type { Intent } from "./decide.ts";
import { Entrypoint } from "./entrypoint.ts";
import type { EntrypointFacts } from "./entrypoint.ts";
import { writeDurably } from "./files.ts";
import { readGrant, writeGrant } from "./grant.ts";
import type { Grant, GrantRecord } from "./grant.ts";
import type { PeerFacts, PeerRole } from "./peer.ts";

export interface SiteFacts {
  readonly entrypoint: EntrypointFacts;
  readonly data: DataDirectory;
  readonly grant: GrantRecord;
  readonly intent: Intent;
}

/** The site's role as its peers hear it. */
export function peerRole({ entrypoint, data, grant }: Omit<SiteFacts, "intent">): PeerRole {
  if (data.kind === "unusable" || grant.kind === "unusable") return "unusable";
  if (data.kind === "empty") return "empty";
  if (data.standbySignal) return "standby";
  const state = entrypoint.answers ? entrypoint.status.postgres : "waiting";
  return state === "starting" || state === "running" || state === "stopping" ? "primary" : "held";
}

/** The site's facts as its peers hear them. */
export function peerFacts(site: string, facts: Omit<SiteFacts, "intent">, nonce: string): PeerFacts {
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
export function renderFollowConf(settings: Settings, primary: SiteConfig): string {
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
    const [entrypoint, data, grant, intent] = await Promise.all([
      this.entrypoint.look(),
      readDataDirectory(this.settings.postgres.dataDirectory),
      readGrant(`${this.#state}/grant.json`),
      this.#readIntent(),
    ]);
    return { entrypoint, data, grant, intent };
  }

  async writeGrant(grant: Grant): Promise<void> {
    await writeGrant(`${this.#state}/grant.json`, grant);
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

  /** Remembers whom this site follows and tells PostgreSQL so. */
  async follow(primary: SiteConfig): Promise<void> {
    await writeDurably(`${this.#state}/follow.json`, `${JSON.stringify({ site: primary.name })}\n`);
    await this.refreshFollowConf();
  }

  /**
   * Writes follow.conf again when it is missing or a site's address changed.
   * @returns whether it was written.
   */
  async refreshFollowConf(): Promise<boolean> {
    const followed = await readText(`${this.#state}/follow.json`);
    if (followed === undefined) return false;
    const name = (JSON.parse(followed) as { readonly site?: unknown }).site;
    const primary = this.settings.sites.find((site) => site.name === name);
    if (primary === undefined) return false;
    const path = `${this.settings.postgres.runDirectory}/follow.conf`;
    const text = renderFollowConf(this.settings, primary);
    if ((await readText(path)) === text) return false;
    await writeDurably(path, text);
    return true;
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
