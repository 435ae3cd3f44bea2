import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import { loadStackFile } from "../infra/config/load.ts";
import type { Overlay } from "../infra/config/overlay.ts";
import type { StackConfig } from "../infra/config/schema.ts";
import type { WorldPlan } from "../infra/rehearsal/plan.ts";
import { readWorldOverlay } from "../infra/rehearsal/sql.ts";
import { findWorld, stackSpec } from "../infra/rehearsal/world.ts";
import type { Observation } from "../infra/runbooks/observe/observation.ts";
import type { Topology } from "../infra/topology/model.ts";
import { buildTopology } from "../infra/topology/model.ts";

export const ROOT = join(import.meta.dirname, "..");

/** A world that is up, and how its verbs are called. */
export interface BenchWorld {
  readonly name: string;
  /** `production` for Pulumi.production.yaml. */
  readonly stackName: string;
  readonly plan: WorldPlan;
  readonly stack: StackConfig;
  readonly overlay: Overlay;
  readonly topology: Topology;
  /** `bin/rehearse` with what names the world. */
  readonly rehearse: (args: readonly string[]) => Promise<Ran>;
}

/** Makes the world, or what is missing of it. @throws Error with the verb's words */
export async function worldUp(options: readonly string[], say: (line: string) => void): Promise<void> {
  say("world and stack ...");
  const up = await execa(join(ROOT, "bin/rehearse"), [...options, "up"], {
    reject: false,
    stdin: "ignore",
    all: true,
  });
  if (up.exitCode !== 0) throw new Error(up.all);
}

/** Gives the stack a pool mode, by its stack file in the world. */
export async function setPooling(world: BenchWorld, mode: string): Promise<void> {
  const file = `Pulumi.${world.stackName}.yaml`;
  const line = `sed -i 's/^    poolMode: [a-z]*/    poolMode: ${mode}/' ${file} && grep -q "poolMode: ${mode}" ${file} && bin/engine up --yes --stack ${world.stackName}`;
  const up = await world.rehearse(["exec", "--", "sh", "-c", line]);
  if (up.code !== 0) throw new Error(up.stdout + up.stderr);
}

/** Waits until one site takes writes, the others follow, and nothing is held. */
export async function wholeAgain(series: { topology(): Promise<Observation> }): Promise<void> {
  const until = performance.now() + 60_000;
  for (;;) {
    const seen = (await series.topology()) as Observation & {
      readonly verdict: { code: string; text: string };
    };
    if (["healthy", "not-declared"].includes(seen.verdict.code)) return;
    if (performance.now() > until) throw new Error(`the stack is not whole after 60 s: ${seen.verdict.text}`);
    await delay(300);
  }
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param options what names the world to `bin/rehearse` */
export async function benchWorld(
  name: string,
  stackName: string,
  options: readonly string[],
): Promise<BenchWorld> {
  const rehearse = async (args: readonly string[]): Promise<Ran> => {
    const ran = await execa(join(ROOT, "bin/rehearse"), [...options, ...args], {
      reject: false,
      stdin: "ignore",
      env: { NO_COLOR: "1" },
    });
    return { code: ran.exitCode ?? -1, stdout: ran.stdout, stderr: ran.stderr };
  };
  const stack = loadStackFile(ROOT, stackName);
  const plan = await findWorld(name, stackSpec(stack));
  if (plan === undefined) throw new Error(`there is no world ${name}`);
  return {
    name,
    stackName,
    plan,
    stack,
    overlay: await readWorldOverlay(plan),
    topology: buildTopology(stack),
    rehearse,
  };
}
