import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadStackFile } from "../../config/load.ts";
import type { StackConfig } from "../../config/schema.ts";
import { daemonVersion, ensureDaemon } from "../../rehearsal/daemon.ts";
import type { WorldPlan } from "../../rehearsal/plan.ts";
import { registryReachable } from "../../rehearsal/registry.ts";
import { RehearsalError } from "../../rehearsal/trouble.ts";
import type { UpOptions, World } from "../../rehearsal/world.ts";
import { findWorld, stackSpec, up } from "../../rehearsal/world.ts";
import { ask, TerminalProgress } from "./terminal.ts";

/** Options that every verb takes. */
export interface Globals {
  readonly stack: string;
  readonly world?: string | undefined;
  readonly json?: true | undefined;
  readonly yes?: true | undefined;
  readonly standIns?: true | undefined;
}

/** What every verb works with. */
export class Context {
  readonly globals: Globals;
  readonly packageDirectory = join(dirname(fileURLToPath(import.meta.url)), "../../..");
  readonly progress = new TerminalProgress();

  constructor(globals: Globals) {
    this.globals = globals;
  }

  get world(): string {
    return this.globals.world ?? this.globals.stack;
  }

  get stateDirectory(): string {
    return join(this.packageDirectory, ".heatwave");
  }

  loadStack(): StackConfig {
    return loadStackFile(this.packageDirectory, this.globals.stack);
  }

  readonly confirm = (question: string): Promise<boolean> => ask(question, this.globals.yes === true);

  async up(): Promise<World> {
    // The file first: what is wrong in it needs no Docker to be told.
    const stack = this.loadStack();
    const { stateDirectory, confirm, progress } = this;
    await ensureDaemon({ stateDirectory, confirm, progress });
    const registry = this.globals.standIns !== true && (await registryReachable(stack.images.haproxy));
    const options: UpOptions = {
      world: this.world,
      stack,
      packageDirectory: this.packageDirectory,
      progress,
      confirm,
      registry,
    };
    return up(options);
  }

  /**
   * The plan of the world that is there.
   * @throws {RehearsalError} when there is none
   */
  async existing(): Promise<WorldPlan> {
    const missing = (why: string) =>
      new RehearsalError(`There is no world "${this.world}"`, why, `bin/rehearse up${this.suffix()}`);
    if ((await daemonVersion()) === undefined) throw missing("no Docker daemon answers");
    const plan = await findWorld(this.world, stackSpec(this.loadStack()));
    if (plan === undefined) throw missing("no network of that name exists");
    return plan;
  }

  /** The options that a next command needs to mean the same world. */
  suffix(): string {
    const { stack, world } = this.globals;
    return `${stack === "production" ? "" : ` --stack ${stack}`}${world === undefined ? "" : ` --world ${world}`}`;
  }
}
