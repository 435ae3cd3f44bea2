import type { Declared } from "./declared.ts";
import { START_SECONDS } from "./declared.ts";
import { concerns } from "./plan-up.ts";
import type { ProxyAdapter } from "./proxy.ts";
import type { HostSeen, Recorded, Seen, Window } from "./seen.ts";
import { isUp, isWell, placeOf } from "./seen.ts";
import type { Plan, Task } from "./task.ts";

/**
 * What takes back exactly what the hosts' notes name: containers first, then, host by host, the proxy, and at last the
 * note. Needs nothing of the stack file, which may have changed meanwhile. Pure.
 */
export function planDown(seen: Seen, declared: Declared | undefined, proxy: ProxyAdapter): Plan {
  const plans = seen.hosts.map((host) => hostPlan(host, declared?.startSeconds ?? START_SECONDS, proxy));
  return {
    tasks: plans.flatMap(({ tasks }) => tasks),
    // A host that does not answer may hold a note.
    silent: seen.hosts.flatMap(({ name, silent }) =>
      silent === null || (declared !== undefined && !concerns(declared, name))
        ? []
        : [{ host: name, why: silent }],
    ),
    left: plans.flatMap(({ left }) => left),
    objections: [],
  };
}

interface HostPlan {
  readonly tasks: readonly Task[];
  readonly left: readonly string[];
}

function hostPlan(host: HostSeen, seconds: number, proxy: ProxyAdapter): HostPlan {
  const { window } = host;
  if (host.silent !== null || window === null) return { tasks: [], left: [] };
  const fates = window.containers.map((one) => ({ one, fate: fateOf(host, window, one) }));
  const served = new Set(window.proxy?.services.map(({ role }) => role));
  const start = fates.filter(({ fate }) => fate === "start").map(({ one }) => one);
  const lost = fates.filter(({ fate }) => fate === "lost").map(({ one }) => one);
  const isApp = ({ role }: Recorded): boolean => role !== "";
  const app = startTask(host, "start", start.filter(isApp), seconds);
  const extras = startTask(
    host,
    "start-others",
    start.filter((one) => !isApp(one)),
    seconds,
  );
  // Without anything behind it, the proxy had better go on with its 503.
  const gone = lost
    .filter(({ role }) => served.has(role))
    .map((one): Task => ({
      ...base(host, "start", `start ${one.name}`, `start ${one.name}`),
      action: {
        do: "fail",
        why: `the container is gone and nothing of role ${one.role} runs; deploy the app, then again`,
      },
    }));
  const needs = [...app, ...gone].map(({ id }) => id);
  const services = window.proxy?.services ?? [];
  // One that does not run, or cannot be asked, is told all the same: it would remember the 503.
  const told = host.proxy?.running === true && host.proxy.silent === null ? host.proxy.services : undefined;
  const resumes = services
    .filter(({ name }) => told === undefined || proxy.isStopped(told.get(name)))
    .map(({ name }): Task => ({
      ...base(
        host,
        "proxy-resume",
        `proxy-resume ${name}`,
        `${window.proxy?.container ?? ""} serves ${name} again`,
      ),
      action: { do: "proxy-resume", container: window.proxy?.container ?? "", service: name },
      needs,
    }));
  const before = [...app, ...extras, ...gone, ...resumes];
  const forget: Task = {
    ...base(host, "forget", "forget", "the window is over"),
    action: { do: "forget" },
    needs: before.map(({ id }) => id),
  };
  return {
    tasks: [...before, forget],
    left: [
      ...fates
        .filter(({ fate }) => fate === "replaced")
        .map(({ one }) => `${host.name}: ${one.name} was replaced by a newer one, and stays as it is`),
      ...lost
        .filter(({ role }) => !served.has(role))
        .map((one) => `${host.name}: ${one.name} is gone, and cannot be started`),
      ...services
        .filter(({ name }) => told?.has(name) === false)
        .map(({ name }) => `${host.name}: ${window.proxy?.container ?? ""} has no service ${name} any more`),
    ],
  };
}

/** What becomes of a container that the note names. */
function fateOf(host: HostSeen, window: Window, one: Recorded): "start" | "well" | "replaced" | "lost" {
  const now = host.containers.find(({ id }) => id === one.id);
  if (now !== undefined && isUp(now)) return isWell(now) ? "well" : "start";
  const replaced = host.containers.some(
    (other) =>
      isUp(other) &&
      placeOf(other) === placeOf(one) &&
      window.containers.every((known) => known.id !== other.id),
  );
  if (replaced) return "replaced";
  return now === undefined ? "lost" : "start";
}

function startTask(
  host: HostSeen,
  what: string,
  containers: readonly Recorded[],
  seconds: number,
): readonly Task[] {
  if (containers.length === 0) return [];
  return [
    {
      ...base(host, "start", what, `start ${containers.map(({ name }) => name).join(", ")}`),
      action: { do: "start", containers: containers.map(({ id }) => id), seconds },
    },
  ];
}

function base(host: HostSeen, phase: Task["phase"], what: string, title: string): Omit<Task, "action"> {
  return { id: `${host.name} ${what}`, host: host.name, phase, title, needs: [] };
}
