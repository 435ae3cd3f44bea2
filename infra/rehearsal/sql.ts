import type { Overlay } from "../config/overlay.ts";
import type { StackConfig } from "../config/schema.ts";
import { docker, tryDocker } from "./docker.ts";
import type { WorldPlan } from "./plan.ts";
import { hostOf } from "./plan.ts";
import { RehearsalError, tail } from "./trouble.ts";

/** Where on a host the application's password lies for a one-shot client; /run is emptied by a restart. */
const PASSWORD_FOLDER = "/run/heatwave-world";

/** A `psql` as an operator or an application of this stack would run it: container outside, and what runs in it. */
export interface Client {
  /** Name of the host. */
  readonly name: string;
  readonly container: string;
  readonly command: readonly string[];
}

/** The application's way in: a container on the app host's Docker network, through the write VIP. */
export interface WritePath {
  readonly routerHost: string;
  readonly routerContainer: string;
  readonly port: number;
  readonly role: string;
  readonly database: string;
}

/**
 * A router's write listener with the first database's owner.
 * @param host host of the router; the first one's by default
 * @throws {RehearsalError} when the stack has no router, write listener or database
 */
export function writePath(stack: StackConfig, host = stack.routers[0]?.host): WritePath {
  const router = stack.routers.find((candidate) => candidate.host === host);
  const listener = stack.listeners.find((candidate) => candidate.route === "write");
  const database = stack.postgres.databases[0];
  if (router === undefined || listener === undefined || database === undefined) {
    const lacking =
      router === undefined ? "routers" : listener === undefined ? "write listener" : "databases";
    throw new RehearsalError(
      "The stack has no write path that a rehearsal could use",
      `its stack file declares no ${lacking}`,
      "declare one, or look at a site directly: bin/rehearse psql SITE",
    );
  }
  return {
    routerHost: router.host,
    routerContainer: router.container,
    port: listener.port,
    role: database.owner,
    database: database.name,
  };
}

/** The overlay as it lies in the controller; it holds the world's generated secrets. */
export async function readWorldOverlay(plan: WorldPlan): Promise<Overlay> {
  const found = await tryDocker(["exec", plan.controller.container, "cat", "/etc/heatwave/overlay.json"]);
  if (found.exitCode !== 0) {
    throw new RehearsalError("The world has no overlay yet", found.stderr, "bin/rehearse up");
  }
  return JSON.parse(found.stdout) as Overlay;
}

/** The generated password of a declared role. */
export function rolePassword(overlay: Overlay, role: string): string {
  const roles = overlay.secrets["roles"];
  return typeof roles === "object" ? (roles[role] ?? "") : "";
}

/** `psql` through the write VIP. Puts the role's password on the host first, in a file, by stdin. */
export async function writeClient(
  plan: WorldPlan,
  stack: StackConfig,
  overlay: Overlay,
  psqlArguments: readonly string[],
  interactive: boolean,
): Promise<Client> {
  const path = writePath(stack);
  const { name, container } = hostOf(plan, path.routerHost);
  const file = `${PASSWORD_FOLDER}/pgpass-${path.role}`;
  const script = 'umask 077 && mkdir -p "$(dirname "$1")" && cat > "$1"';
  await docker(["exec", "-i", container, "sh", "-c", script, "sh", file], {
    input: passwordLine(path.role, rolePassword(overlay, path.role)),
  });
  return {
    name,
    container,
    command: [
      ...["docker", "run", "--rm", "-i", ...(interactive ? ["-t"] : []), "--network", stack.network.name],
      ...["--volume", `${file}:/root/.pgpass:ro`, "--env", "PGCONNECT_TIMEOUT=10"],
      overlay.images.postgres ?? stack.images.postgres,
      ...["psql", "-h", path.routerContainer, "-p", String(path.port), "-U", path.role, "-d", path.database],
      ...psqlArguments,
    ],
  };
}

/**
 * `psql` as superuser at one site, over PostgreSQL's own socket.
 * @throws {RehearsalError} when there is no such site
 */
export function siteClient(
  plan: WorldPlan,
  stack: StackConfig,
  siteName: string,
  psqlArguments: readonly string[],
  interactive: boolean,
): Client {
  const site = stack.sites.find((candidate) => candidate.name === siteName);
  if (site === undefined) {
    throw new RehearsalError(
      `There is no site "${siteName}"`,
      `the stack file has: ${stack.sites.map((candidate) => candidate.name).join(", ")}; and "write", the write VIP`,
      `bin/rehearse psql ${stack.sites[0]?.name ?? "write"}`,
    );
  }
  const { name, container } = hostOf(plan, site.host);
  return {
    name,
    container,
    command: [
      ...["docker", "exec", "-i", ...(interactive ? ["-t"] : []), "-u", "postgres", site.containers.postgres],
      ...[
        "psql",
        "-h",
        "/run/heatwave/sql",
        "-p",
        String(site.ports.postgres),
        "-U",
        "postgres",
        "-d",
        stack.postgres.databases[0]?.name ?? "postgres",
      ],
      ...psqlArguments,
    ],
  };
}

/**
 * Looks whether a site's PostgreSQL can be asked at all.
 * @throws {RehearsalError} when its container or its host does not run
 */
export async function demandPostgres(plan: WorldPlan, stack: StackConfig, siteName: string): Promise<void> {
  const site = stack.sites.find((candidate) => candidate.name === siteName);
  if (site === undefined) return;
  const name = site.containers.postgres;
  const inspect = ["docker", "inspect", "--format", "{{.State.Status}}", name];
  const found = await tryDocker(["exec", hostOf(plan, site.host).container, ...inspect]);
  if (found.exitCode === 0 && found.stdout === "running") return;
  throw new RehearsalError(
    `PostgreSQL of ${siteName} is not running`,
    found.exitCode === 0
      ? `its container ${name} on ${site.host} is ${found.stdout}`
      : `its container ${name} was not found on ${site.host}: ${tail(found.stderr, 1)}`,
    found.exitCode === 0
      ? `bin/rehearse host ${site.host} docker start ${name}; its last words: bin/rehearse host ${site.host} docker logs -n 20 ${name}`
      : "bin/rehearse status; bin/rehearse up brings up what is missing",
  );
}

/** A line of a password file: any host, port and database. */
export function passwordLine(role: string, password: string): string {
  const escaped = (text: string) => text.replaceAll(/[\\:]/g, "\\$&");
  return `*:*:*:${escaped(role)}:${escaped(password)}\n`;
}
