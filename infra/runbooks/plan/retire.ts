import { slotName } from "../../topology/model.ts";
import { LAG_BYTES } from "../judge/standbys.ts";
import type { GrantView, Observation, SiteView } from "../observe/observation.ts";
import { bytesText } from "../words.ts";
import { expectation, highestEpoch, siteOf } from "./grants.ts";
import type { Check, Planned, Step } from "./step.ts";
import { objections } from "./step.ts";

/** Seconds of a fast stop. */
const STOP_SECONDS = 120;

/** What must be so before a site leaves. `seen` shows it among the others. */
export function retireChecks(seen: Observation, name: string): readonly Check[] {
  const site = siteOf(seen, name);
  if (site === undefined)
    return [
      {
        title: `${name} is a site`,
        objection: `${name} is no site of the stack: ${seen.sites.map((one) => one.name).join(", ")}`,
      },
    ];
  const [first, ...more] = seen.sites.filter((one) => one.role === "primary");
  const others = seen.sites.filter((one) => one.name !== name);
  return [
    {
      title: `${name} is not the primary`,
      objection:
        site.role === "primary" || seen.primaries.includes(name)
          ? `${name} is the primary: move the writes first (bin/recovery ${seen.stack} flip-db), with an \`up\` of its own`
          : undefined,
    },
    primaryCheck(seen, first, more),
    ...others.map((other) => ({
      title: `${other.name} can be told`,
      objection:
        other.source === "control" && (other.grant !== null || other.role === "empty")
          ? undefined
          : `${other.name} cannot be told that ${name} leaves, and would wait for it at its next start: ${other.silent ?? "it has no grant"}`,
    })),
    copyCheck(name, first, others),
    ...neededChecks(seen, site),
  ];
}

function primaryCheck(seen: Observation, primary: SiteView | undefined, more: readonly SiteView[]): Check {
  const title = "one primary serves";
  if (primary === undefined) return { title, objection: "no site takes writes" };
  if (more.length > 0)
    return { title, objection: `two instances run as primary: ${seen.primaries.join(", ")}` };
  if (primary.word !== "primary" || primary.grant?.state !== "held")
    return {
      title,
      objection: `${primary.name} says ${primary.word ?? "nothing"}, and its grant is ${primary.grant?.state ?? "not there"}`,
    };
  return {
    title,
    objection:
      primary.grant.epoch === highestEpoch(seen)
        ? undefined
        : `another site's grant is newer (epoch ${highestEpoch(seen)}) than ${primary.name}'s`,
  };
}

/** Somebody else must have everything, up to what is under way. */
function copyCheck(name: string, primary: SiteView | undefined, others: readonly SiteView[]): Check {
  const copies = others.filter(
    (one) =>
      one !== primary &&
      one.role === "standby" &&
      one.receiver === "streaming" &&
      primary?.streamingTo.includes(one.name) === true &&
      one.systemId === primary.systemId &&
      one.timeline === primary.timeline &&
      one.lag.bytes !== null &&
      one.lag.bytes <= LAG_BYTES,
  );
  const rest = others.filter((one) => one !== primary);
  return {
    title: "another copy stays",
    objection:
      copies.length > 0
        ? undefined
        : `${name} holds the only other copy: ${
            rest.length === 0
              ? "no other standby is declared. Add a site first"
              : `${rest.map((one) => `${one.name} ${one.role === "standby" ? `is ${one.lag.bytes === null ? "not streaming" : `${bytesText(one.lag.bytes)} behind`}` : `is ${one.role}`}`).join(", ")}. Wait until it streams and is at most ${bytesText(LAG_BYTES)} behind`
          }`,
  };
}

/** Somebody reads from it: a standby behind it, or a reader that is not of this stack. */
function neededChecks(seen: Observation, site: SiteView): readonly Check[] {
  const own = new Set(seen.sites.map((one) => slotName(one.name)));
  const following = seen.sites.filter(
    (one) => one.name !== site.name && one.follows === site.name && one.role === "standby",
  );
  const needed = (site.slots ?? []).filter((slot) => slot.active || !own.has(slot.name));
  return [
    {
      title: `nobody streams from ${site.name}`,
      objection:
        following.length === 0 && site.streamingTo.length === 0
          ? undefined
          : `${[...new Set([...following.map((one) => one.name), ...site.streamingTo])].join(", ")} streams from ${site.name}: let it follow the primary first`,
    },
    {
      title: `no slot needs ${site.name}`,
      objection:
        needed.length === 0
          ? undefined
          : `${needed.map((slot) => `slot ${slot.name} is ${slot.active ? "in use" : "not of this stack"}`).join(", ")} at ${site.name}: ` +
            "move its reader to another site, then select pg_drop_replication_slot('…') there",
    },
  ];
}

/**
 * Takes a site out: its PostgreSQL stops and stays stopped, no grant waits for it any more, and nobody keeps WAL for it.
 * Run when the other sites' files name it no longer, or they would take it in again. Its data stays.
 */
export function planRetire(seen: Observation, name: string): Planned {
  const checks = retireChecks(seen, name);
  const site = siteOf(seen, name);
  const [primary] = seen.primaries;
  if (site === undefined || primary === undefined || objections(checks).length > 0)
    return { ok: false, checks, next: `bin/recovery ${seen.stack} topology` };
  const epoch = highestEpoch(seen);
  const others = seen.sites.filter((other) => other.name !== name);
  return {
    ok: true,
    checks,
    plan: {
      verb: "retire",
      from: primary,
      to: name,
      epochs: { before: epoch, after: epoch },
      timeline: siteOf(seen, primary)?.timeline ?? 0,
      steps: [
        ...stopSteps(site),
        ...others.flatMap((other) => grantSteps(other, site)),
        ...others.filter(({ role }) => role !== "empty").map((other, at) => slotStep(other, name, at === 0)),
      ],
    },
  };
}

/** A site that does not answer has nothing to stop that anybody could reach. */
function stopSteps({ name, source, mayRun, role, grant }: SiteView): readonly Step[] {
  if (source !== "control" || role === "empty") return [];
  return [
    {
      id: "stop",
      title: `Stop PostgreSQL at ${name}`,
      action: { do: "order", site: name, verb: "stop" },
      seconds: STOP_SECONDS,
      ...(mayRun === false ? {} : { undo: [{ do: "order", site: name, verb: "start" }] }),
    },
    ...(grant === null || grant.state === "none"
      ? []
      : [
          {
            id: "grant",
            title: `Take the grant from ${name}`,
            action: {
              do: "grant",
              site: name,
              expect: expectation(grant),
              grant: { ...grant, state: "none" },
            },
            seconds: 10,
            undo: [
              {
                do: "grant",
                site: name,
                expect: expectation({ ...grant, state: "none" }),
                grant,
              },
            ],
          } satisfies Step,
        ]),
  ];
}

/** Once it is certainly stopped nobody has to be kept from following it, and its name may be given anew. */
function grantSteps({ name, grant }: SiteView, leaving: SiteView): readonly Step[] {
  if (grant === null) return [];
  const without: GrantView = {
    ...grant,
    peers: grant.peers.filter((peer) => peer.site !== leaving.name),
    excluded:
      leaving.source === "control"
        ? grant.excluded.filter((site) => site !== leaving.name)
        : [...grant.excluded],
  };
  if (JSON.stringify(without) === JSON.stringify(grant)) return [];
  return [
    {
      id: `forget-${name}`,
      title: `${name} asks ${leaving.name} no more before it takes writes`,
      action: { do: "grant", site: name, expect: expectation(grant), grant: without },
      seconds: 10,
      undo: [{ do: "grant", site: name, expect: expectation(grant), grant }],
    },
  ];
}

/** From the first on there is no way back: the WAL that was kept may go at once. */
function slotStep({ name }: SiteView, leaving: string, final: boolean): Step {
  return {
    id: `slot-${name}`,
    title: `${name} keeps no WAL for ${leaving}`,
    action: { do: "drop-slot", site: name, slot: slotName(leaving) },
    seconds: 15,
    ...(final ? { final: true } : {}),
  };
}
