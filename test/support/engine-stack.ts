import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { runEngine } from "../../infra/engine/index.ts";
import type { Command, EngineEvent, EngineOptions, Result } from "../../infra/engine/index.ts";
import { FakeCloud } from "./fake-package.ts";

const SCENARIOS = join(import.meta.dirname, "..", "engine", "programs", "scenarios");

export interface RunOutcome {
  readonly result: Result;
  readonly events: readonly EngineEvent[];
  /** `operation name` of each counted or hidden step that ended, `same` left out. */
  readonly steps: readonly string[];
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  /** What the cloud did during this run. */
  readonly log: readonly string[];
}

/** A resource as the state file has it. */
export type StoredJson = Readonly<Record<string, unknown>> & { readonly urn: string; readonly type: string };

/** One stack of the scenario program, with a cloud and a state of its own. */
export class EngineStack implements AsyncDisposable {
  readonly cloud: FakeCloud;
  readonly directory: string;
  readonly #scenario: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(scenario: string, directory: string, cloud: FakeCloud, env: NodeJS.ProcessEnv) {
    this.#scenario = scenario;
    this.directory = directory;
    this.cloud = cloud;
    this.#env = env;
  }

  static async open(
    scenario: string,
    options: { readonly cloud?: FakeCloud; readonly env?: NodeJS.ProcessEnv } = {},
  ): Promise<EngineStack> {
    const directory = await mkdtemp(join(tmpdir(), "heatwave-engine-"));
    return new EngineStack(scenario, directory, options.cloud ?? new FakeCloud(), options.env ?? {});
  }

  options(command: Command, step: number): EngineOptions {
    return {
      command,
      cwd: SCENARIOS,
      stack: "dev",
      packages: [this.cloud],
      parallel: 8,
      env: {
        PATH: process.env["PATH"],
        HOME: process.env["HOME"],
        NODE_COMPILE_CACHE: join(tmpdir(), "heatwave-engine-tests"),
        PULUMI_BACKEND_URL: `file://${this.directory}`,
        PULUMI_CONFIG_PASSPHRASE: "correct horse",
        SCENARIO: this.#scenario,
        STEP: String(step),
        ...this.#env,
      },
    };
  }

  async run(command: Command, step = 1, more: Partial<EngineOptions> = {}): Promise<RunOutcome> {
    const events: EngineEvent[] = [];
    const before = this.cloud.log.length;
    const options = { ...this.options(command, step), ...more };
    const result = await runEngine({ ...options, onEvent: (event) => events.push(event) });
    const diagnostics = events.filter((event) => event.kind === "diagnostic");
    return {
      result,
      events,
      steps: events
        .filter((event) => event.kind === "done" && event.step.operation !== "same")
        .map((event) => (event.kind === "done" ? `${event.step.operation} ${nameOf(event.step.urn)}` : "")),
      errors: diagnostics.filter((one) => one.severity === "error").map((one) => one.message),
      warnings: diagnostics.filter((one) => one.severity === "warning").map((one) => one.message),
      log: this.cloud.log.slice(before),
    };
  }

  get stateFile(): string {
    return join(this.directory, ".pulumi", "stacks", "scenarios", "dev.json");
  }

  async stateText(): Promise<string> {
    return readFile(this.stateFile, "utf8");
  }

  async latest(): Promise<Readonly<Record<string, unknown>>> {
    const file = JSON.parse(await this.stateText()) as { checkpoint: { latest: Record<string, unknown> } };
    return file.checkpoint.latest;
  }

  async resources(): Promise<readonly StoredJson[]> {
    return ((await this.latest())["resources"] ?? []) as readonly StoredJson[];
  }

  /** One resource of the state by its name. */
  async resource(name: string): Promise<StoredJson | undefined> {
    return (await this.resources()).find((one) => nameOf(one.urn) === name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}

export const nameOf = (urn: string): string => urn.split("::").at(-1) ?? "";
