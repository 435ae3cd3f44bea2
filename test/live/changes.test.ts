import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { acknowledgedOf, countErrors, failedOf } from "../../infra/rehearsal/writer/figures.ts";
import { monotonicMs } from "../../infra/rehearsal/writer/records.ts";
import type { WriterOptions } from "../../infra/rehearsal/writer/writer.ts";
import { Writer } from "../../infra/rehearsal/writer/writer.ts";
import { AT_START } from "../../infra/review/parameters.ts";
import type { LiveWorld } from "../support/live-world.ts";
import { liveWorld } from "../support/live-world.ts";
import { touchedBy } from "../support/preview-steps.ts";
import type { Ran } from "../support/rehearsal.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { effectsOf, reviewIn } from "../support/world-review.ts";
import { inWorld, topologyOf } from "../support/world-suite.ts";
import { NOTHING } from "../support/nothing.ts";

/** Changes without a cut: what a change of a file costs the sessions and connections of that moment. */

const root = join(import.meta.dirname, "../..");

/** Production with a router beside its standby too: each direction of "the local site" in one world. */
const ROUTER = "    - host: dal-01\n      container: heatwave-haproxy\n";
const folder = mkdtempSync(join(tmpdir(), "heatwave-changes-"));
const configFile = join(folder, "Pulumi.production.yaml");
const shipped = readFileSync(join(root, "Pulumi.production.yaml"), "utf8");
writeFileSync(configFile, shipped.replace(ROUTER, `${ROUTER}${ROUTER.replace("dal-01", "chi-02")}`));
const topology = topologyOf("production", folder);
const world = new Rehearsal("production", { configFile });
const PRIMARY = "dal-01";

const directions = [
  ["dal-01", "its local site the primary"],
  ["chi-02", "its local site a standby"],
] as const;

/** Seconds of one test: an `up` takes as long as its machine needs, which is no figure of this file. */
const SLOW = { timeout: 900_000 };

describe("changes without a cut", SLOW, () => {
  inWorld(world);
  let live: LiveWorld;
  beforeAll(async () => {
    live = await liveWorld(world, folder);
    await world.controller("cp Pulumi.production.yaml /tmp/kept.yaml");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** An application beside the router of a host. */
  function writerAt(host: string, options: WriterOptions): Promise<Writer> {
    const routers = live.stack.routers.filter((router) => router.host === host);
    return Writer.start(live.plan, { ...live.stack, routers }, live.overlay, {
      sampleEveryMs: 0,
      ...options,
    });
  }

  const edit = (expression: string): Promise<string> =>
    world.controller(`sed -i -e '${expression}' Pulumi.production.yaml && cat Pulumi.production.yaml`);

  async function mustUp(): Promise<Ran> {
    const up = await world.engine("up", "--yes");
    expect(up, up.stdout + up.stderr).toMatchObject({ code: 0 });
    return up;
  }

  const containers = (): Promise<string[]> =>
    Promise.all(
      topology.hosts.map(({ name }) =>
        world.host(
          name,
          "docker ps --no-trunc --filter name=heatwave-p --filter name=heatwave-haproxy --format '{{.ID}} {{.Names}}' | sort",
        ),
      ),
    );

  /** Names of the resources that a preview would touch. */
  async function previewed(): Promise<string[]> {
    const preview = await world.engine("preview", "--json");
    expect(preview, preview.stderr).toMatchObject({ code: 0 });
    return touchedBy(preview);
  }

  const sites = topology.sites.map(({ name }) => `${name}-site`);
  const routers = topology.routers.map(({ name }) => name);
  const files = (owners: readonly string[], file: string): string[] =>
    owners.flatMap((owner) => [`update ${owner}-${file}-apply`, `update ${owner}-${file}-text`]).toSorted();

  it.each([
    {
      what: "one HBA line",
      expression: "s|^  heatwave:postgres:|&\\n    hba:\\n      - address: 100.64.0.9/32|",
      touched: files(sites, "postgres-hba"),
      said: topology.sites.map(({ name }) => `site ${name}: reload, nothing`),
      inForce: ["select count(*) from pg_hba_file_rules where address = $$100.64.0.9$$", "1"],
    },
    {
      what: "one HAProxy time-out",
      expression: "s/client: 12h/client: 11h/",
      touched: files(routers, "haproxy-cfg"),
      said: routers.map((name) => `router ${name}: reload, nothing`),
      inForce: undefined,
    },
    {
      what: "one PgBouncer limit",
      expression: "s/^    poolMode: session.*/&\\n    maxClientConn: 1200/",
      touched: files(sites, "pgbouncer-ini"),
      said: topology.sites.map(({ name }) => `site ${name}: reload, nothing`),
      inForce: undefined,
    },
    {
      what: "one PostgreSQL parameter",
      expression: "s/max_connections: 200/&\\n      work_mem: 8MB/",
      touched: files(sites, "postgres-conf"),
      said: topology.sites.map(({ name }) => `site ${name}: reload, nothing`),
      inForce: ["show work_mem", "8MB"],
    },
  ])(
    "$what: only the files rendered from it change, and an open session goes on in its backend",
    async ({ what, expression, touched, said, inForce }) => {
      await edit(expression);
      expect(await previewed()).toEqual(touched);
      // What a reviewer is told is what happens below: no session ends, no container is another.
      expect(effectsOf(await reviewIn(world))).toEqual(said);
      const before = await containers();
      const writer = await writerAt("dal-01", { clients: 1, everyMs: 50 });
      const begun = writer.mark("up");
      await mustUp();
      const ended = writer.mark("after");
      await afterRows(writer, ended, 100);
      const records = await writer.records();
      const report = await writer.stop();
      const rows = acknowledgedOf(records);
      console.log(
        `${what}: ${rows.filter(({ sent }) => sent < begun).length} statements before, ` +
          `${rows.filter(({ sent }) => sent >= begun && sent < ended).length} during and ` +
          `${rows.filter(({ sent }) => sent >= ended).length} after the up, ${report.sessions} backend, longest gap ${report.longestGap?.ms.toFixed(0)} ms`,
      );
      expect(rows.some(({ sent }) => sent < begun)).toBe(true);
      expect(rows.filter(({ sent }) => sent >= begun).length).toBeGreaterThanOrEqual(100);
      expect(report).toMatchObject({ sessions: 1, errors: NOTHING, lost: 0, duplicates: 0 });
      expect(await containers()).toEqual(before);
      for (const { name } of inForce === undefined ? [] : topology.sites)
        expect(await world.sql(name, inForce?.[0] ?? "")).toBe(inForce?.[1]);
    },
  );

  it.each(directions)(
    "new connections through the router of %s (%s) around its reload: none on a standby, none reset",
    async (host) => {
      const writer = await writerAt(host, { clients: 12, everyMs: 20, connection: "new", name: "new" });
      await edit(
        `s/connect: [0-9]*s/connect: XX/; s/^    timeouts:$/&\\n      connect: ${host === "dal-01" ? 5 : 6}s/; /connect: XX/d`,
      );
      await mustUp();
      const at = await lastReload(host);
      await writer.awaitRow(monotonicMs(), 10_000);
      const records = await writer.records();
      const report = await writer.stop();
      const around = acknowledgedOf(records).filter(({ answered }) => Math.abs(answered - at) <= 1500);
      console.log(
        `reload beside ${host}: ${around.length} new connections within 3 s of it, ${report.acknowledged} in all, ` +
          `longest gap ${report.longestGap?.ms.toFixed(0)} ms, errors ${JSON.stringify(report.errorTexts)}`,
      );
      expect(report).toMatchObject({
        errors: NOTHING,
        lost: 0,
        instances: { [PRIMARY]: report.acknowledged },
      });
      expect(around.length).toBeGreaterThanOrEqual(300);
    },
  );

  it.each(directions)(
    "cold start of the router of %s (%s): none on a standby, refusals until the primary has answered, at most 3 s",
    async (host) => {
      const writer = await writerAt(host, { clients: 4, everyMs: 20, connection: "new", name: "new" });
      await world.host(host, "docker restart -t 1 heatwave-haproxy");
      const started = await world.host(
        host,
        "docker inspect --format '{{.State.StartedAt}}' heatwave-haproxy",
      );
      const at = monotonicOf(started.trim());
      await afterRows(writer, at, 100);
      const records = await writer.records();
      const report = await writer.stop();
      const first = acknowledgedOf(records).find(({ sent }) => sent >= at);
      const after = failedOf(records).filter(({ sent }) => sent >= at);
      const late = after.filter(({ sent }) => first !== undefined && sent > first.answered);
      const seconds = ((first?.answered ?? Infinity) - at) / 1000;
      console.log(
        `cold start beside ${host}: first row ${seconds.toFixed(2)} s after the container's start, ` +
          `refusals ${JSON.stringify(countErrors(after))}, ${late.length} after the first row`,
      );
      expect(report.errors["read-only"]).toBeUndefined();
      expect(report.instances).toEqual({ [PRIMARY]: report.acknowledged });
      expect(Object.keys(countErrors(after)).filter((kind) => !REFUSALS.includes(kind))).toEqual([]);
      expect(late).toEqual([]);
      expect(seconds).toBeLessThanOrEqual(3);
    },
  );

  it("a bad file of each kind is refused, and the old one stays in force", async () => {
    const writer = await writerAt("dal-01", { clients: 1, everyMs: 50 });
    const all =
      "cd /var/lib/heatwave && find . -type f ! -name '.*' ! -path '*/incoming/*' ! -path '*/run/*' ! -path '*/state/*' -exec sha256sum {} + | sort -k 2";
    const before = await world.host(PRIMARY, all);
    const conf = "/var/lib/heatwave";
    for (const { kind, container, path, from, bad, says } of BAD) {
      const text = `f=$(mktemp) && ${from === undefined ? ":" : `cat ${conf}/${container}/${path} >$f`} && printf '%s\\n' "${bad}" >>$f`;
      const tool = `${conf}/bin/host-tool file ${kind} ${container} ${path} $(sha256sum $f | cut -d " " -f 1) <$f`;
      const ran = await world.attempt("host", PRIMARY, "--", "sh", "-c", `${text} && ${tool}`);
      expect(ran.code, `${kind}: ${ran.stdout}${ran.stderr}`).toBe(1);
      expect(ran.stdout + ran.stderr).toMatch(says);
    }
    const users = `printf '%s\\n%s' '"a "b"' '--end of secret--' | ${conf}/bin/host-tool secret users heatwave-pgbouncer userlist.txt 70:70`;
    const refused = await world.attempt("host", PRIMARY, "--", "sh", "-c", users);
    expect(refused.stdout + refused.stderr).toMatch(/refuses userlist\.txt; the old one stays in force/);
    const half = `printf half | ${conf}/bin/host-tool secret users heatwave-pgbouncer userlist.txt 70:70`;
    const cut = await world.attempt("host", PRIMARY, "--", "sh", "-c", half);
    expect(cut.stdout + cut.stderr).toMatch(/the secret did not arrive whole/);
    expect(await world.host(PRIMARY, all)).toBe(before);
    expect(await marks()).toBe("");
    expect(await writer.stop()).toMatchObject({ sessions: 1, errors: NOTHING });
  });

  it("a file that only the running server refuses is undone, and its reader has the old one", async () => {
    const conf = "/var/lib/heatwave/heatwave-haproxy/conf";
    const before = await world.host(PRIMARY, `sha256sum ${conf}/haproxy.cfg`);
    // `haproxy -c` binds nothing: that this address is nobody's shows at the reload.
    const line = `f=$(mktemp) && sed 's/^  mode http$/&\\n  bind 192.0.2.1:9999/' ${conf}/haproxy.cfg >$f && grep -q 192.0.2.1 $f && /var/lib/heatwave/bin/host-tool file haproxy heatwave-haproxy conf/haproxy.cfg $(sha256sum $f | cut -d " " -f 1) <$f`;
    const writer = await writerAt("dal-01", { clients: 1, everyMs: 50 });
    const ran = await world.attempt("host", PRIMARY, "--", "sh", "-c", line);
    expect(ran.code, ran.stdout + ran.stderr).toBe(1);
    expect(ran.stdout + ran.stderr).toMatch(
      /did not take haproxy\.cfg; the old one is back in force:[^]*192\.0\.2\.1/,
    );
    expect(await world.host(PRIMARY, `sha256sum ${conf}/haproxy.cfg`)).toBe(before);
    expect(await marks()).toBe("");
    expect(await writer.stop()).toMatchObject({ sessions: 1, errors: NOTHING });
  });

  it("a bad setting of the stack file is refused by up, and the next up goes on", async () => {
    await world.controller("cp /tmp/kept.yaml Pulumi.production.yaml");
    await edit("s|^  heatwave:postgres:|&\\n    hba:\\n      - {type: hostssl, address: 100.64.0.8/32}|");
    const up = await world.engine("up", "--yes");
    expect(up.code).toBe(1);
    expect(up.stdout + up.stderr).toMatch(
      /refuses pg_hba\.conf; the old one stays in force:[^]*hostssl record cannot match/,
    );
    await world.controller("cp /tmp/kept.yaml Pulumi.production.yaml");
    await mustUp();
    expect(await marks()).toBe("");
  });

  it("the review knows every parameter that PostgreSQL reads at its start alone", async () => {
    const settable = "select name from pg_settings where context = 'postmaster' order by name";
    const names = (await world.sql(PRIMARY, settable)).split("\n");
    expect(names).toContain("max_connections");
    expect(names.filter((name) => !AT_START.has(name))).toEqual([]);
  });

  it("a parameter that needs a restart is written, and up says what waits", async () => {
    await world.controller("cp /tmp/kept.yaml Pulumi.production.yaml");
    await edit("s/max_connections: 200/max_connections: 210/");
    const up = await mustUp();
    for (const { name } of topology.sites) {
      expect(up.stdout + up.stderr).toContain(
        `max_connections = 210 takes effect at the next restart of PostgreSQL at ${name}; until then it is 200 (raised: restart the standbys before the primary)`,
      );
      expect(
        await world.sql(
          name,
          "select setting, pending_restart from pg_settings where name = $$max_connections$$",
        ),
      ).toBe("200|t");
    }
    await world.controller("cp /tmp/kept.yaml Pulumi.production.yaml");
    await mustUp();
    for (const { name } of topology.sites)
      expect(
        await world.sql(
          name,
          "select setting, pending_restart from pg_settings where name = $$max_connections$$",
        ),
      ).toBe("200|f");
  });

  it("an up killed -9 between copy and swap, and between swap and reload, heals on the next up", async () => {
    const here = "/var/lib/heatwave/heatwave-postgres/conf";
    const setting = (): Promise<string> => world.sql(PRIMARY, "show work_mem");
    await world.controller("cp /tmp/kept.yaml Pulumi.production.yaml");
    // Held where the tool waits its turn: the copy is there, the swap is not.
    await world.host(
      PRIMARY,
      "(flock 9 && exec sleep 300) 9>/var/lib/heatwave/heatwave-postgres/.lock >/dev/null 2>&1 & echo $! >/tmp/holder",
    );
    await edit("s/max_connections: 200/&\\n      work_mem: 9MB/");
    const up = world.engine("up", "--yes");
    await untilHost(
      PRIMARY,
      `grep -q 9MB ${here}/incoming/postgresql.conf && pgrep -f "[h]ost-tool file postgres"`,
    );
    await killAll();
    await up;
    await world.host(
      PRIMARY,
      "pkill -9 -P $(cat /tmp/holder) 2>/dev/null; kill -9 $(cat /tmp/holder); pkill -9 -x sleep; true",
    );
    expect(
      await world.host(
        PRIMARY,
        `grep -c 9MB ${here}/incoming/postgresql.conf ${here}/postgresql.conf || true`,
      ),
    ).toMatch(/incoming\/postgresql\.conf:1\n.*postgresql\.conf:0/);
    expect(await setting()).toBe("4MB");
    await mustUp();
    expect(await setting()).toBe("9MB");

    // Killed as soon as the swap is marked: before its reload is verified.
    await edit("s/work_mem: 9MB/work_mem: 10MB/");
    const watch = `until [ -e ${here}/.postgresql.conf.pending ]; do :; done; pkill -9 -f "[h]ost-tool file postgres"; true`;
    const killed = world.host(PRIMARY, watch);
    const second = world.engine("up", "--yes");
    await killed;
    await killAll();
    await second;
    expect(await marks()).toContain(".postgresql.conf.pending");
    await mustUp();
    expect(await marks()).toBe("");
    expect(await setting()).toBe("10MB");
    await world.controller("cp /tmp/kept.yaml Pulumi.production.yaml");
    await mustUp();
    expect(await setting()).toBe("4MB");
  });

  it("a new password of the application works after up, the old one does not, and open sessions stay", async () => {
    const writer = await writerAt("dal-01", { clients: 1, everyMs: 50 });
    const overlay = "/etc/heatwave/overlay.json";
    const login = async (password: string): Promise<Ran> => {
      const image = await world.host(PRIMARY, "docker inspect --format '{{.Image}}' heatwave-postgres");
      const client = `docker run -i --rm --network kamal --entrypoint sh ${image.trim()} -c 'IFS= read -r PGPASSWORD; export PGPASSWORD; psql -h heatwave-haproxy -p 6433 -U heatwave -d heatwave_production -XAtc "show cluster_name"'`;
      return world.attempt("host", PRIMARY, "--", "sh", "-c", `printf '%s\\n' '${password}' | ${client}`);
    };
    const kept = await world.controller(`cp ${overlay} /tmp/overlay.json && cat ${overlay}`);
    const present = JSON.parse(kept) as { secrets: { roles: Record<string, string> } };
    const old = present.secrets.roles["heatwave"] ?? "";
    const roles = { ...present.secrets.roles, heatwave: "another-password-1" };
    const changed = JSON.stringify({ ...present, secrets: { ...present.secrets, roles } });
    try {
      await world.controller(`echo ${Buffer.from(changed).toString("base64")} | base64 -d >${overlay}`);
      await mustUp();
      const ended = writer.mark("rotated");
      const accepted = await login("another-password-1");
      expect(accepted.stdout.trim(), accepted.stderr).toBe(PRIMARY);
      const refused = await login(old.replaceAll("'", `'\\''`));
      expect(refused.code).not.toBe(0);
      expect(refused.stdout + refused.stderr).toMatch(/authentication failed/);
      await afterRows(writer, ended, 100);
      expect(await writer.stop()).toMatchObject({ sessions: 1, errors: NOTHING });
    } finally {
      await world.controller(`cp /tmp/overlay.json ${overlay}`);
      await mustUp();
    }
  });

  /** Waits until the writer has so many rows that were sent after a time. */
  async function afterRows(writer: Writer, since: number, rows: number): Promise<void> {
    const deadline = monotonicMs() + 60_000;
    while (acknowledgedOf(await writer.records()).filter(({ sent }) => sent >= since).length < rows) {
      if (monotonicMs() > deadline) throw new Error(`fewer than ${rows} rows within 60 s`);
      await delay(200);
    }
  }

  /** When HAProxy of a host was last reloaded, on the monotonic clock. */
  async function lastReload(host: string): Promise<number> {
    const line = await world.host(
      host,
      "docker logs -t heatwave-haproxy 2>&1 | grep -i 'reloading haproxy' | tail -n 1",
    );
    return monotonicOf(line.split(" ")[0] ?? "");
  }

  async function untilHost(host: string, condition: string): Promise<void> {
    await world.host(
      host,
      `for i in $(seq 600); do ${condition} >/dev/null 2>&1 && exit 0; sleep 0.1; done; exit 1`,
    );
  }

  /** The engine in the controller and what it started on the hosts: nothing of an \`up\` lives on. */
  async function killAll(): Promise<void> {
    await world.controller("pkill -9 -f '[i]nfra/cli/engine.ts' || true");
    // A dead engine's lock: whether it is seen through is the engine's own test.
    await world.engine("cancel", "--yes");
    for (const { name } of topology.hosts) await world.host(name, "pkill -9 -f '[h]ost-tool file' || true");
  }

  /** Marks of applies that were not finished. */
  async function marks(): Promise<string> {
    const found = await Promise.all(
      topology.hosts.map(({ name }) =>
        world.host(name, "find /var/lib/heatwave -name '.*.pending' -o -name '.*.old' -o -name '.*.new'"),
      ),
    );
    return found.join("").trim();
  }
});

/** A client that finds nobody: the listener is not there yet, or lets nobody through. */
const REFUSALS: readonly string[] = ["refused", "unreachable", "reset before authentication"];

/** Hosts and this test share one kernel, so one monotonic clock. */
function monotonicOf(time: string): number {
  return monotonicMs() - (Date.now() - Date.parse(time));
}

const STAYS = "the old one stays in force";
/** A line that spoils each kind of file; \`from\`: it is added to the text that is in force. */
const BAD = [
  {
    kind: "postgres",
    container: "heatwave-postgres",
    path: "conf/postgresql.conf",
    from: "own",
    bad: "work_mem = elephants",
    says: new RegExp(`refuses postgresql.conf; ${STAYS}`),
  },
  {
    kind: "postgres",
    container: "heatwave-postgres",
    path: "conf/postgresql.conf",
    from: "own",
    bad: "shared_preload_libraries = nowhere",
    says: /could not access file "nowhere"/,
  },
  {
    kind: "postgres",
    container: "heatwave-postgres",
    path: "conf/postgresql.conf",
    from: "own",
    bad: "max_connections = 3",
    says: /must be less than "max_connections"/,
  },
  {
    kind: "postgres",
    container: "heatwave-postgres",
    path: "conf/postgresql.conf",
    from: "own",
    bad: "shared_buffers = 900GB",
    says: /MB of shared memory, and the host has/,
  },
  {
    kind: "hba",
    container: "heatwave-postgres",
    path: "conf/pg_hba.conf",
    from: "own",
    bad: "host all all 100.64.0.9/99 scram-sha-256",
    says: /refuses pg_hba.conf[^]*invalid CIDR mask/,
  },
  {
    kind: "ident",
    container: "heatwave-postgres",
    path: "conf/pg_ident.conf",
    from: "own",
    bad: "map user",
    says: /refuses pg_ident.conf[^]*missing entry/,
  },
  {
    kind: "pooler",
    container: "heatwave-pgbouncer",
    path: "conf/pgbouncer.ini",
    from: "own",
    bad: "no_such_word = 1",
    says: /refuses pgbouncer.ini[^]*unknown parameter/,
  },
  {
    kind: "haproxy",
    container: "heatwave-haproxy",
    path: "conf/haproxy.cfg",
    from: "own",
    bad: "no-such-word",
    says: /refuses haproxy.cfg[^]*no-such-word/,
  },
  {
    kind: "script",
    container: "heatwave-haproxy",
    path: "conf/start.sh",
    from: undefined,
    bad: "if then",
    says: /refuses start.sh/,
  },
  {
    kind: "program",
    container: "heatwave-pg-health",
    path: "app/pg-health.mjs",
    from: undefined,
    bad: "import {",
    says: /refuses pg-health.mjs/,
  },
  {
    kind: "restart",
    container: "heatwave-pg-health",
    path: "conf/pg-health.json",
    from: undefined,
    bad: "{}",
    says: /refuses pg-health.json/,
  },
] as const;
