import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { loadStackFile } from "../../config/load.ts";
import type { StackConfig } from "../../config/schema.ts";
import { daemonVersion, ensureDaemon } from "../../rehearsal/daemon.ts";
import { parseDiskSize } from "../../rehearsal/disk.ts";
import type { WorldPlan } from "../../rehearsal/plan.ts";
import { registryReachable } from "../../rehearsal/registry.ts";
import { RehearsalError } from "../../rehearsal/trouble.ts";
import type { UpOptions, World } from "../../rehearsal/world.ts";
import { findWorld, stackSpec, up } from "../../rehearsal/world.ts";
import { sameWorld } from "./hints.ts";
import { ask, TerminalProgress } from "./terminal.ts";

/** Options that every verb takes. */
export interface Globals {
  readonly stack?: string | undefined;
  readonly configFile?: string | undefined;
  readonly world?: string | undefined;
  readonly json?: true | undefined;
  readonly yes?: true | undefined;
  readonly standIns?: true | undefined;
}

/** What every verb works with. */
export class Context {
  readonly globals: Globals;
  readonly packageDirectory = join(dirname(fileURLToPath(import.meta.url)), "../../..");
  readonly progress = new TerminalProgress((text) => this.hint(text));

  readonly stack: string;
  /** Folder of the stack file. */
  readonly stackDirectory: string;

  /** @throws {RehearsalError} when `--config-file` is no stack file, or another stack's */
  constructor(globals: Globals) {
    this.globals = globals;
    const { configFile } = globals;
    const named =
      configFile === undefined ? undefined : /^Pulumi\.(.+)\.yaml$/.exec(basename(configFile))?.[1];
    if (configFile !== undefined && (named === undefined || named !== (globals.stack ?? named))) {
      throw new RehearsalError(
        `--config-file ${configFile} cannot be used`,
        `its name must be Pulumi.${globals.stack ?? "<stack>"}.yaml, since a stack is known by its file's name`,
        "rename the file, or leave --stack out",
      );
    }
    this.stack = globals.stack ?? named ?? "production";
    this.stackDirectory =
      configFile === undefined ? this.packageDirectory : resolve(this.packageDirectory, dirname(configFile));
  }

  get world(): string {
    return this.globals.world ?? this.stack;
  }

  /** Absolute path of the stack file. */
  get stackFile(): string {
    return join(this.stackDirectory, `Pulumi.${this.stack}.yaml`);
  }

  get stateDirectory(): string {
    return join(this.packageDirectory, ".heatwave");
  }

  loadStack(): StackConfig {
    return loadStackFile(this.stackDirectory, this.stack);
  }

  readonly confirm = (question: string): Promise<boolean> => ask(question, this.globals.yes === true);

  /** @param size of a disk of each host's own, as a reader writes it */
  async up(size?: string): Promise<World> {
    const disk = size === undefined ? undefined : parseDiskSize(size);
    // The file first: what is wrong in it needs no Docker to be told.
    const stack = this.loadStack();
    const { stateDirectory, confirm, progress } = this;
    await ensureDaemon({ stateDirectory, confirm, progress });
    const registry = this.globals.standIns !== true && (await registryReachable(stack.images.haproxy));
    const options: UpOptions = {
      world: this.world,
      stack,
      packageDirectory: this.packageDirectory,
      stackFile: this.stackFile,
      progress,
      confirm,
      registry,
      disk,
    };
    return up(options);
  }

  /**
   * The plan of the world that is there.
   * @throws {RehearsalError} when there is none
   */
  async existing(): Promise<WorldPlan> {
    const missing = (why: string) =>
      new RehearsalError(`There is no world "${this.world}"`, why, "bin/rehearse up");
    if ((await daemonVersion()) === undefined) throw missing("no Docker daemon answers");
    const plan = await findWorld(this.world, stackSpec(this.loadStack()));
    if (plan === undefined) throw missing("no network of that name exists");
    return plan;
  }

  /** A text whose `bin/rehearse` commands mean this world. */
  hint(text: string): string {
    return sameWorld(text, this.globals);
  }
}
