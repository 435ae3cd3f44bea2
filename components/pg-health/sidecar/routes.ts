/**
 * What each path answers, from PostgreSQL's word and the site's state. Pure. The paths and their meaning are Patroni's
 * REST API's, so that load balancer samples for it work here; the bodies of `/` are the ones routers log.
 */
import { parseSize } from "./size.ts";
import type { SqlAnswer, SqlFacts } from "./sql.ts";
import type { SiteWord } from "./brain.ts";

export interface Reply {
  readonly status: 200 | 400 | 503;
  readonly body: string;
}

export interface RouteView {
  readonly sql: SqlAnswer;
  /** The word for a PostgreSQL that does not answer. */
  readonly word: SiteWord;
  /** The word for a PostgreSQL that answers and must get no writes; undefined when nothing speaks against it. */
  readonly veto: string | undefined;
  /** Bytes that `/readiness` allows when the request names none. */
  readonly readinessLag: number;
}

/** Paths whose answer needs PostgreSQL's word. */
export type ProbePath = (typeof PROBE_PATHS)[number];

const PROBE_PATHS = [
  "/",
  "/primary",
  "/read-write",
  "/leader",
  "/replica",
  "/read-only",
  "/health",
  "/readiness",
] as const;

export function isProbePath(path: string): path is ProbePath {
  return (PROBE_PATHS as readonly string[]).includes(path);
}

const yes = (body: string): Reply => ({ status: 200, body });
const no = (body: string): Reply => ({ status: 503, body });

/** The one word for the instance: what `/` answers. */
export function roleWord(view: Pick<RouteView, "sql" | "word" | "veto">): string {
  const { sql, word, veto } = view;
  if (!sql.ok) {
    if (sql.reason === "starting") return "starting";
    // A server that refuses the role is up; everything else is told by what the brain sees of the site.
    return sql.reason === "login" ? "login" : word;
  }
  if (veto !== undefined) return veto;
  if (sql.facts.inRecovery) return "standby";
  return sql.facts.readOnly ? "read-only" : "primary";
}

/** Answers a probe. */
export function answerProbe(path: ProbePath, query: URLSearchParams, view: RouteView): Reply {
  const word = roleWord(view);
  const lag = query.get("lag");
  const limit = lag === null ? undefined : parseSize(lag);
  if (lag !== null && limit === undefined)
    return { status: 400, body: `lag=${lag} is no size; use bytes, 16kB, 10MB, 1GB` };
  const facts = view.sql.ok ? view.sql.facts : undefined;
  switch (path) {
    case "/":
    case "/primary":
    case "/read-write":
    case "/leader":
      return word === "primary" ? yes(word) : no(word);
    case "/health":
      return facts === undefined ? no(word) : yes(word);
    case "/replica":
      return facts?.inRecovery === true ? replica(facts, limit, query.get("replication_state")) : no(word);
    case "/read-only":
      if (facts === undefined) return no(word);
      if (facts.inRecovery) return replica(facts, limit, null);
      return view.veto === undefined ? yes(word) : no(word);
    case "/readiness":
      return readiness(query, view, word, limit);
  }
}

function replica(facts: SqlFacts, limit: number | undefined, state: string | null): Reply {
  if (state !== null && facts.receiver !== state) return no(facts.receiver ?? "not streaming");
  if (limit === undefined) return yes("standby");
  return withinLag(facts.replayLagBytes, limit);
}

function withinLag(bytes: number | undefined, limit: number): Reply {
  if (bytes === undefined) return no("lag unknown");
  return bytes <= limit ? yes("standby") : no("lagging");
}

function readiness(query: URLSearchParams, view: RouteView, word: string, limit: number | undefined): Reply {
  const mode = query.get("mode") ?? "apply";
  if (mode !== "apply" && mode !== "write")
    return { status: 400, body: `mode=${mode} is unknown; use apply or write` };
  if (!view.sql.ok) return no(word);
  const { facts } = view.sql;
  if (!facts.inRecovery) return view.veto === undefined ? yes(word) : no(word);
  const bytes = mode === "apply" ? facts.replayLagBytes : facts.receiveLagBytes;
  return withinLag(bytes, limit ?? view.readinessLag);
}
