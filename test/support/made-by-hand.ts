import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { rolePassword } from "../../infra/rehearsal/sql.ts";
import type { Router, Site, Topology } from "../../infra/topology/model.ts";
import type { LiveWorld } from "./live-world.ts";
import { RealKamal } from "./real-kamal.ts";
import type { Rehearsal } from "./rehearsal.ts";
import { until } from "./until.ts";

/**
 * A stack as Kamal and hands have made it, before there was heatwave: the seeds' names, HAProxy as an accessory that a real
 * Kamal boots, `docker run` for the others (with what Kamal starts accessories with, or without), files in `/srv`, passwords in
 * environments, and a standby from `pg_basebackup -R`.
 */

/** Passwords of a stack that was made by hand; what the application has is the world's. */
export const HAND_PASSWORDS = {
  postgres: "by-hand-superuser",
  replicator: "by-hand-replicator",
  health: "by-hand-health",
} as const;

const DATA = "/var/lib/postgresql/18/docker";

/** What Kamal 2 starts an accessory with; `service` is how it finds it again. */
const kamal = (name: string): string =>
  `docker run --name ${name} --detach --restart unless-stopped --network kamal --log-opt max-size="10m" --label service="${name}"`;
const byHand = (name: string): string =>
  `docker run --name ${name} -d --restart unless-stopped --network kamal`;

export class MadeByHand {
  readonly #world: Rehearsal;
  readonly #live: LiveWorld;

  constructor(world: Rehearsal, live: LiveWorld) {
    this.#world = world;
    this.#live = live;
  }

  get #topology(): Topology {
    return this.#live.topology;
  }

  /**
   * Everything on hosts that have nothing: the first site as primary, the others behind it, then the routers.
   * @param sites those of the stack that there are
   */
  async make(sites = this.#topology.sites): Promise<void> {
    const [primary, ...standbys] = sites;
    if (primary === undefined) throw new Error("a stack has a site");
    await this.#primary(primary, standbys);
    for (const site of standbys) await this.#standby(site, primary);
    for (const site of sites) {
      await this.#pooler(site);
      await this.pgHealth(site);
    }
    const kamal = await RealKamal.beside(this.#live.plan);
    for (const router of this.#topology.routers) await this.#haproxy(router, kamal);
  }

  /** One value by SQL at a site's PostgreSQL, by the socket that the image has. */
  async sql(site: Site, statement: string): Promise<string> {
    const line = `docker exec -i -u postgres ${site.postgres.container} psql -X -q -At -v ON_ERROR_STOP=1`;
    return (await this.#world.host(site.host.name, line, statement)).trim();
  }

  #image(key: "postgres" | "pgbouncer" | "node" | "haproxy"): string {
    return this.#live.overlay.images[key] ?? this.#live.stack.images[key];
  }

  async #file(host: string, path: string, text: string): Promise<void> {
    await this.#world.host(host, `mkdir -p "$(dirname ${path})" && cat >${path}`, text);
  }

  async #server({ host, postgres, volume, name }: Site): Promise<void> {
    const settings = [
      "listen_addresses=*",
      `cluster_name=${name}`,
      "max_connections=200",
      "wal_keep_size=256MB",
    ];
    await this.#world.host(
      host.name,
      `${byHand(postgres.container)} -p ${host.address}:${postgres.port}:5432 -v ${volume}:/var/lib/postgresql ` +
        `--env-file /dev/stdin ${this.#image("postgres")} postgres ${settings.map((one) => `-c '${one}'`).join(" ")}`,
      `POSTGRES_PASSWORD=${HAND_PASSWORDS.postgres}\n`,
    );
    const ready = `docker exec ${postgres.container} pg_isready -q -h 127.0.0.1`;
    await until(
      async () => (await this.#world.attempt("host", host.name, "--", "sh", "-c", ready)).code === 0,
      () => `${postgres.container} on ${host.name} does not answer`,
      60_000,
    );
    // Where the rehearsal's own tools look for a socket.
    const link = "mkdir -p /run/heatwave && ln -s /var/run/postgresql /run/heatwave/sql";
    await this.#world.host(host.name, `docker exec -u root ${postgres.container} sh -c '${link}'`);
  }

  async #primary(site: Site, standbys: readonly Site[]): Promise<void> {
    const { stack, overlay } = this.#live;
    await this.#server(site);
    const password = (role: string): string => rolePassword(overlay, role).replaceAll("'", "''");
    await this.sql(
      site,
      [
        `create role replicator login replication password '${HAND_PASSWORDS.replicator}';`,
        `create role healthcheck login password '${HAND_PASSWORDS.health}';`,
        ...stack.postgres.roles.map(({ name }) => `create role ${name} login password '${password(name)}';`),
        ...stack.postgres.databases.map(({ name, owner }) => `create database ${name} owner ${owner};`),
        ...standbys.map((one) => `select pg_create_physical_replication_slot('${slotOf(one)}');`),
      ].join("\n"),
    );
    const line = "host replication replicator all scram-sha-256";
    await this.#world.host(
      site.host.name,
      `docker exec -u postgres ${site.postgres.container} sh -c 'echo "${line}" >>${DATA}/pg_hba.conf'`,
    );
    await this.sql(site, "select pg_reload_conf()");
  }

  async #standby(site: Site, primary: Site): Promise<void> {
    const from = `host=${primary.host.address} port=${primary.postgres.port} user=replicator application_name=${site.name}`;
    await this.#world.host(
      site.host.name,
      `docker run --rm -i --user postgres --network kamal -v ${site.volume}:/var/lib/postgresql --env-file /dev/stdin ` +
        `${this.#image("postgres")} pg_basebackup -D ${DATA} -d '${from}' -R -X stream -S ${slotOf(site)} -c fast`,
      `PGPASSWORD=${HAND_PASSWORDS.replicator}\n`,
    );
    await this.#server(site);
  }

  async #pooler({ host, pgbouncer, postgres }: Site): Promise<void> {
    const folder = `/srv/${pgbouncer.container}`;
    await this.#file(
      host.name,
      `${folder}/pgbouncer.ini`,
      `[databases]
* = host=${postgres.container} port=5432
[pgbouncer]
listen_addr = 0.0.0.0
listen_port = 6432
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/userlist.txt
pool_mode = session
max_client_conn = 500
default_pool_size = 50
server_login_retry = 1
ignore_startup_parameters = extra_float_digits,options
`,
    );
    const users = this.#live.stack.postgres.roles.map(
      ({ name }) => `"${name}" "${rolePassword(this.#live.overlay, name).replaceAll('"', '""')}"\n`,
    );
    await this.#file(host.name, `${folder}/userlist.txt`, users.join(""));
    await this.#world.host(
      host.name,
      `${kamal(pgbouncer.container)} --publish ${host.address}:${pgbouncer.port}:6432 --volume ${folder}:/etc/pgbouncer ${this.#image("pgbouncer")}`,
    );
  }

  /** Made anew where it is there already, as `kamal accessory reboot` does. */
  async pgHealth({ host, pgHealth, postgres }: Site): Promise<void> {
    const folder = `/srv/${pgHealth.container}`;
    await this.#file(host.name, `${folder}/pg-health.mjs`, await pgHealthProgram());
    await this.#world.host(
      host.name,
      `docker rm -f ${pgHealth.container} >/dev/null 2>&1; ${kamal(pgHealth.container)} --publish ${host.address}:${pgHealth.port}:8008 ` +
        `--volume ${folder}:${folder}:ro --env PGHOST=${postgres.container} --env-file /dev/stdin ${this.#image("node")} node ${folder}/pg-health.mjs`,
      `PGPASSWORD=${HAND_PASSWORDS.health}\n`,
    );
  }

  /** As the seed's `config/deploy.yml` has it. */
  async #haproxy({ host, container, statsPort }: Router, kamal: RealKamal): Promise<void> {
    const config = "config/haproxy/production.cfg";
    const text = readFileSync(new URL("./made-by-hand/haproxy.cfg", import.meta.url), "utf8");
    const said = await kamal.boot(
      container.replace(/^heatwave-/, ""),
      host,
      {
        image: this.#image("haproxy"),
        port: `${host.address}:${statsPort}:8404`,
        files: [`${config}:/usr/local/etc/haproxy/haproxy.cfg`],
      },
      { [config]: text },
    );
    if (!said.includes(`docker run --name ${container} `)) throw new Error(`Kamal started nothing:\n${said}`);
  }
}

/** As somebody named it by hand: for the place, and not as heatwave does. */
const slotOf = ({ name }: Site): string => `standby_${name.replaceAll("-", "_")}`;

/** The stand-in for the sidecar of the seeds, with its driver in one file. */
async function pgHealthProgram(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "heatwave-by-hand-"));
  try {
    const outfile = join(folder, "pg-health.mjs");
    await build({
      entryPoints: [new URL("./made-by-hand/pg-health.ts", import.meta.url).pathname],
      outfile,
      ...{ bundle: true, platform: "node", format: "esm", target: "node24", logLevel: "silent" },
      banner: {
        js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
      },
      external: ["pg-native", "pg-cloudflare"],
    });
    return readFileSync(outfile, "utf8");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
