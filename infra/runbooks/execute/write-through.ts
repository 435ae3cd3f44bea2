import type { ControlEnd } from "../../hosts/control-socket.ts";
import type { Site } from "../../topology/model.ts";
import { hostOf, routersOf } from "../observe/observe.ts";
import type { Stack } from "../observe/observe.ts";

/** Milliseconds for one write. */
export const WRITE_MS = 5000;

export interface WriteAsk {
  readonly host: string;
  readonly port: number;
  readonly limitMs: number;
}

/**
 * Writes through every write listener of every router, from the site that takes writes: what an application would see.
 * A container does not reach a port that its own host publishes, so the router beside it is asked by its name.
 * @param ask puts the question to the site's pg-health
 * @param only names of the routers that are asked; all by default
 * @returns why a write did not get there; undefined when each one did
 */
export async function writeObjection(
  stack: Stack,
  site: Site,
  ask: (body: WriteAsk) => Promise<ControlEnd>,
  only?: readonly string[],
): Promise<string | undefined> {
  const writes = stack.topology.listeners.filter(({ route }) => route === "write");
  const ways = routersOf(stack, only).flatMap((router) => writes.map((listener) => ({ router, listener })));
  const wrong = await Promise.all(
    ways.map(async ({ router, listener }): Promise<string | undefined> => {
      try {
        await hostOf(stack, router.host.name).connect();
      } catch {
        // A router that cannot be reached holds nobody up; topology names it.
        return undefined;
      }
      const beside = router.host.name === site.host.name;
      const host = beside ? router.container : router.host.address;
      const end = await ask({ host, port: listener.port, limitMs: WRITE_MS });
      // A pg-health from before it could be asked this: what its routers say has to do.
      if (end.kind === "unknown") return undefined;
      const { instance } = (end.value ?? {}) as { readonly instance?: string };
      if (end.ok && instance === site.name) return undefined;
      const why = end.ok ? `${instance ?? "nobody"} took it` : end.message;
      return `a write through ${router.name}'s ${listener.name} does not get there: ${why}`;
    }),
  );
  return wrong.find((one) => one !== undefined);
}
