import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hostToolText } from "../../../components/docker-host/host-tool.ts";
import { firewallText } from "../../../components/firewall/render/rules.ts";
import { buildTopology } from "../../../infra/topology/model.ts";
import { canHaveLab, NetworkLab } from "../../support/network-lab.ts";
import { production } from "../../support/topologies.ts";

/** A port that somebody else's container publishes. */
const OTHERS = 9999;
const topology = buildTopology(production());
const [host] = topology.hosts;
const text = firewallText(topology, host!, "tailscale0");
/** Without the other site. */
const alone = firewallText({ ...topology, hosts: [host!] }, host!, "tailscale0");

describe.each(["nft", "legacy"] as const)("the firewall in a kernel, by iptables-%s", (backend) => {
  // Without root or iptables there is no kernel to ask; the live suite does it in a world then.
  const able = canHaveLab(backend);
  /** What does not depend on the backend is asked of one. */
  const first = able && backend === "nft";
  let lab: NetworkLab;
  let root = "";
  const tool = (line: string, input = ""): string =>
    lab.run(`exec sh ${root}/bin/host-tool firewall ${line}`, input);
  const apply = (rules: string): string =>
    tool(`apply ${createHash("sha256").update(rules).digest("hex")}`, rules);
  /** Without counters, and without tables that hold nothing: iptables-nft makes one by looking at it. */
  const rules = (): string =>
    lab
      .run("iptables-save; ip6tables-save")
      .replaceAll(/^#.*\n|\[\d+:\d+\]/gm, "")
      .replaceAll(/^\*\w+\n(:\w+ ACCEPT \n)+COMMIT\n/gm, "");

  beforeAll(async () => {
    if (!able) return;
    root = mkdtempSync(join(tmpdir(), "host-tool-"));
    mkdirSync(join(root, "bin"));
    writeFileSync(join(root, "bin/host-tool"), hostToolText());
    lab = await NetworkLab.open(backend, [5432, OTHERS]);
  });
  afterAll(() => {
    if (!able) return;
    lab.close();
    rmSync(root, { recursive: true });
  });

  it.runIf(able)("lets in the stack's hosts alone, and takes every trace away again", () => {
    expect(["listed", "stranger", "lan"].map((place) => lab.answers(place as "lan", 5432))).toEqual([
      true,
      true,
      true,
    ]);
    lab.run("ip6tables -N DOCKER-USER");
    const before = rules();
    apply(text);
    expect(lab.answers("listed", 5432)).toBe(true);
    expect(lab.answers("stranger", 5432)).toBe(false);
    expect(lab.answers("lan", 5432)).toBe(false);
    // Somebody else's port, and sshd's, are as they were.
    expect(["stranger", "lan"].map((place) => lab.answers(place as "lan", OTHERS))).toEqual([true, true]);
    expect(lab.answers("stranger", 22)).toBe(true);
    const once = rules();
    apply(text);
    expect(rules()).toBe(once);
    tool("remove");
    expect(rules()).toBe(before);
    expect(lab.run(`ls ${root} /etc/systemd/system`)).not.toMatch(/firewall/);
    expect(lab.answers("stranger", 5432)).toBe(true);
  });

  it.runIf(able)("holds where tailscaled accepts before DOCKER-USER is asked (moby#51015)", () => {
    apply(text);
    lab.run(
      "iptables -N ts-forward; iptables -A ts-forward -i tailscale0 -j ACCEPT; iptables -I FORWARD 1 -j ts-forward",
    );
    expect(lab.answers("stranger", 5432)).toBe(false);
    expect(lab.answers("listed", 5432)).toBe(true);
    // And that it is this place in `mangle` that does it:
    lab.run("iptables -t mangle -D FORWARD -j HEATWAVE");
    expect(lab.answers("stranger", 5432)).toBe(true);
    lab.run("iptables -D FORWARD -j ts-forward; iptables -F ts-forward; iptables -X ts-forward");
    tool("remove");
  });

  it.runIf(able)("says that rules are not in force: flushed, not come by, or none kept", () => {
    apply(text);
    const kept = rules();
    expect(tool("check")).toBe("");
    lab.run("iptables -F HEATWAVE");
    expect(() => tool("check")).toThrow(/table filter of iptables has \d+ of \d+ rules/);
    tool("restore");
    lab.run("ip6tables -t mangle -D FORWARD -j HEATWAVE");
    expect(() => tool("check")).toThrow(/nothing of table mangle of ip6tables comes by heatwave's rules/);
    tool("restore");
    expect(rules()).toBe(kept);
    tool("remove");
    expect(() => tool("check")).toThrow(/there are no rules at/);
  });

  it.runIf(first)("cuts off who is taken from the list, in the middle of a connection", async () => {
    apply(text);
    const talk = await lab.talk("listed", 5432);
    try {
      expect(await talk.says()).toBe(true);
      apply(alone);
      expect(await talk.says()).toBe(false);
    } finally {
      talk.end();
    }
    tool("remove");
  });

  it.runIf(first)("is back after a reboot, before Docker", () => {
    apply(text);
    lab.run(
      "for f in iptables ip6tables; do for t in filter mangle; do $f -t $t -F; $f -t $t -X; done; done",
    );
    expect(lab.answers("stranger", 5432)).toBe(true);
    const unit = lab.run("cat /etc/systemd/system/heatwave-firewall.service");
    expect(unit).toMatch(/^Before=docker.service$/m);
    const start = /^ExecStart=(.*)$/m.exec(unit)?.[1];
    lab.run(`sh ${start!}`);
    // Docker starts after it: it takes the chain as it finds it and puts the jump in.
    lab.run("iptables -I FORWARD 1 -j DOCKER-USER");
    expect(lab.answers("stranger", 5432)).toBe(false);
    expect(lab.answers("listed", 5432)).toBe(true);
    tool("remove");
  });

  it.runIf(able)("keeps the old rules where the new ones are refused, or did not arrive whole", () => {
    apply(text);
    const before = rules();
    const broken = text.replaceAll("-j DROP", "-j NOWHERE");
    expect(() => apply(broken)).toThrow(
      /the new rules did not come into force; the old ones are back:\n.*NOWHERE/s,
    );
    expect(() => tool(`apply ${"0".repeat(64)}`, text)).toThrow(/another sha256/);
    expect(rules()).toBe(before);
    lab.run(`cmp ${root}/firewall/rules -`, text);
    tool("remove");
  });

  it.runIf(first)("refuses a second stack on the same host", () => {
    apply(text);
    lab.run(
      `sed -i 's|^ExecStart=.*|ExecStart=/srv/other/bin/host-tool firewall restore|' /etc/systemd/system/heatwave-firewall.service`,
    );
    expect(() => apply(alone)).toThrow(/another stack has a firewall here/);
    lab.run(
      `sed -i 's|^ExecStart=.*|ExecStart=${root}/bin/host-tool firewall restore|' /etc/systemd/system/heatwave-firewall.service`,
    );
    tool("remove");
  });

  it.runIf(first)("shuts the stack's ports on the tailnet's IPv6, and no others", () => {
    const six = (port: number): boolean => lab.answers("stranger on IPv6", port);
    expect([six(5432), six(OTHERS)]).toEqual([true, true]);
    apply(text);
    expect([six(5432), six(OTHERS)]).toEqual([false, true]);
    tool("remove");
    expect(six(5432)).toBe(true);
  });
});
