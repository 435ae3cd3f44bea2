import type { Site } from "../../topology/model.ts";
import type { Stack } from "./observe.ts";
import { hostOf } from "./observe.ts";

/**
 * Logs in at `to` for replication, as `from` will to follow or to copy it.
 * @throws Error with psql's words, or where `to` answers as another system
 */
export async function replicationLogin(
  stack: Stack,
  from: Site,
  to: Site,
  systemId: string,
  seconds: number,
): Promise<void> {
  const answer = await hostOf(stack, from.host.name).replicationLogin(
    from.postgres.container,
    { host: to.host.address, port: to.postgres.port },
    seconds,
  );
  const [answered = "?"] = answer.split("|");
  if (answered !== systemId)
    throw new Error(`${to.name} answers ${from.name} as system ${answered}, expected ${systemId}`);
}
