import type { ChildProcess, ChildProcessWithoutNullStreams } from "node:child_process";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { renderHaproxyCfg } from "../../components/router/render/haproxy-cfg.ts";
import type { StackConfig } from "../../infra/config/schema.ts";
import type { Listener } from "../../infra/topology/model.ts";
import type { FakeDns } from "./fake-dns.ts";
import type { FakeSite } from "./fake-site.ts";
import { loopbackTopology, type LocalNames } from "./loopback-topology.ts";
import { until } from "./until.ts";
import { VipClient } from "./vip-client.ts";

/** Checks as in production, ten times as fast. */
export const QUICK: StackConfig["haproxy"] = {
  statsPort: 0,
  maxconn: 100,
  check: { inter: "200ms", rise: 2, fall: 3 },
  timeouts: { connect: "1s", client: "12h", server: "12h", check: "1s" },
};

export interface RouterOptions {
  readonly sites: readonly FakeSite[];
  /** Site on the router's own host, reached by these names. */
  readonly local?: LocalNames;
  readonly listeners?: readonly Omit<Listener, "port">[];
  readonly settings?: Partial<StackConfig["haproxy"]>;
  readonly dns?: FakeDns;
  /** Leave HAProxy 3.0's own start: no state file. */
  readonly withoutState?: boolean;
  /** Last change to the rendered text. */
  readonly edit?: (cfg: string) => string;
}

export interface Identity {
  readonly uid?: number;
  readonly gid?: number;
}

export interface ScriptResult {
  readonly status: number | null;
  readonly output: string;
}

/** HAProxy under start.sh, in folders as the container has them. */
export class FakeRouter {
  readonly directory = mkdtempSync(join(tmpdir(), "heatwave-router-"));
  readonly ports: Readonly<Record<string, number>>;
  readonly statsPort: number;
  log = "";
  private process: ChildProcess | undefined;
  private readonly cliPort: number;
  private readonly haproxy: string;
  options: RouterOptions;

  private constructor(haproxy: string, options: RouterOptions, ports: readonly number[]) {
    this.haproxy = haproxy;
    this.options = options;
    const [statsPort, cliPort, ...rest] = ports;
    this.statsPort = statsPort!;
    this.cliPort = cliPort!;
    this.ports = Object.fromEntries(listenersOf(options).map(({ name }, i) => [name, rest[i]!]));
  }

  static async create(haproxy: string, options: RouterOptions): Promise<FakeRouter> {
    const ports = await freePorts(2 + listenersOf(options).length);
    const router = new FakeRouter(haproxy, options, ports);
    const conf = join(router.directory, "conf");
    mkdirSync(conf);
    mkdirSync(join(router.directory, "run"));
    mkdirSync(join(router.directory, "bin"));
    busyboxInto(join(router.directory, "bin"));
    symlinkSync(haproxy, join(router.directory, "bin", "haproxy"));
    copyFileSync(new URL("../../components/router/source/start.sh", import.meta.url), router.startScript);
    router.write(options);
    return router;
  }

  get run(): string {
    return join(this.directory, "run");
  }

  /** Renders the configuration anew. */
  write(options: RouterOptions): void {
    this.options = options;
    writeFileSync(join(this.directory, "conf", "haproxy.cfg"), this.render());
  }

  render(): string {
    const { sites, local, settings, dns, edit } = this.options;
    const listeners = listenersOf(this.options).map((each) => ({ ...each, port: this.ports[each.name]! }));
    const topology = loopbackTopology(sites, local, listeners, this.statsPort);
    const text = renderHaproxyCfg(topology, topology.routers[0]!, { ...QUICK, ...settings })
      .replaceAll("/run/haproxy", this.run)
      .replace("nameserver dns 127.0.0.11:53", `nameserver dns 127.0.0.1:${dns?.port ?? 9}`)
      .replaceAll(/^ {2}bind :/gm, "  bind 127.0.0.1:");
    return edit === undefined ? text : edit(text);
  }

  /** Runs start.sh and waits until HAProxy has bound. */
  async start(identity: Identity = {}): Promise<void> {
    this.log = "";
    const [command, args] = this.options.withoutState
      ? [this.haproxy, ["-W", "-db", "-S", `127.0.0.1:${this.cliPort},level,admin`, "-f", this.cfg]]
      : [this.shell, [this.startScript, "run"]];
    this.process = spawn(command, args, { env: this.env, stdio: ["ignore", "pipe", "pipe"], ...identity });
    this.process.stdout!.on("data", (text: Buffer) => (this.log += text.toString()));
    this.process.stderr!.on("data", (text: Buffer) => (this.log += text.toString()));
    await until(
      // HAProxy renames its socket into place after it has bound every port.
      async () =>
        this.process!.exitCode !== null ||
        ((await reaches(this.statsPort)) && existsSync(join(this.run, "admin.sock"))),
      () => `HAProxy did not bind:\n${this.log}`,
    );
    if (this.process.exitCode !== null) throw new Error(`start.sh ended:\n${this.log}`);
  }

  /** `start.sh reload`. */
  reload(identity: Identity = {}): ScriptResult {
    return this.script("reload", identity);
  }

  /** One verb of start.sh. */
  script(verb: string, identity: Identity = {}): ScriptResult {
    const { status, stdout, stderr } = spawnSync(this.shell, [this.startScript, verb], {
      env: this.env,
      encoding: "utf8",
      ...identity,
    });
    return { status, output: stdout + stderr };
  }

  /** `start.sh reload`, while connections go on. */
  async reloadAsync(): Promise<ScriptResult> {
    const child = spawn(this.shell, [this.startScript, "reload"], { env: this.env });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (text: Buffer) => (output += text.toString()));
    await once(child, "close");
    return { status: child.exitCode, output };
  }

  /** `start.sh guard`, as a runbook starts it. */
  guard(seconds: number): ChildProcessWithoutNullStreams {
    return spawn(this.shell, [this.startScript, "guard", String(seconds)], { env: this.env });
  }

  /** A signal to HAProxy's master. */
  signal(name: NodeJS.Signals): void {
    this.process!.kill(name);
  }

  /** Gives `run` to a user, and takes the right to write `conf` from everybody. */
  own(uid: number, gid: number): void {
    chmodSync(this.directory, 0o755);
    chownSync(this.run, uid, gid);
    chmodSync(this.run, 0o770);
    chmodSync(join(this.directory, "conf"), 0o555);
  }

  /** One command to the worker. */
  async tell(command: string): Promise<string> {
    const socket = connect(join(this.run, "admin.sock"));
    socket.end(`${command}\n`);
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    return text;
  }

  /** HAProxy's word for every server, by `section/server`. */
  async statuses(): Promise<Record<string, string>> {
    const lines = (await this.tell("show stat")).split("\n").filter((line) => /^[a-z]/.test(line));
    return Object.fromEntries(
      lines
        .map((line) => line.split(","))
        .filter((field) => field[1] !== "FRONTEND" && field[1] !== "BACKEND")
        .map((field) => [`${field[0]!}/${field[1]!}`, field[17]!]),
    );
  }

  connect(listener = "pg-primary"): Promise<VipClient> {
    return VipClient.open(this.ports[listener]!);
  }

  /** Site that a new connection meets; undefined where it is refused. */
  async meets(listener = "pg-primary"): Promise<string | undefined> {
    const client = await this.connect(listener);
    client.close();
    return client.site;
  }

  /** Opens connections one after the other for this long (ms) and counts whom they met. */
  async traffic(milliseconds: number, listener = "pg-primary"): Promise<Record<string, number>> {
    const met: Record<string, number> = {};
    const end = performance.now() + milliseconds;
    while (performance.now() < end) {
      const site = (await this.meets(listener)) ?? "refused";
      met[site] = (met[site] ?? 0) + 1;
      await after(5);
    }
    return met;
  }

  async close(): Promise<void> {
    if (this.process?.exitCode === null) {
      const exit = once(this.process, "exit");
      this.process.kill("SIGTERM");
      await exit;
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** The rendered limit of a listener. */
  get maxconn(): number {
    return this.options.settings?.maxconn ?? QUICK.maxconn;
  }

  private get shell(): string {
    return join(this.directory, "bin", "sh");
  }

  private get startScript(): string {
    return join(this.directory, "conf", "start.sh");
  }

  private get cfg(): string {
    return join(this.directory, "conf", "haproxy.cfg");
  }

  private get env(): NodeJS.ProcessEnv {
    return {
      PATH: join(this.directory, "bin"),
      HEATWAVE_RUN: this.run,
      HEATWAVE_CLI_PORT: String(this.cliPort),
    };
  }
}

function listenersOf(options: RouterOptions): readonly Omit<Listener, "port">[] {
  return options.listeners ?? [{ name: "pg-primary", route: "write" }];
}

async function reaches(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(
    servers.map((server) => {
      server.close();
      return once(server, "close");
    }),
  );
  return ports;
}

/** BusyBox and nothing else on the PATH, as in the image. */
function busyboxInto(directory: string): void {
  const busybox = ["/bin/busybox", "/usr/bin/busybox"].find((path) => {
    try {
      execFileSync(path, ["true"]);
      return true;
    } catch {
      return false;
    }
  });
  if (busybox === undefined) throw new Error("no BusyBox here: the router's script is tested under it");
  copyFileSync(busybox, join(directory, "busybox"));
  chmodSync(join(directory, "busybox"), 0o755);
  for (const applet of [
    "sh",
    "awk",
    "cat",
    "grep",
    "id",
    "mv",
    "nc",
    "rm",
    "sleep",
    "timeout",
    "tr",
    "wget",
    "dirname",
  ])
    symlinkSync("busybox", join(directory, applet));
}
