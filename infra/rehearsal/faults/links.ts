import type { HostMachine, Machine, WorldPlan } from "../plan.ts";

/** Packets from one machine to another that do not arrive. */
export interface BrokenLink {
  readonly from: string;
  readonly to: string;
  /** Part that is lost, above 0; 1 for a link that is cut. */
  readonly loss: number;
}

/** Where a machine keeps its part of the broken links, for the boot and for whoever asks. */
export const LINKS_FILE = "links.rules";

/** What stands in a rule's comment, so that the rules themselves tell what is broken. */
const COMMENT = /--comment "link (\S+) (\S+) (\S+)"/;

/** Links between two machines, or between one and all others, the operator's seat among them. */
export function linksBetween(
  plan: WorldPlan,
  one: string,
  other: string | undefined,
  options: { readonly loss: number; readonly oneWay: boolean },
): BrokenLink[] {
  const others =
    other === undefined
      ? [plan.controller, ...plan.hosts].map(({ name }) => name).filter((name) => name !== one)
      : [other];
  const { loss, oneWay } = options;
  return others.flatMap((name) => [
    { from: one, to: name, loss },
    ...(oneWay ? [] : [{ from: name, to: one, loss }]),
  ]);
}

/** The links as they are after some were broken, or broken in another way. Sorted. */
export function withBroken(present: readonly BrokenLink[], broken: readonly BrokenLink[]): BrokenLink[] {
  return [...without(present, broken), ...broken].toSorted(byName);
}

/** The links as they are after some were healed. */
export function without(present: readonly BrokenLink[], healed: readonly BrokenLink[]): BrokenLink[] {
  const names = new Set(healed.map(nameOf));
  return present.filter((link) => !names.has(nameOf(link)));
}

/**
 * The `iptables-restore` text of one host. A cut is in force at both ends, so that it holds while one of them boots; a
 * loss only where packets arrive, so that it is not suffered twice.
 */
export function rulesOf(host: HostMachine, links: readonly BrokenLink[], plan: WorldPlan): string {
  const machines = new Map<string, Machine>(
    [plan.controller, ...plan.hosts].map((machine) => [machine.name, machine]),
  );
  const address = (name: string): string => machines.get(name)?.underlay ?? "";
  const inbound = links
    .filter(({ to }) => to === host.name)
    .map((link) => `-A HEATWAVE-LINKS-PREROUTING -s ${address(link.from)}/32 ${target(link)}`);
  const outbound = links
    .filter((link) => link.from === host.name && (link.loss >= 1 || link.to === plan.controller.name))
    .map((link) => `-A HEATWAVE-LINKS-OUTPUT -d ${address(link.to)}/32 ${target(link)}`);
  return [
    "*raw",
    ":HEATWAVE-LINKS-PREROUTING - [0:0]",
    ":HEATWAVE-LINKS-OUTPUT - [0:0]",
    ...inbound,
    ...outbound,
    "COMMIT",
    "",
  ].join("\n");
}

function target(link: BrokenLink): string {
  const comment = `-m comment --comment "link ${link.from} ${link.to} ${link.loss}"`;
  return link.loss >= 1
    ? `${comment} -j DROP`
    : `-m statistic --mode random --probability ${link.loss} ${comment} -j DROP`;
}

/** The broken links that a host's rules tell of. */
export function parseRules(text: string): BrokenLink[] {
  return text.split("\n").flatMap((line) => {
    const [, from, to, loss] = COMMENT.exec(line) ?? [];
    return from === undefined || to === undefined ? [] : [{ from, to, loss: Number(loss) }];
  });
}

/** Each link once, whichever ends tell of it. */
export function distinct(links: readonly BrokenLink[]): BrokenLink[] {
  return [...new Map(links.map((link) => [nameOf(link), link])).values()].toSorted(byName);
}

function nameOf({ from, to }: BrokenLink): string {
  return `${from} ${to}`;
}

function byName(one: BrokenLink, other: BrokenLink): number {
  return nameOf(one) < nameOf(other) ? -1 : 1;
}
