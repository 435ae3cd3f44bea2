import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Ran } from "../support/rehearsal.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { topologyOf } from "../support/world-suite.ts";

const root = join(import.meta.dirname, "../..");
const world = new Rehearsal("production");
const topology = topologyOf("production", root);
const [dal, chi] = topology.sites as [(typeof topology.sites)[0], (typeof topology.sites)[0]];
const STATE = "/var/lib/heatwave-state/.pulumi/stacks/heatwave/production.json";

const said = ({ stdout, stderr }: Ran): string => stdout + stderr;

/** The engine with edits (sed) to the stack file, which is as it was afterwards. */
function edited(edits: readonly string[], command: string): Promise<Ran> {
  const line = [
    "cp Pulumi.production.yaml /tmp/kept.yaml",
    ...edits.map((edit) => `sed -i '${edit}' Pulumi.production.yaml`),
    `${command}; code=$?`,
    "cp /tmp/kept.yaml Pulumi.production.yaml; exit $code",
  ].join("\n");
  return world.attempt("exec", "--", "sh", "-c", line);
}

const CHANGE = ["s/fall: 3/fall: 5/", "s/max_connections: 200/max_connections: 200\\n      work_mem: 8MB/"];
const UP = "bin/engine up --yes --stack production";

async function upIsClean(): Promise<void> {
  const up = await world.engine("up", "--yes");
  expect(up.code, said(up)).toBe(0);
  const preview = await world.engine("preview", "--expect-no-changes");
  expect(preview.code, said(preview)).toBe(0);
}

/** Every container on every host, by id: nothing was stopped, made again or lost. */
async function containers(): Promise<string> {
  const each = topology.hosts.map(({ name }) =>
    world.host(name, "docker ps --no-trunc --format '{{.ID}} {{.Names}}' | sort"),
  );
  return (await Promise.all(each)).join("");
}

describe("faults of the operator's side, in a sealed world of production", { timeout: 600_000 }, () => {
  beforeAll(async () => {
    await world.run("up", "--hosts-only");
  });
  afterAll(async () => {
    await world.down();
  });

  it("a data volume that holds an unknown cluster is refused, untouched; moved away, `up` finishes", async () => {
    const data = "/data/18/docker";
    const image = "$(docker images --format '{{.Repository}}:{{.Tag}}' | grep postgres | head -1)";
    const inVolume = (user: string, script: string): Promise<string> =>
      world.host(
        chi.host.name,
        `docker run --rm --user ${user} -v ${chi.volume}:/data --entrypoint bash ${image} -c "${script}"`,
      );
    await world.host(chi.host.name, `docker volume create ${chi.volume}`);
    await inVolume("0", `install -d -o 999 -g 999 /data /data/18`);
    await inVolume(
      "999:999",
      `/usr/lib/postgresql/18/bin/initdb -D ${data} >/dev/null && touch ${data}/ours`,
    );
    const control = await inVolume("999:999", `/usr/lib/postgresql/18/bin/pg_controldata -D ${data}`);
    const foreign = /system identifier:\s+(\d+)/.exec(control)?.[1] ?? "";
    expect(foreign).toMatch(/^\d{19}$/);

    const up = await world.engine("up", "--yes");
    expect(up.code, said(up)).toBe(1);
    expect(said(up)).toMatch(new RegExp(`data of system ${foreign} without a grant`));
    expect(said(up)).toMatch(new RegExp(`chi-02[^]*move that volume away`));
    expect(up.seconds).toBeLessThan(300);
    expect(await inVolume("999:999", `ls ${data}/ours`)).toMatch(/ours/);
    expect(await inVolume("999:999", `ls ${data}/postmaster.pid || echo never started`)).toMatch(
      /never started/,
    );

    await inVolume("0", `mv /data/18 /data/kept`);
    await upIsClean();
    expect(await inVolume("0", "ls /data/kept/docker/ours")).toMatch(/ours/);
    expect(await world.sql("write", "select 1")).toBe("1");
  });

  it("a refused SSH key is told with the host and what to load; nothing changes", async () => {
    const before = await containers();
    const empty = await edited(CHANGE, `ssh-agent sh -c '${UP}'`);
    expect(empty.code).toBe(1);
    expect(said(empty)).toMatch(
      /ssh deploy@100\.[\d.]+:22: the host accepts none of the agent's keys; load the key that the host knows for deploy/,
    );
    const none = await edited(CHANGE, `env -u SSH_AUTH_SOCK ${UP}`);
    expect(none.code).toBe(1);
    expect(said(none)).toMatch(/no SSH agent is running \(SSH_AUTH_SOCK is not set\)/);
    expect(await containers()).toBe(before);
    await upIsClean();
  });

  it("a wrong passphrase is told before anything is done; the state stays as it is", async () => {
    const sum = (): Promise<string> => world.controller(`sha256sum ${STATE}`);
    const before = await sum();
    await world.controller("umask 077; echo wrong >/tmp/wrong");
    for (const command of ["preview --stack production", "up --yes --stack production"]) {
      const run = await world.attempt(
        ...["exec", "--", "sh", "-c", `PULUMI_CONFIG_PASSPHRASE_FILE=/tmp/wrong exec bin/engine ${command}`],
      );
      expect(run.code).toBe(1);
      expect(said(run)).toMatch(/incorrect passphrase|passphrase is wrong|wrong passphrase/i);
    }
    expect(await sum()).toBe(before);
    await upIsClean();
  });

  it("a full disk is told with the path; the old file stays in force, and room brings the new one", async () => {
    const conf = `${topology.routers[0]?.directory ?? ""}/conf`;
    const host = topology.routers[0]?.host.name ?? "";
    const inForce = (): Promise<string> =>
      world.host(
        host,
        "docker exec heatwave-haproxy grep -c 'fall 5' /usr/local/etc/haproxy/haproxy.cfg || true",
      );
    const onFullDisk = async (folder: string, during: () => Promise<void>): Promise<void> => {
      await world.host(
        host,
        `set -e; cp -a ${folder} /tmp/kept; mount -t tmpfs -o size=64k tmpfs ${folder}; cp -a /tmp/kept/. ${folder}/; ` +
          `chown --reference=/tmp/kept ${folder}; chmod --reference=/tmp/kept ${folder}; ` +
          `! dd if=/dev/zero of=${folder}/filler bs=4k 2>/dev/null`,
      );
      try {
        await during();
      } finally {
        await world.host(host, `umount ${folder} && rm -rf /tmp/kept`);
      }
    };
    await onFullDisk(conf, async () => {
      const up = await edited(CHANGE.slice(0, 1), UP);
      expect(up.code, said(up)).toBe(1);
      expect(said(up)).toMatch(
        /conf\/\.haproxy\.cfg\.new cannot be written, the old haproxy\.cfg stays in force; fix: make room/,
      );
      expect(said(up)).toMatch(/No space left on device/);
      expect((await inForce()).trim()).toBe("0");
      expect(await world.sql("write", "select 1")).toBe("1");
    });
    const up = await edited(CHANGE.slice(0, 1), UP);
    expect(up.code, said(up)).toBe(0);
    expect((await inForce()).trim()).toBe("2");
    await upIsClean();
  });

  it("with chi-02 cut: preview < 10 s, a full `up` names it, one without it works at dal-01, and healing heals", async () => {
    const workMem = (): Promise<string> => world.sql(dal.name, "show work_mem");
    await world.run("fault", "cut", chi.host.name);
    const address = chi.host.address.replaceAll(".", "\\.");
    try {
      const preview = await edited(CHANGE, "bin/engine preview --stack production");
      expect(preview.code, said(preview)).toBe(0);
      console.log(`preview with a site cut: ${preview.seconds.toFixed(1)} s`);
      expect(preview.seconds).toBeLessThan(10);

      const full = await edited(CHANGE, UP);
      expect(full.code).toBe(1);
      expect(said(full)).toMatch(new RegExp(`ssh deploy@${address}:22: cannot be reached`));
      console.log(`full up with a site cut: failed after ${full.seconds.toFixed(1)} s`);
      expect(full.seconds).toBeLessThan(120);

      const without = await edited(CHANGE, `${UP} --exclude '**::chi-02' --exclude '**::chi-02-*'`);
      expect(without.code, said(without)).toBe(0);
      expect(await workMem()).toBe("8MB");
      expect(await world.sql("write", "select 1")).toBe("1");
    } finally {
      await world.run("fault", "heal", chi.host.name);
    }
    const healed = await edited(CHANGE, UP);
    expect(healed.code, said(healed)).toBe(0);
    await vi.waitFor(async () => expect(await world.sql(chi.name, "show work_mem")).toBe("8MB"), {
      timeout: 30_000,
      interval: 500,
    });
    await upIsClean();
    expect(await workMem()).toBe("4MB");
  });

  it("`destroy` refuses while data is protected, says what stays, and touches nothing", async () => {
    const before = await containers();
    const destroy = await world.engine("destroy", "--yes");
    expect(destroy.code).toBe(1);
    for (const { name } of topology.sites)
      expect(said(destroy)).toMatch(new RegExp(`${name}-site-postgres-data`));
    expect(said(destroy)).toMatch(/protect/);
    expect(await containers()).toBe(before);
    await upIsClean();
  });
});
