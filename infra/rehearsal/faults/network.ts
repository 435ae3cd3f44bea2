import { docker, tryDocker } from "../docker.ts";
import { give, readInside, WORLD_FOLDER } from "../host-files.ts";
import type { HostMachine, WorldPlan } from "../plan.ts";
import { RehearsalError, tail } from "../trouble.ts";
import type { LinkFault } from "./links.ts";
import {
  distinct,
  LINKS_FILE,
  linksBetween,
  parseRules,
  queuesOf,
  rulesOf,
  withFaults,
  without,
} from "./links.ts";
import type { HostState } from "./states.ts";
import { demandHost, demandRunning, hostState } from "./states.ts";

/** Longest delay of a link, milliseconds. */
const LATEST = 10_000;

export interface LinkOptions {
  /** The second machine, a host or `controller`; all others when left out. */
  readonly other?: string | undefined;
  /** Only what the first one sends to the other is hit. @default false */
  readonly oneWay?: boolean | undefined;
}

/**
 * Cuts links without a word to either end: packets are dropped, not refused. Holds over reboots.
 * @throws {RehearsalError} when a machine is unknown or frozen
 */
export function cut(plan: WorldPlan, one: string, options: LinkOptions = {}): Promise<LinkFault[]> {
  return lose(plan, one, 1, options);
}

/**
 * Lets a part of the packets get lost, each by chance.
 * @param loss part that is lost, above 0 and up to 1
 * @throws {RehearsalError} when a machine is unknown or frozen
 */
export async function lose(
  plan: WorldPlan,
  one: string,
  loss: number,
  { other, oneWay = false }: LinkOptions = {},
): Promise<LinkFault[]> {
  demandPair(plan, one, other);
  if (!(loss > 0 && loss <= 1)) {
    throw new RehearsalError(
      `${loss} is no part of a link's packets`,
      "allowed: above 0 and up to 1, where 1 cuts the link",
      `bin/rehearse fault lossy ${one} 0.2`,
    );
  }
  return add(plan, linksBetween(plan, one, other, { loss, oneWay }));
}

/**
 * Lets packets arrive later, each by the same time and in the order in which they were sent. Holds over reboots.
 * @param milliseconds a whole number; both ways together take twice as long
 * @throws {RehearsalError} when a machine is unknown or frozen
 */
export async function delay(
  plan: WorldPlan,
  one: string,
  milliseconds: number,
  { other, oneWay = false }: LinkOptions = {},
): Promise<LinkFault[]> {
  demandPair(plan, one, other);
  if (!Number.isInteger(milliseconds) || milliseconds < 1 || milliseconds > LATEST) {
    throw new RehearsalError(
      `${milliseconds} is no number of milliseconds for a link to be late`,
      `allowed: a whole number from 1 to ${LATEST}`,
      `bin/rehearse fault delay ${one} 40`,
    );
  }
  return add(plan, linksBetween(plan, one, other, { milliseconds, oneWay }));
}

async function add(plan: WorldPlan, faults: readonly LinkFault[]): Promise<LinkFault[]> {
  await change(plan, (present) => withFaults(present, faults));
  return [...faults];
}

/**
 * Heals links: of one machine, between two, or all.
 * @returns what had been wrong with them
 */
export async function healLinks(plan: WorldPlan, one?: string, other?: string): Promise<LinkFault[]> {
  if (one !== undefined) demandPair(plan, one, other);
  const present = await linkFaults(plan);
  const healed =
    one === undefined
      ? present
      : present.filter(
          ({ from, to }) => [from, to].includes(one) && (other === undefined || [from, to].includes(other)),
        );
  if (healed.length > 0) await change(plan, (links) => without(links, healed));
  return healed;
}

/** What is wrong with the links of a world, as its hosts tell. */
export async function linkFaults(plan: WorldPlan): Promise<LinkFault[]> {
  const files = await Promise.all(plan.hosts.map(async (host) => rulesAt(host, await hostState(host))));
  return distinct(files.flatMap(parseRules));
}

async function rulesAt(host: HostMachine, state: HostState): Promise<string> {
  return readInside(host.container, state === "running" ? state : undefined, `${WORLD_FOLDER}/${LINKS_FILE}`);
}

async function change(
  plan: WorldPlan,
  next: (present: readonly LinkFault[]) => readonly LinkFault[],
): Promise<void> {
  const links = next(await linkFaults(plan));
  const states = await Promise.all(
    plan.hosts.map(async (host) => {
      const state = await hostState(host);
      return { host, state, present: await rulesAt(host, state), wanted: rulesOf(host, links, plan) };
    }),
  );
  const changed = states.filter(
    ({ state, present, wanted }) =>
      state !== "missing" &&
      present.trim() !== wanted.trim() &&
      (present !== "" || parseRules(wanted).length > 0),
  );
  // Before anything is done: a frozen host could not take its part, nor one whose kernel or image holds no packets.
  for (const { host, state, wanted } of changed) {
    if (state === "frozen") await demandRunning(host);
    if (state === "running") await holdQueues(host, wanted);
  }
  await Promise.all(
    changed.map(async ({ host, state, wanted }) => {
      const running = state === "running";
      await give(host.container, running ? "running" : undefined, WORLD_FOLDER, { [LINKS_FILE]: wanted });
      if (running) await docker(["exec", host.container, "heatwave-links"]);
    }),
  );
}

/** Has the queues of all delays held, so that a rule which hands packets to them is no cut. */
async function holdQueues(host: HostMachine, rules: string): Promise<void> {
  for (const queue of queuesOf(rules)) {
    const held = await tryDocker(["exec", host.container, "heatwave-delay", queue]);
    if (held.exitCode === 0) continue;
    throw new RehearsalError(
      `Host ${host.name} cannot hold packets`,
      tail(`${held.stdout}\n${held.stderr}`),
      "a host from before this fault lacks what it needs: bin/rehearse down, then bin/rehearse up",
    );
  }
}

/**
 * Limits what a host sends to a number of bits a second, behind a queue of two seconds: a link that is slow, and late.
 * Over at its next boot.
 * @param rate as `tc` takes it: 64kbit, 1mbit
 */
export async function slow(plan: WorldPlan, name: string, rate: string): Promise<void> {
  const host = demandHost(plan, name);
  if (!/^[1-9][0-9]*(bit|kbit|mbit)$/.test(rate)) {
    throw new RehearsalError(
      `"${rate}" is no rate`,
      "allowed: a whole number with bit, kbit or mbit",
      `bin/rehearse fault slow ${name} 64kbit`,
    );
  }
  await demandRunning(host);
  const shaped = ["tbf", "rate", rate, "burst", "4kb", "latency", "2s"];
  await docker(["exec", host.container, "tc", "qdisc", "replace", "dev", "eth0", "root", ...shaped]);
}

/** Ends `slow`. Returns whether it was in force. */
export async function unslow(host: HostMachine): Promise<boolean> {
  if ((await slowRate(host)) === undefined) return false;
  await docker(["exec", host.container, "tc", "qdisc", "del", "dev", "eth0", "root"]);
  return true;
}

/** The rate that a running host is limited to; undefined when it is not. */
export async function slowRate(host: HostMachine): Promise<string | undefined> {
  const shown = await docker(["exec", host.container, "tc", "qdisc", "show", "dev", "eth0"]);
  return /\btbf\b.*\brate (\S+)/.exec(shown)?.[1]?.toLowerCase();
}

function demandPair(plan: WorldPlan, one: string, other: string | undefined): void {
  demandHost(plan, one);
  if (other === undefined || other === plan.controller.name) return;
  demandHost(plan, other);
  if (one === other) {
    throw new RehearsalError(
      `"${one}" is named twice`,
      "a link has two ends",
      `bin/rehearse fault cut ${one}, which cuts it off from all others`,
    );
  }
}
