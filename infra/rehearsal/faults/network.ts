import { docker } from "../docker.ts";
import { give, readInside, WORLD_FOLDER } from "../host-files.ts";
import type { HostMachine, WorldPlan } from "../plan.ts";
import { RehearsalError } from "../trouble.ts";
import type { BrokenLink } from "./links.ts";
import { distinct, LINKS_FILE, linksBetween, parseRules, rulesOf, withBroken, without } from "./links.ts";
import type { HostState } from "./states.ts";
import { demandHost, demandRunning, hostState } from "./states.ts";

export interface LinkOptions {
  /** The second machine, a host or `controller`; all others when left out. */
  readonly other?: string | undefined;
  /** Only what the first one sends to the other is lost. @default false */
  readonly oneWay?: boolean | undefined;
}

/**
 * Cuts links without a word to either end: packets are dropped, not refused. Holds over reboots.
 * @throws {RehearsalError} when a machine is unknown or frozen
 */
export function cut(plan: WorldPlan, one: string, options: LinkOptions = {}): Promise<BrokenLink[]> {
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
): Promise<BrokenLink[]> {
  demandPair(plan, one, other);
  if (!(loss > 0 && loss <= 1)) {
    throw new RehearsalError(
      `${loss} is no part of a link's packets`,
      "allowed: above 0 and up to 1, where 1 cuts the link",
      `bin/rehearse fault lossy ${one} 0.2`,
    );
  }
  const broken = linksBetween(plan, one, other, { loss, oneWay });
  await change(plan, (present) => withBroken(present, broken));
  return broken;
}

/**
 * Heals links: of one machine, between two, or all.
 * @returns those that had been broken
 */
export async function healLinks(plan: WorldPlan, one?: string, other?: string): Promise<BrokenLink[]> {
  if (one !== undefined) demandPair(plan, one, other);
  const present = await brokenLinks(plan);
  const healed =
    one === undefined
      ? present
      : present.filter(
          ({ from, to }) => [from, to].includes(one) && (other === undefined || [from, to].includes(other)),
        );
  if (healed.length > 0) await change(plan, (links) => without(links, healed));
  return healed;
}

/** All broken links of a world, as its hosts tell. */
export async function brokenLinks(plan: WorldPlan): Promise<BrokenLink[]> {
  const files = await Promise.all(plan.hosts.map(async (host) => rulesAt(host, await hostState(host))));
  return distinct(files.flatMap(parseRules));
}

async function rulesAt(host: HostMachine, state: HostState): Promise<string> {
  return readInside(host.container, state === "running" ? state : undefined, `${WORLD_FOLDER}/${LINKS_FILE}`);
}

async function change(
  plan: WorldPlan,
  next: (present: readonly BrokenLink[]) => readonly BrokenLink[],
): Promise<void> {
  const links = next(await brokenLinks(plan));
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
  // Before anything is done: a frozen host could not take its part.
  for (const { host, state } of changed) if (state === "frozen") await demandRunning(host);
  await Promise.all(
    changed.map(async ({ host, state, wanted }) => {
      const running = state === "running";
      await give(host.container, running ? "running" : undefined, WORLD_FOLDER, { [LINKS_FILE]: wanted });
      if (running) await docker(["exec", host.container, "heatwave-links"]);
    }),
  );
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
