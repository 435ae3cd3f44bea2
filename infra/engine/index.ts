import { availableParallelism } from "node:os";

import { destroyAll } from "./deletes.ts";
import { EngineError } from "./engine-error.ts";
import type { Listener, Operation, Summary } from "./events.ts";
import { Journal } from "./journal.ts";
import { runProgram } from "./program-run.ts";
import { recoverPending } from "./recover.ts";
import { ProviderRegistry } from "./provider-registry.ts";
import type { ProviderPackage } from "./providers/provider.ts";
import { refreshAll } from "./refresh.ts";
import { Run } from "./run.ts";
import { openBackend, openSession } from "./session.ts";
import type { Session } from "./session.ts";
import { STACK_TYPE } from "./urn.ts";
import type { ValueMap } from "./values.ts";

export type { EngineEvent, Listener, Operation, Severity, Step, Summary } from "./events.ts";
export { EngineError, NoSuchStackError } from "./engine-error.ts";
export { LockedError } from "./backend.ts";
export { WrongPassphraseError } from "./secrets.ts";

export type Command = "preview" | "up" | "refresh" | "destroy";

export interface EngineOptions {
  readonly command: Command;
  /** Folder of Pulumi.yaml, or one below it. */
  readonly cwd: string;
  /** Name of the stack, e.g. `production`. */
  readonly stack: string;
  /** What the engine can make; the package's own registry is in `providers/index.ts`. */
  readonly packages: readonly ProviderPackage[];
  /**
   * Environment of the program, and where PULUMI_BACKEND_URL, PULUMI_CONFIG_PASSPHRASE(_FILE) and HEATWAVE_OVERLAY
   * are read.
   * @default process.env
   */
  readonly env?: NodeJS.ProcessEnv;
  /** Provider calls at once. @default 4 × CPUs */
  readonly parallel?: number;
  readonly onEvent?: Listener;
  /** URNs, or globs of them (`*` stops at a colon, `**` does not), of resources that stay as they are. */
  readonly exclude?: readonly string[];
  /** Leaves what depends on the excluded ones as it is, too. @default false */
  readonly excludeDependents?: boolean;
  /** Runs the program for a destroy too, so that it answers the hooks around deletions. @default false */
  readonly runProgram?: boolean;
  /** Starts no further steps and lets running ones finish. */
  readonly stop?: AbortSignal;
  /** Tells running provider calls to end as well. */
  readonly cancel?: AbortSignal;
}

export interface Result extends Summary {
  /** The stack's outputs as they are (or, after a preview, would be); secrets are `Secret`. */
  readonly outputs: ValueMap;
  /** The stack's outputs as the state had them before. */
  readonly outputsBefore: ValueMap;
}

/**
 * Runs one command of the embedded engine on a stack. Failures of resources or of the program are reported as
 * events, and the result says so.
 * @throws EngineError (NoSuchStackError among them), LockedError or WrongPassphraseError when the stack cannot be opened at all.
 */
export async function runEngine(options: EngineOptions): Promise<Result> {
  const start = performance.now();
  const env = options.env ?? process.env;
  const preview = options.command === "preview";
  const session = await openSession({
    cwd: options.cwd,
    stack: options.stack,
    env,
    writes: !preview,
    needsConfig: runsProgram(options),
  });
  const lock = preview ? undefined : await session.backend.lock();
  try {
    // Read again under the lock: another run may have ended between the first look and the lock.
    const locked = preview ? session : await reopen(session, options, env);
    if (!preview) await locked.backend.prepare();
    return await runLocked(options, env, locked, start, lock?.broken ?? []);
  } finally {
    await lock?.release();
  }
}

function runsProgram({ command, runProgram: asked }: EngineOptions): boolean {
  return command === "preview" || command === "up" || (command === "destroy" && asked === true);
}

async function reopen(session: Session, options: EngineOptions, env: NodeJS.ProcessEnv): Promise<Session> {
  const text = await session.backend.read();
  if (text === session.text) return session;
  return openSession({ cwd: options.cwd, stack: options.stack, env, writes: true, needsConfig: true });
}

async function runLocked(
  options: EngineOptions,
  env: NodeJS.ProcessEnv,
  session: Session,
  start: number,
  brokenLocks: readonly string[],
): Promise<Result> {
  const preview = options.command === "preview";
  const destroys = options.command === "destroy";
  const { checkpoint, backend, project, config } = session;
  const save = preview ? undefined : (text: string): Promise<void> => backend.write(text);
  const journal = new Journal(checkpoint.resources, checkpoint.pendingOperations, session.writer, save);
  const registry = new ProviderRegistry(options.packages, checkpoint.resources);
  const parallel = options.parallel ?? 4 * availableParallelism();
  const run = new Run(
    {
      preview,
      destroys,
      parallel,
      stack: options.stack,
      project: project.name,
      programDirectory: project.programDirectory,
      exclude: options.exclude ?? [],
      excludeDependents: options.excludeDependents ?? false,
    },
    journal,
    registry,
    session.mask,
    options.onEvent ?? (() => undefined),
  );
  const listening = listen(run, options);
  run.emit({ kind: "prelude", config: maskedConfig(session) });
  for (const lock of brokenLocks)
    run.diagnose("warning", `removed a lock whose process has ended on this machine: ${lock}`);
  const startTime = new Date();
  try {
    if (preview) warnOfPending(run, session);
    else await recoverPending(run, checkpoint.pendingOperations);
    if (options.command === "refresh") await refreshAll(run, journal.resources());
    else if (runsProgram(options)) await runProgram(run, session, { env, parallel, config, destroys });
    else await destroyAll(run, journal.resources(), false);
    if (!preview) await journal.flush();
  } catch (error) {
    run.fail(error);
  } finally {
    await registry.close();
    listening();
  }
  const seconds = (performance.now() - start) / 1000;
  const summary: Summary = {
    preview,
    succeeded: !run.failed,
    seconds,
    changes: run.changes,
    failures: run.failures,
  };
  if (!preview) await recordHistory(options.command, session, journal, summary, startTime);
  run.emit({ kind: "summary", summary });
  return {
    ...summary,
    outputs: outputsOf(journal.resources()),
    outputsBefore: outputsOf(checkpoint.resources),
  };
}

function listen(run: Run, options: EngineOptions): () => void {
  const stop = (): void =>
    run.stop("stopped before the end; what was running is finished, and up goes on from here");
  const cancel = (): void => run.cancel();
  if (options.stop?.aborted === true) stop();
  options.stop?.addEventListener("abort", stop);
  options.cancel?.addEventListener("abort", cancel);
  return () => {
    options.stop?.removeEventListener("abort", stop);
    options.cancel?.removeEventListener("abort", cancel);
  };
}

function warnOfPending(run: Run, session: Session): void {
  const list = session.checkpoint.pendingOperations.map(
    ({ resource, type }) => `  * ${type} ${resource.urn}`,
  );
  if (list.length === 0) return;
  run.diagnose(
    "warning",
    `an earlier run was killed in the middle of ${list.length} operation(s), which may have happened or not; up looks at the hosts first and clears them up:\n${list.join("\n")}`,
  );
}

function maskedConfig(session: Session): Readonly<Record<string, string>> {
  const secret = new Set(session.config.secretKeys);
  return Object.fromEntries(
    Object.entries(session.config.values).map(([key, value]) => [key, secret.has(key) ? "[secret]" : value]),
  );
}

function outputsOf(resources: Session["checkpoint"]["resources"]): ValueMap {
  return resources.find((resource) => resource.type === STACK_TYPE)?.outputs ?? {};
}

const HISTORY_KIND: Readonly<Record<Command, string>> = {
  preview: "preview",
  up: "update",
  refresh: "refresh",
  destroy: "destroy",
};

async function recordHistory(
  command: Command,
  session: Session,
  journal: Journal,
  summary: Summary,
  startTime: Date,
): Promise<void> {
  const seconds = (date: Date): number => Math.floor(date.getTime() / 1000);
  const changes: Partial<Record<Operation, number>> = summary.changes;
  await session.backend.recordHistory(
    {
      kind: HISTORY_KIND[command],
      startTime: seconds(startTime),
      message: "",
      environment: {},
      config: {},
      version: 0,
      result: summary.succeeded ? "succeeded" : "failed",
      endTime: seconds(new Date()),
      resourceChanges: changes,
    },
    journal.text(),
  );
}

/**
 * The outputs that the state records for a stack; secrets are `Secret`.
 * @throws EngineError when the stack has no state.
 */
export async function stackOutputs(options: Pick<EngineOptions, "cwd" | "stack" | "env">): Promise<ValueMap> {
  const env = options.env ?? process.env;
  const session = await openSession({
    cwd: options.cwd,
    stack: options.stack,
    env,
    writes: false,
    needsConfig: false,
  });
  if (session.text === undefined) {
    throw new EngineError(
      `stack ${JSON.stringify(options.stack)} has no state in ${session.backend.stateFile}; run up first`,
    );
  }
  return outputsOf(session.checkpoint.resources);
}

/** Removes the stack's locks; gives what they said. For use after a run was killed. */
export async function cancelLocks(
  options: Pick<EngineOptions, "cwd" | "stack" | "env">,
): Promise<readonly string[]> {
  return openBackend({ ...options, env: options.env ?? process.env }).cancel();
}
