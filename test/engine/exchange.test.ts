import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, test, vi } from "vitest";

import { runEngine } from "../../infra/engine/index.ts";
import type { Command, EngineEvent, Step } from "../../infra/engine/index.ts";
import { packages } from "../../infra/engine/providers/index.ts";

vi.setConfig({ testTimeout: 60_000 });

const PROGRAM = join(import.meta.dirname, "programs", "exchange");
const DATA = join(import.meta.dirname, "data");

interface StepDigest {
  readonly op: string;
  readonly urn: string;
  readonly diffReasons?: readonly string[];
  readonly replaceReasons?: readonly string[];
  readonly detailedDiff: unknown;
}
type ResourceJson = Readonly<Record<string, unknown>> & { readonly urn: string };

/** A backend that holds the state as the CLI left it. Nothing here can reach the host: same needs no provider call. */
class CliState implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), "heatwave-exchange-"));
  readonly file = join(this.root, ".pulumi", "stacks", "exchange", "test.json");

  constructor() {
    mkdirSync(join(this.file, ".."), { recursive: true });
    cpSync(join(DATA, "exchange.checkpoint.json"), this.file);
  }

  async run(command: Command, step: number) {
    const events: EngineEvent[] = [];
    const result = await runEngine({
      command,
      cwd: PROGRAM,
      stack: "test",
      packages,
      env: {
        PATH: process.env["PATH"],
        HOME: process.env["HOME"],
        PULUMI_BACKEND_URL: `file://${this.root}`,
        PULUMI_CONFIG_PASSPHRASE: "heatwave-example",
        STEP: String(step),
      },
      onEvent: (event) => events.push(event),
    });
    const errors = events.filter((event) => event.kind === "diagnostic" && event.severity === "error");
    expect(errors).toEqual([]);
    return { result, events };
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true });
  }
}

/** The step as `preview --json` has it; the order of reasons is the CLI's own affair. */
function digest({ operation, urn, changedKeys, replaceKeys, detailedDiff }: Step): StepDigest {
  return {
    op: operation,
    urn,
    ...(changedKeys.length === 0 ? {} : { diffReasons: [...changedKeys].sort() }),
    ...(replaceKeys.length === 0 ? {} : { replaceReasons: [...replaceKeys].sort() }),
    detailedDiff: detailedDiff ?? null,
  };
}

const sorted = (step: StepDigest): StepDigest => ({
  ...step,
  ...(step.diffReasons === undefined ? {} : { diffReasons: [...step.diffReasons].sort() }),
  ...(step.replaceReasons === undefined ? {} : { replaceReasons: [...step.replaceReasons].sort() }),
});
const byUrn = (a: StepDigest, b: StepDigest): number => (a.urn < b.urn ? -1 : 1);

function resourcesOf(file: string): readonly ResourceJson[] {
  const state = JSON.parse(readFileSync(file, "utf8")) as {
    readonly checkpoint: { readonly latest: { readonly resources: readonly ResourceJson[] } };
  };
  // Lists of dependencies have no order.
  return state.checkpoint.latest.resources
    .map((one) => ({ ...one, dependencies: [...((one["dependencies"] ?? []) as string[])].sort() }))
    .sort((a, b) => (a.urn < b.urn ? -1 : 1));
}

describe("a state that the Pulumi CLI wrote", () => {
  test("needs no change", async () => {
    using state = new CliState();
    const { result } = await state.run("preview", 1);
    expect(result.changes).toEqual({ same: 13 });
  });

  test("is the same state, field by field and secret by secret, after an up without changes", async () => {
    using state = new CliState();
    const { result } = await state.run("up", 1);
    expect(result.changes).toEqual({ same: 13 });
    expect(resourcesOf(state.file)).toEqual(resourcesOf(join(DATA, "exchange.checkpoint.json")));
  });

  test("is changed by the same steps, for the same reasons, as the CLI proposes", async () => {
    using state = new CliState();
    const { result, events } = await state.run("preview", 2);
    const written = JSON.parse(readFileSync(join(DATA, "exchange-step2.preview.json"), "utf8")) as {
      readonly changeSummary: Readonly<Record<string, number>>;
      readonly steps: readonly StepDigest[];
    };
    expect(result.changes).toEqual(written.changeSummary);
    const proposed = events
      .flatMap((event) => (event.kind === "step" ? [event.step] : []))
      .filter((step) => !step.hidden && !step.part && step.operation !== "same")
      .map(digest);
    const wanted = written.steps.filter((step) => step.op !== "same").map(sorted);
    expect([...proposed].sort(byUrn)).toEqual([...wanted].sort(byUrn));
  });
});
