import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { healAll } from "../../infra/rehearsal/faults/active.ts";
import { slow } from "../../infra/rehearsal/faults/network.ts";
import { setContainerFrozen } from "../../infra/rehearsal/faults/processes.ts";
import type { Site } from "../../infra/topology/model.ts";
import { liveWorld } from "../support/live-world.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { RestartTable } from "../support/restart-table.ts";
import { SiteControl } from "../support/site-control.ts";
import { inWorld } from "../support/world-suite.ts";

const root = join(import.meta.dirname, "../..");
const world = new Rehearsal("production");

/** Longer than `fall` checks of the router and a brain's certainty: what would fall has fallen by then. */
const LONG_ENOUGH_MS = 20_000;
const PATIENT = { timeout: 240_000 };

describe.runIf(process.env["HEATWAVE_ALL"] === "1")("production stays up beside bad neighbours", () => {
  let table: RestartTable;
  let control: SiteControl;
  inWorld(world);
  beforeAll(async () => {
    const live = await liveWorld(world, root);
    table = await RestartTable.begin(live);
    control = new SiteControl(live);
  });
  afterAll(() => table.end());

  const otherThan = (site: string): Site => {
    const other = table.live.topology.sites.find(({ name }) => name !== site);
    if (other === undefined) throw new Error("one site only");
    return other;
  };

  /** The primary says so at every look, and the application's sessions notice nothing. */
  async function staysUp(
    name: string,
    trouble: (primary: string) => Promise<() => Promise<unknown>>,
  ): Promise<void> {
    await table.row(
      name,
      async (primary) => {
        const repair = await trouble(primary);
        try {
          const end = performance.now() + LONG_ENOUGH_MS;
          while (performance.now() < end) {
            const answer = (await table.answers()).find(({ site }) => site === primary);
            expect(answer).toMatchObject({ word: "primary", status: 200 });
            await delay(500);
          }
        } finally {
          await repair();
        }
        return undefined;
      },
      { writableWithinMs: 0 },
    );
  }

  /** SQL on a PgBouncer's admin console, over its socket, as its own user. */
  function poolerConsole(site: string, statement: string): Promise<string> {
    const { pgbouncer, host, postgres } = table.site(site);
    const inspect = (format: string, container: string) =>
      `$(docker inspect --format '${format}' ${container})`;
    return table.onHost(
      host.name,
      `docker run --rm --network none -u ${inspect("{{.Config.User}}", pgbouncer.container)} ` +
        `-v ${pgbouncer.directory}/run:/run/pgbouncer --entrypoint psql ${inspect("{{.Image}}", postgres.container)} ` +
        `-X -q -At -h /run/pgbouncer -p ${pgbouncer.port} -U pgbouncer -d pgbouncer -c '${statement}'`,
    );
  }

  /** What the primary's own metrics say of a pool. */
  async function metric(site: string, name: string): Promise<string | undefined> {
    const { host, pgHealth } = table.site(site);
    const request = `exec 3<>/dev/tcp/${host.address}/${pgHealth.port}; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
    const text = await table.onHost(host.name, `bash -c "${request.replaceAll('"', '\\"')}"`);
    return new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, "m").exec(text)?.[1];
  }

  it("a full pool is no reason to take the primary out", PATIENT, async () => {
    await staysUp("full pool", async (primary) => {
      // The writer's two sessions fill it; whoever comes now waits.
      await poolerConsole(primary, "SET default_pool_size = 2");
      const { host } = table.site(primary);
      const network = table.live.topology.network.name;
      const image = `$(docker inspect --format '{{.Image}}' ${table.site(primary).postgres.container})`;
      await table.onHost(
        host.name,
        `docker exec heatwave-writer cat /writer/password >/run/heatwave-waiting && chmod 600 /run/heatwave-waiting && ` +
          `docker run -d --name heatwave-waiting --network ${network} -v /run/heatwave-waiting:/password:ro --entrypoint sh ${image} ` +
          `-c 'PGPASSWORD=$(cat /password) exec psql -h ${table.live.topology.routers[0]?.container ?? ""} -p 6433 -U heatwave -d heatwave_production -c "select 1"'`,
      );
      await vi.waitFor(
        async () =>
          expect(await poolerConsole(primary, "SHOW POOLS")).toMatch(
            /^heatwave_production\|heatwave\|\d+\|[1-9]/m,
          ),
        { timeout: 30_000, interval: 500 },
      );
      return async () => {
        await table.onHost(host.name, "docker rm -f heatwave-waiting; rm -f /run/heatwave-waiting");
        await poolerConsole(primary, "RELOAD");
      };
    });
  });

  it("nor is a paused one", PATIENT, async () => {
    const primary = await table.whole();
    // The pool that the health endpoint itself logs in through: its probe hangs, and that is a metric only.
    await poolerConsole(primary, "PAUSE heatwave_health");
    try {
      const end = performance.now() + LONG_ENOUGH_MS;
      while (performance.now() < end) {
        expect((await table.answers()).find(({ site }) => site === primary)).toMatchObject({ status: 200 });
        await delay(500);
      }
      expect(await metric(primary, "heatwave_pooler_login_up")).toBe("0");
    } finally {
      await poolerConsole(primary, "RESUME heatwave_health");
    }
    console.log("paused pool: the primary stayed 200 for 20 s, heatwave_pooler_login_up 0");
  });

  it("a peer that is slow, and one that is silent", PATIENT, async () => {
    await staysUp("slow peer", async (primary) => {
      await slow(table.live.plan, otherThan(primary).host.name, "64kbit");
      return () => healAll(table.live.plan);
    });
    await staysUp("silent peer", async (primary) => {
      const { host, pgHealth } = otherThan(primary);
      await setContainerFrozen(table.live.plan, host.name, pgHealth.container, true);
      return () => healAll(table.live.plan);
    });
  });

  it("a restored clone at the peer's address: no primary yields to it", PATIENT, async () => {
    await staysUp("restored clone at the peer's address", async (primary) => {
      const { name, host, volume, postgres } = otherThan(primary);
      const signal = `/var/lib/docker/volumes/${volume}/_data/18/docker/standby.signal`;
      // A copy that is no standby, with the cluster's own identifier, as a restored backup is.
      await table.onHost(
        host.name,
        `docker stop ${postgres.container} && mv ${signal} ${signal}.kept && docker start ${postgres.container}`,
      );
      await table.awaitWord(name, /^(held|standby)$/, 503);
      return async () => {
        await table.onHost(
          host.name,
          `docker stop ${postgres.container} && rm -f ${signal} && mv ${signal}.kept ${signal} && docker start ${postgres.container}`,
        );
        await control.order(name, "start");
      };
    });
  });
});
