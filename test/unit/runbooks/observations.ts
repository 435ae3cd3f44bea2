import type {
  GrantView,
  HostView,
  LockView,
  Observation,
  SiteView,
} from "../../../infra/runbooks/observe/observation.ts";

/** Observations for tables: two sites, a healthy pair, and what differs from it. */

export const grant = (state: GrantView["state"], epoch = 1, more: Partial<GrantView> = {}): GrantView => ({
  systemId: "7000000000000000001",
  epoch,
  timeline: 1,
  state,
  peers: ["dal-01", "chi-02"].map((site) => ({ site, health: { host: `${site}.example`, port: 8008 } })),
  excluded: [],
  ...more,
});

const site = (name: string): SiteView => ({
  name,
  host: name,
  source: "control",
  silent: null,
  word: null,
  why: null,
  role: "unknown",
  systemId: "7000000000000000001",
  timeline: 1,
  running: true,
  lsn: { current: null, received: null, replayed: null, checkpoint: "0/3000000" },
  recovery: null,
  controlState: "in production",
  controlChanged: "2026-01-02T03:00:00.000Z",
  lag: { bytes: null, seconds: null },
  lastTransaction: null,
  receiver: null,
  replayPaused: false,
  follows: null,
  streamingTo: [],
  grant: null,
  heldback: null,
  mayRun: true,
  peers: null,
  slots: [],
  leftovers: [],
  freeBytes: 10 * 1024 ** 3,
  version: 180_006,
  activity: { longestTransactionSeconds: 0, prepared: 0, baseBackups: 0, archiveWaiting: 0 },
  pendingRestart: [],
  pooler: { admin: true, login: true, clients: 1, waiting: 0, longestWait: 0, paused: [] },
});

export const primary = (name: string, more: Partial<SiteView> = {}): SiteView => ({
  ...site(name),
  role: "primary",
  word: "primary",
  grant: grant("held"),
  lsn: { current: "0/3000100", received: null, replayed: null, checkpoint: "0/3000000" },
  ...more,
});

export const standby = (name: string, more: Partial<SiteView> = {}): SiteView => ({
  ...site(name),
  role: "standby",
  word: "standby",
  grant: grant("none"),
  receiver: "streaming",
  controlState: "in archive recovery",
  lag: { bytes: 0, seconds: 0 },
  lsn: { current: null, received: "0/3000100", replayed: "0/3000100", checkpoint: "0/3000000" },
  ...more,
});

/** A site of which nothing is known, on a host that cannot be reached. */
export const gone = (name: string): SiteView => ({
  ...site(name),
  source: null,
  silent: "ssh: cannot be reached",
  systemId: null,
  timeline: null,
  running: null,
  controlState: null,
  slots: null,
  pendingRestart: null,
  pooler: null,
  version: null,
  activity: null,
  mayRun: null,
});

/** A primary whose PostgreSQL is held back since its peer is silent. */
export const heldBack = (name: string, peer: string): SiteView => ({
  ...primary(name),
  role: "held",
  word: "held",
  running: false,
  why: `no answer from ${peer}`,
  peers: [{ site: peer, answers: false }],
});

export const lock = (more: Partial<LockView> = {}): LockView => ({
  host: "dal-01",
  stack: "production",
  verb: "promote",
  id: "run-1",
  who: "alice@laptop pid 7",
  since: "2026-01-02T03:04:05Z",
  token: "run-1",
  alive: true,
  ...more,
});

export function observation(
  sites: readonly SiteView[],
  more: Partial<Observation> & { readonly lock?: LockView } = {},
): Observation {
  const { lock: held = null, ...rest } = more;
  return {
    stack: "production",
    at: "2026-01-02T03:04:05.000Z",
    declared: "dal-01",
    primaries: sites.filter((one) => one.role === "primary").map((one) => one.name),
    hosts: sites.map((one): HostView => ({
      name: one.host,
      address: "100.64.0.1",
      unreachable: one.source === null ? "ssh: cannot be reached" : null,
      lock: held,
      operationsUnknown: null,
    })),
    sites,
    routers: [],
    unfinished: [],
    ...rest,
  };
}
