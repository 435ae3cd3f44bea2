import { existsSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { loadStackFile } from "../../infra/config/load.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { labelled } from "../support/world-suite.ts";

const stack = loadStackFile(join(import.meta.dirname, "../.."), "production");
const [here, there] = Object.entries(stack.hosts).map(([name, host]) => ({ name, ...host }));
if (here === undefined || there === undefined) throw new Error("production has two hosts");
const world = new Rehearsal("production");

/** A shell line on a machine, asked from outside without the way through bin/rehearse, which is another test's. */
async function on(machine: string, line: string): Promise<string> {
  const exec = ["exec", `heatwave-${world.world}-${machine}`, "bash", "-c", line];
  return (await execa("docker", exec, { stdin: "ignore", timeout: 60_000 })).stdout;
}

interface Pinged {
  readonly received: number;
  /** Milliseconds of each round trip, in the order in which the answers came. */
  readonly times: readonly number[];
  /** Numbers of the questions, in that order. */
  readonly order: readonly number[];
}

/**
 * Pings, ten milliseconds apart. The times are those that the program itself takes (-U): the kernel stamps a packet before
 * the fault holds it.
 */
async function ping(from: string, to: string, count: number): Promise<Pinged> {
  const out = await on(from, `ping -U -n -c ${count} -i 0.01 -W 1 ${to} || true`);
  const answers = [...out.matchAll(/icmp_seq=(\d+) .*time=([\d.]+) ms/g)];
  return {
    received: Number(/(\d+) received/.exec(out)?.[1]),
    times: answers.map(([, , time]) => Number(time)),
    order: answers.map(([, number]) => Number(number)),
  };
}

/** What arrived of pings at a host while something was done, whether or not its answers came back. */
async function arrivedAt(host: string, work: () => Promise<unknown>): Promise<number> {
  const read = async () => {
    const text = await on(host, "grep ^Icmp: /proc/net/snmp");
    const [names = [], values = []] = text.split("\n").map((line) => line.split(" "));
    return Number(values[names.indexOf("InEchos")]);
  };
  const before = await read();
  await work();
  return (await read()) - before;
}

/** What `fault` tells is in force. */
async function active(): Promise<readonly Record<string, unknown>[]> {
  const told = JSON.parse(await world.run("--json", "fault")) as { active: Record<string, unknown>[] };
  return told.active;
}

/** Heals all, and proves that nothing is left of it. */
async function heal(): Promise<void> {
  expect((await world.run("fault", "heal")).split("\n").at(-1)).toBe("no fault is in force");
}

const link = (from: string, to: string, loss: number) => ({ kind: "link", from, to, loss });
const late = (from: string, to: string, milliseconds: number) => ({ kind: "delay", from, to, milliseconds });

describe("the faults of a world", () => {
  let devices: readonly string[] = [];

  beforeAll(async () => {
    await world.attempt("down");
    await world.run("up", "--hosts-only", "--disk", "1g");
    const sources = [here, there].map(({ name }) => on(name, "findmnt -no SOURCE /var/lib/heatwave-disk"));
    devices = (await Promise.all(sources)).map((path) => path.replace("/dev/", ""));
  });
  afterEach(async ({ task }) => {
    // What passed has healed what it did.
    if (task.result?.state === "fail") await world.attempt("fault", "heal");
  });
  afterAll(async () => {
    await world.down();
    expect(await labelled(world.world)).toEqual([]);
    // A loop device that carries a file has a folder of that name.
    expect(devices).toEqual([expect.stringMatching(/^loop\d+$/), expect.stringMatching(/^loop\d+$/)]);
    await vi.waitFor(() => {
      expect(devices.filter((device) => existsSync(`/sys/block/${device}/loop`))).toEqual([]);
    });
  });

  it("a cut of one way loses what is sent that way, and what is sent the other way arrives", async () => {
    // They know each other's hardware addresses, which one asks both ways for.
    expect((await ping(there.name, here.address, 5)).received).toBe(5);
    await world.run("fault", "cut", here.name, there.name, "--one-way");
    expect(await active()).toEqual([link(here.name, there.name, 1)]);
    let forth: Pinged | undefined;
    let back: Pinged | undefined;
    const arrivedThere = await arrivedAt(there.name, async () => {
      forth = await ping(here.name, there.address, 5);
    });
    const arrivedHere = await arrivedAt(here.name, async () => {
      back = await ping(there.name, here.address, 5);
    });
    // The questions of the other way arrive; their answers take the way that is cut.
    expect({ forth: forth?.received, arrivedThere, back: back?.received, arrivedHere }).toEqual({
      forth: 0,
      arrivedThere: 0,
      back: 0,
      arrivedHere: 5,
    });
    await heal();
    expect((await ping(here.name, there.address, 5)).received).toBe(5);
  });

  it("a lossy link loses its share by chance, and only where it was told to", async () => {
    await world.run("fault", "lossy", here.name, "0.3", there.name, "--one-way");
    expect(await active()).toEqual([link(here.name, there.name, 0.3)]);
    let pinged: Pinged | undefined;
    const arrived = await arrivedAt(there.name, async () => {
      pinged = await ping(here.name, there.address, 200);
    });
    // 140 of 200 are to be expected; six standard deviations are 39.
    expect(arrived).toBeGreaterThan(100);
    expect(arrived).toBeLessThan(180);
    // The way back loses none.
    expect(pinged?.received).toBe(arrived);
    await heal();
    expect((await ping(here.name, there.address, 20)).received).toBe(20);
  });

  it("a delay is added to each way it was asked for, and keeps the order", async () => {
    const round = async (count = 20) => ping(here.name, there.address, count);
    expect(Math.min(...(await round()).times)).toBeLessThan(10);

    await world.run("fault", "delay", here.name, "40", there.name, "--one-way");
    expect(await active()).toEqual([late(here.name, there.name, 40)]);
    const one = await round();
    expect(one.received).toBe(20);
    expect(Math.min(...one.times)).toBeGreaterThanOrEqual(40);
    expect(Math.min(...one.times)).toBeLessThan(60);

    await world.run("fault", "delay", here.name, "40", there.name);
    expect(await active()).toEqual([late(there.name, here.name, 40), late(here.name, there.name, 40)]);
    const both = await round(50);
    expect(both.received).toBe(50);
    expect(Math.min(...both.times)).toBeGreaterThanOrEqual(80);
    expect(Math.min(...both.times)).toBeLessThan(110);
    expect(both.order).toEqual([...both.order].toSorted((a, b) => a - b));

    await heal();
    expect(Math.min(...(await round()).times)).toBeLessThan(10);
    expect(await on(there.name, "pgrep -f '^heatwave-delay' || true")).toBe("");
  });

  it("a delay reaches the operator's seat, and leaves a loss of the same link alone", async () => {
    await world.run("fault", "lossy", there.name, "0.5", here.name, "--one-way");
    await world.run("fault", "delay", there.name, "25");
    const told = await active();
    expect(told).toContainEqual(late("controller", there.name, 25));
    expect(told).toContainEqual(late(there.name, "controller", 25));
    expect(told).toContainEqual(link(there.name, here.name, 0.5));
    expect(told).toHaveLength(5);
    const pinged = await ping(there.name, here.address, 50);
    expect(pinged.received).toBeGreaterThan(5);
    expect(pinged.received).toBeLessThan(45);
    const connected = `t=$(date +%s%N); exec 3<>/dev/tcp/${there.address}/${there.ssh.port}; echo $((($(date +%s%N) - t) / 1000))`;
    expect(Number(await on("controller", connected))).toBeGreaterThanOrEqual(50_000);
    expect(Math.min(...pinged.times)).toBeGreaterThanOrEqual(50);
    // A sender that had to wait for each packet would need 40 s for this.
    const sent = `timeout 20 ssh ${there.name} 'head -c 4000000 /dev/zero' | wc -c`;
    expect(await on("controller", sent)).toBe("4000000");
    await heal();
  });

  it("a full disk has no room for root, the SSH user or Docker until it is healed", async () => {
    const folder = `${here.root}/test`;
    await on(here.name, `install -d -o ${here.ssh.user} ${folder}`);
    const write = (file: string) => `dd if=/dev/zero of=${folder}/${file} bs=4k count=1 2>&1 || true`;
    const asRoot = () => on(here.name, write("root"));
    const asUser = () => on("controller", `ssh ${here.name} '${write("user")}'`);
    expect(await asUser()).toMatch(/4096 bytes/);

    await world.run("fault", "fill", here.name);
    expect(await active()).toEqual([{ kind: "full disk", host: here.name, kilobytesLeft: 0 }]);
    await on(here.name, `rm ${folder}/user`);
    // What was freed is taken by the next fill, as by whatever fills a disk in production.
    await world.run("fault", "fill", here.name);
    expect(await asRoot()).toMatch(/No space left on device/);
    expect(await asUser()).toMatch(/No space left on device/);
    expect(await on(here.name, "docker volume create full 2>&1 || true")).toMatch(/no space left/);
    // Others have their own.
    expect(await on(there.name, "docker volume create empty")).toBe("empty");

    await world.run("fault", "fill", here.name, "--leave", "64");
    expect(await active()).toEqual([{ kind: "full disk", host: here.name, kilobytesLeft: 64 }]);
    expect(await asUser()).toMatch(/4096 bytes/);

    await heal();
    expect(await asRoot()).toMatch(/4096 bytes/);
    expect(await on(here.name, "docker volume create full")).toBe("full");
  });

  it("a delay and a full disk hold over a reset, from the first packet on, and heal brings Docker back", async () => {
    await world.run("fault", "delay", here.name, "40", there.name);
    await world.run("fault", "fill", there.name);
    const before = await active();
    expect(before).toHaveLength(3);
    await world.run("fault", "reboot", there.name, "--hard");
    const first = await on(
      here.name,
      `timeout 30 sh -c 'until ping -U -n -c 1 -W 1 ${there.address}; do :; done' | grep time=`,
    );
    expect(Number(/time=([\d.]+)/.exec(first)?.[1])).toBeGreaterThanOrEqual(80);
    expect(await active()).toEqual(before);
    await heal();
    const ready = `timeout 30 sh -c 'until ssh -o ConnectTimeout=2 ${there.name} docker info; do sleep 0.1; done'`;
    await on("controller", `${ready} >/dev/null 2>&1`);
    expect(Math.min(...(await ping(here.name, there.address, 20)).times)).toBeLessThan(10);
  });
});
