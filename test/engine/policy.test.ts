import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { desiredResources } from "../../infra/cli/review/compare.ts";
import type { Declared, Properties } from "../../infra/policy/rules.ts";
import { RULES, violations } from "../../infra/policy/rules.ts";
import { Analyzer } from "../support/analyzer.ts";

const ROOT = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "heatwave-policy-"));
const stacks = new Map<string, readonly Declared[]>();
let analyzer: Analyzer;

beforeAll(async () => {
  for (const stack of ["production", "staging"]) {
    const room = { stack, scratch: join(scratch, stack), environment: { ...process.env } };
    mkdirSync(room.scratch);
    stacks.set(stack, await desiredResources(ROOT, room));
  }
  analyzer = await Analyzer.start();
}, 300_000);
afterAll(async () => {
  await analyzer[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true });
});

const production = (): readonly Declared[] => stacks.get("production") ?? [];

describe("the stacks that are shipped keep every rule", () => {
  test.for(["production", "staging"])("%s", (stack) => {
    expect(stacks.get(stack)?.length).toBeGreaterThan(90);
    expect(violations(stacks.get(stack) ?? [])).toEqual([]);
  });

  test("and the CLI's analyzer finds nothing either", { timeout: 60_000 }, async () => {
    const found = await Promise.all(production().map((resource) => analyzer.analyze(resource)));
    expect(found.flat()).toEqual([]);
  });
});

interface Broken {
  readonly rule: string;
  /** Logical name of the resource of production that breaks it. */
  readonly name: string;
  readonly type: string;
  readonly inputs?: Properties;
  readonly options?: Partial<Declared>;
  readonly says: string;
  readonly fix: string;
}

const CONTAINER = "docker:index/container:Container";
const POSTGRES = { name: "dal-01-site-postgres", type: CONTAINER };
const VOLUME = { name: "dal-01-site-postgres-data", type: "docker:index/volume:Volume" };
const PROVIDER = { name: "dal-01", type: "pulumi:providers:docker" };
const COPY = "createContainer";

/** Production, each time with one thing that is not as it should be. */
const BROKEN: readonly Broken[] = [
  {
    rule: "pinned-digests",
    ...POSTGRES,
    inputs: { image: "postgres:18" },
    says: 'image is "postgres:18"',
    fix: "imagetools inspect",
  },
  {
    rule: "pinned-digests",
    name: "dal-01-site-postgres-image",
    type: "docker:index/remoteImage:RemoteImage",
    inputs: { name: `postgres@sha256:${"0".repeat(64)}` },
    says: "name is",
    fix: "heatwave:images",
  },
  {
    rule: "protected-data",
    ...VOLUME,
    options: { protect: false },
    says: "is not protected",
    fix: "retire it",
  },
  {
    rule: "protected-data",
    ...VOLUME,
    options: { retainOnDelete: false },
    says: "would be deleted",
    fix: "retainOnDelete",
  },
  {
    rule: "pinned-host-keys",
    name: "dal-01-tool",
    type: "command:remote:Command",
    inputs: { connection: { host: "100.123.47.52", user: "deploy" } },
    says: "connection.hostKey is not set",
    fix: "ssh_host_ed25519_key.pub",
  },
  {
    rule: "pinned-host-keys",
    ...PROVIDER,
    inputs: { sshOpts: ["-o", "StrictHostKeyChecking=no"] },
    says: "no StrictHostKeyChecking=yes",
    fix: "hostKey",
  },
  {
    rule: "pinned-host-keys",
    ...PROVIDER,
    inputs: { sshOpts: JSON.stringify(["-o", "StrictHostKeyChecking=yes"]) },
    says: "known-hosts file of the operator's",
    fix: "hostKey",
  },
  {
    rule: "tailnet-ports",
    ...POSTGRES,
    inputs: { ports: [{ internal: 5432, external: 5432, ip: "0.0.0.0", protocol: "tcp" }] },
    says: 'port 5432 is published on "0.0.0.0"',
    fix: "tailscale ip -4",
  },
  {
    rule: "tailnet-ports",
    ...POSTGRES,
    inputs: { ports: [{ internal: 5432 }] },
    says: 'published on "every address"',
    fix: "tailscale ip -4",
  },
  {
    rule: "tailnet-ports",
    ...POSTGRES,
    inputs: { ports: [{ external: 1, ip: "100.128.0.1" }] },
    says: "100.128.0.1",
    fix: "tailscale ip -4",
  },
  {
    rule: "tailnet-ports",
    ...POSTGRES,
    inputs: { networkMode: "host" },
    says: 'networkMode is "host"',
    fix: "heatwave:network.name",
  },
  {
    rule: "tailnet-ports",
    ...POSTGRES,
    inputs: { publishAllPorts: true },
    says: "publishAllPorts",
    fix: "tailscale ip -4",
  },
  {
    rule: "stop-graces",
    ...POSTGRES,
    inputs: { stopTimeout: 1, destroyGraceSeconds: 1 },
    says: "stopTimeout is 1 s",
    fix: COPY,
  },
  {
    rule: "stop-graces",
    ...POSTGRES,
    inputs: { destroyGraceSeconds: 0 },
    says: "destroyGraceSeconds is 0",
    fix: COPY,
  },
  {
    rule: "stop-graces",
    ...POSTGRES,
    inputs: { stopSignal: "SIGKILL" },
    says: 'stopSignal is "SIGKILL"',
    fix: COPY,
  },
  {
    rule: "restart-policy",
    ...POSTGRES,
    inputs: { restart: "unless-stopped" },
    says: 'restart is "unless-stopped"',
    fix: COPY,
  },
  {
    rule: "log-rotation",
    ...POSTGRES,
    inputs: { logOpts: { "max-size": "20m" } },
    says: "max-size",
    fix: COPY,
  },
  {
    rule: "log-rotation",
    ...POSTGRES,
    inputs: { logDriver: "syslog" },
    says: 'logDriver is "syslog"',
    fix: COPY,
  },
];

describe("a stack that breaks a rule is stopped, with what to do", () => {
  test.for(BROKEN.map((one) => [`${one.rule}: ${one.says}`, one] as const))("%s", async ([, broken]) => {
    const { rule, name, type, inputs, options, says, fix } = broken;
    const stack = production().map((one) =>
      one.name === name && one.type === type
        ? { ...one, ...options, inputs: { ...one.inputs, ...inputs } }
        : one,
    );
    const found = violations(stack);
    expect(found).toEqual([{ rule, resource: name, message: expect.stringContaining(says) as string }]);
    expect(found[0]?.message).toMatch(/\n {2}allowed: .+\n {2}fix: .+/);
    expect(found[0]?.message).toContain(fix);
    // Pulumi's analyzers do not see retainOnDelete.
    if (options?.retainOnDelete === false) return;
    const changed = stack.find((one) => one.name === name && one.type === type);
    if (changed === undefined) throw new Error(`production has no ${type} ${name}`);
    expect(await analyzer.analyze(changed)).toEqual([expect.stringMatching(new RegExp(`^${rule}: `))]);
  });

  test("every rule has one", () => {
    expect(new Set(BROKEN.map(({ rule }) => rule))).toEqual(new Set(RULES.map(({ name }) => name)));
  });
});
