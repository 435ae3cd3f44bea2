import { declaredOf } from "../../../infra/maintenance/declared.ts";
import type { Declared } from "../../../infra/maintenance/declared.ts";
import { loadStackFile } from "../../../infra/config/load.ts";
import { kamalProxy } from "../../../infra/maintenance/proxy.ts";
import { planUp } from "../../../infra/maintenance/plan-up.ts";
import type { ContainerSeen, HostSeen, Seen, Window } from "../../../infra/maintenance/seen.ts";
import type { Plan, Task } from "../../../infra/maintenance/task.ts";

/** Looks at production's app, whole and with something changed. */

export const OPENER = { id: "run-1", who: "alice@laptop pid 7", since: "2026-01-02T03:04:05.000Z" };
const ROOT = new URL("../../../", import.meta.url).pathname;

/** What the shipped production declares. */
export function declared(): Declared {
  const found = declaredOf(loadStackFile(ROOT, "production"));
  if (found === undefined) throw new Error("production declares a maintenance");
  return found;
}

export function container(name: string, changes: Partial<ContainerSeen> = {}): ContainerSeen {
  const [, role = ""] = /^heatwave-(web|sidekiq)-/.exec(name) ?? [];
  return {
    id: `id-${name}`,
    name,
    state: "running",
    health: null,
    service: role === "" ? "" : "heatwave",
    role,
    destination: "",
    stopSeconds: null,
    ...changes,
  };
}

/** Dallas with a proxy and two versions of the app, Chicago with databasus. */
export function look(
  changes: { readonly dal?: Partial<HostSeen>; readonly chi?: Partial<HostSeen> } = {},
): Seen {
  const quiet = { silent: null, lock: null, window: null };
  return {
    stack: "production",
    at: "2026-01-02T03:14:05.000Z",
    ledger: [],
    hosts: [
      {
        name: "dal-01",
        ...quiet,
        containers: [
          container("heatwave-postgres"),
          container("kamal-proxy"),
          container("heatwave-web-v2", { health: "healthy" }),
          container("heatwave-sidekiq-v2"),
          container("heatwave-web-v1", { state: "exited" }),
          container("other-web-1", { service: "other", role: "web" }),
        ],
        proxy: proxy("running"),
        ...changes.dal,
      },
      {
        name: "chi-02",
        ...quiet,
        containers: [
          container("databasus"),
          container("heatwave-web-v2", { id: "not declared on this host" }),
        ],
        proxy: null,
        ...changes.chi,
      },
    ],
  };
}

export function proxy(state: string): NonNullable<HostSeen["proxy"]> {
  return {
    container: "kamal-proxy",
    running: true,
    silent: null,
    services: new Map([["heatwave-web", state]]),
  };
}

/** Changes containers by name. */
export function changed(
  host: HostSeen | undefined,
  changes: Readonly<Record<string, Partial<ContainerSeen> | null>>,
): readonly ContainerSeen[] {
  return (host?.containers ?? []).flatMap((one) => {
    const change = changes[one.name];
    return change === null ? [] : [{ ...one, ...change }];
  });
}

export const up = (seen: Seen, want: Declared = declared()): Plan => planUp(seen, want, kamalProxy, OPENER);

/** The note that a plan writes on a host. */
export function noteOf(plan: Plan, host: string): Window {
  const found = plan.tasks.flatMap((task) =>
    task.host === host && task.action.do === "note" ? [task.action.window] : [],
  )[0];
  if (found === undefined) throw new Error(`no note for ${host}`);
  return found;
}

/** Production as it is once everything of a first `up` was done. */
export function downed(): Seen {
  const before = look();
  const plan = up(before);
  return look({
    dal: {
      window: noteOf(plan, "dal-01"),
      proxy: proxy("stopped"),
      containers: changed(before.hosts[0], {
        "heatwave-web-v2": { state: "exited", health: "unhealthy" },
        "heatwave-sidekiq-v2": { state: "exited" },
      }),
    },
    chi: {
      window: noteOf(plan, "chi-02"),
      containers: changed(before.hosts[1], { databasus: { state: "exited" } }),
    },
  });
}

/** A look with one of its hosts changed. */
export function change(seen: Seen, name: string, changes: Partial<HostSeen>): Seen {
  return { ...seen, hosts: seen.hosts.map((host) => (host.name === name ? { ...host, ...changes } : host)) };
}

/** A plan as it is carried out, in words. */
export function words(tasks: readonly Task[]): readonly string[] {
  const phases = ["note", "proxy-stop", "stop", "start", "proxy-resume", "forget"];
  return phases.flatMap((phase) =>
    tasks
      .filter((task) => task.phase === phase)
      .map(
        ({ host, action, title }) =>
          `${host}: ${action.do === "note" ? "note" : action.do === "fail" ? `${title}: ${action.why}` : title}`,
      ),
  );
}
