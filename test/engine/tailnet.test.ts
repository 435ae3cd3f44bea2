import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Command, EngineEvent } from "../../infra/engine/index.ts";
import { runEngine } from "../../infra/engine/index.ts";
import { packages } from "../../infra/engine/providers/index.ts";
import { nameOf } from "../support/engine-stack.ts";
import { CREDENTIALS, TailscaleApi } from "../support/tailscale-api.ts";

const HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxI1fr4CXL3nosiErtmiyvZ+sLXMdVNJ4P4LBchPVxR";
const image = (name: string): string => `${name}:1@sha256:${"0".repeat(64)}`;
const host = (address: string, device: string) => ({ address, device, ssh: { hostKey: HOST_KEY } });
const SECRETS = {
  superuserPassword: "a placeholder",
  replicationPassword: "a placeholder",
  healthPassword: "a placeholder",
  peerSecret: "a placeholder-at-least-sixteen",
  tailnetClientId: CREDENTIALS.clientId,
  tailnetClientSecret: CREDENTIALS.clientSecret,
};
const stack = (more: Record<string, unknown> = {}) => ({
  primary: "dal-01",
  hosts: {
    "dal-01": host("100.123.47.52", "dal-01"),
    "chi-02": host("100.68.157.49", "chi-02.tail1234.ts.net"),
  },
  sites: [
    { name: "dal-01", host: "dal-01" },
    { name: "chi-02", host: "chi-02" },
  ],
  images: {
    postgres: image("postgres"),
    pgbouncer: image("pgbouncer"),
    node: image("node"),
    haproxy: image("haproxy"),
  },
  secrets: SECRETS,
  tailnet: { tags: ["tag:database"], keyExpiry: false, joinKeys: ["ams-03"] },
  ...more,
});

describe("a stack whose hosts name their devices", () => {
  let api: TailscaleApi;
  let state = "";
  beforeEach(async () => {
    api = await TailscaleApi.start();
    state = mkdtempSync(join(tmpdir(), "heatwave-tailnet-"));
    api.device("dal-01", "100.123.47.52");
    api.device("chi-02", "100.68.157.49");
  });
  afterEach(async () => {
    await api.stop();
    rmSync(state, { recursive: true });
  });

  const run = async (command: Command, config: unknown = stack(), url: string | undefined = api.url) => {
    const events: EngineEvent[] = [];
    const start = performance.now();
    const result = await runEngine({
      command,
      cwd: join(import.meta.dirname, "programs/tailnet"),
      stack: "dev",
      packages,
      env: {
        PATH: process.env["PATH"],
        HOME: process.env["HOME"],
        NODE_COMPILE_CACHE: join(tmpdir(), "heatwave-engine-tests"),
        PULUMI_BACKEND_URL: `file://${state}`,
        PULUMI_CONFIG_PASSPHRASE: "correct horse",
        TAILNET_CONFIG: JSON.stringify(config),
        ...(url === "" ? {} : { TAILNET_API: url }),
      },
      onEvent: (event) => events.push(event),
    });
    const diagnostics = events.filter((event) => event.kind === "diagnostic");
    return {
      ok: result.succeeded,
      seconds: (performance.now() - start) / 1000,
      steps: events
        .flatMap((event) =>
          event.kind === "done" && event.step.operation !== "same"
            ? [`${event.step.operation} ${nameOf(event.step.urn)}`]
            : [],
        )
        .toSorted(),
      warnings: diagnostics.filter(({ severity }) => severity === "warning").map(({ message }) => message),
      errors: diagnostics.filter(({ severity }) => severity === "error").map(({ message }) => message),
      infos: diagnostics.filter(({ severity }) => severity === "info").map(({ message }) => message),
    };
  };

  test("sets tags and key expiry, makes join keys, and keeps their secret", async () => {
    const first = await run("up");
    expect(first.errors).toEqual([]);
    expect(first.steps).toEqual(
      expect.arrayContaining([
        "create ams-03-join-key",
        "create chi-02-device-key",
        "create dal-01-device-tags",
      ]),
    );
    expect(api.devices.map(({ tags, keyExpiryDisabled }) => ({ tags, keyExpiryDisabled }))).toEqual([
      { tags: ["tag:database"], keyExpiryDisabled: true },
      { tags: ["tag:database"], keyExpiryDisabled: true },
    ]);
    const text = readFileSync(join(state, ".pulumi/stacks/tailnet/dev.json"), "utf8");
    expect(text).toContain("k1CNTRL");
    for (const secret of ["w3lc0me", CREDENTIALS.clientSecret, CREDENTIALS.clientId])
      expect(text).not.toContain(secret);

    const again = await run("preview");
    expect(again).toMatchObject({ ok: true, steps: [], warnings: [] });
  }, 60_000);

  test("previews and applies without the API, as it is: silent, refusing or late", async () => {
    await run("up");
    const { url } = api;
    api.faults.push({ on: /oauth/, status: 401 });
    const refused = await run("preview");
    expect(refused).toMatchObject({ ok: true, steps: [], errors: [] });
    expect(refused.warnings).toHaveLength(2);
    expect(refused.warnings[0]).toMatch(
      /dal-01: device dal-01 was not looked up, so 100\.123\.47\.52 is used unchecked: .*401/,
    );

    api.faults[0] = { on: /./, delay: 30_000 };
    const late = await run("up");
    expect(late).toMatchObject({ ok: true, steps: [] });
    expect(late.warnings).toHaveLength(2);

    await api.stop();
    const silent = await run("up", stack(), url);
    expect(silent).toMatchObject({ ok: true, steps: [], errors: [] });
    expect(silent.warnings).toHaveLength(2);
    // What is new does need it, and says so.
    const changed = await run(
      "up",
      stack({ tailnet: { tags: ["tag:other"], keyExpiry: false, joinKeys: ["ams-03"] } }),
      url,
    );
    expect(changed.ok).toBe(false);
    expect(changed.errors.join("\n")).toMatch(/no answer \(ECONNREFUSED\)/);
    api = await TailscaleApi.start();
  }, 120_000);

  test.each([
    [
      "a device that is not there",
      () => api.devices.shift(),
      /hosts\.dal-01\.device\n {4}value {4}"dal-01"\n.*\n {4}fix {6}correct it/,
    ],
    [
      "another address",
      () => (api.devices[0]!.addresses = ["100.1.2.3"]),
      /hosts\.dal-01\.address\n {4}value {4}"100\.123\.47\.52"\n {4}allowed {2}100\.1\.2\.3, which/,
    ],
    [
      "a device that waits for approval",
      () => (api.devices[1]!.authorized = false),
      /hosts\.chi-02\.device[^]*waits for approval/,
    ],
  ])(
    "stops before anything is made: %s",
    async (_, spoil, report) => {
      spoil();
      const { ok, errors, steps } = await run("up");
      expect(ok).toBe(false);
      expect(errors.join("\n")).toMatch(report);
      expect(errors.join("\n")).toMatch(/1 problem; nothing was touched/);
      expect(steps.filter((step) => /tags|device-key/.test(step))).toEqual([]);
      expect(api.seen.filter(({ line }) => /\/(tags|key)$/.test(line))).toEqual([]);
    },
    60_000,
  );

  test("gives nothing of a device up when the stack file says no more of it", async () => {
    await run("up");
    const { ok, steps } = await run("up", stack({ tailnet: {} }));
    expect(ok).toBe(true);
    expect(steps).toContain("delete ams-03-join-key");
    expect(api.devices.map(({ tags, keyExpiryDisabled }) => [tags, keyExpiryDisabled])).toEqual([
      [["tag:database"], true],
      [["tag:database"], true],
    ]);
    expect(api.keys.size).toBe(0);
  }, 60_000);

  test("asks for nothing in a rehearsal, which has no API", async () => {
    const { ok, steps, infos } = await run("up", stack(), "");
    expect(ok).toBe(true);
    expect(steps.filter((step) => !step.includes("dev"))).toEqual([]);
    expect(infos.join("\n")).toMatch(/neither asked nor managed here/);
    expect(api.seen).toEqual([]);
  }, 60_000);
});
