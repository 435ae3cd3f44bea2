import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Ran } from "../support/rehearsal.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { labelled, topologyOf } from "../support/world-suite.ts";

const root = join(import.meta.dirname, "../..");
const world = new Rehearsal("production");
const topology = topologyOf("production", root);
const HOST = "chi-02";
const TOOL = "/var/lib/heatwave/bin/host-tool";
const CONFIG = "/etc/docker/daemon.json";

const at = (line: string): Promise<string> => world.host(HOST, line);
const said = ({ stdout, stderr }: Ran): string => stdout + stderr;

/** What a host may lack: how it comes to lack it, what `up` says, and how it is mended. */
const LACKS = [
  {
    what: "sudo without a password",
    take: "mv /etc/sudoers.d/heatwave-world /root/kept",
    says: /chi-02: deploy may not use sudo without a password; allowed: .*; fix: echo 'deploy ALL=\(ALL\) NOPASSWD: ALL'/,
    give: "mv /root/kept /etc/sudoers.d/heatwave-world",
  },
  {
    what: "a docker command",
    take: "mv /usr/bin/docker /root/kept",
    says: /chi-02: there is no docker command; fix: install Docker Engine 23 or newer/,
    give: "mv /root/kept /usr/bin/docker",
  },
  {
    what: "the right to use Docker",
    take: "gpasswd -d deploy docker",
    says: /chi-02: deploy does not reach Docker's daemon; fix: systemctl start docker, and usermod -aG docker deploy/,
    give: "usermod -aG docker deploy",
  },
  {
    what: "flock",
    take: "mv /usr/bin/flock /root/kept",
    says: /chi-02: there is no flock command; fix: install util-linux/,
    give: "mv /root/kept /usr/bin/flock",
  },
  {
    what: "forwarding of sockets",
    take: "echo AllowStreamLocalForwarding no >/etc/ssh/sshd_config.d/00-lack.conf",
    says: /chi-02: sshd's AllowStreamLocalForwarding is off for deploy; allowed: yes; fix: set it in/,
    give: "rm /etc/ssh/sshd_config.d/00-lack.conf",
  },
  {
    what: "enough sessions",
    take: "echo MaxSessions 4 >/etc/ssh/sshd_config.d/00-lack.conf",
    says: /chi-02: sshd's MaxSessions is 4 for deploy; allowed: 10 or more; fix: set it in/,
    give: "rm /etc/ssh/sshd_config.d/00-lack.conf",
  },
  {
    what: "room",
    take: "cp -a /var/lib/heatwave /root/kept && mount -t tmpfs -o size=100m tmpfs /var/lib/heatwave && cp -a /root/kept/. /var/lib/heatwave/",
    says: /chi-02: \/var\/lib\/heatwave has \d+ MB free in \/var\/lib\/heatwave, and needs 256 MB; fix: free or add space there/,
    give: "umount /var/lib/heatwave && rm -r /root/kept",
  },
] as const;

/** Runs the host's preparation again, as `up` does where the tool changed. */
const settings = (environment = ""): Promise<string> =>
  at(`${environment} SUDO_USER=deploy ${TOOL} settings 2>&1 || echo "exit $?"`);

/** daemon.json as given, taken over by the daemon as far as it is valid. */
async function giveConfig(text: string): Promise<void> {
  await world.host(HOST, `rm -f ${CONFIG} && cat >${CONFIG} && pkill -HUP -o -x dockerd`, text);
}
const liveRestore = async (): Promise<string> =>
  (await at("docker info --format '{{.LiveRestoreEnabled}}'")).trim();
const becomes = (on: boolean): Promise<void> =>
  vi.waitFor(async () => expect(await liveRestore()).toBe(String(on)), { timeout: 10_000, interval: 100 });

describe("what a host needs, in a sealed world of production", { timeout: 300_000 }, () => {
  let before = "";

  beforeAll(async () => {
    await world.run("up", "--hosts-only");
    before = await at(`cat ${CONFIG}`);
  });
  afterAll(async () => {
    await world.down();
    expect(await labelled(world.world)).toEqual([]);
  });

  it.each(LACKS)(
    "`up` says that the host lacks $what, and the fix, and makes nothing there",
    async (lack) => {
      await at(lack.take);
      try {
        const up = await world.engine("up", "--yes");
        expect(up.code, said(up)).toBe(1);
        expect(said(up)).toMatch(lack.says);
      } finally {
        await at(lack.give);
      }
      expect((await at("docker ps -aq; docker volume ls -q")).trim()).toBe("");
    },
  );

  it("with all of it `up` finishes, and the next one changes nothing", async () => {
    const up = await world.engine("up", "--yes");
    expect(up.code, said(up)).toBe(0);
    const again = await world.engine("up", "--yes", "--expect-no-changes");
    expect(again.code, said(again)).toBe(0);
  });

  it("every container restarts always, by an init that reaps, with a stop signal, a grace and log rotation", async () => {
    const format = [
      ["{{.Name}}", "{{.HostConfig.RestartPolicy.Name}}", "{{.HostConfig.Init}}"],
      ["{{.Config.StopSignal}}", "{{.Config.StopTimeout}}"],
      ["{{json .HostConfig.LogConfig}}"],
    ]
      .flat()
      .join(" ");
    for (const { name } of topology.hosts) {
      const list = await world.host(name, `docker ps -aq | xargs docker inspect --format '${format}'`);
      const lines = list.trim().split("\n");
      expect(lines.length).toBeGreaterThanOrEqual(3);
      for (const line of lines) {
        expect(line).toMatch(/^\/\S+ always true SIG(INT|TERM|USR1|QUIT) [1-9]\d* /);
        expect(line).toMatch(/"Type":"(json-file|local)","Config":\{.*"max-file":"\d+","max-size":"\d+m"/);
      }
    }
  });

  it("live-restore is on, every other key of daemon.json is as it was, and the old file is kept", async () => {
    expect(await liveRestore()).toBe("true");
    const after = JSON.parse(await at(`cat ${CONFIG}`)) as Record<string, unknown>;
    expect(after).toEqual({ "live-restore": true, ...(JSON.parse(before) as object) });
    expect(await at(`cat ${CONFIG}.before-heatwave`)).toBe(before);
  });

  it("live-restore is left alone, and why is said, where somebody else decides on it", async () => {
    const off = `{ "live-restore": false, ${before.trim().slice(1)}`;
    await giveConfig(off);
    await becomes(false);
    expect(await settings()).toMatch(/warning: .* live-restore stays off.*daemon\.json says so/);
    expect(await at(`cat ${CONFIG}`)).toBe(off);

    await giveConfig(before);
    await at(`mv ${CONFIG} ${CONFIG}.real && ln -s ${CONFIG}.real ${CONFIG}`);
    expect(await settings()).toMatch(/live-restore stays off.*is a link to a file that is managed elsewhere/);
    expect((await at(`readlink ${CONFIG}`)).trim()).toBe(`${CONFIG}.real`);

    await giveConfig('{ "no-such-key": 1 }');
    expect(await settings()).toMatch(
      /live-restore stays off.*is not valid as it is; fix: dockerd --validate --config-file/,
    );
    expect(await at(`cat ${CONFIG}`)).toBe('{ "no-such-key": 1 }');

    await giveConfig(before);
    await at("docker swarm init --advertise-addr 127.0.0.1 >/dev/null");
    expect(await settings()).toMatch(/live-restore stays off.*the host is in a swarm, which excludes it/);
    await at("docker swarm leave --force >/dev/null");

    expect(await liveRestore()).toBe("false");
    expect(await settings()).not.toMatch(/live-restore/);
    await becomes(true);
  });

  it("a clock that nothing synchronises, and a disk that WAL could fill, are warnings; a kernel that refuses is an error", async () => {
    const stub = (name: string, script: string): Promise<string> =>
      at(
        `mkdir -p /tmp/stub && printf '#!/bin/sh\\n%s\\n' '${script}' >/tmp/stub/${name} && chmod +x /tmp/stub/${name}`,
      );
    expect(await settings()).toMatch(/note: .* is a container: its clock is that of the machine/);
    await at("mv /.dockerenv /root/kept-dockerenv");
    try {
      expect(await settings()).toMatch(
        /warning: .*nothing synchronises the clock; fix: apt-get install chrony/,
      );
      await stub("timedatectl", "echo no");
      expect(await settings("PATH=/tmp/stub:$PATH")).toMatch(
        /warning: .*the clock is not synchronised \(timedatectl\); fix: timedatectl set-ntp true/,
      );
      await stub("timedatectl", "echo yes");
      expect(await settings("PATH=/tmp/stub:$PATH")).not.toMatch(/clock/);
      await stub("sysctl", "exit 255");
      expect(await settings("PATH=/tmp/stub:$PATH")).toMatch(
        /error: .*the kernel refuses net\.ipv4\.ip_nonlocal_bind=1[^]*fix: [^]*exit 1/,
      );
    } finally {
      await at("rm -rf /tmp/stub; mv /root/kept-dockerenv /.dockerenv");
    }
    await at("mkdir -p /mnt/small && mount -t tmpfs -o size=500m tmpfs /mnt/small");
    try {
      expect(await at(`${TOOL} space /mnt/small 1024 2>&1 || true`)).toMatch(
        /error: .*\/mnt\/small has \d+ MB free in \/mnt\/small, and needs 1024 MB; fix: free or add space there/,
      );
      expect(await at(`${TOOL} space /mnt/small 100 2048 2>&1`)).toMatch(
        /warning: .*PostgreSQL may come to keep 2048 MB of WAL there; fix: .*or lower max_slot_wal_keep_size/,
      );
    } finally {
      await at("umount /mnt/small && rmdir /mnt/small");
    }
    const again = await world.engine("up", "--yes", "--expect-no-changes");
    expect(again.code, said(again)).toBe(0);
  });
});
