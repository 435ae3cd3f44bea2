import { execa } from "execa";
import { RehearsalError, tail } from "./trouble.ts";

export const WORLD_LABEL = "heatwave.world";
export const IMAGE_LABEL = "heatwave.image";

export interface Result {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Characters of an answer. execa's own 100 million end in the middle of what an hour of writing leaves; a string holds 2^29. */
const LONGEST_ANSWER = 400_000_000;

interface Options {
  readonly input?: string | Uint8Array;
  /** Milliseconds; none by default. */
  readonly timeout?: number;
  /** Called with each line that the client prints. */
  readonly onLine?: (line: string) => void;
}

/**
 * The Docker daemon outside, by its own client, so that the operator's contexts and `DOCKER_HOST` count.
 * Arguments never hold a secret: those go by stdin.
 * @throws {RehearsalError} when it prints more than can be held: half an answer is none
 */
export async function tryDocker(args: readonly string[], options: Options = {}): Promise<Result> {
  const child = execa("docker", args, {
    reject: false,
    stripFinalNewline: true,
    maxBuffer: LONGEST_ANSWER,
    // The legacy builder (no buildx on Debian's package) warns about its age at each build.
    env: { DOCKER_CLI_HINTS: "false", BUILDKIT_PROGRESS: "plain" },
    ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
    ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
  });
  if (options.onLine !== undefined) {
    const { onLine } = options;
    void (async () => {
      for await (const line of child.iterable({ from: "all" })) onLine(line);
    })().catch(() => undefined);
  }
  const result = await child;
  if (result.isMaxBuffer)
    throw new RehearsalError(
      `docker ${args.slice(0, 3).join(" ")} printed more than ${LONGEST_ANSWER} characters`,
      "its answer cannot be held",
      "ask for less of it",
    );
  return {
    exitCode: result.timedOut ? 124 : (result.exitCode ?? 127),
    stdout: typeof result.stdout === "string" ? result.stdout : "",
    stderr:
      typeof result.stderr === "string" && result.stderr !== "" ? result.stderr : (result.shortMessage ?? ""),
  };
}

/**
 * As `tryDocker`, and a failure is an error.
 * @throws {RehearsalError} with the client's last lines
 */
export async function docker(args: readonly string[], options: Options = {}): Promise<string> {
  const result = await tryDocker(args, options);
  if (result.exitCode === 0) return result.stdout;
  throw new RehearsalError(
    `docker ${args.slice(0, 3).join(" ")} failed (exit ${result.exitCode})`,
    tail(`${result.stdout}\n${result.stderr}`),
    "fix what it names, then run the same command again: what is already made is kept",
  );
}

/** Rows of a `docker ... ls`-like command with a Go template; [] when there are none. */
export async function rows(args: readonly string[]): Promise<string[]> {
  const text = await docker(args);
  return text === "" ? [] : text.split("\n");
}

/** Names of what carries the label of a world. */
export async function labelled(kind: "container" | "network" | "volume", world: string): Promise<string[]> {
  const filter = ["--filter", `label=${WORLD_LABEL}=${world}`];
  if (kind === "container") return rows(["ps", "-a", ...filter, "--format", "{{.Names}}"]);
  return rows([kind, "ls", ...filter, "--format", "{{.Name}}"]);
}

/** One program's output into the Docker client's input, e.g. `save` into `load`, without a file between. */
export async function pipeIntoDocker(
  from: { readonly file: string; readonly args: readonly string[]; readonly input?: string },
  into: readonly string[],
): Promise<void> {
  const source = execa(from.file, from.args, {
    reject: false,
    buffer: { stdout: false },
    ...(from.input === undefined ? { stdin: "ignore" as const } : { input: from.input }),
  });
  const target = execa("docker", into, { reject: false, stdin: "pipe" });
  // A target that ends early closes the pipe; its own exit code tells the story.
  target.stdin.on("error", () => undefined);
  source.stdout.pipe(target.stdin);
  // Nobody reads any more: without this a source with more to say would wait for ever.
  void target.finally(() => source.kill());
  const [read, written] = await Promise.all([source, target]);
  if (written.exitCode !== 0 || (read.exitCode !== 0 && !read.isTerminated)) {
    throw new RehearsalError(
      `${from.file} ${from.args[0] ?? ""} | docker ${into.slice(0, 3).join(" ")} failed`,
      tail(`${read.stderr}\n${written.stdout}\n${written.stderr}`),
      "run the same command again: what is already there is kept",
    );
  }
}
