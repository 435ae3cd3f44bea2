import { spawn } from "node:child_process";
import { mkdirSync, openSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { STATE } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";

/**
 * A verb of this program as a process of its own session, which nobody's Ctrl-C reaches; its words are passed on to
 * stderr as they come.
 * @param log name of the file below `.heatwave/runs` that keeps them until the next run
 * @returns its exit code
 */
export async function runApart(log: string, words: readonly string[]): Promise<number> {
  const folder = join(STATE, "runs");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, log);
  const output = openSync(path, "w");
  const [script = ""] = process.argv.slice(1);
  const child = spawn(process.execPath, [...process.execArgv, script, ...words], {
    detached: true,
    stdio: ["ignore", output, output],
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? exitCodes.attention));
  });
  const over = new AbortController();
  const shown = follow(path, over.signal);
  try {
    return await ended;
  } finally {
    over.abort();
    await shown;
  }
}

async function follow(path: string, over: AbortSignal): Promise<void> {
  const file = await open(path, "r");
  try {
    const buffer = Buffer.alloc(64 * 1024);
    for (;;) {
      const last = over.aborted;
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead > 0) process.stderr.write(buffer.subarray(0, bytesRead));
      else if (last) return;
      else await delay(50);
    }
  } finally {
    await file.close();
  }
}
