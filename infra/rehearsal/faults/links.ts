import type { HostMachine, Machine, WorldPlan } from "../plan.ts";

interface Link {
  readonly from: string;
  readonly to: string;
}

/** Packets from one machine to another that do not arrive. */
export interface BrokenLink extends Link {
  /** Part that is lost, above 0; 1 for a link that is cut. */
  readonly loss: number;
}

/** Packets from one machine to another that arrive later. */
export interface LateLink extends Link {
  readonly milliseconds: number;
}

/** What is wrong with the packets from one machine to another. A link may lose some and deliver the rest late. */
export type LinkFault = BrokenLink | LateLink;

/** Where a machine keeps its part of the links' faults, for the boot and for whoever asks. */
export const LINKS_FILE = "links.rules";

/** What stands in a rule's comment, so that the rules themselves tell what is wrong. */
const COMMENT = /--comment "(link|delay) (\S+) (\S+) (\S+)"/;

/** What is added to the number of a queue of packets that leave, and the mark of those that left it, for `heatwave-delay`. */
const LEAVING = 32_768;
const LEFT_MARK = "0x68770001";

/** Links between two machines, or between one and all others, the operator's seat among them. */
export function linksBetween(
  plan: WorldPlan,
  one: string,
  other: string | undefined,
  options: ({ readonly loss: number } | { readonly milliseconds: number }) & { readonly oneWay: boolean },
): LinkFault[] {
  const others =
    other === undefined
      ? [plan.controller, ...plan.hosts].map(({ name }) => name).filter((name) => name !== one)
      : [other];
  const { oneWay, ...wrong } = options;
  return others.flatMap((name) => [
    { from: one, to: name, ...wrong },
    ...(oneWay ? [] : [{ from: name, to: one, ...wrong }]),
  ]);
}

/** The faults as they are after some came, or came in another strength. Sorted. */
export function withFaults(present: readonly LinkFault[], more: readonly LinkFault[]): LinkFault[] {
  return [...without(present, more), ...more].toSorted(byName);
}

/** The faults as they are after some were healed. */
export function without(present: readonly LinkFault[], healed: readonly LinkFault[]): LinkFault[] {
  const names = new Set(healed.map(nameOf));
  return present.filter((fault) => !names.has(nameOf(fault)));
}

/**
 * The `iptables-restore` text of one host. A cut is in force at both ends, so that it holds while one of them boots; a
 * loss and a delay only where packets arrive, so that they are not suffered twice, or where they leave for the controller,
 * which has no rules. What is delayed is what was not lost.
 */
export function rulesOf(host: HostMachine, faults: readonly LinkFault[], plan: WorldPlan): string {
  const machines = new Map<string, Machine>(
    [plan.controller, ...plan.hosts].map((machine) => [machine.name, machine]),
  );
  const address = (name: string): string => machines.get(name)?.underlay ?? "";
  const ordered = [...faults.filter(isBroken), ...faults.filter((fault) => !isBroken(fault))];
  const inbound = ordered
    .filter(({ to }) => to === host.name)
    .map((fault) => `-A HEATWAVE-LINKS-PREROUTING -s ${address(fault.from)}/32 ${target(fault, 0)}`);
  const outbound = ordered
    .filter((fault) => fault.from === host.name && (isCut(fault) || fault.to === plan.controller.name))
    .map((fault) => `-A HEATWAVE-LINKS-OUTPUT -d ${address(fault.to)}/32 ${target(fault, LEAVING)}`);
  // What was held is sent anew, and has suffered all of this already.
  const left = `-A HEATWAVE-LINKS-OUTPUT -m mark --mark ${LEFT_MARK} -j RETURN`;
  return [
    "*raw",
    ":HEATWAVE-LINKS-PREROUTING - [0:0]",
    ":HEATWAVE-LINKS-OUTPUT - [0:0]",
    ...inbound,
    ...(outbound.some((rule) => rule.includes("-j NFQUEUE")) ? [left] : []),
    ...outbound,
    "COMMIT",
    "",
  ].join("\n");
}

function target(fault: LinkFault, queues: number): string {
  const comment = (kind: string, value: number) =>
    `-m comment --comment "${kind} ${fault.from} ${fault.to} ${value}"`;
  // The queue's number is its delay: `heatwave-delay` holds it.
  if (!isBroken(fault))
    return `${comment("delay", fault.milliseconds)} -j NFQUEUE --queue-num ${queues + fault.milliseconds}`;
  return isCut(fault)
    ? `${comment("link", fault.loss)} -j DROP`
    : `-m statistic --mode random --probability ${fault.loss} ${comment("link", fault.loss)} -j DROP`;
}

/** The faults that a host's rules tell of. */
export function parseRules(text: string): LinkFault[] {
  return text.split("\n").flatMap((line): LinkFault[] => {
    const [, kind, from, to, value] = COMMENT.exec(line) ?? [];
    if (from === undefined || to === undefined) return [];
    return kind === "delay"
      ? [{ from, to, milliseconds: Number(value) }]
      : [{ from, to, loss: Number(value) }];
  });
}

/** Numbers of the queues that must be held before these rules are in force. */
export function queuesOf(rules: string): string[] {
  return [...new Set([...rules.matchAll(/ --queue-num (\d+)$/gm)].map(([, number]) => number ?? ""))];
}

/** Each fault once, whichever ends tell of it. */
export function distinct(faults: readonly LinkFault[]): LinkFault[] {
  return [...new Map(faults.map((fault) => [nameOf(fault), fault])).values()].toSorted(byName);
}

/** Whether packets are lost; if not, they are late. */
export function isBroken(fault: LinkFault): fault is BrokenLink {
  return "loss" in fault;
}

function isCut(fault: LinkFault): boolean {
  return isBroken(fault) && fault.loss >= 1;
}

function nameOf(fault: LinkFault): string {
  return `${fault.from} ${fault.to} ${isBroken(fault) ? "loss" : "delay"}`;
}

function byName(one: LinkFault, other: LinkFault): number {
  return nameOf(one) < nameOf(other) ? -1 : 1;
}
