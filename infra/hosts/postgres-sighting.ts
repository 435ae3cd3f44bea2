import { describeTarget, SshError } from "./ssh-errors.ts";
import { posixCommand } from "./ssh-options.ts";
import type { SshTarget } from "./ssh-options.ts";
import { borrowHost } from "./ssh-pool.ts";

/** What one look at a site's PostgreSQL container shows. */
export type PostgresSighting =
  /** No such container, one that does not run, or one without data: nothing of it can be lost or cut. */
  | { readonly kind: "idle"; readonly why: "absent" | "stopped" | "empty" }
  /** PostgreSQL does not answer inside it; `startsAs` is what its data directory would come up as. */
  | { readonly kind: "down"; readonly startsAs: "primary" | "standby" }
  | { readonly kind: "standby" }
  /** `streaming`: application names of the standbys that have caught up; `image`: what its container was made from. */
  | { readonly kind: "primary"; readonly streaming: readonly string[]; readonly image: string }
  /** The host, its daemon or the container could not be asked. */
  | { readonly kind: "unseen"; readonly message: string };

export interface PostgresPlace {
  readonly target: SshTarget;
  readonly container: string;
  /** Port that its socket is named after. */
  readonly port: number;
  /** Folder of its socket inside the container. */
  readonly socketDirectory: string;
}

/** Seconds that one look may take, the login included. */
const LOOK_SECONDS = 25;
const DIAL = { attempts: 1, timeoutSeconds: 10 } as const;

const QUERY =
  "select case when pg_is_in_recovery() then 'standby' else 'primary ' || " +
  "coalesce((select string_agg(application_name, ' ') from pg_stat_replication where state = 'streaming'), '') end";

const INSIDE = [
  'answer=$(PGCONNECT_TIMEOUT=5 psql -X -q -At -h "$1" -p "$2" -U postgres -d postgres -c "$3") && { echo "$answer"; exit 0; }',
  'if [ ! -s "$PGDATA/PG_VERSION" ]; then echo empty',
  'elif [ -e "$PGDATA/standby.signal" ]; then echo down standby',
  "else echo down primary; fi",
].join("\n");

const LOOK = [
  'if ! found=$(docker inspect --type container --format "{{.State.Running}} {{.Config.Image}}" "$1" 2>&1); then',
  '  case $found in *"No such"*) echo absent; exit 0 ;; *) echo "$found" >&2; exit 1 ;; esac',
  "fi",
  '[ "${found%% *}" = true ] || { echo stopped; exit 0; }',
  'timeout 12 docker exec "$1" sh -c "$5" sh "$3" "$2" "$4" && echo "${found#* }"',
].join("\n");

/**
 * Asks PostgreSQL itself what it is, over SSH alone: it needs no health endpoint and no port of the tailnet. Bounded,
 * and never throws for a host that cannot be asked.
 */
export async function lookAtPostgres(place: PostgresPlace): Promise<PostgresSighting> {
  const { target, container, port, socketDirectory } = place;
  const { host, release } = borrowHost(target);
  try {
    const command = posixCommand(LOOK, container, String(port), socketDirectory, QUERY, INSIDE);
    const { exitCode, stdout, stderr } = await host.exec(command, {
      dial: DIAL,
      timeoutSeconds: LOOK_SECONDS,
    });
    if (exitCode === 0) return readSighting(stdout);
    const why = exitCode === 124 ? "it does not answer within 12 s" : stderr.trim() || `status ${exitCode}`;
    return unseen(`${container} on ${describeTarget(target)}: ${why}`);
  } catch (error) {
    if (error instanceof SshError) return unseen(error.message);
    throw error;
  } finally {
    await release();
  }
}

const unseen = (message: string): PostgresSighting => ({ kind: "unseen", message });

/** Reads what the look printed. */
export function readSighting(printed: string): PostgresSighting {
  const [answer = "", image = ""] = printed.trim().split("\n");
  const [word, ...rest] = answer.trim().split(/\s+/);
  switch (word) {
    case "absent":
    case "stopped":
    case "empty":
      return { kind: "idle", why: word };
    case "down":
      return { kind: "down", startsAs: rest[0] === "standby" ? "standby" : "primary" };
    case "standby":
      return { kind: "standby" };
    case "primary":
      return { kind: "primary", streaming: rest, image };
    default:
      return unseen(`an answer that nobody knows: ${JSON.stringify(printed.slice(0, 200))}`);
  }
}
