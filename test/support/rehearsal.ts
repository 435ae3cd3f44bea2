import { join } from "node:path";
import { execa } from "execa";

const root = join(import.meta.dirname, "../..");

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

/** One world of the live tests, driven as its users drive it: by bin/rehearse alone. */
export class Rehearsal {
  readonly world: string;
  readonly stack: string;
  readonly #options: readonly string[];

  /** @param configFile a stack file that is not in the project's folder, relative to it */
  constructor(stack: string, options?: { readonly configFile?: string }) {
    this.stack = stack;
    // Several checkouts on one machine test in worlds of their own.
    this.world = `${process.env["HEATWAVE_TEST_WORLD"] ?? "test"}-${stack}`;
    const file = options?.configFile === undefined ? [] : ["--config-file", options.configFile];
    this.#options = ["--stack", stack, "--world", this.world, "--yes", "--stand-ins", ...file];
  }

  /** `bin/rehearse VERB …`, whatever it exits with. */
  attempt(...args: readonly string[]): Promise<Ran> {
    return this.#spawn(args);
  }

  async #spawn(args: readonly string[], input?: string): Promise<Ran> {
    const started = performance.now();
    const result = await execa(join(root, "bin/rehearse"), [...this.#options, ...args], {
      reject: false,
      ...(input === undefined ? { stdin: "ignore" as const } : { input }),
      // A hung verb must fail its test, not the whole run.
      timeout: 600_000,
      env: { NO_COLOR: "1" },
    });
    return {
      code: result.exitCode ?? -1,
      stdout: result.stdout,
      stderr: result.stderr,
      seconds: (performance.now() - started) / 1000,
    };
  }

  /** Standard output of a verb that must succeed. */
  run(...args: readonly string[]): Promise<string> {
    return this.#must(args);
  }

  async #must(args: readonly string[], input?: string): Promise<string> {
    const ran = await this.#spawn(args, input);
    if (ran.code !== 0) {
      throw new Error(`bin/rehearse ${args.join(" ")} exited with ${ran.code}\n${ran.stdout}\n${ran.stderr}`);
    }
    return ran.stdout;
  }

  /** A shell line in the controller. */
  controller(line: string, input?: string): Promise<string> {
    return this.#must(["exec", "--", "sh", "-c", line], input);
  }

  /** A shell line as root on a host. */
  host(name: string, line: string, input?: string): Promise<string> {
    return this.#must(["host", name, "--", "sh", "-c", line], input);
  }

  /** The embedded engine in the controller. */
  engine(...args: readonly string[]): Promise<Ran> {
    return this.attempt("exec", "--", "bin/engine", ...args, "--stack", this.stack);
  }

  /** One value by SQL: `write` goes through the VIP as the application, a site's name to its superuser. */
  async sql(where: string, statement: string): Promise<string> {
    return (await this.run("psql", where, "--", "-X", "-q", "-At", "-c", statement)).trim();
  }

  /** Status and body of a GET, as an operator on the tailnet sees them. */
  async get(
    url: string,
  ): Promise<{ readonly status: number; readonly body: string; readonly seconds: number }> {
    const script = `const t = performance.now(); const r = await fetch(${JSON.stringify(url)}, { signal: AbortSignal.timeout(10000) });
      console.log(JSON.stringify({ status: r.status, body: await r.text(), seconds: (performance.now() - t) / 1000 }))`;
    const out = await this.run(
      "exec",
      "--",
      "sh",
      "-c",
      '. bin/find-node.sh && exec "$NODE" --input-type=module -e "$1"',
      "bin/sh",
      script,
    );
    return JSON.parse(out) as { status: number; body: string; seconds: number };
  }

  down(): Promise<string> {
    return this.run("down");
  }
}

export interface ServerState {
  readonly proxy: string;
  readonly server: string;
  readonly status: string;
}

/** Server rows of a router's CSV statistics, asked from its stats port on the app host's tailnet address. */
export async function serverStates(world: Rehearsal, address: string, port: number): Promise<ServerState[]> {
  const { body: csv } = await world.get(`http://${address}:${port}/;csv`);
  const [head, ...rows] = csv.replace(/^# /, "").split("\n").filter(Boolean);
  const columns = (head ?? "").split(",");
  const at = (row: readonly string[], name: string): string => row[columns.indexOf(name)] ?? "";
  return rows
    .map((row) => row.split(","))
    .map((row) => ({ proxy: at(row, "pxname"), server: at(row, "svname"), status: at(row, "status") }))
    .filter(({ server }) => !["FRONTEND", "BACKEND"].includes(server));
}
