import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import type { Difference } from "../../infra/drift/drift.ts";
import { RecoveryCli } from "../support/recovery-cli.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { inWorld, topologyOf } from "../support/world-suite.ts";

const world = new Rehearsal("production");
const operator = new RecoveryCli(world);
const topology = topologyOf("production", join(import.meta.dirname, "../.."));

interface Seen {
  readonly drift: boolean;
  readonly looked: { readonly hosts: number; readonly files: number; readonly containers: number };
  readonly differences: readonly Difference[];
}

describe("drift", { timeout: 600_000 }, () => {
  inWorld(world);

  async function drift(): Promise<Seen & { readonly code: number; readonly seconds: number }> {
    const line = ["exec", "--", "bin/recovery", "production", "drift", "--json"];
    const { code, stdout, stderr, seconds } = await world.attempt(...line);
    expect([0, 6], stderr).toContain(code);
    return { ...(JSON.parse(stdout) as Seen), code, seconds };
  }

  it("finds nothing in a stack that was just brought up", async () => {
    const { code, differences, looked, seconds } = await drift();
    console.log(`drift: ${looked.files} files, ${looked.containers} containers in ${seconds.toFixed(1)} s`);
    expect(differences).toEqual([]);
    expect({ code, ...looked }).toEqual({ code: 0, hosts: topology.hosts.length, files: 18, containers: 7 });
  });

  it("finds a file, a restart policy, a role and a stopped container that somebody changed by hand", async () => {
    const [first] = topology.sites;
    const [router] = topology.routers;
    if (first === undefined || router === undefined) throw new Error("production has a site and a router");
    const file = `${router.directory}/conf/haproxy.cfg`;
    await world.host(router.host.name, `echo '# by hand' >>${file}`);
    await world.host("chi-02", `docker update --restart no ${topology.sites[1]?.postgres.container ?? ""}`);
    await world.sql(first.name, "create role eve login superuser");
    await world.host("chi-02", `docker stop ${topology.sites[1]?.pgbouncer.container ?? ""}`);
    // pg-health asks the pooler every few seconds.
    await vi.waitFor(
      async () => expect((await operator.topology()).findings.map(({ code }) => code)).toContain("pooler"),
      { timeout: 60_000, interval: 500 },
    );
    const { code, differences } = await drift();
    expect(code).toBe(6);
    const found = differences.map(({ aspect, where, what }) => `${aspect} ${where} ${what}`);
    expect(found.toSorted()).toEqual(
      [
        `file ${router.host.name} ${file}`,
        `container chi-02 ${topology.sites[1]?.postgres.container ?? ""}`,
        `container chi-02 ${topology.sites[1]?.pgbouncer.container ?? ""}`,
        `database ${first.name} role eve`,
        // The stopped pooler, as topology judges it.
        "health the stack pooler",
      ].toSorted(),
    );
  });
});
