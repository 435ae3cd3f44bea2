import { setTimeout as delay } from "node:timers/promises";
import { runRunbook } from "../../runbooks/execute/runbook.ts";
import type { Observation, SiteView } from "../../runbooks/observe/observation.ts";
import { observe, QUICK_MS } from "../../runbooks/observe/observe.ts";
import type { Stack } from "../../runbooks/observe/observe.ts";
import { lsnBytes } from "../../runbooks/observe/site-state.ts";
import { planFailover, signOfLife, suspectsOf, UNSEEN_SECONDS } from "../../runbooks/plan/failover.ts";
import { planFence, planUnfence } from "../../runbooks/plan/fence.ts";
import type { Planned } from "../../runbooks/plan/step.ts";
import { paintFor } from "../engine/paint.ts";
import { lossWords } from "./loss.ts";
import type { FailoverOptions, YesOption } from "./program.ts";
import { planLines } from "./runbook-text.ts";
import { askFirst, confirmed, runbook, withStack } from "./verbs.ts";

const paint = paintFor(process.stderr, process.env);
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Seconds in which sites and routers must notice that a site is gone: three failed checks, and their time-outs. */
const NOTICE_SECONDS = 30;
/** Milliseconds between two looks while a site must stay unseen. */
const LOOK_MS = 1000;

/** An unplanned promotion. Waits first until a silent site has been unseen for long enough. */
export function failoverVerb(name: string, options: FailoverOptions): Promise<number> {
  return withStack(name, async (stack) => {
    const unseen = await awaitUnseen(stack, options.to);
    return runbook(stack, (io) =>
      runRunbook(
        {
          ...io,
          confirm: async (plan, seen) => {
            planLines(plan, paint).forEach(say);
            const { fenced, gone } = suspectsOf(seen, options.to);
            const losers = [...gone, ...fenced.filter((site) => !provenReplayed(seen, site, options.to))];
            if (losers.length === 0) {
              await confirmed(
                `Fail over to ${options.to}? Nothing is lost: it replayed all.`,
                options.yes === true,
              );
              return undefined;
            }
            const words = await lossWords(
              seen,
              options.to,
              losers.map((site) => site.name),
              [options.to],
            );
            say(`${paint.yellow("!")} ${words}`);
            await confirmed("Accept that?", options.acceptLoss === true || options.yes === true);
            return words;
          },
        },
        (seen) => planFailover(seen, { to: options.to, unseen }),
        // Nobody takes writes, and what the plan is made of is what pg-health and the routers say.
        { brief: true },
      ),
    );
  });
}

/** It stopped cleanly, and the target replayed past its last record. */
function provenReplayed(seen: Observation, site: SiteView, to: string): boolean {
  const replayed = seen.sites.find((one) => one.name === to)?.lsn.replayed;
  return (
    site.running !== true &&
    site.controlState === "shut down" &&
    site.lsn.checkpoint !== null &&
    replayed != null &&
    lsnBytes(replayed) > lsnBytes(site.lsn.checkpoint)
  );
}

/**
 * Looks until every silent suspect has shown no sign of life for long enough. Sites and routers take some seconds to
 * notice that it is gone; one that goes on to be seen is refused by the plan, which says by whom. Seconds by site.
 */
async function awaitUnseen(stack: Stack, to: string): Promise<ReadonlyMap<string, number>> {
  const begun = performance.now();
  const since = new Map<string, number>();
  let told = false;
  for (;;) {
    const seen = await observe(stack, { askMs: QUICK_MS });
    const now = performance.now();
    const gone = suspectsOf(seen, to).gone.map(({ name }) => name);
    for (const name of gone) {
      if (signOfLife(seen, name) === undefined) since.set(name, since.get(name) ?? now);
      else since.delete(name);
    }
    const seconds = new Map(gone.map((name) => [name, (now - (since.get(name) ?? now)) / 1000] as const));
    const waits = gone.filter((name) => (seconds.get(name) ?? 0) < UNSEEN_SECONDS);
    const stillSeen = gone.some((name) => !since.has(name));
    if (waits.length === 0 || (stillSeen && now - begun > NOTICE_SECONDS * 1000)) return seconds;
    if (!told)
      say(
        `${waits.join(", ")} ${waits.length === 1 ? "does" : "do"} not answer: it must stay unseen by every site and router for ${UNSEEN_SECONDS} s ...`,
      );
    told = true;
    await delay(LOOK_MS);
  }
}

export function fenceVerb(name: string, site: string, options: YesOption): Promise<number> {
  return one(
    name,
    (seen) => planFence(seen, site),
    `Stop the writes at ${site}? Nobody takes them over.`,
    options,
  );
}

export function unfenceVerb(name: string, site: string, options: YesOption): Promise<number> {
  return one(name, (seen) => planUnfence(seen, site), `Let ${site} take writes again?`, options);
}

function one(
  name: string,
  plan: (seen: Observation) => Planned,
  question: string,
  options: YesOption,
): Promise<number> {
  return withStack(name, (stack) =>
    runbook(stack, (io) =>
      runRunbook({ ...io, confirm: askFirst(() => question, options.yes === true) }, plan),
    ),
  );
}
