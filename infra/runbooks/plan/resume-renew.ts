import type { LedgerEntry, Observation } from "../observe/observation.ts";
import { siteOf } from "./grants.ts";
import {
  adoptStep,
  backupStep,
  cleanSteps,
  followSteps,
  forgetCopy,
  grantStep,
  renewalOf,
  slotStep,
  stopStep,
} from "./renew-steps.ts";
import type { Renewal } from "./renew-steps.ts";
import type { Resumption } from "./resumption.ts";
import type { Action, Step } from "./step.ts";

/**
 * How an interrupted `rejoin` or `rebuild-standby` ends. What lies beside the data says how far it came: kept-ID until
 * the new data streams, rewinding-ID where only a base backup helps.
 */
export function resumeRenew(seen: Observation, entry: LedgerEntry): Resumption {
  const name = entry.to ?? "";
  const site = siteOf(seen, name);
  const renewal = renewalOf(seen, name, entry.id);
  const next = `bring it back, then bin/recovery ${seen.stack} resume`;
  if (site?.source !== "control" || site.leftovers === null)
    return {
      kind: "stuck",
      why: `${entry.verb} of ${name}: it cannot be asked: ${site?.silent ?? "no reason given"}`,
      next,
    };
  if (renewal === undefined)
    return {
      kind: "stuck",
      why: `${entry.verb} of ${name}: not exactly one other site is seen as primary`,
      next,
    };
  const left = new Set(site.leftovers);
  const kept = left.has(`kept-${entry.id}`);
  const streams = siteOf(seen, renewal.primary)?.streamingTo.includes(name) === true;
  const empty = site.role === "empty";
  const snapshot = true;
  const finish = (why: string, steps: readonly Step[]): Resumption => ({ kind: "finish", why, steps });
  if (left.has(`rewinding-${entry.id}`))
    return finish(`the data of ${name} was being rewound, which a base backup has to end`, [
      cancel(renewal),
      stopStep(renewal),
      backupStep(renewal),
      ...inPlace(renewal),
      ...cleanSteps(renewal, snapshot),
    ]);
  if (kept && !empty)
    return finish(`the new data of ${name} is in place`, [
      grantStep(renewal),
      slotStep(renewal),
      ...(streams ? [] : followSteps(renewal, false)),
      ...cleanSteps(renewal, snapshot),
    ]);
  if (!kept && empty && left.has("scratch"))
    return finish(`the data of ${name} is rewound`, [...inPlace(renewal), ...cleanSteps(renewal, snapshot)]);
  if (!kept && streams && entry.verb === "rejoin")
    return finish(`${name} streams`, [grantStep(renewal), ...cleanSteps(renewal, snapshot)]);
  return {
    kind: "undo",
    why: kept ? `the old data of ${name} is put back` : `the data of ${name} was not touched`,
    steps: undo(renewal, kept),
  };
}

const inPlace = (renewal: Renewal): readonly Step[] => [
  grantStep(renewal),
  adoptStep(renewal),
  slotStep(renewal),
  ...followSteps(renewal, false),
];

const cancel = ({ site, id }: Renewal): Step => ({
  id: "cancel",
  title: `End what still runs at ${site}`,
  action: { do: "data", site, verb: "cancel", id },
  seconds: 60,
});

function undo(renewal: Renewal, kept: boolean): readonly Step[] {
  const { site, id } = renewal;
  const step = (name: string, title: string, action: Action): Step => ({
    id: name,
    title,
    action,
    seconds: 120,
  });
  const [end, ...forget] = forgetCopy(renewal);
  return [
    ...(end === undefined ? [] : [step("cancel", `End what still runs at ${site}`, end)]),
    ...(kept
      ? [step("restore", `Put the old data of ${site} back`, { do: "data", site, verb: "restore", id })]
      : []),
    ...forget.map((action, at) =>
      step(
        `forget-${at}`,
        at === 0 ? `Delete what was copied to ${site}` : `${renewal.primary} keeps no WAL for it`,
        action,
      ),
    ),
    step("start", `${site} may start`, { do: "data", site, verb: "allow", id }),
  ];
}
