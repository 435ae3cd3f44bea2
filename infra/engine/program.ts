import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { EngineError } from "./engine-error.ts";
import type { Config, Project } from "./stack-file.ts";

export interface ProgramOptions {
  readonly project: Project;
  readonly stack: string;
  readonly preview: boolean;
  readonly parallel: number;
  /** `host:port` of the two services. */
  readonly address: string;
  readonly config: Config;
  readonly env: NodeJS.ProcessEnv;
  /** Lines that the program writes to standard output and error. */
  readonly onOutput: (line: string, stream: "stdout" | "stderr") => void;
}

/** A program under way. */
export interface RunningProgram {
  /** The exit code; a signal counts as 128. */
  readonly exit: Promise<number>;
  /** Ends it by SIGTERM, and by SIGKILL 2 s later. */
  stop(): void;
}

const KILL_AFTER_MS = 2000;

/**
 * Starts the program with Pulumi's own runner and the same Node as this process.
 * @throws EngineError when the program's folder has no @pulumi/pulumi.
 */
export function startProgram(options: ProgramOptions): RunningProgram {
  const { project } = options;
  const runner = findRunner(project.programDirectory);
  const args = [
    ...project.nodeArguments,
    runner,
    "--monitor",
    options.address,
    "--engine",
    options.address,
    "--organization",
    "organization",
    "--project",
    project.name,
    "--root-directory",
    project.root,
    "--stack",
    options.stack,
    "--pwd",
    project.programDirectory,
    ...(options.preview ? ["--dry-run"] : []),
    "--parallel",
    String(options.parallel),
    project.entry,
  ];
  const child = spawn(process.execPath, args, {
    cwd: project.programDirectory,
    env: { ...options.env, ...configEnvironment(options.config) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of ["stdout", "stderr"] as const) {
    createInterface({ input: child[stream] }).on("line", (line) => options.onOutput(line, stream));
  }
  const exit = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 128));
  });
  return {
    exit,
    stop: () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), KILL_AFTER_MS);
      timer.unref();
    },
  };
}

function findRunner(directory: string): string {
  try {
    return createRequire(join(directory, "index.js")).resolve("@pulumi/pulumi/cmd/run/index.js");
  } catch {
    throw new EngineError(`${directory}: @pulumi/pulumi is not installed there or above; run npm ci`);
  }
}

/** The variables through which the SDK reads configuration. The passphrase is not among them. */
function configEnvironment(config: Config): NodeJS.ProcessEnv {
  return {
    PULUMI_CONFIG: JSON.stringify(config.values),
    PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(config.secretKeys),
  };
}
