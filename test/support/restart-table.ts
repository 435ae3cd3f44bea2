import { expect, vi } from "vitest";
import { healAll } from "../../infra/rehearsal/faults/active.ts";
import { docker, tryDocker } from "../../infra/rehearsal/docker.ts";
import type { SiteAnswer } from "../../infra/rehearsal/health.ts";
import { primariesOf } from "../../infra/rehearsal/health.ts";
import { hostOf } from "../../infra/rehearsal/plan.ts";
import { siteClient } from "../../infra/rehearsal/sql.ts";
import { acknowledgedOf, gapsOf, longest } from "../../infra/rehearsal/writer/figures.ts";
import { monotonicMs } from "../../infra/rehearsal/writer/records.ts";
import { Writer } from "../../infra/rehearsal/writer/writer.ts";
import type { Site } from "../../infra/topology/model.ts";
import type { LiveWorld } from "./live-world.ts";

/** Milliseconds in which the write path must follow PostgreSQL. */
export const PATH_BACK_MS = 5000;

/** Milliseconds between two rows from which on an application noticed anything. */
const OUTAGE_MS = 1000;

/** Milliseconds that a stack may take to be whole again: standbys stream, every health endpoint answers. */
const HEALTHY_MS = 120_000;

export interface RowExpectation {
  /** Milliseconds from the fault until a row is acknowledged again. */
  readonly writableWithinMs?: number;
  /** Site that must be primary after the row; the one that was when it is left out. */
  readonly primary?: string;
  /** True where the row promotes, so that the timeline may change. @default false */
  readonly promotes?: boolean;
  /** Site that need not follow at the end: it was declared gone. */
  readonly gone?: string;
  /** True where somebody takes writes all the time in between, so that there is no outage to measure. @default false */
  readonly unheard?: boolean;
}

/**
 * A stack, and an application that writes to it all the time while things are broken. Each row begins and ends with a
 * whole stack, and proves that nothing acknowledged was lost and that no two instances ever took writes at once.
 */
export class RestartTable {
  readonly live: LiveWorld;
  readonly writer: Writer;

  private constructor(live: LiveWorld, writer: Writer) {
    this.live = live;
    this.writer = writer;
  }

  /** @param router host of the router that the application writes through; the first one's by default */
  static async begin(live: LiveWorld, options: { readonly router?: string } = {}): Promise<RestartTable> {
    await healAll(live.plan);
    const writer = await Writer.start(live.plan, live.stack, live.overlay, {
      everyMs: 40,
      ...options,
    });
    return new RestartTable(live, writer);
  }

  async end(): Promise<void> {
    await healAll(this.live.plan);
    await this.writer.discard();
  }

  site(name: string): Site {
    const site = this.live.topology.sites.find((candidate) => candidate.name === name);
    if (site === undefined) throw new Error(`no site ${name}`);
    return site;
  }

  /** A shell line as root on a host. */
  onHost(name: string, line: string): Promise<string> {
    return docker(["exec", hostOf(this.live.plan, name).container, "sh", "-c", line]);
  }

  /** One value by SQL as superuser at one site. */
  async sql(siteName: string, statement: string): Promise<string> {
    const client = siteClient(
      this.live.plan,
      this.live.stack,
      siteName,
      ["-X", "-q", "-At", "-c", statement],
      false,
    );
    return docker(["exec", "-i", client.container, ...client.command]);
  }

  /** What each site's pg-health answers on its own host, which may be cut off from everybody else. */
  answers(): Promise<SiteAnswer[]> {
    return Promise.all(
      this.live.topology.sites.map(async ({ name, host, pgHealth }): Promise<SiteAnswer> => {
        const request = `exec 3<>/dev/tcp/${host.address}/${pgHealth.port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3`;
        const asked = await tryDocker([
          ...["exec", hostOf(this.live.plan, host.name).container, "timeout", "10", "bash", "-c", request],
        ]);
        const [, status, word] = /^HTTP\S+ (\d+)[^]*\r\n\r\n(\S+)/.exec(asked.stdout) ?? [];
        return { site: name, host: host.name, word: word ?? null, status: Number(status ?? 0) || null };
      }),
    );
  }

  /** Waits for a site's health endpoint to say a word, with its status. */
  async awaitWord(siteName: string, word: string | RegExp, status: number, timeout = 60_000): Promise<void> {
    await vi.waitFor(
      async () => {
        const answer = (await this.answers()).find(({ site }) => site === siteName);
        expect(answer).toMatchObject({ word: expect.stringMatching(word) as string, status });
      },
      { timeout, interval: 500 },
    );
  }

  /** Waits until one site is primary and every other one streams from it. Returns the primary's name. */
  async whole(gone?: string): Promise<string> {
    return vi.waitFor(
      async () => {
        const answers = (await this.answers()).filter(({ site }) => site !== gone);
        const [primary, ...more] = primariesOf(answers);
        const words = answers.map(({ site, word }) => `${site} ${word ?? "silent"}`).join(", ");
        expect(more, words).toEqual([]);
        if (primary === undefined) throw new Error(`no primary: ${words}`);
        expect(answers.filter(({ word }) => word === "standby").length, words).toBe(answers.length - 1);
        const streaming = await this.sql(
          primary,
          "select count(*) from pg_stat_replication where state = 'streaming'" +
            ` and application_name not in ('pg_basebackup', '${gone ?? ""}')`,
        );
        expect(`${streaming} streaming of ${answers.length - 1}`).toBe(
          `${answers.length - 1} streaming of ${answers.length - 1}`,
        );
        return primary;
      },
      { timeout: HEALTHY_MS, interval: 700 },
    );
  }

  /** Timeline that a running instance is on. */
  async timeline(siteName: string): Promise<number> {
    const walFile =
      "select ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int";
    return Number(await this.sql(siteName, walFile));
  }

  /**
   * One row of the table: the stack is whole, `act` breaks it, then it comes back and is judged.
   * @param act gets the primary's name; returns the moment that counts as the fault's, or nothing for the beginning
   */
  async row(
    name: string,
    act: (primary: string) => Promise<number | undefined>,
    expected: RowExpectation = {},
  ): Promise<void> {
    const before = await this.whole();
    const timeline = await this.timeline(before);
    await this.writer.awaitRow(monotonicMs(), 30_000);
    const begun = this.writer.mark(name);
    const at = (await act(before)) ?? begun;
    await this.writer.awaitRow(monotonicMs(), 90_000);
    const after = await this.whole(expected.gone);
    const figures = await this.#figures(name, after, at);
    expect(after, "the primary").toBe(expected.primary ?? before);
    if (expected.promotes !== true) expect(await this.timeline(after), "the timeline").toBe(timeline);
    if (expected.unheard !== true) {
      expect(figures.pathBackMs, "write path after PostgreSQL, ms").toBeLessThanOrEqual(PATH_BACK_MS);
      expect(figures.writableAfterMs, "writable again, ms").toBeLessThanOrEqual(
        expected.writableWithinMs ?? Number.POSITIVE_INFINITY,
      );
    }
  }

  async #figures(
    name: string,
    primary: string,
    at: number,
  ): Promise<{ readonly writableAfterMs: number; readonly pathBackMs: number }> {
    const report = await this.writer.report();
    const rows = acknowledgedOf(await this.writer.records());
    const gap = longest(gapsOf(rows).filter(({ to }) => to >= at));
    const back = gap === undefined || gap.ms < OUTAGE_MS ? at : gap.to;
    const writableAfterMs = Math.max(0, back - at);
    const pathBackMs = Math.max(0, back - Math.max(at, await this.acceptedAt(primary)));
    const errors = report.marks.findLast((mark) => mark.name === name)?.errors ?? {};
    const round = Math.round;
    console.log(
      `${name}: writable again ${round(writableAfterMs)} ms after the fault, ${round(pathBackMs)} ms after PostgreSQL; ` +
        `gap ${round(gap?.ms ?? 0)} ms; acknowledged ${report.acknowledged}, lost ${report.lost}, ` +
        `duplicates ${report.duplicates}; errors ${JSON.stringify(errors)}`,
    );
    expect(report.lostRows, "lost rows").toEqual([]);
    expect(report.duplicates, "duplicates").toBe(0);
    expect(report.writability?.overlaps, "two writable at once").toEqual([]);
    return { writableAfterMs, pathBackMs };
  }

  /** When a site's PostgreSQL last began to accept connections, by its entrypoint's log; 0 where it never did. */
  async acceptedAt(siteName: string): Promise<number> {
    const { postgres, host } = this.site(siteName);
    const found = await tryDocker([
      ...["exec", hostOf(this.live.plan, host.name).container, "sh", "-c"],
      `docker logs --timestamps --tail 2000 ${postgres.container} 2>&1 | grep 'PostgreSQL accepts connections' | tail -n 1`,
    ]);
    const [time] = found.stdout.split(" ");
    const wall = Date.parse(time ?? "");
    return Number.isNaN(wall) ? 0 : wall - (Date.now() - monotonicMs());
  }
}
