import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * A Docker host's network in namespaces of its own: a tailnet, a LAN, a container behind a bridge, and Docker's rules for
 * its published ports as Docker 28 writes them. It needs root and iptables, no Docker, and touches nothing outside.
 */
export const LAB = {
  host: "100.123.47.52",
  listed: "100.68.157.49",
  stranger: "100.99.9.9",
  lan: "192.168.9.2",
  container: "172.18.0.2",
} as const;

/** The same on IPv6, where nothing of a stack is published: somebody made it so by hand. */
const SIX = { host: "fd7a:115c:a1e0::1", stranger: "fd7a:115c:a1e0::9", container: "fd00:18::2" } as const;

export type Backend = "legacy" | "nft";

/** Whether this machine can have one. */
export function canHaveLab(backend: Backend): boolean {
  const probe = `unshare -nm sh -c 'ip link add x type bridge && iptables-${backend} -L && ip6tables-${backend} -L && mount -t tmpfs none /run && ip netns add y'`;
  return process.platform === "linux" && spawnSync("sh", ["-c", probe]).status === 0;
}

export class NetworkLab {
  readonly #init: ChildProcess;
  readonly #servers: ChildProcess[] = [];
  readonly #path: string;

  private constructor(init: ChildProcess, path: string) {
    this.#init = init;
    this.#path = path;
  }

  /** @param ports published by the container, of the stack and others */
  static async open(backend: Backend, ports: readonly number[]): Promise<NetworkLab> {
    const path = mkdtempSync(join(tmpdir(), "network-lab-"));
    for (const name of ["iptables", "ip6tables"]) {
      for (const tool of ["", "-restore", "-save"])
        symlinkSync(`/usr/sbin/${name}-${backend}${tool}`, join(path, `${name}${tool}`));
    }
    const init = spawn(
      "unshare",
      ["-nm", "--propagation", "private", "sh", "-c", "echo up; exec sleep infinity"],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    await once(init.stdout, "data");
    const lab = new NetworkLab(init, path);
    lab.run(SETUP);
    for (const port of ports) {
      const dnat = `-t nat -A PREROUTING -p tcp --dport ${port} -j DNAT`;
      lab.run(`iptables ${dnat} -d ${LAB.host} --to ${LAB.container}:${port}`);
      lab.run(`ip6tables ${dnat} -d ${SIX.host} --to [${SIX.container}]:${port}`);
    }
    await lab.#serve("container", LAB.container, ports);
    await lab.#serve("container", SIX.container, ports);
    await lab.#serve("", LAB.host, [22]);
    return lab;
  }

  /** Runs shell lines on the host. @throws with what they wrote when they fail */
  run(script: string, input = ""): string {
    const { status, stdout, stderr } = spawnSync("nsenter", [...this.#inside(""), "sh", "-euc", script], {
      encoding: "utf8",
      input,
      env: { PATH: `${this.#path}:/usr/sbin:/usr/bin:/sbin:/bin` },
    });
    if (status !== 0) throw new Error(`${script}\n${stdout}${stderr}`);
    return stdout + stderr;
  }

  /** Whether the host's tailnet address answers on this port, seen from `source`. */
  answers(source: "listed" | "stranger" | "lan" | "stranger on IPv6", port: number): boolean {
    const place = source === "lan" ? "lan" : "tailnet";
    const [from, to] = source === "stranger on IPv6" ? [SIX.stranger, SIX.host] : [LAB[source], LAB.host];
    const probe = [process.execPath, "-e", PROBE, from, to, String(port)];
    const { status } = spawnSync("nsenter", [...this.#inside(place), ...probe]);
    if (status !== 0 && status !== 1) throw new Error(`the probe from ${source} ended with ${status}`);
    return status === 0;
  }

  /** An open connection that says one line and hears it back each time it is asked. */
  async talk(source: "listed", port: number): Promise<{ says: () => Promise<boolean>; end: () => void }> {
    const child = spawn(
      "nsenter",
      [...this.#inside("tailnet"), process.execPath, "-e", TALK, LAB[source], LAB.host, String(port)],
      {
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    await once(child.stdout, "data");
    return {
      says: async () => {
        child.stdin.write("still there?\n");
        const [answer] = (await once(child.stdout, "data")) as [Buffer];
        return answer.toString() === "yes\n";
      },
      end: () => child.kill(),
    };
  }

  close(): void {
    for (const server of this.#servers) server.kill();
    this.#init.kill("SIGKILL");
    rmSync(this.#path, { recursive: true });
  }

  /** Arguments of nsenter. The places are namespaces below /run of the lab's own mounts. */
  #inside(place: string): string[] {
    const base = ["-t", String(this.#init.pid), "-m", "-n"];
    return place === "" ? base : [...base, "ip", "netns", "exec", place];
  }

  async #serve(place: string, address: string, ports: readonly number[]): Promise<void> {
    const server = spawn(
      "nsenter",
      [...this.#inside(place), process.execPath, "-e", ECHO, address, ...ports.map(String)],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    this.#servers.push(server);
    await once(server.stdout, "data");
  }
}

/** Chains and order as `iptables-save` shows them with Docker 28 (moby#49518). */
const SETUP = `
mount -t tmpfs none /run
mkdir -p /etc/systemd && mount -t tmpfs none /etc/systemd
ip link set lo up
for place in tailnet lan container; do ip netns add $place; ip -n $place link set lo up; done
ip link add tailscale0 type veth peer name up0 netns tailnet
ip link add eth0 type veth peer name up0 netns lan
ip link add br-kamal type bridge
ip link add c0 type veth peer name up0 netns container
ip link set c0 master br-kamal
for link in tailscale0 eth0 br-kamal c0; do ip link set $link up; done
for place in tailnet lan container; do ip -n $place link set up0 up; done
ip addr add ${LAB.host}/10 dev tailscale0
ip addr add 192.168.9.1/24 dev eth0
ip addr add 172.18.0.1/16 dev br-kamal
ip -n tailnet addr add ${LAB.listed}/10 dev up0
ip -n tailnet addr add ${LAB.stranger}/10 dev up0
ip -n lan addr add ${LAB.lan}/24 dev up0
ip -n lan route add default via 192.168.9.1
ip -n container addr add ${LAB.container}/16 dev up0
ip -n container route add default via 172.18.0.1
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
ip addr add ${SIX.host}/64 dev tailscale0 nodad
ip addr add fd00:18::1/64 dev br-kamal nodad
ip -n tailnet addr add ${SIX.stranger}/64 dev up0 nodad
ip -n container addr add ${SIX.container}/64 dev up0 nodad
ip -n container route add default via fd00:18::1
iptables -N DOCKER-USER
iptables -N DOCKER-FORWARD
iptables -A DOCKER-FORWARD -j ACCEPT
iptables -A FORWARD -j DOCKER-USER
iptables -A FORWARD -j DOCKER-FORWARD
`;

const ECHO = `
const [address, ...ports] = process.argv.slice(1);
let left = ports.length;
for (const port of ports) require("net").createServer((s) => s.on("error", () => {}).pipe(s)).listen(port, address, () => {
  left -= 1;
  if (left === 0) console.log("up");
});`;

const PROBE = `
const [localAddress, host, port] = process.argv.slice(1);
const s = require("net").connect({ localAddress, host, port, timeout: 700 });
s.on("connect", () => process.exit(0)).on("timeout", () => process.exit(1)).on("error", () => process.exit(1));`;

const TALK = `
const [localAddress, host, port] = process.argv.slice(1);
const s = require("net").connect({ localAddress, host, port });
s.on("connect", () => console.log("open")).on("error", () => {});
process.stdin.on("data", (line) => {
  const late = setTimeout(() => { s.removeAllListeners("data"); console.log("no"); }, 700);
  s.once("data", () => { clearTimeout(late); console.log("yes"); });
  s.write(line);
});`;
