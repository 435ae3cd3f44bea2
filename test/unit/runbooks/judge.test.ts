import { describe, expect, it } from "vitest";
import { judge } from "../../../infra/runbooks/judge.ts";
import type { Code, Level } from "../../../infra/runbooks/judge.ts";
import type { Observation, RouterView } from "../../../infra/runbooks/observe/observation.ts";
import { gone, grant, heldBack, lock, observation, primary, standby } from "./observations.ts";

const router = (overrides: readonly string[]): RouterView => ({
  name: "dal-01",
  container: "heatwave-haproxy",
  silent: null,
  listeners: [{ name: "pg-primary", route: "write", sessions: 0, servers: [], overrides }],
});
const run = {
  id: "a",
  verb: "promote",
  who: "bob",
  started: "2026-01-02T03:04:05Z",
  ended: null,
  result: null,
  from: "dal-01",
  to: "chi-02",
  epochs: null,
  timelines: null,
  lsns: null,
  phases: {},
};

const CASES: readonly (readonly [string, Observation, Code, Level, RegExp])[] = [
  ["all is well", observation([primary("dal-01"), standby("chi-02")]), "healthy", "ok", /nothing to do/],
  ["one site, no standby", observation([primary("dal-01")]), "healthy", "ok", /nothing/],
  [
    "lag in bytes",
    observation([primary("dal-01"), standby("chi-02", { lag: { bytes: 64 << 20, seconds: 1 } })]),
    "standby-lagging",
    "warning",
    /topology --watch/,
  ],
  [
    "lag in seconds",
    observation([primary("dal-01"), standby("chi-02", { lag: { bytes: 0, seconds: 60 } })]),
    "standby-lagging",
    "warning",
    /topology --watch/,
  ],
  [
    "a standby that does not stream",
    observation([primary("dal-01"), standby("chi-02", { receiver: null })]),
    "standby-silent",
    "warning",
    /docker logs/,
  ],
  [
    "replay paused",
    observation([primary("dal-01"), standby("chi-02", { replayPaused: true })]),
    "replay-paused",
    "warning",
    /pg_wal_replay_resume/,
  ],
  [
    "a host that cannot be reached",
    observation([primary("dal-01"), gone("chi-02")]),
    "site-silent",
    "warning",
    /bring host chi-02 back/,
  ],
  ["nobody can be reached", observation([gone("dal-01"), gone("chi-02")]), "unreachable", "alarm", /tailnet/],
  [
    "no primary, all seen",
    observation([standby("dal-01"), standby("chi-02")]),
    "no-primary",
    "alarm",
    /promote (dal-01|chi-02)$/,
  ],
  [
    "no primary, one stopped by order",
    observation([
      primary("dal-01", { role: "stopped", word: "stopped", running: false, mayRun: false }),
      standby("chi-02"),
    ]),
    "no-primary",
    "alarm",
    /start dal-01$/,
  ],
  [
    "no primary, since it was fenced",
    observation([
      primary("dal-01", {
        role: "stopped",
        word: "stopped",
        running: false,
        mayRun: false,
        controlState: "shut down",
        grant: grant("suspended"),
      }),
      standby("chi-02"),
    ]),
    "no-primary",
    "alarm",
    /unfence dal-01; or bin\/recovery \S+ promote chi-02$/,
  ],
  [
    "no primary, one unseen",
    observation([gone("dal-01"), standby("chi-02")]),
    "no-primary",
    "alarm",
    /bring dal-01 back/,
  ],
  [
    "two primaries",
    observation([primary("dal-01"), primary("chi-02", { grant: grant("held", 2), timeline: 2 })]),
    "two-primaries",
    "alarm",
    /stop dal-01$/,
  ],
  [
    "two primaries of equal claims",
    observation([primary("dal-01"), primary("chi-02")]),
    "two-primaries",
    "alarm",
    /no command decides/,
  ],
  [
    "equal timelines",
    observation([
      primary("dal-01", { role: "held", word: "conflict", running: false }),
      primary("chi-02", { role: "held", word: "conflict", running: false }),
    ]),
    "conflict",
    "alarm",
    /no command decides/,
  ],
  [
    "held back",
    observation([heldBack("dal-01", "chi-02"), gone("chi-02")]),
    "held-back",
    "alarm",
    /bring chi-02 back.*start dal-01 --peer-gone/,
  ],
  [
    "held back, open for reads",
    observation([
      standby("dal-01", {
        word: "held",
        heldback: { epoch: 1, timeline: 1 },
        grant: grant("held"),
        peers: [{ site: "chi-02", answers: false }],
      }),
      gone("chi-02"),
    ]),
    "held-back",
    "alarm",
    /start dal-01 --peer-gone/,
  ],
  [
    "a primary without its pg-health",
    observation([primary("dal-01", { word: null }), standby("chi-02")]),
    "not-serving",
    "alarm",
    /pg-health container/,
  ],
  [
    "a fenced primary",
    observation([primary("dal-01", { word: "fenced" }), standby("chi-02")]),
    "not-serving",
    "alarm",
    /resume/,
  ],
  [
    "an empty site",
    observation([primary("dal-01"), standby("chi-02", { role: "empty", word: "empty", running: false })]),
    "empty",
    "warning",
    /^bin\/recovery production rebuild-standby chi-02$/,
  ],
  [
    "a site whose data cannot follow",
    observation([primary("dal-01"), standby("chi-02", { word: "diverged", running: false })]),
    "standby-down",
    "warning",
    /^bin\/recovery production rejoin chi-02$/,
  ],
  [
    "a stopped standby",
    observation([
      primary("dal-01"),
      standby("chi-02", { role: "stopped", word: "stopped", running: false, mayRun: false }),
    ]),
    "standby-down",
    "warning",
    /start chi-02$/,
  ],
  [
    "an excluded site returned",
    observation([
      primary("dal-01", { grant: grant("held", 2, { excluded: ["chi-02"] }) }),
      standby("chi-02"),
    ]),
    "excluded-returned",
    "warning",
    /^bin\/recovery production rejoin chi-02$/,
  ],
  [
    "another primary than declared",
    observation([standby("dal-01"), primary("chi-02")]),
    "not-declared",
    "notice",
    /heatwave:primary to chi-02/,
  ],
  [
    "an override left",
    observation([primary("dal-01"), standby("chi-02")], { routers: [router(["chi-02 in maint"])] }),
    "override",
    "warning",
    /docker restart heatwave-haproxy/,
  ],
  [
    "a router that does not answer",
    observation([primary("dal-01"), standby("chi-02")], { routers: [{ ...router([]), silent: "refused" }] }),
    "router-silent",
    "warning",
    /heatwave-haproxy/,
  ],
  [
    "a pending restart",
    observation([
      primary("dal-01"),
      standby("chi-02", { pendingRestart: [{ name: "max_connections", running: "200", file: "300" }] }),
    ]),
    "pending-restart",
    "notice",
    /bin\/recovery production restart chi-02/,
  ],
  [
    "a standby without room",
    observation([primary("dal-01"), standby("chi-02", { freeBytes: 100 * 1024 ** 2 })]),
    "disk-full",
    "warning",
    /free or add space on chi-02: docker system df/,
  ],
  [
    "a primary without room, beside what a rejoin kept",
    observation([primary("dal-01", { freeBytes: 0, leftovers: ["lost-wal-run-1"] }), standby("chi-02")]),
    "disk-full",
    "alarm",
    /beside the data lie lost-wal-run-1/,
  ],
  [
    "a lost slot",
    observation([
      primary("dal-01", {
        slots: [{ name: "heatwave_chi_02", active: false, walStatus: "lost", retainedBytes: null }],
      }),
      standby("chi-02"),
    ]),
    "slot-lost",
    "warning",
    /^bin\/recovery production rebuild-standby chi-02$/,
  ],
  [
    "a pooler that lets nobody through",
    observation([
      primary("dal-01", {
        pooler: { admin: true, login: false, clients: 0, waiting: 3, longestWait: 9, paused: [] },
      }),
      standby("chi-02"),
    ]),
    "pooler",
    "warning",
    /docker logs/,
  ],
  [
    "a runbook at work",
    observation([primary("dal-01"), standby("chi-02")], { lock: lock() }),
    "running",
    "notice",
    /topology --watch/,
  ],
  [
    "a lock that a dead controller left",
    observation([primary("dal-01"), standby("chi-02")], { lock: lock({ alive: false }) }),
    "interrupted",
    "alarm",
    /resume$/,
  ],
  [
    "a run without an end and without a lock",
    observation([primary("dal-01"), standby("chi-02")], { unfinished: [run] }),
    "interrupted",
    "warning",
    /resume$/,
  ],
];

describe("the verdict", () => {
  it.each(CASES)("%s", (_, seen, code, level, next) => {
    const [verdict] = judge(seen);
    expect(verdict).toMatchObject({ code, level });
    expect(verdict.next).toMatch(next);
    expect(verdict.text).toMatch(/^[A-Z a-z].*\.$/);
  });

  it("names no other command as safe while a run is open", () => {
    const seen = observation(
      [
        primary("dal-01", { role: "stopped", running: false, word: "stopped", mayRun: false }),
        standby("chi-02"),
      ],
      { lock: lock({ alive: false }) },
    );
    const [verdict, ...others] = judge(seen);
    expect(verdict.code).toBe("interrupted");
    expect(others.map(({ code, next }) => [code, next])).toEqual([["no-primary", "after that: look again"]]);
  });

  it("lists everything that is wrong, the worst first", () => {
    const seen = observation([standby("dal-01"), primary("chi-02", { word: null })], {
      routers: [router(["chi-02 in maint"])],
    });
    expect(judge(seen).map(({ code }) => code)).toEqual(["not-serving", "override", "not-declared"]);
  });
});
