import { describe, expect, test } from "vitest";
import {
  distinct,
  linksBetween,
  parseRules,
  queuesOf,
  rulesOf,
  withFaults,
  without,
} from "../../../infra/rehearsal/faults/links.ts";
import { diskOfNewHosts, parseDiskSize } from "../../../infra/rehearsal/disk.ts";
import { parseTop, processOf } from "../../../infra/rehearsal/faults/processes.ts";
import { hostOf, planWorld } from "../../../infra/rehearsal/plan.ts";

const ssh = { user: "deploy", port: 22 };
const plan = planWorld(
  "w",
  {
    hosts: ["a", "b", "c"].map((name, index) => ({
      name,
      address: `100.90.0.${index + 1}`,
      ssh,
      root: "/srv",
    })),
    externalNetwork: undefined,
    registry: false,
  },
  7,
);
const drops = (host: string, ...link: Parameters<typeof linksBetween>) =>
  rulesOf(hostOf(plan, host), linksBetween(...link), plan)
    .split("\n")
    .filter((line) => line.startsWith("-A"));

describe("a cut", () => {
  const both = { loss: 1, oneWay: false };

  test("is in force at both ends and in both directions", () => {
    expect(drops("a", plan, "a", "b", both)).toEqual([
      '-A HEATWAVE-LINKS-PREROUTING -s 10.213.7.11/32 -m comment --comment "link b a 1" -j DROP',
      '-A HEATWAVE-LINKS-OUTPUT -d 10.213.7.11/32 -m comment --comment "link a b 1" -j DROP',
    ]);
    expect(drops("b", plan, "a", "b", both)).toHaveLength(2);
    expect(drops("c", plan, "a", "b", both)).toEqual([]);
  });

  test("of one way leaves the answers' way open", () => {
    const oneWay = { loss: 1, oneWay: true };
    expect(drops("a", plan, "a", "b", oneWay)).toEqual([expect.stringMatching(/OUTPUT -d 10\.213\.7\.11/)]);
    expect(drops("b", plan, "a", "b", oneWay)).toEqual([
      expect.stringMatching(/PREROUTING -s 10\.213\.7\.10/),
    ]);
  });

  test("from all others reaches the operator's seat too", () => {
    const peers = linksBetween(plan, "a", undefined, both).map(({ from, to }) => `${from}>${to}`);
    expect(peers.toSorted()).toEqual(["a>b", "a>c", "a>controller", "b>a", "c>a", "controller>a"]);
  });
});

test("a loss counts once per packet: where it arrives, or where it leaves for the controller", () => {
  const lossy = { loss: 0.25, oneWay: true };
  expect(drops("a", plan, "a", "b", lossy)).toEqual([]);
  expect(drops("b", plan, "a", "b", lossy)).toEqual([
    expect.stringMatching(/--mode random --probability 0\.25 .*-j DROP/),
  ]);
  expect(drops("a", plan, "a", "controller", lossy)).toHaveLength(1);
});

test("what is broken is told by the rules, and each end tells the same", () => {
  const links = withFaults(linksBetween(plan, "a", "b", { loss: 1, oneWay: false }), [
    { from: "c", to: "a", loss: 0.5 },
    { from: "a", to: "b", loss: 0.1 },
  ]);
  const told = distinct(plan.hosts.flatMap((host) => parseRules(rulesOf(host, links, plan))));
  expect(told).toEqual([
    { from: "a", to: "b", loss: 0.1 },
    { from: "b", to: "a", loss: 1 },
    { from: "c", to: "a", loss: 0.5 },
  ]);
  expect(without(links, told)).toEqual([]);
});

describe("a delay", () => {
  const late = { milliseconds: 40, oneWay: false };

  test("is suffered once per packet, in the queue of its own number, by what was not lost", () => {
    const lossy = linksBetween(plan, "b", "a", { loss: 0.5, oneWay: true });
    const rules = rulesOf(
      hostOf(plan, "a"),
      withFaults(linksBetween(plan, "a", "b", late), lossy),
      plan,
    ).split("\n");
    expect(rules.filter((line) => line.startsWith("-A"))).toEqual([
      expect.stringMatching(/PREROUTING -s 10\.213\.7\.11\/32 .*"link b a 0\.5" -j DROP$/),
      '-A HEATWAVE-LINKS-PREROUTING -s 10.213.7.11/32 -m comment --comment "delay b a 40" -j NFQUEUE --queue-num 40',
    ]);
    expect(drops("b", plan, "a", "b", late)).toEqual([expect.stringMatching(/-s 10\.213\.7\.10\/32 /)]);
  });

  test("on the way to the operator's seat is made where packets leave", () => {
    expect(drops("a", plan, "a", "controller", late)).toEqual([
      expect.stringMatching(/PREROUTING -s 10\.213\.7\.2\/32 .*"delay controller a 40" -j NFQUEUE/),
      // Copied there and sent anew: that one must not be held again.
      "-A HEATWAVE-LINKS-OUTPUT -m mark --mark 0x68770001 -j RETURN",
      expect.stringMatching(
        /OUTPUT -d 10\.213\.7\.2\/32 .*"delay a controller 40" -j NFQUEUE --queue-num 32808$/,
      ),
    ]);
  });

  test("needs every queue held once that its rules name", () => {
    const rules = rulesOf(hostOf(plan, "a"), linksBetween(plan, "a", undefined, late), plan);
    expect(queuesOf(rules)).toEqual(["40", "32808"]);
    expect(queuesOf(rulesOf(hostOf(plan, "b"), [], plan))).toEqual([]);
  });

  test("stands beside a loss of the same link, and the later one of two counts", () => {
    const loss = linksBetween(plan, "a", "b", { loss: 0.1, oneWay: true });
    const both = withFaults(withFaults(loss, linksBetween(plan, "a", "b", { ...late, oneWay: true })), [
      { from: "a", to: "b", milliseconds: 7 },
    ]);
    const told = distinct(plan.hosts.flatMap((host) => parseRules(rulesOf(host, both, plan))));
    expect(told).toEqual([
      { from: "a", to: "b", milliseconds: 7 },
      { from: "a", to: "b", loss: 0.1 },
    ]);
    expect(without(told, loss)).toEqual([{ from: "a", to: "b", milliseconds: 7 }]);
  });
});

describe("a host's own disk", () => {
  test.each([
    ["1g", "1024m"],
    ["512M", "512m"],
  ])("of %s is kept as %s", (text, size) => {
    expect(parseDiskSize(text)).toBe(size);
  });

  test.each(["", "1", "511m", "0g", "1.5g", "2t", "-1g"])("cannot be of %j", (text) => {
    expect(() => parseDiskSize(text)).toThrow(/no size of a disk/);
  });

  test("is made with the host: as asked for, or as the world's other hosts have", () => {
    expect(diskOfNewHosts(plan, new Map(), undefined)).toBeUndefined();
    expect(diskOfNewHosts(plan, new Map(), "1024m")).toBe("1024m");
    expect(diskOfNewHosts(plan, new Map([["a", "1024m"]]), undefined)).toBe("1024m");
    expect(diskOfNewHosts(plan, new Map([["a", "1024m"]]), "1024m")).toBe("1024m");
  });

  test("is neither given to a host that is there nor made larger", () => {
    expect(() => diskOfNewHosts(plan, new Map([["a", undefined]]), "1024m")).toThrow(/no disk of its own/);
    expect(() => diskOfNewHosts(plan, new Map([["a", "512m"]]), "1024m")).toThrow(/a disk of 512m/);
  });
});

describe("a process by its role", () => {
  const rows = parseTop(
    [
      "PID                 PPID                COMMAND",
      "1018                979                 docker-init",
      "1166                1018                bash",
      "1512                1166                bash",
      "1514                1512                postgres",
      "1522                1514                postgres",
    ].join("\n"),
  );
  test.each([
    ["postgres", 1514],
    ["entrypoint", 1166],
  ] as const)("%s", (role, pid) => {
    expect(processOf(role, rows)).toBe(pid);
  });

  test("that does not run is none", () => {
    expect(processOf("postgres", rows.slice(0, 3))).toBeUndefined();
    expect(processOf("pgbouncer", rows.slice(0, 1))).toBeUndefined();
  });
});
