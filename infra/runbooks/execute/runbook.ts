import { randomBytes } from "node:crypto";
import { judge } from "../judge.ts";
import type { LedgerEntry, Observation } from "../observe/observation.ts";
import { doubt } from "../observe/doubts.ts";
import { hostOf, observe } from "../observe/observe.ts";
import type { Look, Stack } from "../observe/observe.ts";
import { planResume } from "../plan/resume.ts";
import type { Check, Plan, Planned, Step } from "../plan/step.ts";
import { objections } from "../plan/step.ts";
import { RunbookError } from "../runbook-error.ts";
import { Actions } from "./actions.ts";
import { Ledger } from "./ledger.ts";
import { LockDoors } from "./lock-doors.ts";
import { takeLocks } from "./locks.ts";
import type { Locks } from "./locks.ts";
import { runSteps } from "./run-steps.ts";
import type { Outcome, StepEvent } from "./run-steps.ts";

/** One run of a runbook: look, check, ask, lock, look again, note, do, note, unlock. */

/** Milliseconds for the locks after which a silent host is asked once more: an `up` may have been waited for. */
const STALE_MS = 1000;

export interface RunbookIo {
  readonly stack: Stack;
  /** user@machine and process id. */
  readonly who: string;
  /** `.heatwave` of the checkout: the ledger's copy lies there. */
  readonly stateDirectory: string;
  /** True when the operator wants out. */
  readonly stopped: () => boolean;
  readonly onChecks: (checks: readonly Check[]) => void;
  readonly onStep: (event: StepEvent) => void;
  /** What a step has to say while it runs. */
  readonly onLine?: ((line: string) => void) | undefined;
  /** Awaited before each step: a drill breaks something there. */
  readonly beforeStep?: ((step: Step) => Promise<void>) | undefined;
  /** Shows what a plan will do and cost; gives what was accepted in words, undefined where nothing is. @throws {RunbookError} refused */
  readonly confirm: (plan: Plan, seen: Observation) => Promise<string | undefined>;
}

export interface RunbookEnd {
  readonly entry: LedgerEntry;
  readonly outcome: Outcome;
  /** What could not be written or given back, in words. */
  readonly loose: readonly string[];
  /** Site that the stack file declares by now, where that changed. */
  readonly declared?: string;
}

/**
 * Runs what `planWith` makes of the stack as it is; `id` is the run's.
 * @param look how it is looked at once more under the locks
 * @throws {RunbookError} refused, before anything was begun
 */
export async function runRunbook(
  io: RunbookIo,
  planWith: (seen: Observation, id: string) => Planned,
  look: Pick<Look, "brief"> = {},
): Promise<RunbookEnd> {
  const doors = LockDoors.open([...io.stack.hosts.values()]);
  try {
    return await runLocked(io, planWith, doors, look);
  } finally {
    doors.close();
  }
}

async function runLocked(
  io: RunbookIo,
  planWith: (seen: Observation, id: string) => Planned,
  doors: LockDoors,
  look: Pick<Look, "brief">,
): Promise<RunbookEnd> {
  const { stack } = io;
  const id = runId();
  const plan = (seen: Observation): Planned => planWith(seen, id);
  const first = await observe(stack);
  demandNoRun(first, stack.name);
  const agreed = demand(plan(first), io);
  const accepted = await io.confirm(agreed, first);
  // Writes may be waiting from here on: a dead host is not waited for, and asked while the locks are taken.
  const silent = new Set(first.hosts.filter((host) => host.unreachable !== null).map((host) => host.name));
  const asked = performance.now();
  const doubts = doubt(stack, silent);
  const locks = await takeLocks({
    lock: { stack: stack.name, verb: agreed.verb, id, who: io.who, since: now(), token: id },
    hosts: reachable(stack, first),
    doors,
  });
  let kept = false;
  try {
    // What was true before the lock may not be true any more.
    const stale = performance.now() - asked > STALE_MS;
    const seen = await observe(stack, { ...look, doubts: stale ? doubt(stack, silent) : doubts });
    const again = plan(seen);
    if (!again.ok) throw new RunbookError("refused", objections(again.checks).join("; "), again.next);
    const entry = beginning(again.plan, id, io.who, accepted);
    const ledger = new Ledger(stack.name, locks.hosts, io.stateDirectory);
    const unwritten = await ledger.append(entry);
    if (unwritten.length === locks.hosts.length + 1)
      throw new RunbookError("refused", `the ledger cannot be written anywhere: ${unwritten.join("; ")}`);
    const end = await carryOut(io, { kind: "finish", steps: again.plan.steps }, entry, ledger);
    kept = end.outcome.result === "attention";
    return { ...end, loose: [...unwritten, ...end.loose, ...(kept ? [] : await locks.release())] };
  } finally {
    if (!kept) await locks.release();
  }
}

/**
 * Ends what a dead controller left.
 * @returns undefined when there is nothing to resume
 * @throws {RunbookError} refused, when its controller lives or it cannot be decided from here
 */
export async function runResume(io: Omit<RunbookIo, "confirm">): Promise<RunbookEnd | undefined> {
  const { stack } = io;
  const seen = await observe(stack);
  const locks = seen.hosts.flatMap((host) => host.lock ?? []);
  const living = locks.find((lock) => lock.alive);
  if (living !== undefined)
    throw new RunbookError(
      "refused",
      `${living.verb} is running (${living.who}, since ${living.since})`,
      `bin/recovery ${stack.name} topology --watch`,
    );
  const dead = locks[0];
  const open = seen.ledger.find((entry) => entry.id === dead?.id) ?? seen.unfinished[0];
  if (dead === undefined && open === undefined) return undefined;
  const id = runId();
  const taken = await takeLocks({
    lock: {
      stack: stack.name,
      verb: "resume",
      id: dead?.id ?? open?.id ?? id,
      who: io.who,
      since: now(),
      token: id,
    },
    hosts: reachable(stack, seen),
    takeOver: new Map(locks.map((lock) => [lock.host, lock.token])),
  });
  let kept = false;
  try {
    const end = await resumeUnderLock(io, taken, open);
    kept = end?.outcome.result === "attention";
    return end;
  } catch (error) {
    // Nothing was decided: the lock stays as the sign that something is open.
    kept = true;
    throw error;
  } finally {
    if (!kept) await taken.release();
  }
}

async function resumeUnderLock(
  io: Omit<RunbookIo, "confirm">,
  locks: Locks,
  open: LedgerEntry | undefined,
): Promise<RunbookEnd | undefined> {
  // Locked, and never written down: nothing was begun. Ended, and not unlocked: nothing is left.
  if (open === undefined || open.ended !== null) return undefined;
  const seen = await observe(io.stack);
  const resumption = planResume(seen, open);
  if (resumption.kind === "stuck") throw new RunbookError("attention", resumption.why, resumption.next);
  io.onChecks([
    {
      title: `${resumption.why}: ${resumption.kind === "finish" ? "what is left is done" : "it is taken back"}`,
      objection: undefined,
    },
  ]);
  const ledger = new Ledger(io.stack.name, locks.hosts, io.stateDirectory);
  return carryOut(io, resumption, open, ledger);
}

async function carryOut(
  io: Omit<RunbookIo, "confirm">,
  { kind, steps }: { readonly kind: "finish" | "undo"; readonly steps: readonly Step[] },
  entry: LedgerEntry,
  ledger: Ledger,
): Promise<RunbookEnd> {
  const actions = new Actions(io.stack, io.onLine);
  const walked = await runSteps(steps, {
    act: (action, seconds) => actions.act(action, seconds),
    happened: (step) => happened(actions, step),
    report: io.onStep,
    stopped: io.stopped,
    ...(io.beforeStep === undefined ? {} : { before: io.beforeStep }),
  }).finally(() => actions.close());
  const outcome = kind === "undo" ? takenBack(walked) : walked;
  const ended: LedgerEntry = {
    ...entry,
    // Halfway: the run stays open, so that resume finds it.
    ended: outcome.result === "attention" ? null : now(),
    result: outcome.result,
    timelines: entry.timelines && { ...entry.timelines, after: actions.learned.timeline },
    lsns: {
      shutdown: actions.learned.shutdown ?? entry.lsns?.shutdown ?? null,
      replayed: actions.learned.replayed ?? entry.lsns?.replayed ?? null,
    },
    phases: { ...entry.phases, ...outcome.phases },
    ...(outcome.result === "done" ? {} : { message: messageOf(outcome) }),
    ...(actions.learned.notes.length === 0
      ? {}
      : { notes: [...(entry.notes ?? []), ...actions.learned.notes] }),
  };
  const loose = await ledger.append(ended);
  return { entry: ended, outcome, loose };
}

/** A resumption that undoes: what its steps may leave undone is that the old primary serves. */
function takenBack(walked: Outcome): Outcome {
  if (walked.result !== "done") return walked;
  const { warnings, phases } = walked;
  return {
    result: "aborted",
    why: "it was taken back",
    phases,
    ...(warnings.length === 0 ? {} : { unserved: warnings.join("; ") }),
  };
}

/** Whether a promotion happened, when its answer did not come. */
async function happened(actions: Actions, step: Step): Promise<boolean | undefined> {
  const { action } = step;
  if (action.do === "grant") {
    try {
      const { grant } = await actions.view(action.site);
      return grant?.epoch === action.grant.epoch && grant.state === action.grant.state;
    } catch {
      return undefined;
    }
  }
  if (action.do !== "order" || action.verb !== "promote") return undefined;
  try {
    const site = await actions.view(action.site);
    // In recovery still: the order may yet be carried out, and only a grant that is taken away stops that.
    return site.role === "primary" ? true : undefined;
  } catch {
    return undefined;
  }
}

function messageOf(outcome: Exclude<Outcome, { result: "done" }>): string {
  return outcome.result === "aborted" && outcome.unserved !== undefined
    ? `${outcome.why}; the old primary does not serve: ${outcome.unserved}`
    : outcome.why;
}

function demandNoRun(seen: Observation, stack: string): void {
  const [open] = judge(seen).filter(({ code }) => code === "interrupted" || code === "running");
  if (open !== undefined)
    throw new RunbookError("refused", open.text, open.next || `bin/recovery ${stack} topology`);
}

function demand(planned: Planned, io: RunbookIo): Plan {
  io.onChecks(planned.checks);
  if (planned.ok) return planned.plan;
  throw new RunbookError("refused", objections(planned.checks).join("; "), planned.next);
}

function reachable(stack: Stack, seen: Observation) {
  return seen.hosts.filter((host) => host.unreachable === null).map((host) => hostOf(stack, host.name));
}

function beginning(plan: Plan, id: string, who: string, accepted: string | undefined): LedgerEntry {
  return {
    id,
    verb: plan.verb,
    who,
    started: now(),
    ended: null,
    result: null,
    from: plan.from,
    to: plan.to,
    epochs: plan.epochs,
    timelines: { before: plan.timeline, after: null },
    lsns: null,
    phases: {},
    ...(accepted === undefined ? {} : { accepted }),
  };
}

const now = (): string => new Date().toISOString();

/** Sortable by time. */
function runId(): string {
  return `${now().replaceAll(/[-:]|\..*/g, "")}-${randomBytes(3).toString("hex")}`;
}
