import type { Observation } from "./observe/observation.ts";
import { command, list } from "./judge/finding.ts";
import type { Finding, Level } from "./judge/finding.ts";
import { routers, settings } from "./judge/settings.ts";
import { missing, standbys } from "./judge/standbys.ts";
import { heldBack, primaries } from "./judge/writes.ts";

/** What an observation means, and what to type next. Pure: every state is a line in a table. */

export { isHeldBack } from "./judge/writes.ts";
export type { Code, Finding, Level } from "./judge/finding.ts";

/** The verdict is the first finding; the others follow in the order of their weight. */
export function judge(seen: Observation): readonly [Finding, ...Finding[]] {
  const { adopted = [] } = seen;
  // What is not known of them would be read as a fault, and its cure as advice.
  if (adopted.length > 0) {
    const finding = asFound(seen, adopted);
    const [open] = interrupted(seen);
    return open === undefined ? [finding] : [open, afterRun(open, finding)];
  }
  const rules = [interrupted, primaries, heldBack, missing, standbys, routers, settings];
  const found = rules.flatMap((rule) => rule(seen));
  const order: readonly Level[] = ["alarm", "warning", "notice", "ok"];
  const weight = (finding: Finding): number =>
    finding.code === "running" || finding.code === "interrupted" ? -1 : order.indexOf(finding.level);
  const [first, ...rest] = found.toSorted((a, b) => weight(a) - weight(b));
  if (first !== undefined) return [first, ...rest.map((finding) => afterRun(first, finding))];
  const [primary = ""] = seen.primaries;
  const others = seen.sites.filter((site) => site.name !== primary).map((site) => site.name);
  const behind =
    others.length === 0
      ? "there is no standby"
      : `${list(others)} stream${others.length === 1 ? "s" : ""} without lag`;
  return [
    { code: "healthy", level: "ok", text: `${primary} takes writes, ${behind}.`, next: "nothing to do" },
  ];
}

/** What of the stack runs as it was found, and what is next for it (docs/adoption.md). */
function asFound(seen: Observation, adopted: readonly string[]): Finding {
  const runs = `${list(adopted)} run${adopted.length === 1 ? "s" : ""} as found`;
  const finding = { code: "adopted", level: "notice" } as const;
  const [last, ...more] = adopted;
  const ours = seen.sites.filter(({ name }) => name !== last);
  if (last === undefined || more.length > 0 || ours.length === 0)
    return {
      ...finding,
      text: `${runs}: nothing can be told of the whole, and no runbook acts on it.`,
      next: `bin/adopt ${seen.stack} --convert SITE; the primary last (docs/adoption.md)`,
    };
  const [primary, ...others] = seen.primaries;
  if (others.length > 0)
    return {
      ...finding,
      level: "alarm",
      text: `two instances run as primary: ${list(seen.primaries)}; ${last} runs as found.`,
      next: `where the writes have left ${last}: docker stop what was found there, on its host`,
    };
  if (primary === last)
    return {
      ...finding,
      text: `${runs}, and takes writes; all else is heatwave's.`,
      next: command(seen, `flip-db --to ${ours.map(({ name }) => name).join("|")}`),
    };
  return primary === undefined
    ? {
        ...finding,
        level: "alarm",
        text: `${runs}, and no site is seen to take writes.`,
        next: `on the host of ${last}: docker ps -a, docker logs; docker start what was found there, where nothing was promoted`,
      }
    : {
        ...finding,
        text: `${primary} takes writes, without a standby; ${last} is stopped, as it was found.`,
        next:
          seen.declared === primary
            ? `bin/adopt ${seen.stack} --convert ${last}, then pulumi up`
            : `set heatwave:primary to ${primary} in Pulumi.${seen.stack}.yaml; then bin/adopt ${seen.stack} --convert ${last}, and pulumi up`,
      };
}

/** While a run is open, nothing else is safe to type. */
function afterRun(first: Finding, finding: Finding): Finding {
  const open = first.code === "interrupted" || first.code === "running";
  return open && finding.code !== first.code ? { ...finding, next: "after that: look again" } : finding;
}

function interrupted(seen: Observation): Finding[] {
  const locks = seen.hosts.flatMap((host) => host.lock ?? []);
  const dead = locks.find((lock) => !lock.alive);
  const living = locks.find((lock) => lock.alive);
  if (living !== undefined)
    return [
      {
        code: "running",
        level: "notice",
        text: `${living.verb} is running (${living.who}, since ${living.since}).`,
        next: command(seen, "topology --watch"),
      },
    ];
  if (dead !== undefined)
    return [
      {
        code: "interrupted",
        level: "alarm",
        text: `${dead.verb} was interrupted (${dead.who}, since ${dead.since}): its controller is gone and its locks are left.`,
        next: command(seen, "resume"),
      },
    ];
  const [open] = seen.unfinished;
  if (open === undefined) return [];
  return [
    {
      code: "interrupted",
      level: "warning",
      text: `${open.verb} of ${open.started} (${open.who}) has no end in the ledger.`,
      next: command(seen, "resume"),
    },
  ];
}
