import { knownOutputs } from "./component-outputs.ts";
import { deleteAll, destroyAll } from "./deletes.ts";
import { Monitor } from "./monitor.ts";
import { startProgram } from "./program.ts";
import { Registrar } from "./registrar.ts";
import type { Run } from "./run.ts";
import type { Session } from "./session.ts";
import type { Config } from "./stack-file.ts";
import { equal } from "./value-tools.ts";

export interface ProgramRunOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly parallel: number;
  readonly config: Config;
  /** Registers only, then deletes everything: the program answers the hooks around the deletions. @default false */
  readonly destroys?: boolean;
}

/** How long a program that was cut off may take to end by itself. */
const GRACE_MS = 3000;
/** The runner's exit code when it has already told the reader what went wrong. */
const REPORTED = 32;

/** Runs the program against the state; after a clean end, deletes what it no longer has. */
export async function runProgram(run: Run, session: Session, options: ProgramRunOptions): Promise<void> {
  const { project, stack } = session;
  const registrar = new Registrar(
    run,
    run.journal.resources(),
    options.config.values,
    options.config.secretKeys,
  );
  const monitor = new Monitor(run, registrar);
  try {
    const program = startProgram({
      project,
      stack,
      preview: run.options.preview,
      parallel: options.parallel,
      address: await monitor.listen(),
      config: options.config,
      env: options.env,
      // Cut off by a failed step, the SDK tells at length that its messages find no one; the cause is told already.
      onOutput: (line, stream) => run.diagnose(stream === "stderr" && run.stopped ? "debug" : "info", line),
    });
    const stopSoon = (): void => {
      const timer = setTimeout(() => program.stop(), GRACE_MS);
      timer.unref();
    };
    // Running steps are finished first; only then is the program, which waits for them, ended.
    let deletions: Promise<void> | undefined;
    const onStop = (): void => void Promise.allSettled([monitor.drain(), deletions]).then(stopSoon);
    if (run.stopped) onStop();
    run.stopSignal.addEventListener("abort", onStop);
    await Promise.race([monitor.shutdown, program.exit]);
    await monitor.drain();
    // The program waits meanwhile: deletions may have to call its hooks.
    if (monitor.shutdownSignalled && !run.stopped) {
      deletions = options.destroys === true ? destroyAll(run, run.journal.resources(), true) : prune(run);
      await deletions;
    }
    monitor.release();
    const code = await program.exit;
    run.stopSignal.removeEventListener("abort", onStop);
    await monitor.drain();
    if (run.stopped || (code === 0 && monitor.shutdownSignalled)) return;
    const isTold = run.failed || (monitor.programErrors > 0 && code === REPORTED);
    run.fail(isTold ? undefined : exitMessage(code));
  } finally {
    await setStackOutputs(run, monitor);
    run.hooks.close();
    monitor.close();
  }
}

/** Deletes what the program no longer has. */
async function prune(run: Run): Promise<void> {
  // What an excluded resource needs stays, also what this run has registered.
  const excluded = run.excludes.keptFrom(run.journal.resources());
  await deleteAll(
    run,
    run.journal.remaining().filter((resource) => !excluded.has(resource)),
  );
}

function exitMessage(code: number): Error {
  return new Error(
    code === 0
      ? "the program ended without telling the engine that it was complete; nothing was deleted"
      : `the program exited with code ${code}; nothing was deleted`,
  );
}

/** After a failure the outputs that the state had stay, with what the program got to export. */
async function setStackOutputs(run: Run, monitor: Monitor): Promise<void> {
  const outputs = monitor.stackOutputs;
  if (outputs === undefined || run.journal.get(monitor.rootUrn) === undefined) return;
  await run.journal.setOutputs(monitor.rootUrn, (resource) => {
    const known = run.options.preview ? outputs : knownOutputs(outputs, resource.outputs);
    const next = run.failed ? { ...resource.outputs, ...known } : known;
    return equal(resource.outputs, next, true) ? resource : { ...resource, outputs: next };
  });
}
