import { lastSeen } from "../../runbooks/execute/ledger.ts";
import type { Observation } from "../../runbooks/observe/observation.ts";
import { bytesText, durationText } from "../../runbooks/words.ts";
import { STATE } from "./context.ts";

/**
 * What may be lost when a site goes on without others, in words that are accepted and kept in the ledger.
 * @param to site that goes on
 * @param gone sites whose own commits are given up
 * @param behind sites whose lag counts: those that were behind when this machine last saw the stack whole
 */
export async function lossWords(
  seen: Observation,
  to: string,
  gone: readonly string[],
  behind: readonly string[],
): Promise<string> {
  const site = seen.sites.find((one) => one.name === to);
  const last = await lastSeen(seen.stack, STATE);
  const age = (iso: string): string =>
    durationText(Math.max(0, (Date.parse(seen.at) - Date.parse(iso)) / 1000));
  const lags = behind.map((name) => {
    const lag = last?.lags[name];
    if (last === undefined || lag === undefined) return `this machine never saw the lag of ${name}`;
    const text = `${lag.bytes === null ? "unknown bytes" : bytesText(lag.bytes)}, ${lag.seconds === null ? "unknown seconds" : durationText(lag.seconds)}`;
    return `${name} was last seen ${age(last.at)} ago, ${text} behind ${last.primary}`;
  });
  const position = site?.lsn.replayed ?? site?.lsn.checkpoint ?? "unknown";
  const commit =
    site?.lastTransaction == null
      ? `the last sign in its data (a checkpoint, a start or a stop) is ${site?.controlChanged == null ? "not known" : `of ${age(site.controlChanged)} ago`}`
      : `its last transaction was ${age(site.lastTransaction)} ago`;
  const names = gone.join(", ");
  return (
    `${to} goes on from ${position}; ${commit}. What ${names} committed alone after that is given up, ` +
    `and ${names} never takes writes again until it is rejoined or rebuilt (${lags.join("; ")}).`
  );
}
