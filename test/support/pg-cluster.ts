/** Sites without containers, founded into one cluster. */
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { bundleSidecar } from "../../components/pg-health/build.ts";
import type { LimitsConfig } from "../../components/pg-health/sidecar/config.ts";
import { PgSite, SECRETS, unprivilegedUser } from "./pg-site.ts";
import type { Answer, PgSitePlan } from "./pg-site.ts";

const bin = process.env["HEATWAVE_PG_BIN"] ?? "/usr/lib/postgresql/18/bin";

/** True where there is no PostgreSQL 18 to test with; said once. */
export const noPostgres = !existsSync(`${bin}/postgres`);
if (noPostgres)
  console.warn(`SKIPPED: no PostgreSQL 18 in ${bin}; set HEATWAVE_PG_BIN to the directory of its binaries`);

/** The roles that a stack makes in its cluster. */
export const ROLES = `
  create role heatwave_replication login replication password '${SECRETS.replication}';
  create role heatwave_health login password '${SECRETS.health}';
  grant pg_monitor to heatwave_health`;

/** Asks until the answer is the wanted one; what it was last is in the failure. */
export async function until<T>(
  what: string,
  ask: () => Promise<T> | T,
  wanted: (value: T) => boolean,
  ms = 30_000,
): Promise<T> {
  const deadline = performance.now() + ms;
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      const value = await ask();
      if (wanted(value)) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(
    `${what}: not within ${ms} ms; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`,
  );
}

export const says = (status: number, body: string) => (answer: Answer) =>
  answer.status === status && answer.body === body;

/** Waits until a site's `/` gives this answer. */
export function expectWord(site: PgSite, status: number, body: string, ms?: number): Promise<Answer> {
  return until(`${site.plan.name} says ${status} ${body}`, () => site.get("/"), says(status, body), ms);
}

/** Prepared, not started. The first is the founder. */
export class PgCluster {
  readonly root: string;
  readonly sites: readonly PgSite[];

  constructor(plans: readonly PgSitePlan[], limits: Partial<LimitsConfig> = {}) {
    const user = unprivilegedUser();
    this.root = mkdtempSync("/tmp/hw-");
    chmodSync(this.root, 0o755);
    chownSync(this.root, user.uid, user.gid);
    const bundle = `${this.root}/pg-health.mjs`;
    writeFileSync(bundle, bundleSidecar(), { mode: 0o644 });
    this.sites = plans.map(
      (plan) => new PgSite(plan, { all: plans, root: this.root, user, bin, bundle, limits }),
    );
  }

  /** Starts every site, founds it and waits until the standbys stream. */
  async found(): Promise<void> {
    const [founder] = this.sites;
    if (founder === undefined) throw new Error("a cluster has a site");
    for (const site of this.sites) {
      site.startEntrypoint();
      site.startBrain();
    }
    const ends = this.sites.map((site) => site.command(["found", "--timeout", "100"]));
    const first = await ends[0];
    if (first?.code !== 0) throw new Error(`founding failed: ${first?.stderr ?? ""}`);
    await founder.sql(ROLES);
    for (const end of await Promise.all(ends)) {
      if (end.code !== 0) throw new Error(`founding failed: ${end.stderr}`);
    }
    // As a stack makes them: every site's slot at every other.
    for (const site of this.sites)
      for (const other of this.sites)
        if (other !== site)
          await site.sql(
            `select pg_create_physical_replication_slot(name) from (values ('heatwave_${other.plan.name.replaceAll("-", "_")}')) as slot(name)
              where name not in (select slot_name from pg_replication_slots)`,
          );
    await until(
      "every standby streams",
      () => founder.sql("select count(*) from pg_stat_replication where state = 'streaming'"),
      (rows) => rows === String(this.sites.length - 1),
    );
  }

  async close(): Promise<void> {
    for (const site of this.sites) {
      await site.stopBrain();
      // A frozen PostgreSQL of a failed test hears no stop signal.
      await site.killContainer();
    }
    rmSync(this.root, { recursive: true, force: true });
  }
}
