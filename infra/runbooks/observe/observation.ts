/**
 * What can be seen of a stack at one moment: the shape that `topology --json` prints (docs/recovery.md) and that the
 * runbooks plan on. Unknown is null, never a guess.
 */

export interface Observation {
  readonly stack: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  /** Site that should take writes, by the stack file. */
  readonly declared: string;
  /** Sites whose instance takes writes. */
  readonly primaries: readonly string[];
  /** Sites that run as they were found, which nobody here can ask or order; left out where there is none. */
  readonly adopted?: readonly string[];
  readonly hosts: readonly HostView[];
  readonly sites: readonly SiteView[];
  readonly routers: readonly RouterView[];
  /** Runbooks that began and did not end, by the hosts' ledgers; newest first. */
  readonly unfinished: readonly LedgerEntry[];
}

export interface HostView {
  readonly name: string;
  readonly address: string;
  /** Null when SSH works; else why not. */
  readonly unreachable: string | null;
  readonly lock: LockView | null;
  /** Why lock and ledger are not known though the host answers. */
  readonly operationsUnknown: string | null;
}

export interface Lock {
  readonly host: string;
  readonly stack: string;
  readonly verb: string;
  /** Of the run in the ledger. */
  readonly id: string;
  /** user@machine and process id. */
  readonly who: string;
  /** ISO 8601, UTC. */
  readonly since: string;
  readonly token: string;
}

export interface LockView extends Lock {
  /** Whether the runbook that holds it still has its end of the connection. */
  readonly alive: boolean;
}

export type SiteRole = "primary" | "standby" | "empty" | "held" | "stopped" | "unusable" | "unknown";

export interface SiteView {
  readonly name: string;
  readonly host: string;
  /**
   * Where the facts come from: pg-health's control socket, its HTTP endpoint, PostgreSQL itself where it runs as it was
   * found, or nowhere.
   */
  readonly source: "control" | "http" | "found" | null;
  /** Why there are no facts. */
  readonly silent: string | null;
  /** What pg-health answers on `/`, as the routers hear it; null when it does not answer. */
  readonly word: string | null;
  /** Its reason for that word, where it has one. */
  readonly why: string | null;
  readonly role: SiteRole;
  readonly systemId: string | null;
  readonly timeline: number | null;
  /** Whether PostgreSQL answers. */
  readonly running: boolean | null;
  readonly lsn: {
    readonly current: string | null;
    readonly received: string | null;
    readonly replayed: string | null;
    /** Of the control file's last checkpoint. */
    readonly checkpoint: string | null;
  };
  /** Of a standby: up to where its control file demands replay, and on which timeline that WAL is; null where it does not say. */
  readonly recovery: { readonly timeline: number; readonly lsn: string } | null;
  /** State of the control file, e.g. `in production`, `shut down`. */
  readonly controlState: string | null;
  /** When the control file was last written: a checkpoint, a start or a stop. */
  readonly controlChanged: string | null;
  /** Of a standby, behind the primary; of the primary null. */
  readonly lag: { readonly bytes: number | null; readonly seconds: number | null };
  /** Time of the last transaction that the instance replayed. */
  readonly lastTransaction: string | null;
  /** State of the WAL receiver; `streaming` is the good one. */
  readonly receiver: string | null;
  readonly replayPaused: boolean;
  /** Site that a standby follows. */
  readonly follows: string | null;
  /** Of a primary: names of the standbys that stream from it. */
  readonly streamingTo: readonly string[];
  readonly grant: GrantView | null;
  readonly heldback: { readonly epoch: number; readonly timeline: number } | null;
  /** False after an ordered stop. */
  readonly mayRun: boolean | null;
  /** Peers as this site hears them; null unknown. */
  readonly peers: readonly { readonly site: string; readonly answers: boolean }[] | null;
  readonly slots: readonly SlotView[] | null;
  /** Parameters whose file value waits for a restart. */
  readonly pendingRestart: readonly PendingParameter[] | null;
  readonly pooler: PoolerView | null;
  /** Beside the data directory: kept-ID, rewinding-ID, lost-wal-ID, scratch; null unknown. */
  readonly leftovers: readonly string[] | null;
  /** Bytes that are free where the data lies; null unknown. */
  readonly freeBytes: number | null;
  /** PostgreSQL's `server_version_num`. */
  readonly version: number | null;
  /** Of a running instance, as the superuser sees it. */
  readonly activity: ActivityView | null;
}

/** What a stop would have to wait for. */
export interface ActivityView {
  /** Of the client's transaction that is open for longest; 0 without one. */
  readonly longestTransactionSeconds: number;
  readonly prepared: number;
  readonly baseBackups: number;
  /** Segments that wait for the archiver. */
  readonly archiveWaiting: number;
}

export interface GrantView {
  readonly systemId: string;
  readonly epoch: number;
  readonly timeline: number;
  readonly state: "none" | "held" | "suspended";
  readonly peers: readonly {
    readonly site: string;
    readonly health: { readonly host: string; readonly port: number };
  }[];
  readonly excluded: readonly string[];
}

export interface SlotView {
  readonly name: string;
  readonly active: boolean;
  /** reserved, extended, unreserved, lost; null: holds no WAL. */
  readonly walStatus: string | null;
  /** WAL that it keeps, bytes. */
  readonly retainedBytes: number | null;
}

export interface PendingParameter {
  readonly name: string;
  readonly running: string;
  readonly file: string;
}

export interface PoolerView {
  readonly admin: boolean;
  readonly login: boolean;
  readonly clients: number;
  readonly waiting: number;
  /** Of the client that waits longest, seconds. */
  readonly longestWait: number;
  readonly paused: readonly string[];
}

export interface RouterView {
  readonly name: string;
  readonly container: string;
  /** Why its HAProxy could not be asked. */
  readonly silent: string | null;
  readonly listeners: readonly ListenerView[];
}

export interface ListenerView {
  readonly name: string;
  readonly route: "write" | "read" | "any";
  readonly sessions: number;
  readonly servers: readonly ServerView[];
  /** What was changed at run time and differs from the rendered file, in words. */
  readonly overrides: readonly string[];
}

export interface ServerView {
  readonly site: string;
  /** HAProxy's word: UP, DOWN, MAINT, DRAIN, `UP 1/3`. */
  readonly status: string;
  readonly sessions: number;
}

export type LedgerResult = "done" | "refused" | "aborted" | "attention";

export interface LedgerEntry {
  readonly id: string;
  readonly verb: string;
  readonly who: string;
  /** ISO 8601, UTC. */
  readonly started: string;
  /** Null: it has not ended, or its controller died. */
  readonly ended: string | null;
  readonly result: LedgerResult | null;
  /** Site that took writes before and after. */
  readonly from: string | null;
  readonly to: string | null;
  readonly epochs: { readonly before: number; readonly after: number } | null;
  readonly timelines: { readonly before: number; readonly after: number | null } | null;
  /** The proof: the old primary's shutdown checkpoint, and what the new one had replayed. */
  readonly lsns: { readonly shutdown: string | null; readonly replayed: string | null } | null;
  /** Milliseconds by step. */
  readonly phases: Readonly<Record<string, number>>;
  /** What was accepted, in the words that were shown. */
  readonly accepted?: string;
  readonly message?: string;
  /** What the run found and an operator may ask for later: what was lost and is kept where. */
  readonly notes?: readonly string[];
}
