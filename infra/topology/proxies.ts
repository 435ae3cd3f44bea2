import type { Endpoint, Listener, Route, Router, Topology } from "./model.ts";
import { endpointsOf } from "./model.ts";

/**
 * How a router's HAProxy names what it routes to. The renderer writes these names, the runbooks send commands to
 * them; neither spells one out itself.
 */

/** One site as a server of one listener. */
export interface ProxyServer extends Endpoint {
  /** Section that routes to it: the listener's name. */
  readonly proxy: string;
  /** Name in that section: the site's. */
  readonly name: string;
  /**
   * `section/server` that runs its health check, where health is forced: HAProxy refuses `set server … health` on
   * a server that only tracks another.
   */
  readonly checkOwner: string;
}

/** The question that a listener's health checks ask; 200 is yes, everything else is no. */
export const CHECK_PATH: Readonly<Record<Route, string>> = {
  write: "/",
  read: "/replica",
  any: "/read-only",
};

/** Section that checks the site on the router's own host; no listener can have this name (`_`). */
export function probeName(listener: Listener): string {
  return `${listener.name}_probe`;
}

/** Every site as one listener's server, in the file's order. */
export function serversOf(topology: Topology, router: Router, listener: Listener): readonly ProxyServer[] {
  return endpointsOf(topology, router).map((endpoint) => ({
    ...endpoint,
    proxy: listener.name,
    name: endpoint.site.name,
    checkOwner: `${endpoint.local ? probeName(listener) : listener.name}/${endpoint.site.name}`,
  }));
}
