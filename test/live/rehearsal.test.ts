import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadStackFile } from "../../infra/config/load.ts";
import { labelled } from "../support/world-suite.ts";

const root = join(import.meta.dirname, "../..");
const world = "test-sealed";
const stack = loadStackFile(root, "production");
const [here, there] = Object.entries(stack.hosts).map(([name, host]) => ({ name, ...host }));
if (here === undefined || there === undefined) throw new Error("production has two hosts");

const rehearse = (...args: readonly string[]) =>
  execa(join(root, "bin/rehearse"), ["--world", world, "--yes", "--stand-ins", ...args], {
    reject: false,
    stdin: "ignore",
    timeout: 600_000,
    env: { NO_COLOR: "1" },
  });
const must = async (...args: readonly string[]): Promise<string> => {
  const ran = await rehearse(...args);
  if (ran.exitCode !== 0) throw new Error(`bin/rehearse ${args.join(" ")}\n${ran.stdout}\n${ran.stderr}`);
  return ran.stdout;
};
const controller = (line: string) => must("exec", "--", "sh", "-c", line);
const onHost = (name: string, line: string) => must("host", name, "--", "sh", "-c", line);
const docker = async (...args: readonly string[]): Promise<string> =>
  (await execa("docker", args, { stdin: "ignore" })).stdout;

/** The machine's routes as `destination/mask` in the kernel's hexadecimal, the address's last number first. */
const routes = (): string[] =>
  readFileSync("/proc/net/route", "utf8")
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"))
    .map(([, destination = "", , , , , , mask = ""]) => `${destination}/${mask}`);
/** Those into 100.64.0.0/10, of which a machine on a real tailnet has some. */
const tailnetRoutes = (): string[] =>
  routes().filter(
    (route) => route.slice(6, 8) === "64" && (Number.parseInt(route.slice(4, 6), 16) & 0xc0) === 0x40,
  );
const thirdNumber = async (): Promise<number> => {
  const format = "{{(index .IPAM.Config 0).Subnet}}";
  return Number((await docker("network", "inspect", `heatwave-${world}`, "-f", format)).split(".")[2]);
};

/** Node, in the node image of the world: what it prints when it connects to an address. */
const connectFrom = (image: string, options: string, address: string, port: number) =>
  `docker run --rm ${options} ${image} -e '
     const s = require("net").connect(${port}, "${address}");
     s.setTimeout(3000, () => { console.log("timeout"); process.exit(0); });
     s.on("connect", () => { console.log("connected"); process.exit(0); });
     s.on("error", (e) => { console.log(e.code); process.exit(0); });'`;

describe("a sealed world", () => {
  const bystander = "heatwave-test-bystander";
  let before: string[];
  let third: number;
  let ours: string;
  let nodeImage: string;

  beforeAll(async () => {
    await rehearse("down");
    before = tailnetRoutes();
    const up = JSON.parse(await must("--json", "up", "--hosts-only")) as {
      overlay: { images: { node: string } };
    };
    nodeImage = up.overlay.images.node;
    third = await thirdNumber();
    ours = `00${third.toString(16).toUpperCase().padStart(2, "0")}D50A/00FFFFFF`;
    await docker("volume", "create", "--label", `heatwave.world=${world}-other`, bystander);
  });
  afterAll(async () => {
    await rehearse("down");
    await docker("volume", "rm", "-f", bystander);
  });

  it("gives the machine outside no route into the tailnet", () => {
    expect(routes()).toContain(ours);
    expect(tailnetRoutes()).toEqual(before);
  });

  it("lets its controller in over SSH at production's addresses, as production's user, with Docker", async () => {
    for (const host of [here, there]) {
      const told = await controller(
        `ssh ${host.name} 'whoami; hostname; sudo -n id -u; docker version --format "{{.Server.Version}}"'`,
      );
      expect(told.split("\n")).toEqual([host.ssh.user, host.name, "0", expect.stringMatching(/^2\d\./)]);
    }
    const routed = await controller(`ip route get ${here.address}`);
    expect(routed).toMatch(/dev tailscale0/);
  });

  it("refuses a host that shows another key", async () => {
    const key = (await controller("cat /etc/heatwave/host_keys/" + there.name + ".pub"))
      .split(" ")
      .slice(0, 2)
      .join(" ");
    const wrong =
      `printf '%s\\n' '${here.address} ${key}' > /tmp/wrong && ! ssh -o UserKnownHostsFile=/tmp/wrong ${here.name} true 2>/tmp/said` +
      ` && cat /tmp/said`;
    expect(await controller(wrong)).toMatch(/Host key verification failed/);
  });

  it("has the network that Kamal would have made, the marker and log limits on each host", async () => {
    for (const host of [here, there]) {
      expect(await onHost(host.name, `docker network inspect -f '{{.Driver}}' ${stack.network.name}`)).toBe(
        "bridge",
      );
      expect(await onHost(host.name, "cat /etc/heatwave-world")).toMatch(
        new RegExp(`^world=${world}\nid=[0-9a-f]{24}$`),
      );
      expect(await onHost(host.name, "cat /etc/docker/daemon.json")).toContain('"max-size": "10m"');
    }
  });

  it("reaches nothing outside: no default route, no gateway, no address of the machine itself", async () => {
    for (const run of [controller, (line: string) => onHost(here.name, line)]) {
      expect(await run("ip route show default")).toBe("");
      const gateway = `10.213.${third}.1`;
      expect(await run(`ip route get ${gateway} 2>&1 || true`)).toMatch(/Permission denied|prohibit/);
    }
    // A name outside is refused at once, not looked up and not waited for.
    expect(await controller("timeout 2 getent hosts deb.debian.org; echo $?")).toBe("2");
    // Nor does a container on a host, which its host would forward for.
    expect(await onHost(here.name, connectFrom(nodeImage, "", "192.0.2.1", 53))).toMatch(/^(timeout|E\w+)$/);
  });

  it("blocks the hairpin: a container cannot reach what its own host publishes on the tailnet, others can", async () => {
    const port = 18_080;
    const network = stack.network.name;
    await onHost(
      here.name,
      `docker run -d --name hairpin --network ${network} -p ${here.address}:${port}:80 ${nodeImage} ` +
        `-e 'require("net").createServer((s) => s.on("error", () => {}).end("x")).listen(80)' && ` +
        `until docker exec hairpin node -e 'require("net").connect(80).on("connect", () => process.exit(0)).on("error", () => process.exit(1))'; do :; done`,
    );
    try {
      const own = await onHost(here.name, connectFrom(nodeImage, `--network ${network}`, here.address, port));
      const byName = await onHost(here.name, connectFrom(nodeImage, `--network ${network}`, "hairpin", 80));
      const other = await onHost(
        there.name,
        connectFrom(nodeImage, `--network ${network}`, here.address, port),
      );
      const itself = await onHost(
        here.name,
        `bash -c 'exec 3<>/dev/tcp/${here.address}/${port} && echo connected'`,
      );
      const seat = await controller(`bash -c 'exec 3<>/dev/tcp/${here.address}/${port} && echo connected'`);
      expect({ own, byName, other, itself, seat }).toEqual({
        own: "timeout",
        byName: "connected",
        other: "connected",
        itself: "connected",
        seat: "connected",
      });
    } finally {
      await onHost(here.name, "docker rm -f hairpin");
    }
  });

  it("freezes a host's containers with the host, and thaws them", async () => {
    const outer = `heatwave-${world}-${there.name}`;
    await onHost(
      there.name,
      `docker run -d --name beat ${nodeImage} -e 'setInterval(() => console.log(1), 20)'`,
    );
    const beats = async () => {
      const file = await onHost(there.name, "docker inspect -f '{{.LogPath}}' beat");
      const volume = await docker("volume", "inspect", "-f", "{{.Mountpoint}}", `${outer}-docker`);
      return () => readFileSync(file.replace("/var/lib/docker", volume), "utf8").length;
    };
    const length = await beats();
    const moves = async (milliseconds: number): Promise<boolean> => {
      const start = length();
      const deadline = Date.now() + milliseconds;
      while (Date.now() < deadline && length() === start)
        await new Promise((resolve) => setTimeout(resolve, 20));
      return length() !== start;
    };
    expect(await moves(5000)).toBe(true);
    await docker("pause", outer);
    expect(await moves(1000)).toBe(false);
    await docker("unpause", outer);
    expect(await moves(5000)).toBe(true);
    await onHost(there.name, "docker rm -f beat");
  });

  it("cuts a link for hosts and containers, over a reboot too, tells so, and heals it", async () => {
    const between = (from: string, to: string) =>
      onHost(from, connectFrom(nodeImage, `--network ${stack.network.name}`, to, 22));
    const active = async () =>
      (JSON.parse(await must("--json", "status")) as { faults: readonly Record<string, unknown>[] }).faults;
    expect(await between(here.name, there.address)).toBe("connected");
    await must("fault", "cut", here.name, there.name);
    expect(await between(here.name, there.address)).toBe("timeout");
    expect(await between(there.name, here.address)).toBe("timeout");
    await controller(`ssh ${there.name} true`);
    expect(await active()).toEqual([
      { kind: "link", from: there.name, to: here.name, loss: 1 },
      { kind: "link", from: here.name, to: there.name, loss: 1 },
    ]);
    await must("fault", "reboot", there.name, "--hard");
    await controller(`until ssh -o ConnectTimeout=2 ${there.name} docker version; do sleep 0.1; done`);
    expect(await between(there.name, here.address)).toBe("timeout");
    expect((await must("fault", "heal")).split("\n").at(-1)).toBe("no fault is in force");
    expect(await between(here.name, there.address)).toBe("connected");
    expect(await between(there.name, here.address)).toBe("connected");

    await must("fault", "cut", here.name, there.name, "--one-way");
    // The way back carries nothing that a connection could begin with.
    expect(await between(there.name, here.address)).toBe("timeout");
    expect(await active()).toEqual([{ kind: "link", from: here.name, to: there.name, loss: 1 }]);
    await must("fault", "heal", there.name);
    expect(await active()).toEqual([]);
    const unknown = await rehearse("fault", "cut", "nowhere");
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toMatch(/There is no host "nowhere"[^]*the stack file has: /);
    // No fault may fill the disk that all hosts and the machine share.
    const fill = await rehearse("fault", "fill", here.name);
    expect(fill.exitCode).toBe(1);
    expect(fill.stderr).toMatch(/has no disk of its own[^]*up --disk 2g/);
  });

  it("brings a killed host back with its containers, address and key", async () => {
    const outer = `heatwave-${world}-${there.name}`;
    await onHost(
      there.name,
      `docker run -d --name stays --restart always -p ${there.address}:18081:80 ${nodeImage} ` +
        `-e 'require("net").createServer((s) => s.on("error", () => {}).end("x")).listen(80)'`,
    );
    // A peer that knows the host from before must find it again as soon as it is back.
    await controller(`bash -c 'exec 3<>/dev/tcp/${there.address}/22'`);
    await docker("kill", outer);
    expect((await rehearse("status")).stdout).toMatch(new RegExp(`${there.name}.*exited`));
    await must("up", "--hosts-only");
    const reached = `until exec 3<>/dev/tcp/${there.address}/18081; do sleep 0.1; done; cat <&3`;
    expect(await controller(`timeout 20 bash -c '${reached}' 2>/dev/null`)).toBe("x");
    await controller(`ssh ${there.name} true`);
    await onHost(there.name, "docker rm -f stays");
  });

  it("keeps what a rehearsal wrote into its copy of the checkout, and its identity, over another up", async () => {
    await controller("echo '# flipped here' >> Pulumi.production.yaml");
    const overlay = await controller("sha256sum /etc/heatwave/overlay.json");
    await docker("rm", "-f", `heatwave-${world}-controller`);
    await must("up", "--hosts-only");
    expect(await controller("tail -n 1 Pulumi.production.yaml")).toBe("# flipped here");
    expect(await controller("sha256sum /etc/heatwave/overlay.json")).toBe(overlay);
  });

  it("runs a host's command without --, and says what is not there in the reader's words", async () => {
    expect(await must("host", here.name, "echo", "-x")).toBe("-x");
    const missing = await rehearse("host", here.name, "no-such-command", "-x");
    expect([missing.exitCode, missing.stderr]).toEqual([
      127,
      `error: no-such-command is not on ${here.name}`,
    ]);
  });

  it("tells of hosts without a stack that no site is primary, and of a site that it does not run", async () => {
    expect((await must("status")).split("\n").at(-1)).toBe("no site is primary");
    const site = stack.sites[0]?.name ?? "";
    const asked = await rehearse("psql", site, "-c", "select 1");
    expect(asked.exitCode).toBe(1);
    expect(asked.stderr).toMatch(
      new RegExp(`PostgreSQL of ${site} is not running[^]*bin/rehearse --world ${world} status`),
    );
  });

  it("shows no generated secret to the machine outside", async () => {
    const overlay = JSON.parse(await controller("cat /etc/heatwave/overlay.json")) as {
      secrets: { superuserPassword: string; roles: Record<string, string> };
    };
    const secrets = [overlay.secrets.superuserPassword, ...Object.values(overlay.secrets.roles)];
    const names = await docker("ps", "-aq", "--filter", `label=heatwave.world=${world}`);
    const inspected = await docker("inspect", ...names.split("\n"));
    const printed = await rehearse("up", "--hosts-only");
    for (const secret of secrets) {
      const canary = secret.slice(0, 24);
      expect(inspected).not.toContain(canary);
      expect(printed.stdout + printed.stderr).not.toContain(canary);
    }
  });

  it("goes without a trace, and takes nothing else with it", async () => {
    const outer = await docker("inspect", "-f", "{{.Id}}", `heatwave-${world}-${here.name}`);
    await must("down");
    expect(await labelled(world)).toEqual([]);
    expect(routes()).not.toContain(ours);
    expect(tailnetRoutes()).toEqual(before);
    expect(readFileSync("/proc/mounts", "utf8")).not.toContain(outer);
    expect(await docker("volume", "inspect", "-f", "{{.Name}}", bystander)).toBe(bystander);
    expect((await rehearse("status")).stderr).toMatch(
      /There is no world "test-sealed"[^]*bin\/rehearse --world test-sealed up/,
    );
  });
});
