import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeBare } from "../support/bare-world.ts";
import { PulumiCli, pulumiTools } from "../support/pulumi-cli.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import type { Ran } from "../support/rehearsal.ts";
import { inWorld, topologyOf } from "../support/world-suite.ts";

const root = join(import.meta.dirname, "../..");
const tools = pulumiTools();
if (tools.missing.length > 0)
  console.log(`skipped, since these are not on PATH: ${tools.missing.join(", ")}`);

const STACKS = [
  { stack: "production", folder: root },
  { stack: "staging", folder: root },
  { stack: "three-sites", folder: join(root, "examples"), configFile: "examples/Pulumi.three-sites.yaml" },
] as const;

const succeeded = (ran: Ran): void => expect(ran, ran.stdout + ran.stderr).toMatchObject({ code: 0 });

describe.skipIf(tools.missing.length > 0).each(STACKS)(
  "the real Pulumi CLI and the embedded engine, on one state of $stack",
  { timeout: 1_800_000 },
  ({ stack, folder, ...options }) => {
    const world = new Rehearsal(stack, options);
    const topology = topologyOf(stack, folder);
    inWorld(world);

    it("after the engine's up, the CLI's preview is clean", async () => {
      const cli = await PulumiCli.install(world, tools);
      succeeded(await cli.run("preview", "--diff", "--expect-no-changes"));
    });

    it("after the CLI's up on bare hosts, the engine's preview and up change nothing", async () => {
      const cli = await PulumiCli.install(world, tools);
      await makeBare(world, topology);
      succeeded(await cli.run("up", "--yes", "--skip-preview"));
      succeeded(await world.engine("preview", "--expect-no-changes"));
      succeeded(await world.engine("up", "--yes", "--expect-no-changes"));
      succeeded(await cli.run("preview", "--diff", "--expect-no-changes"));
    });

    it("each refuses to work beside the other", async () => {
      const cli = await PulumiCli.install(world, tools);
      const locks = `/var/lib/heatwave-state/.pulumi/locks/organization/heatwave/${stack}`;
      const lock = `{"pid":1,"username":"ada","hostname":"elsewhere","timestamp":"2026-11-22T05:00:00Z"}`;
      await world.controller(`mkdir -p ${locks} && echo '${lock}' >${locks}/theirs.json`);
      for (const refused of [
        await cli.run("up", "--yes", "--skip-preview"),
        await world.engine("up", "--yes"),
      ]) {
        expect(refused.code).not.toBe(0);
        expect(refused.stdout + refused.stderr).toMatch(/locked by 1 lock[^]*ada@elsewhere \(pid 1\)/);
      }
      await world.engine("cancel");
      succeeded(await world.engine("up", "--yes", "--expect-no-changes"));
    });
  },
);
