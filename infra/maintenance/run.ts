import { randomBytes } from "node:crypto";
import { Ledger } from "../runbooks/execute/ledger.ts";
import { takeLocks } from "../runbooks/execute/locks.ts";
import type { LedgerEntry } from "../runbooks/observe/observation.ts";
import type { Stack } from "../runbooks/observe/observe.ts";
import { hostOf } from "../runbooks/observe/observe.ts";
import { RunbookError } from "../runbooks/runbook-error.ts";
import { act } from "./act.ts";
import { carryOut } from "./carry-out.ts";
import type { TaskEvent } from "./carry-out.ts";
import type { Declared } from "./declared.ts";
import { look } from "./observe.ts";
import { planDown } from "./plan-down.ts";
import { planUp } from "./plan-up.ts";
import { kamalProxy } from "./proxy.ts";
import type { Seen } from "./seen.ts";
import { statusOf } from "./status.ts";
import type { Status } from "./status.ts";
import type { Plan } from "./task.ts";

/** One run of `up` or `down`: look, check, ask, lock, look again, note, do, note, unlock. */

export interface MaintenanceIo {
  readonly stack: Stack;
  /** Undefined where the stack file has none. */
  readonly declared: Declared | undefined;
  /** user@machine and process id. */
  readonly who: string;
  /** `.heatwave` of the checkout: the ledger's copy lies there. */
  readonly stateDirectory: string;
  readonly stopped: () => boolean;
  readonly report: (event: TaskEvent) => void;
  /** Shows what will be done. @throws {RunbookError} refused */
  readonly confirm: (plan: Plan) => Promise<void>;
}

export interface MaintenanceEnd {
  readonly verb: Verb;
  /** `nothing`: all was so already. */
  readonly result: "done" | "nothing" | "attention";
  readonly failed: readonly { readonly host: string; readonly why: string }[];
  /** What is left as it is on purpose, in words. */
  readonly left: readonly string[];
  readonly maintenance: Status;
}

export type Verb = "up" | "down";

/** Verbs of these runs in locks and ledger begin so. */
const RUN = "maintenance-";

/** What is in force. */
export async function status(stack: Stack, declared: Declared | undefined): Promise<Status> {
  return statusOf(await look(stack, declared, kamalProxy), declared, kamalProxy);
}

/**
 * Opens or ends a window, as far as its hosts can be reached; the same call again does the rest.
 * @throws {RunbookError} refused, before anything was begun
 */
export async function runMaintenance(io: MaintenanceIo, verb: Verb): Promise<MaintenanceEnd> {
  const { stack, declared } = io;
  const id = runId();
  const since = now();
  const planOf = (seen: Seen): Plan => {
    if (verb === "down") return planDown(seen, declared, kamalProxy);
    if (declared === undefined) throw new RunbookError("usage", "the stack file has no heatwave:maintenance");
    return planUp(seen, declared, kamalProxy, { id, who: io.who, since });
  };
  const first = await look(stack, declared, kamalProxy);
  const takeOver = deadLocks(first);
  const plan = demand(planOf(first), first);
  const interrupted = first.ledger.filter((entry) => entry.ended === null && entry.verb.startsWith(RUN));
  if (plan.tasks.length === 0 && takeOver.size === 0 && interrupted.length === 0)
    return ended(verb, plan, [], statusOf(first, declared, kamalProxy), false);
  if (plan.tasks.length > 0) await io.confirm(plan);
  const locks = await takeLocks({
    lock: { stack: stack.name, verb: `${RUN}${verb}`, id, who: io.who, since, token: id },
    hosts: first.hosts.filter((host) => host.silent === null).map((host) => hostOf(stack, host.name)),
    takeOver,
  });
  const loose: string[] = [];
  let failed: MaintenanceEnd["failed"] = [];
  let again = plan;
  try {
    // What was true before the lock may not be true any more; what was not locked is not touched.
    const seen = await look(stack, declared, kamalProxy);
    const locked = new Set(locks.hosts.map(({ name }) => name));
    const planned = demand(planOf(seen), seen);
    again = { ...planned, tasks: planned.tasks.filter((task) => locked.has(task.host)) };
    const ledger = new Ledger(stack.name, locks.hosts, io.stateDirectory);
    const entry = beginning(verb, id, io.who, since);
    loose.push(...(await ledger.append(entry)));
    const carried = await carryOut(again.tasks, {
      act: (task) =>
        act(task.action, { host: hostOf(stack, task.host), proxy: kamalProxy, token: locks.token }),
      report: io.report,
      stopped: io.stopped,
    });
    ({ failed } = carried);
    // The hosts' notes say what is open, so a run always ends in the ledger; so do those that were killed before it.
    const result = failed.length + again.silent.length === 0 ? "done" : "attention";
    for (const one of interrupted)
      await ledger.append({ ...one, ended: now(), result: "attention", message: `went on as ${id}` });
    loose.push(
      ...(await ledger.append({
        ...entry,
        ended: now(),
        result,
        phases: carried.phases,
        ...(result === "done" ? {} : { message: failed.concat(again.silent).map(line).join("; ") }),
      })),
    );
  } finally {
    loose.push(...(await locks.release()));
  }
  const after = await status(stack, declared);
  return ended(verb, { ...again, left: [...again.left, ...loose] }, failed, after, again.tasks.length > 0);
}

function ended(
  verb: Verb,
  { silent, left }: Plan,
  failed: MaintenanceEnd["failed"],
  maintenance: Status,
  changed: boolean,
): MaintenanceEnd {
  const all = [...failed, ...silent];
  return {
    verb,
    result: all.length > 0 ? "attention" : changed ? "done" : "nothing",
    failed: all,
    left,
    maintenance,
  };
}

const line = ({ host, why }: { readonly host: string; readonly why: string }): string => `${host}: ${why}`;

/** @throws {RunbookError} refused */
function demand(plan: Plan, seen: Seen): Plan {
  if (plan.objections.length > 0) throw new RunbookError("refused", plan.objections.join("\n  "));
  const [silent] = seen.hosts;
  if (silent !== undefined && seen.hosts.every((host) => host.silent !== null))
    throw new RunbookError("refused", `no host can be asked: ${silent.name}: ${silent.silent ?? ""}`);
  return plan;
}

/**
 * Locks of maintenance runs that died: what they did is in the notes, so this run goes on in their place.
 * @throws {RunbookError} refused, where another runbook's is there
 */
function deadLocks(seen: Seen): ReadonlyMap<string, string> {
  const locks = seen.hosts.flatMap((host) => (host.lock === null ? [] : [{ on: host.name, ...host.lock }]));
  const foreign = locks.find((lock) => lock.alive || !lock.verb.startsWith(RUN));
  if (foreign !== undefined)
    throw new RunbookError(
      "refused",
      `${foreign.on} is locked by ${foreign.verb} (${foreign.who}, since ${foreign.since})${foreign.alive ? "" : ", whose controller is gone"}`,
      foreign.alive
        ? `wait for its end: bin/recovery ${seen.stack} topology --watch`
        : `bin/recovery ${seen.stack} resume`,
    );
  return new Map(locks.map((lock) => [lock.on, lock.token]));
}

function beginning(verb: Verb, id: string, who: string, started: string): LedgerEntry {
  return {
    id,
    verb: `${RUN}${verb}`,
    who,
    started,
    ended: null,
    result: null,
    from: null,
    to: null,
    epochs: null,
    timelines: null,
    lsns: null,
    phases: {},
  };
}

const now = (): string => new Date().toISOString();

/** Sortable by time. */
function runId(): string {
  return `${now().replaceAll(/[-:]|\..*/g, "")}-${randomBytes(3).toString("hex")}`;
}
