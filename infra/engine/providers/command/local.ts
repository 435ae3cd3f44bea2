import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";

import { hashAssets } from "../../assets.ts";
import { Archive, Asset } from "../../values.ts";
import { SecretMask } from "../../secret-mask.ts";
import type { Value, ValueMap } from "../../values.ts";
import { readText, readTexts } from "../read-value.ts";
import {
  declaredEnvironment,
  loggedStreams,
  outputsOfRun,
  previousOutput,
  throwIfFailed,
} from "./command-run.ts";
import { selectPaths } from "./glob.ts";
import { runProcess } from "./local-process.ts";

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
  const mask = new SecretMask();
  mask.addProperties("command:local:Command", inputs);
  if (!(await isFolder(dir))) {
    const failure = `chdir ${dir}: no such file or directory`;
    throwIfFailed({ failure, stdout: "", stderr: "", output: "" }, command, mask);
  }
  const logged = loggedStreams(inputs);
  const finished = await runProcess({
    program,
    args: [...args, command],
    directory: dir,
    environment: { ...declaredEnvironment(inputs), ...previousOutput(inputs, run.oldOutputs) },
    stdin: readText(inputs, "stdin") ?? "",
    timeoutSeconds: run.timeoutSeconds,
    signal: run.signal,
    onLine: (line, from) => {
      if (logged.has(from)) run.status(mask.apply(line));
    },
  });
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
