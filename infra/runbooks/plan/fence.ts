import type { GrantView, Observation } from "../observe/observation.ts";
import { expectation, highestEpoch, siteOf } from "./grants.ts";
import type { Planned, Step } from "./step.ts";
import { objections } from "./step.ts";

/** Seconds of a fast stop. */
const STOP_SECONDS = 120;

/** Takes a site's right to write, and stops its PostgreSQL. Nobody else gets it: writes stop. */
export function planFence(seen: Observation, name: string): Planned {
  return plan(seen, "fence", name, (grant) => {
    const suspended: GrantView = { ...grant, state: "suspended" };
    return grant.state === "held"
      ? {
          steps: [
            {
              id: "stop",
              title: `Stop PostgreSQL at ${name}`,
              action: { do: "order", site: name, verb: "stop" },
              seconds: STOP_SECONDS,
              undo: [{ do: "order", site: name, verb: "start" }],
            },
            {
              id: "fence",
              title: `Suspend the grant of ${name}`,
              action: { do: "grant", site: name, expect: expectation(grant), grant: suspended },
              seconds: 10,
            },
          ],
        }
      : { objection: `${name}'s grant is ${grant.state}: there is nothing to fence` };
  });
}

/** Gives a fenced site its right back and starts it. */
export function planUnfence(seen: Observation, name: string): Planned {
  return plan(seen, "unfence", name, (grant) => {
    const holder = seen.sites.find((site) => site.name !== name && site.grant?.state === "held");
    if (grant.state !== "suspended")
      return { objection: `${name}'s grant is ${grant.state}: it is not fenced` };
    if (holder !== undefined || grant.epoch < highestEpoch(seen))
      return {
        objection: `${holder?.name ?? "another site"} has taken over since (epoch ${highestEpoch(seen)}): start ${name} as a standby instead`,
      };
    const held: GrantView = { ...grant, state: "held" };
    return {
      steps: [
        {
          id: "grant",
          title: `Give ${name} its grant back`,
          action: { do: "grant", site: name, expect: expectation(grant), grant: held },
          seconds: 10,
          undo: [{ do: "grant", site: name, expect: expectation(held), grant }],
        },
        {
          id: "start",
          title: `Start PostgreSQL at ${name}`,
          action: { do: "order", site: name, verb: "start" },
          seconds: STOP_SECONDS,
        },
      ],
    };
  });
}

function plan(
  seen: Observation,
  verb: string,
  name: string,
  make: (grant: GrantView) => { readonly steps: readonly Step[] } | { readonly objection: string },
): Planned {
  const site = siteOf(seen, name);
  const grant = site?.source === "control" ? site.grant : null;
  const made = grant === null ? undefined : make(grant);
  const checks = [
    {
      title: `${name} can be ordered`,
      objection:
        site === undefined
          ? `${name} is no site of the stack: ${seen.sites.map((one) => one.name).join(", ")}`
          : grant === null
            ? `${name} cannot be asked: ${site.silent ?? "it has no grant"}`
            : undefined,
    },
    {
      title: verb === "fence" ? `${name} holds a grant` : `${name} is fenced, and nobody took over`,
      objection: made !== undefined && "objection" in made ? made.objection : undefined,
    },
  ];
  if (grant === null || made === undefined || "objection" in made || objections(checks).length > 0)
    return { ok: false, checks, next: `bin/recovery ${seen.stack} topology` };
  const epochs = { before: grant.epoch, after: grant.epoch };
  return {
    ok: true,
    checks,
    plan: { verb, from: name, to: name, epochs, timeline: grant.timeline, steps: made.steps },
  };
}
