import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import type { StackSpec } from "../../../infra/rehearsal/plan.ts";
import {
  controllerContainer,
  hostContainer,
  hostRights,
  knownHosts,
  machineEnvironment,
  planWorld,
  sshConfig,
} from "../../../infra/rehearsal/plan.ts";

const stack: StackSpec = {
  hosts: [
    { name: "dal-01", address: "100.123.47.52", ssh: { user: "deploy", port: 22 }, root: "/srv" },
    { name: "chi-02", address: "100.68.157.49", ssh: { user: "ops", port: 2222 }, root: "/srv" },
    { name: "fra-03", address: "100.64.0.9", ssh: { user: "root", port: 22 }, root: "/srv" },
  ],
  externalNetwork: "kamal",
  registry: false,
};

describe("the plan of a world", () => {
  const plan = planWorld("production", stack, 7);

  test("gives every machine an underlay address of its own in the world's range", () => {
    const machines = [plan.controller, ...plan.hosts];
    expect(new Set(machines.map((machine) => machine.underlay)).size).toBe(4);
    for (const machine of machines) expect(machine.underlay).toMatch(/^10\.213\.7\.\d+$/);
    expect(plan.subnet).toBe("10.213.7.0/24");
  });

  test("keeps the operator's address apart from every host's", () => {
    expect(plan.controller.tailnet).toBe("100.64.0.10");
    expect(planWorld("production", { ...stack, hosts: [] }, 7).controller.tailnet).toBe("100.64.0.9");
  });

  test("gives the controller an operator's address, where the stack names one that is no host's", () => {
    const operators = ["100.64.0.9", "100.90.1.1", "100.90.1.2"];
    expect(planWorld("production", { ...stack, operators }, 7).controller.tailnet).toBe("100.90.1.1");
  });

  test("is the same for the same stack, and no name is shared by two worlds", () => {
    expect(planWorld("production", stack, 7)).toEqual(plan);
    const other = planWorld("staging", stack, 7);
    const names = (of: typeof plan) => [
      of.network,
      of.controller.container,
      ...Object.values(of.volumes),
      ...of.hosts.flatMap((host) => [host.container, host.volume]),
    ];
    expect(names(plan).filter((name) => names(other).includes(name))).toEqual([]);
    expect(new Set(names(plan)).size).toBe(names(plan).length);
  });

  test.each(["", "Production", "a b", "-x", "x/../y", "x".repeat(32)])("refuses the name %j", (name) => {
    expect(() => planWorld(name, stack, 7)).toThrow(/cannot name a world/);
  });
});

describe("what a machine is told", () => {
  const plan = planWorld("production", stack, 7);
  const host = plan.hosts[1]!;

  test("is a file that a shell reads back unchanged", () => {
    const odd = { ...host, ssh: { user: "o'brien $(id)", port: 2222 } };
    const text = machineEnvironment(odd, plan, odd);
    const read = execFileSync("sh", ["-c", `${text}\nprintf '%s|%s' "$SSH_USER" "$UNDERLAY_PEERS"`], {
      encoding: "utf8",
    });
    expect(read).toBe("o'brien $(id)|10.213.7.2 10.213.7.10 10.213.7.12");
  });

  test("blocks the hairpin on hosts and not on the controller", () => {
    expect(machineEnvironment(host, plan, host)).toContain("HAIRPIN_BLOCK='yes'");
    expect(machineEnvironment(plan.controller, plan)).toContain("HAIRPIN_BLOCK='no'");
  });

  test("names a mirror only where a registry is reachable", () => {
    expect(machineEnvironment(host, plan, host)).toContain("REGISTRY_MIRROR=''");
    const open = planWorld("production", { ...stack, registry: true }, 7);
    expect(machineEnvironment(host, open, host)).toContain("REGISTRY_MIRROR='http://10.213.7.3:5000'");
  });

  test("reaches hosts by name, user and port, with their keys pinned", () => {
    expect(sshConfig(plan)).toContain("Host chi-02\n  HostName 100.68.157.49\n  User ops\n  Port 2222\n");
    expect(
      knownHosts(plan, { "dal-01": "ssh-ed25519 A", "chi-02": "ssh-ed25519 B", "fra-03": "ssh-ed25519 C" }),
    ).toBe("100.123.47.52 ssh-ed25519 A\n[100.68.157.49]:2222 ssh-ed25519 B\n100.64.0.9 ssh-ed25519 C\n");
  });
});

describe("containers outside", () => {
  const plan = planWorld("production", stack, 7);

  test("the controller gets no right over the machine outside", () => {
    const args = controllerContainer(plan, "controller:1", "modules");
    expect(args).not.toContain("--privileged");
    expect(args.filter((_, i) => args[i - 1] === "--cap-add")).toEqual(["NET_ADMIN"]);
    expect(args.filter((_, i) => args[i - 1] === "--volume").every((mount) => !mount.startsWith("/"))).toBe(
      true,
    );
  });

  test("a host mounts nothing of the machine outside but its cgroups", () => {
    const args = hostContainer(plan.hosts[0]!, plan, {
      image: "host:1",
      rights: hostRights(true),
      seed: "seed",
    });
    expect(args).not.toContain("--privileged");
    expect(args.filter((arg, i) => args[i - 1] === "--volume" && arg.startsWith("/"))).toEqual([
      "/sys/fs/cgroup:/sys/fs/cgroup:rw",
    ]);
    expect(args).toContain("seed:/var/lib/heatwave-seed:ro");
    expect(args.join(" ")).toContain("--network heatwave-production --ip 10.213.7.10");
    expect(args.join(" ")).not.toMatch(/--publish|-p /);
  });
});
