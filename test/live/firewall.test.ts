import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, describe, expect, it, vi } from "vitest";
import { portsOn } from "../../infra/topology/access.ts";
import { openFromHere, openPorts } from "../support/port-scan.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { behavesLikeAStack, inWorld, topologyOf } from "../support/world-suite.ts";

/** Production with its firewall on: who reaches the stack's ports, from the tailnet and from outside of it. */

const root = join(import.meta.dirname, "../..");
const OPERATOR = "100.90.1.1";
/** A tailnet host that no stack file lists: a second address of the controller. */
const STRANGER = "100.90.9.9";
const KEYS = `  heatwave:firewall:\n    enabled: true\n  heatwave:operators:\n    anna: ${OPERATOR}\n`;

const folder = mkdtempSync(join(tmpdir(), "heatwave-firewall-"));
const configFile = join(folder, "Pulumi.production.yaml");
const shipped = readFileSync(join(root, "Pulumi.production.yaml"), "utf8");
writeFileSync(configFile, shipped.replace("  heatwave:hosts:\n", `${KEYS}  heatwave:hosts:\n`));
const topology = topologyOf("production", folder);
const world = new Rehearsal("production", { configFile });

describe("a stack with its firewall on", { timeout: 900_000 }, () => {
  inWorld(world);
  afterAll(() => rmSync(folder, { recursive: true }));
  behavesLikeAStack(world, topology);

  const scans = async (source: string): Promise<Record<string, number[]>> => {
    const found: Record<string, number[]> = {};
    for (const host of topology.hosts)
      found[host.name] = await openPorts(world, host.address, undefined, source);
    return found;
  };
  const all = Object.fromEntries(
    topology.hosts.map((host) => [
      host.name,
      [host.ssh.port, ...portsOn(topology, host)].toSorted((a, b) => a - b),
    ]),
  );
  const sshAlone = Object.fromEntries(topology.hosts.map((host) => [host.name, [host.ssh.port]]));
  const becomeStranger = () => world.controller(`ip address replace ${STRANGER}/32 dev tailscale0`);

  it("a listed operator reaches exactly the stack's ports; a tailnet host that is not listed reaches none", async () => {
    await becomeStranger();
    expect(await scans(OPERATOR)).toEqual(all);
    // sshd is the tailnet's own policy's to keep, and never this firewall's.
    expect(await scans(STRANGER)).toEqual(sshAlone);
  });

  it("nothing answers outside the tailnet", async () => {
    for (const host of topology.hosts) {
      const { stdout: underlay } = await execa("docker", [
        ...["inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"],
        `heatwave-${world.world}-${host.name}`,
      ]);
      expect(await openFromHere(underlay, [...portsOn(topology, host), host.ssh.port])).toEqual([]);
      expect(await openPorts(world, underlay)).toEqual([host.ssh.port]);
    }
  });

  it("it is the same after Docker's daemon was killed, and after a reboot", async () => {
    const [host] = topology.hosts;
    const shut = () => openPorts(world, host!.address, undefined, STRANGER);
    const old = await world.host(host!.name, "pgrep -o -x dockerd");
    await world.host(host!.name, "pkill -9 -o -x dockerd");
    await vi.waitFor(
      async () => {
        const pid = await world.host(host!.name, "docker info >/dev/null && pgrep -o -x dockerd");
        expect(pid).not.toBe(old);
      },
      { timeout: 60_000, interval: 500 },
    );
    expect(await shut()).toEqual([host!.ssh.port]);
    await world.run("fault", "reboot", host!.name, "--hard");
    await vi.waitFor(
      async () => expect(await openPorts(world, host!.address, undefined, OPERATOR)).toEqual(all[host!.name]),
      {
        timeout: 120_000,
        interval: 1000,
      },
    );
    expect(await shut()).toEqual([host!.ssh.port]);
    const again = await world.engine("up", "--yes", "--expect-no-changes");
    expect(again, again.stdout + again.stderr).toMatchObject({ code: 0 });
  });

  it("drift sees rules that somebody flushed, and a rule put before them; what it names puts them in force again", async () => {
    const { name, root: place } = topology.hosts[0]!;
    const drift = async (): Promise<readonly string[]> => {
      const ran = await world.attempt("exec", "--", "bin/recovery", "production", "drift", "--json");
      expect([0, 6], ran.stderr).toContain(ran.code);
      const { differences } = JSON.parse(ran.stdout) as {
        readonly differences: readonly { aspect: string; where: string; seen: string; next: string }[];
      };
      for (const one of differences) expect(one.next).toContain(`${place}/bin/host-tool firewall restore`);
      return differences.map(({ aspect, where, seen }) => `${aspect} ${where}: ${seen}`);
    };
    expect(await drift()).toEqual([]);
    await world.host(name, "iptables -F HEATWAVE");
    expect(await drift()).toEqual([
      expect.stringMatching(/^firewall dal-01: table filter of iptables has \d+ of \d+ rules/),
    ]);
    await world.host(name, `${place}/bin/host-tool firewall restore`);
    await world.host(name, "iptables -t mangle -D FORWARD -j HEATWAVE");
    expect(await drift()).toEqual([
      expect.stringMatching(/^firewall dal-01: nothing of table mangle of iptables comes by/),
    ]);
    await world.host(name, `${place}/bin/host-tool firewall restore`);
    await world.host(name, "iptables -I DOCKER-USER 1 -j ACCEPT");
    expect(await drift()).toEqual([
      expect.stringMatching(/^firewall dal-01: iptables has other rules in DOCKER-USER/),
    ]);
    await world.host(name, "iptables -D DOCKER-USER -j ACCEPT");
    expect(await drift()).toEqual([]);
    expect(await scans(STRANGER)).toEqual(sshAlone);
  });

  it("switched off, it leaves no trace, and nobody's connection was touched", async () => {
    const ids = () => world.host("dal-01", "docker ps -q --no-trunc | sort");
    const before = await ids();
    await world.controller("sed -i 's/^    enabled: true$/    enabled: false/' Pulumi.production.yaml");
    const up = await world.engine("up", "--yes");
    expect(up, up.stdout + up.stderr).toMatchObject({ code: 0 });
    expect(await scans(STRANGER)).toEqual(all);
    for (const { name } of topology.hosts) {
      const left = await world.host(
        name,
        "iptables-save; ip6tables-save; ls /var/lib/heatwave /etc/systemd/system",
      );
      expect(left).not.toMatch(/HEATWAVE(-PEERS)? |-j HEATWAVE$|firewall/m);
    }
    expect(await ids()).toBe(before);
  });
});
