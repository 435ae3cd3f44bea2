import { execa } from "execa";
import { readdir, stat } from "node:fs/promises";
import { constants } from "node:os";
import { join, resolve } from "node:path";

import { hashAssets } from "../../assets.ts";
import { Archive, Asset } from "../../values.ts";
import type { Value, ValueMap } from "../../values.ts";
import { readText, readTexts } from "../read-value.ts";
import {
  declaredEnvironment,
  loggedStreams,
  outputsOfRun,
  previousOutput,
  SecretMask,
  throwIfFailed,
} from "./command-run.ts";
import { selectPaths } from "./glob.ts";

const KILL_GRACE_MS = 5000;

export interface LocalRun {
  readonly command: string;
  readonly inputs: ValueMap;
  /** Of the run before; {} the first time. */
  readonly oldOutputs: ValueMap;
  readonly programDirectory: string;
  readonly timeoutSeconds: number | undefined;
  readonly signal: AbortSignal;
  readonly status: (line: string) => void;
}

/**
 * Runs a command on this machine and gives its outputs.
 * @throws Error `exit status N: running "…":` with all it printed
 */
export async function runLocal(run: LocalRun): Promise<ValueMap> {
  const { inputs, command } = run;
  const dir = resolve(run.programDirectory, readText(inputs, "dir") ?? ".");
  const given = readTexts(inputs, "interpreter");
  const [program = "/bin/sh", ...args] = given.length > 0 ? given : ["/bin/sh", "-c"];
  const stdin = readText(inputs, "stdin") ?? "";
  const mask = new SecretMask(inputs);
  if (!(await isFolder(dir))) {
    const failure = `chdir ${dir}: no such file or directory`;
    throwIfFailed({ failure, stdout: "", stderr: "", output: "" }, command, mask);
  }
  const child = execa(program, [...args, command], {
    cwd: dir,
    env: { ...declaredEnvironment(inputs), ...previousOutput(inputs, run.oldOutputs) },
    ...(stdin === "" ? { stdin: "ignore" as const } : { input: stdin }),
    all: true,
    reject: false,
    stripFinalNewline: false,
    maxBuffer: 256 * 1024 * 1024,
    // Ctrl-C at the terminal is the engine's to decide on: a step that has begun is let finish.
    detached: true,
    cancelSignal: run.signal,
    forceKillAfterDelay: KILL_GRACE_MS,
    ...(run.timeoutSeconds === undefined ? {} : { timeout: run.timeoutSeconds * 1000 }),
  });
  const logged = loggedStreams(inputs);
  const lines = [...logged].map(async (from) => {
    try {
      for await (const line of child.iterable({ from })) run.status(mask.hide(line));
    } catch {
      // The iteration fails as the child does, and the child tells why.
    }
  });
  const result = await child;
  await Promise.all(lines);
  const failure = failureOf(result, run.timeoutSeconds);
  const { stdout, stderr, all: output } = result;
  const finished = { failure, stdout, stderr, output };
  throwIfFailed(finished, command, mask);
  return { ...outputsOfRun(inputs, finished), ...(await collected(inputs, dir)) };
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

function failureOf(
  result: {
    readonly exitCode?: number | undefined;
    readonly signal?: string | undefined;
    readonly timedOut: boolean;
    readonly originalMessage?: string | undefined;
    readonly failed: boolean;
  },
  timeoutSeconds: number | undefined,
): string | undefined {
  if (!result.failed) return undefined;
  if (result.timedOut) return `not finished after ${timeoutSeconds ?? 0} s`;
  if (result.exitCode !== undefined) return `exit status ${result.exitCode}`;
  if (result.signal !== undefined) return `signal: ${signalName(result.signal)}`;
  return result.originalMessage ?? "cannot be started";
}

/** Signals as Go names the common ones. */
function signalName(signal: string): string {
  const names: Readonly<Record<string, string>> = {
    SIGKILL: "killed",
    SIGTERM: "terminated",
    SIGINT: "interrupt",
    SIGHUP: "hangup",
  };
  return names[signal] ?? `${signal} (${constants.signals[signal as NodeJS.Signals]})`;
}

/** The files that `assetPaths` and `archivePaths` choose after the run. */
async function collected(inputs: ValueMap, dir: string): Promise<ValueMap> {
  const outputs: Record<string, Value> = {};
  if (inputs["assetPaths"] === undefined && inputs["archivePaths"] === undefined) return outputs;
  const files = await filesBelow(dir, "");
  const assetsFor = (key: string): Record<string, Asset> =>
    Object.fromEntries(
      selectPaths(files, readTexts(inputs, key)).map((path) => [
        path,
        new Asset({ path: join(dir, path) }, ""),
      ]),
    );
  if (inputs["assetPaths"] !== undefined) outputs["assets"] = assetsFor("assetPaths");
  if (inputs["archivePaths"] !== undefined) {
    outputs["archive"] = new Archive({ assets: assetsFor("archivePaths") }, "");
  }
  return hashAssets(outputs, dir);
}

async function filesBelow(root: string, relative: string): Promise<readonly string[]> {
  const entries = await readdir(join(root, relative), { withFileTypes: true });
  const nested = await Promise.all(
    entries.map(async (entry) => {
      const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
      return entry.isDirectory() ? await filesBelow(root, path) : [path];
    }),
  );
  return nested.flat().sort();
}
