import type { LedgerEntry, Observation, SiteView } from "../observe/observation.ts";
import { expectation, siteOf } from "./grants.ts";
import { resumeHandOver } from "./hand-over.ts";
import { afterPromotion } from "./promote.ts";
import { resumeRenew } from "./resume-renew.ts";
import type { Resumption } from "./resumption.ts";
import type { Step } from "./step.ts";
import { clearStep, takeGrant } from "./switch-steps.ts";

export type { Resumption } from "./resumption.ts";

/** Seconds for the old primary to start, and to serve: what takes longer goes on by itself, or wants a failover. */
const SERVE_SECONDS = 30;

export function planResume(seen: Observation, entry: LedgerEntry): Resumption {
  const { from } = entry;
  if (from !== null && seen.adopted?.includes(from) === true) return resumeHandOver(seen, { ...entry, from });
  if (entry.verb === "promote") return resumePromote(seen, entry);
  if (entry.verb === "flip-db") return withRouters(resumePromote(seen, entry), entry);
  if (entry.verb === "failover") return resumeFailover(seen, entry);
  if (entry.verb === "start") return resumeStart(seen, entry);
  // Its lock may go: what it stopped is noted on the hosts, and whoever types it again goes on from there.
  if (entry.verb.startsWith("maintenance-"))
    return {
      kind: "finish",
      why: `${entry.verb} is noted on the hosts, and bin/maintenance status ${seen.stack} says what is left of it`,
      steps: [],
    };
  // Nobody was given anything by it, and each part of it looks first.
  if (entry.verb === "retire")
    return {
      kind: "finish",
      why: `the next \`pulumi up\` goes on with the retirement of ${entry.to ?? "the site"}`,
      steps: [],
    };
  if (entry.verb === "rejoin" || entry.verb === "rebuild-standby") return resumeRenew(seen, entry);
  return { kind: "finish", why: `${entry.verb} leaves nothing behind`, steps: [] };
}

function resumePromote(seen: Observation, entry: LedgerEntry): Resumption {
  const target = siteOf(seen, entry.to ?? "");
  const from = siteOf(seen, entry.from ?? "");
  if (target?.grant == null || target.source !== "control" || entry.epochs === null)
    return stuck(seen, entry, `${entry.to ?? "the target"} cannot be asked: ${target?.silent ?? "no grant"}`);
  if (target.role === "primary") {
    const reachable = from?.source === "control";
    return {
      kind: "finish",
      why: `${target.name} was promoted`,
      steps: afterPromotion(target.name, target.grant, reachable ? from.name : null),
    };
  }
  if (entry.from === null)
    return { kind: "undo", why: `${target.name} was not promoted`, steps: takeGrant(target, entry) };
  if (from?.grant == null || from.source !== "control")
    return stuck(
      seen,
      entry,
      `${target.name} was not promoted, and ${entry.from} cannot be asked: ${from?.silent ?? "no grant"}`,
    );
  // It was turned into a standby meanwhile: nothing can be given back but the grants; then the furthest may be promoted.
  if (from.role === "standby" && from.heldback === null)
    return {
      kind: "undo",
      why: `${target.name} was not promoted, and ${from.name} is a standby by now`,
      steps: [...takeGrant(target, entry), ...takeGrant(from, entry)],
    };
  return { kind: "undo", why: `${target.name} was not promoted`, steps: undoPromote(target, from, entry) };
}

/**
 * A failover was decided on and its loss accepted: once the target has the grant it is carried through. Before that, a
 * site that was fenced gets its grant back.
 */
function resumeFailover(seen: Observation, entry: LedgerEntry): Resumption {
  const target = siteOf(seen, entry.to ?? "");
  if (target?.grant == null || target.source !== "control" || entry.epochs === null)
    return stuck(seen, entry, `${entry.to ?? "the target"} cannot be asked: ${target?.silent ?? "no grant"}`);
  const given = target.grant.state === "held" && target.grant.epoch === entry.epochs.after;
  if (given)
    return {
      kind: "finish",
      why: `${target.name} has the grant`,
      steps: [
        ...(target.role === "primary"
          ? []
          : [
              {
                id: "promote",
                title: `Promote ${target.name}`,
                action: { do: "order", site: target.name, verb: "promote" },
                seconds: 60,
              } satisfies Step,
            ]),
        ...afterPromotion(target.name, target.grant, null),
      ],
    };
  const from = siteOf(seen, entry.from ?? "");
  return {
    kind: "undo",
    why: `${target.name} was not given the grant`,
    steps: from?.grant == null || from.source !== "control" ? [] : undoPromote(target, from, entry),
  };
}

/** A switchover may also have left its hold at the routers, and a pause at the old site's pooler. */
function withRouters(resumption: Resumption, { from, to }: LedgerEntry): Resumption {
  if (resumption.kind === "stuck") return resumption;
  const primary = resumption.kind === "finish" ? to : from;
  const clear = clearStep(primary);
  const pooler: readonly Step[] =
    from === null
      ? []
      : [
          {
            id: "pooler",
            title: `The pooler of ${from} lets queries through`,
            action: { do: "resume-pooler", site: from },
            seconds: 30,
            mayFail: true,
          },
        ];
  // What was promoted gets its connections at once, and its last step awaits routers without overrides; what is taken
  // back gets them when it serves again.
  return {
    ...resumption,
    steps:
      resumption.kind === "finish"
        ? [clear, ...resumption.steps, ...pooler]
        : [...resumption.steps, clear, ...pooler],
  };
}

/** The old primary takes writes again; the target's grant goes first, so that never two are held. */
function undoPromote(target: SiteView, from: SiteView, entry: LedgerEntry): Step[] {
  const steps = takeGrant(target, entry);
  if (from.grant !== null && from.grant.state !== "held")
    steps.push({
      id: "fence",
      title: `Give ${from.name} its grant back`,
      action: {
        do: "grant",
        site: from.name,
        expect: expectation(from.grant),
        grant: { ...from.grant, state: "held" },
      },
      seconds: 10,
    });
  if (from.role !== "primary" || from.mayRun === false)
    steps.push({
      id: "stop",
      title: `Start PostgreSQL at ${from.name}`,
      action: { do: "order", site: from.name, verb: "start" },
      seconds: SERVE_SECONDS,
      mayFail: true,
    });
  return [
    ...steps,
    {
      id: "serve",
      title: `${from.name} takes writes`,
      action: { do: "await-primary", site: from.name },
      seconds: SERVE_SECONDS,
      mayFail: true,
    },
  ];
}

function resumeStart(seen: Observation, entry: LedgerEntry): Resumption {
  const site = siteOf(seen, entry.to ?? "");
  if (site?.grant == null || site.source !== "control")
    return stuck(seen, entry, `${entry.to ?? "the site"} cannot be asked: ${site?.silent ?? "no grant"}`);
  if (site.grant.epoch === entry.epochs?.after)
    return {
      kind: "finish",
      why: `${site.name} has the grant that was accepted`,
      steps: [
        {
          id: "start",
          title: `Start PostgreSQL at ${site.name}`,
          action: { do: "order", site: site.name, verb: "start" },
          seconds: 120,
        },
        {
          id: "serve",
          title: `${site.name} takes writes`,
          action: { do: "await-primary", site: site.name },
          seconds: 60,
        },
      ],
    };
  // Exclusions at other sites that no held grant stands behind are taken back.
  const excluded = new Set(site.grant.excluded);
  return {
    kind: "undo",
    why: `${site.name} was not given the grant`,
    steps: seen.sites.flatMap((other): Step[] => {
      if (other.name === site.name || other.grant === null || other.source !== "control") return [];
      const kept = other.grant.excluded.filter((name) => excluded.has(name));
      if (kept.length === other.grant.excluded.length) return [];
      return [
        {
          id: `exclude-${other.name}`,
          title: `Take the exclusion back at ${other.name}`,
          action: {
            do: "grant",
            site: other.name,
            expect: expectation(other.grant),
            grant: { ...other.grant, excluded: kept },
          },
          seconds: 10,
        },
      ];
    }),
  };
}

function stuck(seen: Observation, entry: LedgerEntry, why: string): Resumption {
  return {
    kind: "stuck",
    why: `${entry.verb} to ${entry.to ?? "?"}: ${why}`,
    next: `bring it back, then bin/recovery ${seen.stack} resume`,
  };
}
