import type { Listener, Router, Topology } from "../../topology/model.ts";
import { serversOf } from "../../topology/proxies.ts";
import type { ProxyServer } from "../../topology/proxies.ts";
import type { ListenerView } from "./observation.ts";

/** What `show stat` and `show servers state` of one HAProxy say of its listeners. Pure. */

type Row = Readonly<Record<string, string>>;

/** Rows of `show stat` (CSV with a header line). */
export function statRows(text: string): readonly Row[] {
  const [head = "", ...lines] = text.split("\n").filter((line) => line.trim() !== "");
  const columns = head.replace(/^# /, "").split(",");
  return lines.map((line) => named(columns, line.split(",")));
}

/** Rows of `show servers state` (a version, a header, then one line per server). */
export function stateRows(text: string): readonly Row[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const head = lines.find((line) => line.startsWith("# "));
  if (head === undefined) return [];
  const columns = head.slice(2).split(" ");
  return lines.filter((line) => /^\d+ \S+ /.test(line)).map((line) => named(columns, line.split(" ")));
}

function named(columns: readonly string[], values: readonly string[]): Row {
  return Object.fromEntries(columns.map((column, at) => [column, values[at] ?? ""]));
}

/** Bits of srv_admin_state that somebody set at run time (haproxy: include/haproxy/server-t.h). */
const FORCED_MAINT = 0x01;
const FORCED_DRAIN = 0x08;
/** Bits of srv_check_state. */
const CHECK_CONFIGURED = 0x02;
const CHECK_ENABLED = 0x04;

/** Each listener as the router has it. @param maxconn connections per listener that the file renders */
export function listenerViews(
  topology: Topology,
  router: Router,
  maxconn: number,
  stat: string,
  state: string,
): readonly ListenerView[] {
  const stats = statRows(stat);
  const states = stateRows(state);
  return topology.listeners.map((listener): ListenerView => {
    const front = stats.find((row) => row["pxname"] === listener.name && row["svname"] === "FRONTEND");
    const servers = serversOf(topology, router, listener);
    const rowOf = (section: string, name: string): Row | undefined =>
      stats.find((row) => row["pxname"] === section && row["svname"] === name);
    return {
      name: listener.name,
      route: listener.route,
      sessions: Number(front?.["scur"] ?? 0),
      servers: servers.map((server) => {
        const row = rowOf(server.proxy, server.name);
        return {
          site: server.name,
          status: row?.["status"] ?? "missing",
          sessions: Number(row?.["scur"] ?? 0),
        };
      }),
      overrides: [
        ...frontendOverrides(listener, front, maxconn),
        ...servers.flatMap((server) => serverOverrides(server, stats, states)),
      ],
    };
  });
}

function frontendOverrides(listener: Listener, row: Row | undefined, maxconn: number): string[] {
  const limit = Number(row?.["slim"] ?? maxconn);
  if (row?.["status"] === "STOP") return [`${listener.name} is stopped`];
  if (limit === maxconn) return [];
  return [limit === 0 ? `${listener.name} is held (maxconn 0)` : `${listener.name} maxconn ${limit}`];
}

function serverOverrides(server: ProxyServer, stats: readonly Row[], states: readonly Row[]): string[] {
  const own = states.find((row) => row["be_name"] === server.proxy && row["srv_name"] === server.name);
  const [section = "", name = ""] = server.checkOwner.split("/");
  const checker = states.find((row) => row["be_name"] === section && row["srv_name"] === name);
  const check = stats.find((row) => row["pxname"] === section && row["svname"] === name);
  const rows = own === checker ? [own] : [own, checker];
  const admin = rows.reduce((bits, row) => bits | Number(row?.["srv_admin_state"] ?? 0), 0);
  const overrides: string[] = [];
  if ((admin & FORCED_MAINT) !== 0) overrides.push(`${server.name} in maint`);
  if ((admin & FORCED_DRAIN) !== 0) overrides.push(`${server.name} in drain`);
  if (own !== undefined && own["srv_uweight"] !== own["srv_iweight"])
    overrides.push(`${server.name} weight ${own["srv_uweight"] ?? ""}`);
  const checking = Number(checker?.["srv_check_state"] ?? CHECK_ENABLED);
  if ((checking & CHECK_CONFIGURED) !== 0 && (checking & CHECK_ENABLED) === 0)
    overrides.push(`${server.name} without health checks`);
  const forced = forcedHealth(check);
  if (forced !== undefined) overrides.push(`${server.name} forced ${forced}`);
  if (!server.local && own !== undefined && own["srv_addr"] !== server.pooler.address)
    overrides.push(`${server.name} at ${own["srv_addr"] ?? ""}`);
  return overrides;
}

/**
 * Health that was set by hand: a failed check lowers it, a good one raises it, so at its ends they must agree. It
 * passes with the next checks.
 */
function forcedHealth(row: Row | undefined): "up" | "down" | undefined {
  const status = row?.["check_status"]?.replace(/^\* /, "") ?? "";
  const health = Number(row?.["check_health"] ?? Number.NaN);
  if (!/^L[467]/.test(status)) return undefined;
  const good = /OKC?$/.test(status);
  const top = Number(row?.["check_rise"] ?? 0) + Number(row?.["check_fall"] ?? 0) - 1;
  if (!good && health === top && row?.["status"] === "UP") return "up";
  return good && health === 0 && row?.["status"] === "DOWN" ? "down" : undefined;
}
