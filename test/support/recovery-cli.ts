import { expect, vi } from "vitest";
import type { Finding } from "../../infra/runbooks/judge.ts";
import type { LedgerEntry, Observation, SiteView } from "../../infra/runbooks/observe/observation.ts";
import type { Ran, Rehearsal } from "./rehearsal.ts";

/** What `topology --json` prints. */
export type Seen = Observation & { readonly verdict: Finding; readonly findings: readonly Finding[] };

export function siteOf(seen: Seen, name: string): SiteView {
  const site = seen.sites.find((one) => one.name === name);
  if (site === undefined) throw new Error(`no site ${name}`);
  return site;
}

/** The last lines that a verb said on its way. */
export const told = (ran: Ran): string => ran.stderr.split("\n").slice(-30).join("\n");

/** `bin/recovery production` in a world's controller, as an operator types it. */
export class RecoveryCli {
  readonly #world: Rehearsal;

  constructor(world: Rehearsal) {
    this.#world = world;
  }

  /** A verb, whatever it exits with; its question is answered with yes. */
  readonly recovery = (...args: readonly string[]): Promise<Ran> =>
    this.#world.attempt("exec", "--", "env", "RECOVERY_YES=1", "bin/recovery", "production", ...args);

  readonly topology = async (): Promise<Seen> =>
    JSON.parse((await this.recovery("topology", "--json")).stdout) as Seen;

  readonly lastRun = async (): Promise<LedgerEntry | undefined> =>
    (JSON.parse((await this.recovery("history", "--json")).stdout) as LedgerEntry[])[0];

  /** Waits until all is well but that another site than the declared one may be the primary. */
  readonly whole = (): Promise<Seen> =>
    vi.waitFor(
      async () => {
        const seen = await this.topology();
        expect(seen.findings.filter(({ code }) => code !== "healthy" && code !== "not-declared")).toEqual([]);
        return seen;
      },
      { timeout: 120_000, interval: 1000 },
    );

  /** Runs a verb, and a line of shell once it waits before a step (`$pid` is the verb's). Gives all that was said. */
  readonly interrupted = (verb: string, pauseBefore: string, then: string): Promise<string> =>
    this.#world.controller(
      [
        "rm -f /tmp/go /tmp/said",
        `RECOVERY_YES=1 RECOVERY_PAUSE_BEFORE=${pauseBefore}=/tmp/go bin/recovery production ${verb} >/tmp/said 2>&1 & pid=$!`,
        `until grep -q 'paused before ${pauseBefore}' /tmp/said; do kill -0 $pid 2>/dev/null || break; sleep 0.05; done`,
        then,
        'wait $pid; echo "code $?" >>/tmp/said; cat /tmp/said',
      ].join("\n"),
    );

  /** Runs a verb, and something here while it waits before a step. Gives all that was said. */
  readonly pausedBefore = async (
    verb: string,
    step: string,
    meanwhile: () => Promise<unknown>,
  ): Promise<string> => {
    await this.#world.controller("rm -f /tmp/reached");
    const wait = "until [ -e /tmp/go ]; do sleep 0.05; done";
    const said = this.interrupted(verb, step, `touch /tmp/reached; ${wait}`);
    await Promise.race([
      this.#world.controller(
        "for n in $(seq 600); do [ -e /tmp/reached ] && exit 0; sleep 0.1; done; exit 1",
      ),
      said,
    ]);
    try {
      await meanwhile();
    } finally {
      await this.#world.controller("touch /tmp/go");
    }
    return said;
  };
}
