import type { StackConfig } from "../config/schema.ts";
import { milliseconds } from "../config/words.ts";

/** What the stack file wants stopped in a maintenance window, with every default filled in. */
export interface Declared {
  /** Kamal's labels `service` and `destination`; "" where the app has no destination. */
  readonly app: string;
  readonly destination: string;
  /** Hosts that run the app, in the stack file's order. */
  readonly hosts: readonly string[];
  /** Kamal's label `role`. */
  readonly roles: readonly string[];
  readonly proxy: {
    readonly container: string;
    readonly services: readonly ProxyService[];
    readonly message: string;
    readonly drainSeconds: number;
  };
  /** Containers by name, beside the app's. */
  readonly extras: readonly { readonly host: string; readonly name: string }[];
  readonly stopSeconds: number;
  readonly startSeconds: number;
}

/** A service as the proxy knows it, and the role that stands behind it. */
export interface ProxyService {
  readonly name: string;
  readonly role: string;
}

/** Time to start again where the stack file no longer says one, seconds. */
export const START_SECONDS = 120;

/** Undefined where the stack file has no `maintenance`. */
export function declaredOf(
  config: Pick<StackConfig, "maintenance" | "routers" | "hosts">,
): Declared | undefined {
  const { maintenance } = config;
  if (maintenance === undefined) return undefined;
  const { app, destination = "", roles, proxy } = maintenance;
  const named = new Set(maintenance.hosts ?? config.routers.map((router) => router.host));
  return {
    app,
    destination,
    hosts: Object.keys(config.hosts).filter((name) => named.has(name)),
    roles,
    proxy: {
      container: proxy.container,
      services: proxy.roles.map((role) => ({ name: serviceName(app, role, destination), role })),
      message: proxy.message,
      drainSeconds: seconds(proxy.drain),
    },
    extras: maintenance.containers,
    stopSeconds: seconds(maintenance.stopTimeout),
    startSeconds: seconds(maintenance.startTimeout),
  };
}

/** As Kamal names a role's service at its proxy. */
function serviceName(app: string, role: string, destination: string): string {
  return [app, role, ...(destination === "" ? [] : [destination])].join("-");
}

/** Docker and kamal-proxy are given whole seconds. */
function seconds(duration: string): number {
  return Math.ceil(milliseconds(duration) / 1000);
}
