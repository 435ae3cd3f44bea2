import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import { docker, tryDocker } from "../infra/rehearsal/docker.ts";
import type { HostMachine } from "../infra/rehearsal/plan.ts";
import { hostOf } from "../infra/rehearsal/plan.ts";
import { bundleProgram } from "../infra/rehearsal/writer/bundle.ts";
import type { ClientSettings } from "../infra/rehearsal/writer/client.ts";
import { acknowledgedOf } from "../infra/rehearsal/writer/figures.ts";
import { readBeside, sizeBeside, startBeside, stopBeside } from "../infra/rehearsal/writer/program.ts";
import { monotonicMs, parseLines } from "../infra/rehearsal/writer/records.ts";
import type { Acknowledged, WriterRecord } from "../infra/rehearsal/writer/records.ts";
import type { Site } from "../infra/topology/model.ts";
import { gapSince } from "./figures.ts";
import type { BenchWorld } from "./world.ts";

const NAME = "heatwave-floor";
const PORT = 15432;
const PASSWORD = "floor";
const WRITER = "heatwave-floor-writer";
const RECORDS = "records.ndjson";
const DATA = "/var/lib/postgresql/18/docker";
/** Milliseconds until a server, a standby or a row must be there. */
const READY_MS = 60_000;

/**
 * What a switchover cannot be quicker than here: two bare PostgreSQL containers of the same image on the same hosts and
 * over the same link, stopped fast and promoted by hand, one command after the other, with a client that knows both
 * servers and asks each whether it takes writes. No router, no pooler, no grants, no proof.
 */
export class Floor {
  readonly #world: BenchWorld;
  #primary: Site;
  #standby: Site;

  private constructor(world: BenchWorld, primary: Site, standby: Site) {
    this.#world = world;
    this.#primary = primary;
    this.#standby = standby;
  }

  static async begin(world: BenchWorld, clients: number, everyMs: number): Promise<Floor> {
    const [primary, standby] = world.topology.sites;
    if (primary === undefined || standby === undefined) throw new Error("a floor needs two sites");
    const floor = new Floor(world, primary, standby);
    await floor.end();
    await floor.#run(primary, []);
    await floor.#ready(primary);
    await floor.#sql(
      primary,
      "create table if not exists public.floor (run text, client text, sequence bigint)",
    );
    await floor.#inside(
      primary,
      `echo 'host replication all all scram-sha-256' >>${DATA}/pg_hba.conf; kill -HUP 1`,
    );
    await floor.#baseBackup(standby, primary);
    await floor.#run(standby, []);
    await floor.#streaming();
    await floor.#startWriter(clients, everyMs);
    return floor;
  }

  #host(site: Site): HostMachine {
    return hostOf(this.#world.plan, site.host.name);
  }

  #image(site: Site): string {
    return this.#world.overlay.images.postgres ?? site.postgres.image;
  }

  async #run(site: Site, extra: readonly string[]): Promise<void> {
    const options = [
      ...["--name", NAME, "--network", this.#world.topology.network.name, "--stop-signal", "SIGINT"],
      ...["--shm-size", "256m", "-e", `POSTGRES_PASSWORD=${PASSWORD}`, "-v", `${NAME}:/var/lib/postgresql`],
      ...["-p", `${site.host.address}:${PORT}:5432`, ...extra],
    ];
    const settings = [
      "shared_buffers=256MB",
      "max_connections=200",
      "listen_addresses=*",
      `cluster_name=${site.name}`,
    ];
    await docker([
      ...["exec", this.#host(site).container, "docker", "run", "-d", ...options, this.#image(site)],
      ...["postgres", ...settings.flatMap((setting) => ["-c", setting])],
    ]);
  }

  async #baseBackup(site: Site, from: Site): Promise<void> {
    const script = `pg_basebackup -D ${DATA} -c fast -X stream -R -d "host=${from.host.address} port=${PORT} user=postgres password=${PASSWORD}"`;
    await docker([
      ...["exec", this.#host(site).container, "docker", "run", "--rm", "-u", "postgres"],
      ...["--network", this.#world.topology.network.name, "-v", `${NAME}:/var/lib/postgresql`],
      ...["--entrypoint", "sh", this.#image(site), "-c", `mkdir -p ${DATA} && ${script}`],
    ]);
  }

  #inside(site: Site, script: string): Promise<string> {
    return docker([
      "exec",
      this.#host(site).container,
      "docker",
      "exec",
      "-u",
      "postgres",
      NAME,
      "sh",
      "-c",
      script,
    ]);
  }

  #sql(site: Site, statement: string): Promise<string> {
    return docker([
      ...["exec", this.#host(site).container, "docker", "exec", "-u", "postgres", NAME],
      ...["psql", "-X", "-q", "-At", "-c", statement],
    ]);
  }

  async #until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = monotonicMs() + READY_MS;
    while (!(await holds().catch(() => false))) {
      if (monotonicMs() > deadline) throw new Error(`${what}: not within ${READY_MS / 1000} s`);
      await delay(200);
    }
  }

  #ready(site: Site): Promise<void> {
    return this.#until(
      `the floor's server at ${site.name}`,
      async () => (await this.#sql(site, "select 1")) === "1",
    );
  }

  #streaming(): Promise<void> {
    const question =
      "select count(*) from pg_stat_replication where state = 'streaming' and replay_lsn >= pg_current_wal_flush_lsn() - 100000";
    return this.#until("the floor's standby", async () => (await this.#sql(this.#primary, question)) === "1");
  }

  async #startWriter(clients: number, everyMs: number): Promise<void> {
    const [first, ...others] = this.#world.topology.sites.slice(0, 2);
    const at = (site: Site | undefined) => ({
      // A container does not reach its own host's published port.
      host: site === first ? NAME : (site?.host.address ?? ""),
      port: site === first ? 5432 : PORT,
    });
    if (first === undefined) throw new Error("no site");
    const settings: ClientSettings = {
      ...at(first),
      others: others.map(at),
      user: "postgres",
      database: "postgres",
      table: "public.floor",
      run: "floor",
      clients,
      everyMs,
      timeoutMs: 5000,
      connection: "kept",
    };
    await startBeside({
      host: this.#host(first),
      name: WRITER,
      image: this.#world.overlay.images.node ?? first.pgHealth.image,
      user: "1000:1000",
      network: this.#world.topology.network.name,
      at: "/writer",
      mounts: [],
      files: {
        "program.mjs": await bundleProgram("client"),
        "settings.json": JSON.stringify(settings),
        password: PASSWORD,
      },
    });
    await this.#until("the floor's first row", async () => (await this.#acknowledged(0)).length > 0);
  }

  /** Where its writer runs, whoever is the primary. */
  get #writerHost(): HostMachine {
    return this.#host(this.#world.topology.sites[0] ?? this.#primary);
  }

  /** @param from bytes of the writer's notes that are left out */
  async #acknowledged(from: number): Promise<Acknowledged[]> {
    return acknowledgedOf(
      parseLines<WriterRecord>(await readBeside(this.#writerHost, WRITER, RECORDS, from)),
    );
  }

  /**
   * Stops the one, promotes the other, lets the old one follow.
   * @returns the longest time between two acknowledged commits, milliseconds
   */
  async flip(): Promise<number> {
    const [old, next] = [this.#primary, this.#standby];
    const from = await sizeBeside(this.#writerHost, WRITER, RECORDS);
    await this.#sql(old, "checkpoint");
    await this.#sql(old, "checkpoint");
    const begun = monotonicMs();
    // One shell on each host is open before: what is timed is stop and promote, not a way to the host.
    const shells = [old, next].map((site) =>
      execa("docker", ["exec", "-i", this.#host(site).container, "sh"], { reject: false, buffer: true }),
    );
    const [stopper, promoter] = shells;
    stopper?.stdin.write(
      `docker exec -u postgres ${NAME} pg_ctl stop -D ${DATA} -m fast >/dev/null; echo stopped\n`,
    );
    await new Promise<void>((resolve) => stopper?.stdout.once("data", () => resolve()));
    promoter?.stdin.write(`docker exec -u postgres ${NAME} psql -X -q -At -c 'select pg_promote()'\n`);
    await new Promise<void>((resolve) => promoter?.stdout.once("data", () => resolve()));
    for (const shell of shells) shell.stdin.end();
    await Promise.all(shells);
    await this.#until("the floor's writer", async () =>
      (await this.#acknowledged(from)).some(({ instance }) => instance === next.name),
    );
    await delay(300);
    const gap = gapSince(await this.#acknowledged(from), begun);
    await this.#follow(old, next);
    [this.#primary, this.#standby] = [next, old];
    await this.#streaming();
    return gap;
  }

  async #follow(old: Site, next: Site): Promise<void> {
    const conninfo = `host=${next.host.address} port=${PORT} user=postgres password=${PASSWORD}`;
    const script = `touch ${DATA}/standby.signal && echo \\"primary_conninfo = '${conninfo}'\\" >>${DATA}/postgresql.auto.conf`;
    await docker([
      "exec",
      this.#host(old).container,
      "sh",
      "-c",
      [
        `docker run --rm -u postgres -v ${NAME}:/var/lib/postgresql --entrypoint sh ${this.#image(old)} -c "${script}"`,
        `docker start ${NAME} >/dev/null`,
      ].join(" && "),
    ]);
  }

  /** Removes all of it. */
  async end(): Promise<void> {
    for (const site of this.#world.topology.sites.slice(0, 2)) {
      await stopBeside(this.#host(site), WRITER);
      const script = `docker rm -f ${NAME}; docker volume rm -f ${NAME}`;
      await tryDocker(["exec", this.#host(site).container, "sh", "-c", script]);
    }
  }
}
