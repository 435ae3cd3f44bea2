import type { Declared } from "./declared.ts";
import { objectionsTo } from "./objections.ts";
import type { ProxyAdapter } from "./proxy.ts";
import type { ContainerSeen, HostSeen, Recorded, Seen, Window } from "./seen.ts";
import { isUp, placeOf } from "./seen.ts";
import type { Plan, Task } from "./task.ts";

/** Who opens a window, in the host's note. */
export interface Opener {
  readonly id: string;
  readonly who: string;
  readonly since: string;
}

/**
 * What is left to do until the app is down: the proxies answer 503, then what runs is stopped. A host's note names all of
 * it before anything changes. Pure; the same call again plans what is missing.
 */
export function planUp(seen: Seen, declared: Declared, proxy: ProxyAdapter, opener: Opener): Plan {
  const concerned = seen.hosts.filter(({ name }) => concerns(declared, name));
  const open = seen.hosts.find(({ window }) => window !== null)?.window;
  return {
    tasks: concerned
      .filter((host) => host.silent === null)
      .flatMap((host) =>
        hostTasks(host, declared, proxy, { ...opener, ...(open && openerOf(open)) }, seen.stack),
      ),
    silent: concerned.flatMap(({ name, silent }) => (silent === null ? [] : [{ host: name, why: silent }])),
    left: [],
    // A window that is open is finished with what can be found.
    objections: open === undefined ? objectionsTo(seen, declared) : [],
  };
}

export function concerns(declared: Declared, host: string): boolean {
  return declared.hosts.includes(host) || declared.extras.some((extra) => extra.host === host);
}

/** The declared containers of a host, whatever their state. */
export function declaredContainers(host: HostSeen, declared: Declared): readonly ContainerSeen[] {
  const app = declared.hosts.includes(host.name);
  const named = declared.extras.filter((extra) => extra.host === host.name).map(({ name }) => name);
  return host.containers.filter(
    (one) =>
      named.includes(one.name) ||
      (app &&
        one.service === declared.app &&
        one.destination === declared.destination &&
        declared.roles.includes(one.role)),
  );
}

function hostTasks(
  host: HostSeen,
  declared: Declared,
  proxy: ProxyAdapter,
  opener: Opener,
  stack: string,
): readonly Task[] {
  const running = declaredContainers(host, declared).filter(isUp);
  // What was noted by an earlier call, perhaps of another stack file, belongs to the window too.
  const again = host.containers.filter(
    (one) => isUp(one) && !running.includes(one) && noted(host.window, one.id),
  );
  const serving = servicesToStop(host, declared, proxy);
  const window = windowWith(host, running, serving, declared, { ...opener, stack });
  const changed = JSON.stringify(window) !== JSON.stringify(host.window);
  const note: Task = {
    id: `${host.name} note`,
    host: host.name,
    phase: "note",
    title: "note what is stopped",
    action: { do: "note", window },
    needs: [],
  };
  const noteId = changed ? [note.id] : [];
  const proxyTasks = serving.map(({ name }): Task => ({
    id: `${host.name} proxy-stop ${name}`,
    host: host.name,
    phase: "proxy-stop",
    title: `${declared.proxy.container} answers 503 for ${name}`,
    action: {
      do: "proxy-stop",
      container: declared.proxy.container,
      service: name,
      message: declared.proxy.message,
      drainSeconds: declared.proxy.drainSeconds,
    },
    needs: noteId,
  }));
  const stop = [...running, ...again];
  const stopTasks: readonly Task[] =
    stop.length === 0
      ? []
      : [
          {
            id: `${host.name} stop`,
            host: host.name,
            phase: "stop",
            title: `stop ${stop.map(({ name }) => name).join(", ")}`,
            action: {
              do: "stop",
              containers: stop.map(({ id }) => id),
              seconds: Math.max(declared.stopSeconds, ...stop.map(({ stopSeconds }) => stopSeconds ?? 0)),
            },
            needs: [...noteId, ...proxyTasks.map(({ id }) => id)],
          },
        ];
  return [...(changed ? [note] : []), ...proxyTasks, ...stopTasks];
}

function servicesToStop(
  host: HostSeen,
  declared: Declared,
  proxy: ProxyAdapter,
): Declared["proxy"]["services"] {
  if (!declared.hosts.includes(host.name) || host.proxy?.running !== true) return [];
  // One that cannot be asked is told all the same: its own words then say what is wrong.
  if (host.proxy.silent !== null) return declared.proxy.services;
  const { services } = host.proxy;
  return declared.proxy.services.filter(
    ({ name }) => services.has(name) && !proxy.isStopped(services.get(name)),
  );
}

function windowWith(
  host: HostSeen,
  running: readonly ContainerSeen[],
  serving: Declared["proxy"]["services"],
  declared: Declared,
  { stack, id, who, since }: Opener & { readonly stack: string },
): Window {
  const { window } = host;
  const services = [
    ...(window?.proxy?.services ?? []),
    ...serving.filter(({ name }) => window?.proxy?.services.every((known) => known.name !== name) ?? true),
  ];
  return {
    version: 1,
    stack,
    host: host.name,
    ...(window === null ? { id, who, since } : openerOf(window)),
    proxy:
      services.length === 0
        ? null
        : { container: window?.proxy?.container ?? declared.proxy.container, services },
    containers: merged(host, window?.containers ?? [], running),
  };
}

/** A deploy while a window is open brings a new container for a role; the one it replaced is not started again. */
function merged(
  host: HostSeen,
  before: readonly Recorded[],
  running: readonly ContainerSeen[],
): readonly Recorded[] {
  const fresh = running.filter(({ id }) => before.every((one) => one.id !== id));
  const places = new Set(fresh.map(placeOf));
  const kept = before.filter(
    (one) => !places.has(placeOf(one)) || host.containers.some((now) => now.id === one.id && isUp(now)),
  );
  return [
    ...kept,
    ...fresh.map(({ id, name, service, role, destination }) => ({ id, name, service, role, destination })),
  ];
}

const noted = (window: Window | null, id: string): boolean =>
  window?.containers.some((one) => one.id === id) === true;

const openerOf = ({ id, who, since }: Opener): Opener => ({ id, who, since });
