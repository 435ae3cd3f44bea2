/** A site without containers: the real entrypoint and the bundled pg-health as two processes in private directories. */
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { LimitsConfig, PgHealthConfig } from "../../components/pg-health/sidecar/config.ts";
import { askControl } from "../../components/pg-health/sidecar/control.ts";
import type { ControlEnd, ControlRoutes } from "../../components/pg-health/sidecar/control.ts";
import type { EntrypointStatus } from "../../components/pg-health/sidecar/entrypoint.ts";
import type { Grant } from "../../components/pg-health/sidecar/grant.ts";

const ENTRYPOINT = fileURLToPath(new URL("../../components/postgres/source/entrypoint.sh", import.meta.url));

/** An operating-system user that PostgreSQL accepts (it refuses root), by name and ids. */
export interface OsUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** The own user, or for root a user that exists on every machine. */
export function unprivilegedUser(): OsUser {
  const own = process.getuid?.() ?? 0;
  const name = own === 0 ? "nobody" : execFileSync("id", ["-un"], { encoding: "utf8" }).trim();
  const id = (flag: string): number => Number(execFileSync("id", [flag, name], { encoding: "utf8" }));
  return { name, uid: id("-u"), gid: id("-g") };
}

export interface PgSitePlan {
  readonly name: string;
  readonly healthPort: number;
  readonly postgresPort: number;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly ms: number;
}

export const SECRETS = {
  superuser: "super:secret",
  replication: "repl\\ica:tion",
  health: "health-password",
  peer: "peer-secret-of-this-stack",
} as const;

/** The last lines of a process, for the message of a failing test. */
class Output {
  readonly lines: string[] = [];

  follow(child: ChildProcess): void {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8");
      stream?.on("data", (text: string) => {
        this.lines.push(...text.trimEnd().split("\n"));
        if (this.lines.length > 2000) this.lines.splice(0, 1000);
      });
    }
  }
}

export interface CommandEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class PgSite {
  readonly plan: PgSitePlan;
  readonly directory: string;
  readonly output = new Output();
  readonly #all: readonly PgSitePlan[];
  readonly #user: OsUser;
  readonly #bin: string;
  readonly #bundle: string;
  readonly #limits: Partial<LimitsConfig>;
  entrypoint: ChildProcess | undefined;
  brain: ChildProcess | undefined;

  constructor(
    plan: PgSitePlan,
    options: {
      all: readonly PgSitePlan[];
      root: string;
      user: OsUser;
      bin: string;
      bundle: string;
      limits?: Partial<LimitsConfig>;
    },
  ) {
    this.plan = plan;
    this.#all = options.all;
    this.#user = options.user;
    this.#bin = options.bin;
    this.#bundle = options.bundle;
    this.#limits = options.limits ?? {};
    this.directory = `${options.root}/${plan.name}`;
    this.#prepare();
  }

  get dataDirectory(): string {
    return `${this.directory}/volume/18/docker`;
  }

  get grantFile(): string {
    return `${this.directory}/state/grant.json`;
  }

  #prepare(): void {
    const own = (path: string): void => chownSync(path, this.#user.uid, this.#user.gid);
    const directory = (name: string): void => {
      mkdirSync(`${this.directory}/${name}`, { recursive: true });
      own(`${this.directory}/${name}`);
    };
    for (const name of [
      "",
      "conf",
      "secrets",
      "run",
      "volume",
      "health-conf",
      "health-secrets",
      "state",
      "control",
      "boot",
    ])
      directory(name);
    const write = (name: string, text: string): void => {
      writeFileSync(`${this.directory}/${name}`, text, { mode: 0o600 });
      own(`${this.directory}/${name}`);
    };
    write(
      "conf/postgresql.conf",
      [
        "listen_addresses = '127.0.0.1'",
        `port = ${this.plan.postgresPort}`,
        "max_connections = 20",
        "shared_buffers = 16MB",
        "fsync = off",
        `include_if_exists '${this.directory}/run/follow.conf'`,
        "",
      ].join("\n"),
    );
    write(
      "conf/pg_hba.conf",
      [
        "local all postgres peer map=live",
        "local all all scram-sha-256",
        "host all all 127.0.0.1/32 scram-sha-256",
        "host replication heatwave_replication 127.0.0.1/32 scram-sha-256",
        "",
      ].join("\n"),
    );
    write("conf/pg_ident.conf", `live ${this.#user.name} postgres\n`);
    write("secrets/superuser-password", SECRETS.superuser);
    write("secrets/replication-password", SECRETS.replication);
    write(
      "health-secrets/pg-health.json",
      JSON.stringify({ healthPassword: SECRETS.health, peerSecret: SECRETS.peer }),
    );
    const config: PgHealthConfig = {
      site: this.plan.name,
      listen: { host: "127.0.0.1", port: this.plan.healthPort },
      sites: this.#all.map((site) => ({
        name: site.name,
        health: { host: "127.0.0.1", port: site.healthPort },
        postgres: { host: "127.0.0.1", port: site.postgresPort },
      })),
      postgres: {
        dataDirectory: this.dataDirectory,
        runDirectory: `${this.directory}/run`,
        port: this.plan.postgresPort,
      },
      limits: this.#limits,
    };
    write("health-conf/pg-health.json", JSON.stringify(config));
  }

  #environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env["PATH"],
      HEATWAVE_RUN: `${this.directory}/run`,
      HEATWAVE_SECRETS: `${this.directory}/secrets`,
      HEATWAVE_CONF: `${this.directory}/conf`,
      HEATWAVE_PG_BIN: this.#bin,
      HEATWAVE_PRIVATE_SOCKET: "1",
      PGDATA: this.dataDirectory,
    };
  }

  #healthEnvironment(): NodeJS.ProcessEnv {
    return {
      HEATWAVE_CONF: `${this.directory}/health-conf`,
      HEATWAVE_SECRETS: `${this.directory}/health-secrets`,
      HEATWAVE_STATE: `${this.directory}/state`,
      HEATWAVE_CONTROL: `${this.directory}/control`,
      HEATWAVE_BOOT: `${this.directory}/boot`,
    };
  }

  #spawn(command: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    return spawn(command, [...args], {
      env,
      cwd: this.directory,
      uid: this.#user.uid,
      gid: this.#user.gid,
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  startEntrypoint(): void {
    this.entrypoint = this.#spawn("bash", [ENTRYPOINT], this.#environment());
    this.output.follow(this.entrypoint);
  }

  startBrain(): void {
    this.brain = this.#spawn(process.execPath, [this.#bundle, "serve"], this.#healthEnvironment());
    this.output.follow(this.brain);
  }

  #run(
    command: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    heard: (line: string) => void,
  ): Promise<CommandEnd> {
    const child = this.#spawn(command, args, env);
    const end = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name]?.setEncoding("utf8");
      child[name]?.on("data", (text: string) => {
        end[name] += text;
      });
    }
    // Line by line: two lines may come in one piece.
    for (const stream of [child.stdout, child.stderr])
      if (stream !== null) createInterface({ input: stream }).on("line", heard);
    return new Promise((resolve) => child.on("close", (code) => resolve({ code, ...end })));
  }

  /** The container's healthcheck. */
  ping(): Promise<CommandEnd> {
    return this.#run("bash", [ENTRYPOINT, "ping"], this.#environment(), () => undefined);
  }

  /** What `docker exec … node /opt/heatwave/pg-health.mjs …` runs. */
  command(args: readonly string[], heard: (line: string) => void = () => undefined): Promise<CommandEnd> {
    return this.#run(process.execPath, [this.#bundle, ...args], this.#healthEnvironment(), heard);
  }

  async sql(text: string): Promise<string> {
    const end = await this.#run(
      `${this.#bin}/psql`,
      [
        "-X",
        "-A",
        "-t",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        `${this.directory}/run/sql`,
        "-p",
        String(this.plan.postgresPort),
        "-U",
        "postgres",
        "-d",
        "postgres",
        "-c",
        text,
      ],
      this.#environment(),
      () => undefined,
    );
    if (end.code !== 0) throw new Error(`${this.plan.name}: ${text}: ${end.stderr}`);
    return end.stdout.trim();
  }

  get(path: string): Promise<Answer> {
    const start = performance.now();
    return new Promise((resolve, reject) => {
      const asked = request(
        { host: "127.0.0.1", port: this.plan.healthPort, path, agent: false, timeout: 10_000 },
        (response) => {
          let body = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => (body += chunk));
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, body, ms: performance.now() - start }),
          );
        },
      );
      asked.on("error", reject);
      asked.end();
    });
  }

  /** What the running pg-health's control socket answers. */
  control(route: keyof ControlRoutes, body: unknown = {}): Promise<ControlEnd> {
    return askControl(`${this.directory}/control/control.sock`, route, body, 60_000);
  }

  grant(): Grant {
    return JSON.parse(readFileSync(this.grantFile, "utf8")) as Grant;
  }

  /** What a reboot of the host does to the folder that tells one boot from another. */
  forgetBoot(): void {
    rmSync(`${this.directory}/boot`, { recursive: true });
    mkdirSync(`${this.directory}/boot`);
  }

  status(): EntrypointStatus {
    return JSON.parse(readFileSync(`${this.directory}/run/status.json`, "utf8")) as EntrypointStatus;
  }

  has(path: string): boolean {
    return existsSync(`${this.directory}/${path}`);
  }

  /** The postmaster and its children. */
  processes(): readonly number[] {
    const { pid } = this.status();
    if (pid === null) return [];
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return [pid, ...children.split(" ").filter(Boolean).map(Number)];
  }

  /** What `docker kill -9` does: everything in the container is gone at once, and nothing of it is tidied up. */
  killContainer(): Promise<void> {
    const { entrypoint } = this;
    if (entrypoint?.pid === undefined) return Promise.resolve();
    const gone = new Promise<void>((resolve) => entrypoint.once("close", () => resolve()));
    // Parents first: a postmaster that sees a child die would restart its others.
    for (const pid of [entrypoint.pid, ...descendants(entrypoint.pid)]) kill(pid, "SIGKILL");
    this.entrypoint = undefined;
    return gone;
  }

  /** What `docker stop` does; resolves with the exit code. */
  stopContainer(): Promise<number | null> {
    const { entrypoint } = this;
    if (entrypoint === undefined) return Promise.resolve(null);
    this.entrypoint = undefined;
    return ended(entrypoint, "SIGINT");
  }

  stopBrain(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const { brain } = this;
    if (brain === undefined) return Promise.resolve(null);
    this.brain = undefined;
    return ended(brain, signal);
  }
}

function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  const end = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  child.kill(signal);
  return end;
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself.
  }
}

function descendants(pid: number): readonly number[] {
  let children: readonly number[] = [];
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
      .trim()
      .split(" ")
      .filter(Boolean)
      .map(Number);
  } catch {
    // It ended meanwhile.
  }
  return children.flatMap((child) => [child, ...descendants(child)]);
}
