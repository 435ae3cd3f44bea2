import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Overlay } from "../config/overlay.ts";
import type { StackConfig } from "../config/schema.ts";
import { tryDocker } from "./docker.ts";
import type { WorldPlan } from "./plan.ts";
import type { Client } from "./sql.ts";
import { siteClient, writeClient, writePath } from "./sql.ts";
import { RehearsalError, tail } from "./trouble.ts";

/** Seconds that a new stack's router may take to see its primary, and a standby to show a committed row. */
const PATIENCE_SECONDS = 30;

const TABLE = "public.heatwave_rehearsal";

/** A row that was committed through the write VIP, and read back the same way. */
export interface WrittenRow {
  readonly id: number;
  /** Random, so that no older row can be mistaken for it. */
  readonly note: string;
  /** Milliseconds from the client's start to its end, container start included. */
  readonly milliseconds: number;
}

export interface SiteRow {
  readonly site: string;
  readonly role: "primary" | "standby";
  /** Milliseconds until the row was seen, from the first look. */
  readonly milliseconds: number;
}

/**
 * Writes a row as an application would, from a container on the app host's Docker network through the router, and reads
 * it back over a second connection.
 * @throws {RehearsalError} with psql's words when the row was not committed or not read back
 */
export async function writeRow(plan: WorldPlan, stack: StackConfig, overlay: Overlay): Promise<WrittenRow> {
  const note = randomUUID();
  const write = [
    `create table if not exists ${TABLE} (id bigint generated always as identity primary key, note text not null,
       written timestamptz not null default clock_timestamp())`,
    `insert into ${TABLE} (note) values ('${note}')`,
  ];
  const started = performance.now();
  const writer = await writeClient(plan, stack, overlay, batch(write), false);
  // A router that has just started needs `rise` checks before it lets the first connection in.
  await untilOk(writer, "The row could not be written through the write VIP", stack);
  const reader = await writeClient(
    plan,
    stack,
    overlay,
    batch([`select id from ${TABLE} where note = '${note}'`]),
    false,
  );
  const id = Number((await untilOk(reader, "The row could not be read back", stack)).trim());
  if (!Number.isSafeInteger(id) || id < 1) {
    throw new RehearsalError(
      "The row that was committed through the write VIP is not there",
      `a second connection found no row with the note ${note}`,
      "bin/rehearse status; then bin/rehearse psql SITE at each site",
    );
  }
  return { id, note, milliseconds: performance.now() - started };
}

/**
 * Looks for the row at every site, each by its own socket.
 * @throws {RehearsalError} when a site does not have it in time, or the number of primaries is not one
 */
export async function findRowEverywhere(
  plan: WorldPlan,
  stack: StackConfig,
  row: WrittenRow,
): Promise<SiteRow[]> {
  const found = await Promise.all(stack.sites.map((site) => awaitRow(plan, stack, site.name, row)));
  const primaries = found.filter((site) => site.role === "primary").map((site) => site.site);
  if (primaries.length !== 1) {
    throw new RehearsalError(
      `There are ${primaries.length} primaries`,
      found.map((site) => `${site.site}: ${site.role}`).join(", "),
      "bin/rehearse status, and bin/rehearse psql SITE for each site",
    );
  }
  return found;
}

async function awaitRow(
  plan: WorldPlan,
  stack: StackConfig,
  site: string,
  row: WrittenRow,
): Promise<SiteRow> {
  const query = `select pg_is_in_recovery(), count(*) from ${TABLE} where id = ${row.id} and note = '${row.note}'`;
  const client = siteClient(plan, stack, site, batch([query]), false);
  const started = performance.now();
  const deadline = started + PATIENCE_SECONDS * 1000;
  for (;;) {
    const result = await tryDocker(["exec", "-i", client.container, ...client.command]);
    const [recovery, count] = result.stdout.trim().split("|");
    if (result.exitCode === 0 && count === "1") {
      return {
        site,
        role: recovery === "t" ? "standby" : "primary",
        milliseconds: performance.now() - started,
      };
    }
    if (performance.now() > deadline) {
      throw new RehearsalError(
        `Site ${site} did not show the row within ${PATIENCE_SECONDS} s`,
        tail(`${result.stdout}\n${result.stderr}`) || "the query ran and found no row",
        `bin/rehearse psql ${site} -c 'table pg_stat_wal_receiver'`,
      );
    }
    await delay(50);
  }
}

/** Runs a client until it succeeds or the patience is over; a statement that half ran is safe to run again. */
async function untilOk(client: Client, what: string, stack: StackConfig): Promise<string> {
  const deadline = performance.now() + PATIENCE_SECONDS * 1000;
  for (;;) {
    const result = await tryDocker(["exec", "-i", client.container, ...client.command]);
    if (result.exitCode === 0) return result.stdout;
    // 2: psql could not connect. Anything else is an answer that will not change.
    if (result.exitCode !== 2 || performance.now() > deadline) {
      const { routerHost, routerContainer, port } = writePath(stack);
      throw new RehearsalError(
        what,
        tail(`${result.stdout}\n${result.stderr}`),
        `bin/rehearse status; the router, asked on port ${port}: bin/rehearse host ${routerHost} docker logs ${routerContainer}`,
      );
    }
    await delay(100);
  }
}

function batch(statements: readonly string[]): string[] {
  return [
    ...["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"],
    ...statements.flatMap((statement) => ["-c", statement]),
  ];
}
