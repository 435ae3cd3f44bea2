import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { desiredResources } from "../../infra/cli/review/compare.ts";
import { loadStackFile } from "../../infra/config/load.ts";
import type { DeclaredStack } from "../../infra/drift/declared.ts";
import { declaredStack } from "../../infra/drift/declared.ts";
import type { HostLook } from "../../infra/drift/drift.ts";
import { hostDifferences } from "../../infra/drift/drift.ts";
import { containerRequest } from "../../infra/engine/providers/docker/container-request.ts";
import type { Inspected } from "../../infra/engine/providers/docker/inspected.ts";
import type { ValueMap } from "../../infra/engine/values.ts";
import { buildTopology } from "../../infra/topology/model.ts";

const ROOT = join(import.meta.dirname, "../..");
const { hosts } = buildTopology(loadStackFile(ROOT, "production"));
let declared: DeclaredStack;

beforeAll(async () => {
  const scratch = mkdtempSync(join(tmpdir(), "heatwave-drift-"));
  const room = { stack: "production", scratch: join(scratch, "room"), environment: process.env };
  mkdirSync(room.scratch);
  declared = declaredStack(await desiredResources(ROOT, room), hosts);
  rmSync(scratch, { recursive: true });
}, 300_000);

/** What Docker's inspect says of a container that was made by this engine's own request. */
function inspectedOf(name: string, inputs: ValueMap): Inspected {
  const { HostConfig: host, ...config } = containerRequest(inputs) as Record<string, unknown>;
  return {
    Id: "f".repeat(64),
    Name: `/${name}`,
    Image: "sha256:1",
    Created: "2026-11-26T00:00:00Z",
    State: { Running: true, ExitCode: 0 },
    NetworkSettings: { Ports: (host as Record<string, unknown>)["PortBindings"] },
    Config: config,
    HostConfig: host,
  } as Inspected;
}

type SeenHost = Extract<HostLook, { readonly kind: "seen" }>;

/** A host that has what is declared. */
function faithful(host: string): SeenHost {
  return {
    kind: "seen",
    files: new Map(
      declared.files.filter((file) => file.host === host).map(({ path, sha256 }) => [path, sha256]),
    ),
    unsettled: new Set(),
    containers: new Map(
      declared.containers
        .filter((container) => container.host === host)
        .map(({ name, inputs }) => [name, inspectedOf(name, inputs as ValueMap)]),
    ),
    unguarded: undefined,
  };
}

const differences = (dal: HostLook) =>
  hostDifferences(
    declared,
    new Map([
      ["dal-01", dal],
      ["chi-02", faithful("chi-02")],
    ]),
    "production",
  );

describe("production's hosts against its program", () => {
  test("every rendered file, program, script and the host tool is looked at, and no secret", () => {
    const paths = declared.files.filter(({ host }) => host === "dal-01").map(({ path }) => path);
    expect(paths.toSorted()).toEqual(
      [
        "bin/host-tool",
        "heatwave-haproxy/conf/haproxy.cfg",
        "heatwave-haproxy/conf/start.sh",
        "heatwave-pg-health/app/pg-health.mjs",
        "heatwave-pg-health/conf/pg-health.json",
        "heatwave-pgbouncer/conf/pgbouncer.ini",
        "heatwave-postgres/bin/entrypoint.sh",
        "heatwave-postgres/conf/pg_hba.conf",
        "heatwave-postgres/conf/pg_ident.conf",
        "heatwave-postgres/conf/postgresql.conf",
      ].map((path) => `/var/lib/heatwave/${path}`),
    );
    expect(declared.containers.map(({ host, name }) => `${host} ${name}`).toSorted()).toEqual([
      "chi-02 heatwave-pg-health-replica",
      "chi-02 heatwave-pgbouncer-replica",
      "chi-02 heatwave-postgres-replica",
      "dal-01 heatwave-haproxy",
      "dal-01 heatwave-pg-health",
      "dal-01 heatwave-pgbouncer",
      "dal-01 heatwave-postgres",
    ]);
  });

  test("do not differ where they are as declared", () => {
    expect(differences(faithful("dal-01"))).toEqual([]);
  });

  test("differ by a file that was changed, is missing, or was never confirmed", () => {
    const seen = faithful("dal-01");
    const [first, second, third] = declared.files.filter(({ host }) => host === "dal-01");
    const files = new Map(seen.files).set(first!.path, "0".repeat(64));
    files.delete(second!.path);
    expect(differences({ ...seen, files, unsettled: new Set([third!.path]) })).toMatchObject([
      { aspect: "file", where: "dal-01", what: first!.path, seen: "sha256 000000000000" },
      { aspect: "file", what: second!.path, seen: "is missing" },
      { aspect: "file", what: third!.path, seen: "the same text, which its reader has not confirmed" },
    ]);
  });

  test("differ by a firewall whose rules are in their file alone, and name what puts them in force again", () => {
    const path = "/var/lib/heatwave/firewall/rules";
    const rules = { host: "dal-01", path, sha256: "a".repeat(64), resources: "**::dal-01-firewall-rules" };
    const guarded = { ...declared, files: [rules], containers: [] };
    const seen: SeenHost = {
      ...faithful("dal-01"),
      files: new Map([[path, rules.sha256]]),
      unguarded: "table filter of iptables has 0 of 7 rules",
    };
    expect(hostDifferences(guarded, new Map([["dal-01", seen]]), "production")).toMatchObject([
      {
        aspect: "firewall",
        where: "dal-01",
        seen: "table filter of iptables has 0 of 7 rules",
        next: expect.stringContaining("/var/lib/heatwave/bin/host-tool firewall restore") as string,
      },
    ]);
    expect(
      hostDifferences(guarded, new Map([["dal-01", { ...seen, unguarded: undefined }]]), "production"),
    ).toEqual([]);
  });

  test("name what puts a file in force again, a program with what restarts its reader", () => {
    const look = { ...faithful("dal-01"), files: new Map() };
    const next = new Map(differences(look).map((one) => [one.what.split("/").at(-1), one.next]));
    expect(next.get("haproxy.cfg")).toContain("pulumi up --replace '**::dal-01-haproxy-cfg-apply'");
    expect(next.get("pg-health.mjs")).toContain("pulumi up --replace '**::dal-01-site-pg-health-*-apply'");
    expect(next.get("host-tool")).toContain("pulumi up --replace '**::dal-01-tool'");
  });

  const changed = (change: (of: Inspected) => Inspected) => {
    const seen = faithful("dal-01");
    const containers = new Map(seen.containers);
    containers.set("heatwave-haproxy", change(containers.get("heatwave-haproxy")!));
    return differences({ ...seen, containers });
  };

  test("differ by an image, apart from other settings", () => {
    const found = changed((of) => ({ ...of, Config: { ...of.Config, Image: "haproxy:3.1" } }));
    expect(found).toMatchObject([
      {
        aspect: "image",
        what: "heatwave-haproxy",
        declared: expect.stringMatching(/^image haproxy:3\.0-alpine@sha256:/) as string,
        seen: "haproxy:3.1",
      },
    ]);
  });

  test("differ by a restart policy, log rotation, a stop signal, ports", () => {
    const found = changed((of) => ({
      ...of,
      Config: { ...of.Config, StopSignal: "SIGUSR1" },
      HostConfig: {
        ...of.HostConfig,
        RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
        LogConfig: { Type: "json-file", Config: {} },
      },
      NetworkSettings: {
        ...of.NetworkSettings,
        Ports: { "6433/tcp": [{ HostIp: "0.0.0.0", HostPort: "6433" }] },
      },
    }));
    expect(
      found.map(({ aspect, declared: asked }) => `${aspect} ${asked.split(" ")[0] ?? ""}`).toSorted(),
    ).toEqual(["container logOpts", "container ports", "container restart", "container stopSignal"]);
  });

  test("differ by a container that is stopped or gone", () => {
    expect(changed((of) => ({ ...of, State: { Running: false, ExitCode: 137 } }))).toMatchObject([
      { aspect: "container", what: "heatwave-haproxy", seen: "is stopped" },
    ]);
    const seen = faithful("dal-01");
    const containers = new Map(seen.containers);
    containers.delete("heatwave-haproxy");
    expect(differences({ ...seen, containers })).toMatchObject([
      { what: "heatwave-haproxy", seen: "does not exist" },
    ]);
  });

  test("are said to be unseen where they cannot be reached, and hide nothing of the others", () => {
    expect(differences({ kind: "unseen", message: "ssh: no route" })).toEqual([
      {
        aspect: "health",
        where: "dal-01",
        what: "host",
        declared: "reachable by SSH",
        seen: undefined,
        next: "ssh: no route",
      },
    ]);
  });
});
