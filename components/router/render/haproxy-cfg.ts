import type { StackConfig } from "../../../infra/config/schema.ts";
import type { Listener, Router, Topology } from "../../../infra/topology/model.ts";
import type { ProxyServer } from "../../../infra/topology/proxies.ts";
import { CHECK_PATH, probeName, serversOf } from "../../../infra/topology/proxies.ts";

type Settings = StackConfig["haproxy"];

/** Connections of the stats page, so that a full listener never hides what is going on. */
const STATS_CONNECTIONS = 100;

/** A peer that acknowledges nothing is given up after this long; an idle one is asked as late: within a minute. */
const DEAD_PEER = "30s";

/**
 * haproxy.cfg of one router: every listener with all sites in one pool, where the health checks keep up exactly
 * those that may serve it. `source/start.sh` reads the `server` lines of this very file.
 */
export function renderHaproxyCfg(topology: Topology, router: Router, settings: Settings): string {
  const servers = (listener: Listener) => serversOf(topology, router, listener);
  const local = topology.sites.some((site) => site.host.name === router.host.name);
  return [
    [
      `# haproxy.cfg of ${router.container} on ${router.name}, rendered by heatwave from the stack file.`,
      "# Do not edit: the next `pulumi up` puts it back. Sites in the stack file's order, never by role.",
    ],
    globalSection(topology, settings),
    defaultsSection(settings),
    ...(local ? [resolversSection()] : []),
    ...topology.listeners.flatMap((listener) => [
      listenSection(listener, servers(listener), settings),
      ...servers(listener)
        .filter((server) => server.local)
        .map((server) => probeSection(listener, server, settings)),
    ]),
    statsSection(router),
  ]
    .map((lines) => `${lines.join("\n")}\n`)
    .join("\n");
}

function globalSection(topology: Topology, settings: Settings): string[] {
  return [
    "global",
    "  # Every listener's share, and the stats page's own.",
    `  maxconn ${settings.maxconn * topology.listeners.length + STATS_CONNECTIONS}`,
    "  log stdout format raw local0 info",
    "  # Who may reach it is decided by the folder's mode on the host.",
    "  stats socket /run/haproxy/admin.sock mode 666 level admin",
    "  stats timeout 10m",
    "  # Written before every start and reload, removed once read: a server starts in the state it really has.",
    "  server-state-file /run/haproxy/server-state",
    "  # After a reload the old process keeps its sessions but no longer checks health: it must end some day.",
    `  hard-stop-after ${settings.timeouts.client}`,
  ];
}

function defaultsSection({ timeouts }: Settings): string[] {
  return [
    "defaults",
    "  mode tcp",
    "  log global",
    "  option dontlognull",
    "  option log-health-checks",
    "  load-server-state-from-file global",
    `  timeout connect ${timeouts.connect}`,
    "  # Long, so that sessions with advisory locks live; dead peers are found by keep-alive and tcp-ut.",
    `  timeout client ${timeouts.client}`,
    `  timeout server ${timeouts.server}`,
    `  timeout check ${timeouts.check}`,
    "  option clitcpka",
    "  option srvtcpka",
    `  clitcpka-idle ${DEAD_PEER}`,
    "  clitcpka-intvl 10s",
    "  clitcpka-cnt 3",
    `  srvtcpka-idle ${DEAD_PEER}`,
    "  srvtcpka-intvl 10s",
    "  srvtcpka-cnt 3",
  ];
}

function resolversSection(): string[] {
  return [
    "# Docker's DNS, for the site on this host: a container cannot reach a port that its own host publishes.",
    "resolvers docker",
    "  nameserver dns 127.0.0.11:53",
    "  # A name that is gone leaves the last address: health decides. (A name that comes back would be up unchecked.)",
    ...["nx", "refused", "timeout", "other"].map((status) => `  hold ${status} 7d`),
  ];
}

/** Options of a server that is reached by name; the address of last resort refuses, so that its check fails. */
const BY_NAME = "resolvers docker resolve-prefer ipv4 init-addr last,libc,127.0.0.1";

function listenSection(listener: Listener, servers: readonly ProxyServer[], settings: Settings): string[] {
  return [
    `# ${PURPOSE[listener.route]}`,
    `listen ${listener.name}`,
    `  bind :${listener.port} tcp-ut ${DEAD_PEER}`,
    `  maxconn ${settings.maxconn}`,
    "  option tcplog",
    ...(listener.route === "write"
      ? [
          "  # Two up at once: nobody knows which one is right, so no new connection is let through.",
          `  tcp-request connection reject if { nbsrv(${listener.name}) gt 1 }`,
        ]
      : ["  balance leastconn"]),
    ...checkLines(listener),
    `  default-server ${checkTimes(settings)} on-marked-down shutdown-sessions tcp-ut ${DEAD_PEER}`,
    ...servers.map(serverLine),
  ];
}

const PURPOSE: Readonly<Record<Listener["route"], string>> = {
  write: "Writes: all sites in one pool; only the primary answers 200.",
  read: "Reads: the standbys that stream.",
  any: "Reads: every instance that answers queries, the primary too.",
};

function checkLines(listener: Listener): string[] {
  return [`  option httpchk GET ${CHECK_PATH[listener.route]}`, "  http-check expect status 200"];
}

function checkTimes({ check }: Settings): string {
  return `inter ${check.inter} rise ${check.rise} fall ${check.fall}`;
}

function serverLine(server: ProxyServer): string {
  const { address, port } = server.pooler;
  const how = server.local ? `track ${server.checkOwner} ${BY_NAME}` : `check port ${server.health.port}`;
  return `  server ${server.name} ${address}:${port} ${how}`;
}

/** The check of the local site has its own section: `check addr` takes no name. */
function probeSection(listener: Listener, server: ProxyServer, settings: Settings): string[] {
  const { address, port } = server.health;
  return [
    `# Health of ${server.name} for ${listener.name}; takes no traffic.`,
    `backend ${probeName(listener)}`,
    ...checkLines(listener),
    `  default-server ${checkTimes(settings)}`,
    `  server ${server.name} ${address}:${port} check ${BY_NAME}`,
  ];
}

function statsSection(router: Router): string[] {
  return [
    "listen stats",
    "  mode http",
    "  no log",
    `  bind :${router.statsPort}`,
    `  maxconn ${STATS_CONNECTIONS}`,
    "  timeout client 30s",
    "  timeout server 30s",
    "  http-request use-service prometheus-exporter if { path /metrics }",
    "  stats enable",
    "  stats uri /",
    "  stats refresh 5s",
    "  stats show-legends",
  ];
}
