import type { LockView } from "../runbooks/observe/observation.ts";
import type { Declared } from "./declared.ts";
import { concerns, declaredContainers } from "./plan-up.ts";
import type { ProxyAdapter } from "./proxy.ts";
import type { HostSeen, Seen } from "./seen.ts";
import { isUp } from "./seen.ts";

/** What is in force, as `bin/maintenance status --json` prints it. */
export interface Status {
  readonly stack: string;
  readonly at: string;
  /** `partly`: begun and not finished, by `open`. */
  readonly state: "on" | "off" | "partly";
  readonly since: string | null;
  readonly who: string | null;
  readonly hosts: readonly HostStatus[];
  /** What is not as it should be, in words. */
  readonly open: readonly string[];
  /** Commands that are safe to type next. */
  readonly next: readonly string[];
}

export interface HostStatus {
  readonly name: string;
  readonly silent: string | null;
  /** The host has a note. */
  readonly noted: boolean;
  readonly lock: LockView | null;
  readonly services: readonly {
    readonly name: string;
    readonly container: string;
    /** Null: its proxy cannot be asked. */
    readonly state: string | null;
    /** Stopped for the window, so that its end resumes it. */
    readonly stoppedHere: boolean;
  }[];
  readonly containers: readonly {
    readonly name: string;
    readonly id: string;
    readonly role: string | null;
    /** Docker's word; null: there is none any more. */
    readonly state: string | null;
    readonly health: string | null;
    readonly stoppedHere: boolean;
  }[];
}

/** Pure. @param declared undefined where the stack file has no `maintenance` */
export function statusOf(seen: Seen, declared: Declared | undefined, proxy: ProxyAdapter): Status {
  const concerned = seen.hosts.filter(
    (host) => host.window !== null || declared === undefined || concerns(declared, host.name),
  );
  const hosts = concerned.map((host) => hostStatus(host, declared));
  const window = seen.hosts.find((host) => host.window !== null)?.window;
  const open = concerned.flatMap((host, at) => openAt(host, hosts[at], window !== undefined, proxy));
  const state = window === undefined ? "off" : open.length === 0 ? "on" : "partly";
  return {
    stack: seen.stack,
    at: seen.at,
    state,
    since: window?.since ?? null,
    who: window?.who ?? null,
    hosts,
    open,
    next: nextOf(seen.stack, state, open),
  };
}

function hostStatus(host: HostSeen, declared: Declared | undefined): HostStatus {
  const { window } = host;
  const recorded = window?.containers ?? [];
  const others = declared === undefined ? [] : declaredContainers(host, declared);
  const stopped = window?.proxy?.services.map(({ name }) => name) ?? [];
  const services = new Set([
    ...stopped,
    ...(declared?.hosts.includes(host.name) === true ? declared.proxy.services.map(({ name }) => name) : []),
  ]);
  return {
    name: host.name,
    silent: host.silent,
    noted: window !== null,
    lock: host.lock,
    services: [...services]
      .filter((name) => stopped.includes(name) || host.proxy?.services.has(name) === true)
      .map((name) => ({
        name,
        container: host.proxy?.container ?? window?.proxy?.container ?? "",
        state: host.proxy?.services.get(name) ?? null,
        stoppedHere: stopped.includes(name),
      })),
    containers: [
      ...recorded.map((one) => {
        const now = host.containers.find(({ id }) => id === one.id);
        return {
          name: now?.name ?? one.name,
          id: one.id,
          role: one.role === "" ? null : one.role,
          state: now?.state ?? null,
          health: now?.health ?? null,
          stoppedHere: true,
        };
      }),
      ...others
        .filter(({ id }) => recorded.every((one) => one.id !== id))
        .map(({ name, id, role, state, health }) => ({
          name,
          id,
          role: role === "" ? null : role,
          state,
          health,
          stoppedHere: false,
        })),
    ],
  };
}

function openAt(
  host: HostSeen,
  status: HostStatus | undefined,
  windowOpen: boolean,
  proxy: ProxyAdapter,
): readonly string[] {
  if (host.silent !== null) return [`${host.name} cannot be asked: ${host.silent}`];
  if (!windowOpen || status === undefined) return [];
  return [
    ...(status.noted ? [] : [`${host.name} is not in maintenance`]),
    ...status.services
      .filter(({ state }) => !proxy.isStopped(state ?? undefined))
      .map(({ name, container, state }) =>
        state === null
          ? `${host.name}: ${container} does not say whether it answers 503 for ${name}`
          : `${host.name}: ${container} is ${state} for ${name}`,
      ),
    ...status.containers
      .filter(({ state }) => state !== null && isUp({ state }))
      .map(({ name, state }) => `${host.name}: ${name} is ${state ?? ""}`),
  ];
}

function nextOf(stack: string, state: Status["state"], open: readonly string[]): readonly string[] {
  if (state === "on") return [`bin/maintenance down ${stack}`];
  if (state === "partly") return [`bin/maintenance up ${stack}`, `bin/maintenance down ${stack}`];
  return open.length === 0 ? [] : [`bin/maintenance status ${stack}`];
}
