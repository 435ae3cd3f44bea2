import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadConfig, loadStackFile } from "../../../infra/config/load.ts";
import { applyOverlay, Overlay, readOverlay } from "../../../infra/config/overlay.ts";
import { ConfigError } from "../../../infra/config/problem.ts";
import type { StackConfig } from "../../../infra/config/schema.ts";
import type { Raw } from "./arbitrary.ts";
import { hostKey, secret, secretsOf, draw, pool } from "./arbitrary.ts";
import { asFile, inFolder } from "./doors.ts";

const STACKS = pool(draw(150));
const worldImage = fc.constantFrom("heatwave-world/postgres:18", "stand-in@sha256:abc", "pg", "a/b_c:1.2-x");
const IMAGES = ["postgres", "pgbouncer", "node", "haproxy"] as const;

/** Any overlay that fits a stack: each kind whole, in part or absent, and hosts that are not in the stack. */
function overlayFor(raw: Raw): fc.Arbitrary<Overlay> {
  const hosts = [...Object.keys(raw.hosts), "stranger", "toString"];
  const roles = Object.keys(raw.secrets.roles);
  return fc
    .record({
      world: fc.constantFrom("w1", "rehearsal"),
      images: fc.dictionary(fc.constantFrom(...IMAGES), worldImage),
      hostKeys: fc.dictionary(
        fc.constantFrom(...hosts),
        fc.uint8Array({ minLength: 32, maxLength: 32 }).map(hostKey),
      ),
      secrets: fc.array(secret, { minLength: 4 + roles.length, maxLength: 4 + roles.length }),
      urls: fc.dictionary(fc.constantFrom("tailscale", "sites", "primary"), fc.constant("http://10.0.0.1")),
    })
    .map(({ secrets: texts, ...rest }) => ({
      ...rest,
      secrets: {
        superuserPassword: texts[0]!,
        replicationPassword: texts[1]!,
        healthPassword: texts[2]!,
        peerSecret: texts[3]!,
        // What the stack does not name, the overlay does not bring.
        ...(raw.secrets.tailnetClientId !== undefined && {
          tailnetClientId: `id ${texts[3]!}`,
          tailnetClientSecret: `secret ${texts[3]!}`,
        }),
        roles: Object.fromEntries(roles.map((role, i) => [role, texts[4 + i]!])),
      },
    }));
}

const cases = STACKS.chain((raw) => fc.tuple(fc.constant(raw), overlayFor(raw)));

/** A configuration with the three kinds that stand in it blanked: what no overlay may touch. */
function withoutReplaceable(config: StackConfig): unknown {
  return {
    ...config,
    secrets: null,
    images: Object.keys(config.images),
    hosts: Object.entries(config.hosts).map(([name, host]) => [
      name,
      { ...host, ssh: { ...host.ssh, hostKey: null } },
    ]),
    sites: config.sites.map((site) => ({ ...site, images: site.images && Object.keys(site.images) })),
  };
}

describe("the overlay", () => {
  it("changes image references, host keys and secrets of a configuration, and nothing else", () => {
    fc.assert(
      fc.property(cases, ([raw, overlay]) => {
        const before = loadConfig(raw, "x");
        const after = loadConfig(raw, "x", overlay);
        expect(withoutReplaceable(after)).toEqual(withoutReplaceable(before));
      }),
      { numRuns: 300 },
    );
  });

  it("puts its own in their place, where it has any", () => {
    fc.assert(
      fc.property(cases, ([raw, overlay]) => {
        const before = loadConfig(raw, "x");
        const after = loadConfig(raw, "x", overlay);
        expect(after.secrets).toEqual(overlay.secrets);
        for (const key of IMAGES) expect(after.images[key]).toBe(overlay.images[key] ?? before.images[key]);
        for (const [i, site] of after.sites.entries()) {
          const own = before.sites[i]!.images?.postgres;
          expect(site.images?.postgres).toBe(own && (overlay.images.postgres ?? own));
        }
        for (const [name, host] of Object.entries(after.hosts)) {
          const key = Object.hasOwn(overlay.hostKeys, name) ? overlay.hostKeys[name] : undefined;
          expect(host.ssh.hostKey).toBe(key ?? before.hosts[name]!.ssh.hostKey);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("leaves no secret of the stack behind", () => {
    fc.assert(
      fc.property(cases, ([raw, overlay]) => {
        const text = JSON.stringify(loadConfig(raw, "x", overlay));
        for (const value of secretsOf(raw)) expect(text).not.toContain(JSON.stringify(value).slice(1, -1));
      }),
    );
  });

  it("does the same to a file of which nothing was decrypted", () => {
    fc.assert(
      fc.property(cases, ([raw, overlay]) => {
        const fromFile = inFolder({ "Pulumi.test.yaml": asFile(raw) }, (folder) =>
          loadStackFile(folder, "test", overlay),
        );
        expect(fromFile).toEqual(loadConfig(raw, "x", overlay));
      }),
      { numRuns: 40 },
    );
  });

  it("leaves stack and overlay as they are", () => {
    fc.assert(
      fc.property(cases, ([raw, overlay]) => {
        const both = structuredClone([raw, overlay]);
        applyOverlay(raw, overlay);
        expect([raw, overlay]).toEqual(both);
      }),
    );
  });

  it("knows four kinds and refuses a fifth", () => {
    const empty = { world: "w", images: {}, hostKeys: {}, secrets: {}, urls: {} };
    expect(Object.keys(Overlay.shape).sort()).toEqual(["hostKeys", "images", "secrets", "urls", "world"]);
    expect(Overlay.safeParse(empty).success).toBe(true);
    for (const fifth of ["hosts", "sites", "primary", "postgres", "addresses", "ports"]) {
      expect(Overlay.safeParse({ ...empty, [fifth]: {} }).success).toBe(false);
    }
    expect(Overlay.safeParse({ ...empty, images: { redis: "x" } }).success).toBe(false);
  });

  it("is refused with its images outside its own world's kinds of reference", () => {
    fc.assert(
      fc.property(cases, ([raw, overlay]) => {
        const wrong = { ...overlay, images: { postgres: "not an image" } };
        expect(() => loadConfig(raw, "x", wrong)).toThrow(/heatwave:images\.postgres\n/);
      }),
      { numRuns: 10 },
    );
  });
});

describe("readOverlay", () => {
  const read = (files: Record<string, string>, name = "overlay.json") =>
    inFolder(files, (folder) => readOverlay({ HEATWAVE_OVERLAY: `${folder}/${name}` }));

  function refusal(load: () => unknown): string {
    try {
      load();
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return (error as Error).message;
    }
    throw new Error("accepted");
  }

  it("reads nothing outside a rehearsal", () => {
    expect(readOverlay({})).toBeUndefined();
    expect(readOverlay({ HEATWAVE_OVERLAY: "" })).toBeUndefined();
  });

  it("reads what the variable names", () => {
    fc.assert(
      fc.property(cases, ([, overlay]) => {
        expect(read({ "overlay.json": JSON.stringify(overlay) })).toEqual(overlay);
      }),
      { numRuns: 20 },
    );
  });

  it("says what to do about a file that is missing, and about one that is no JSON, without quoting it", () => {
    expect(refusal(() => read({}))).toMatch(/a file that can be read\n.*unset the variable elsewhere/);
    const message = refusal(() => read({ "overlay.json": '{"secrets": {"peerSecret": "hunter2-hunter2' }));
    expect(message).toMatch(/allowed {2}JSON/);
    expect(message).not.toContain("hunter2");
  });

  it("names each wrong place and hides the secrets", () => {
    const message = refusal(() =>
      read({
        "overlay.json": JSON.stringify({
          world: "W 1",
          images: { redis: "x" },
          hostKeys: [],
          secrets: { peerSecret: ["hunter2-hunter2"], superuserPassword: 12345678 },
        }),
      }),
    );
    for (const place of [
      "world",
      "images",
      "hostKeys",
      "secrets.peerSecret",
      "secrets.superuserPassword",
      "urls",
    ]) {
      expect(message).toContain(`\n  ${place}`);
    }
    expect(message).not.toMatch(/hunter2|12345678|invalid|expected|received/i);
    expect(message).toContain("let bin/rehearse write the overlay again");
  });
});
