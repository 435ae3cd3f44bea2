import type { ControlEnd } from "../../hosts/control-socket.ts";
import type { SiteView } from "../observe/observation.ts";
import { lsnBytes } from "../observe/site-state.ts";
import type { Learned } from "./learned.ts";
import { lookUntil } from "./look-until.ts";

/** That a standby replayed the last record of an old primary. */

/**
 * By both sites' own words, of an old primary that is stopped.
 * @param until by `performance.now()`
 * @throws Error with what is missing
 */
export async function prove(
  view: (site: string) => Promise<SiteView>,
  learned: Learned,
  { from, to, until }: { readonly from: string; readonly to: string; readonly until: number },
): Promise<void> {
  await lookUntil(until, `${to} has not replayed all of ${from}`, async () => {
    const [old, next] = await Promise.all([view(from), view(to)]);
    const shutdown = old.lsn.checkpoint;
    const { replayed } = next.lsn;
    if (old.running === true || old.controlState !== "shut down" || shutdown === null)
      return `${from} is not shut down: ${old.controlState ?? "unknown"}`;
    if (old.systemId !== next.systemId) return `${from} and ${to} are not of the same cluster`;
    learned.shutdown = shutdown;
    learned.replayed = replayed;
    if (replayed === null) return `${to} does not say what it replayed`;
    // A checkpoint's position is the start of its record; who replayed past it has all of it.
    return lsnBytes(replayed) > lsnBytes(shutdown)
      ? undefined
      : `shutdown checkpoint ${shutdown}, replayed ${replayed}`;
  });
}

/**
 * By the standby's word alone, of the checkpoint that the stopping primary named.
 * @param ask puts the question to the standby's pg-health
 * @throws Error with what is missing
 */
export async function proveReplay(
  ask: (body: { readonly lsn: string; readonly limitMs: number }) => Promise<ControlEnd>,
  learned: Learned,
  { to, systemId, seconds }: { readonly to: string; readonly systemId: string; readonly seconds: number },
): Promise<void> {
  const { shutdown } = learned;
  if (shutdown === null) throw new Error("no shutdown checkpoint is known");
  const limitMs = seconds * 1000;
  const end = await ask({ lsn: shutdown, limitMs });
  if (!end.ok) throw new Error(`${to} has not replayed all: ${end.message}`);
  const value = end.value as { readonly replayed: string; readonly systemId: string };
  learned.replayed = value.replayed;
  if (value.systemId !== systemId)
    throw new Error(`${to} is of system ${value.systemId}, the old primary of ${systemId}`);
}
