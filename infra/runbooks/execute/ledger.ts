import { appendFile, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { StackHost } from "../../hosts/stack-host.ts";
import type { LedgerEntry } from "../observe/observation.ts";
import { mergeLedgers } from "../observe/operations.ts";

/** Seconds that one host may take to note an entry. */
const NOTE_SECONDS = 15;

/** A run's entries: on each host, and a copy beside the state on this machine. */
export class Ledger {
  readonly #hosts: readonly StackHost[];
  readonly #copy: string;

  /** @param stateDirectory `.heatwave` of the checkout */
  constructor(stack: string, hosts: readonly StackHost[], stateDirectory: string) {
    this.#hosts = hosts;
    this.#copy = copyPath(stack, stateDirectory);
  }

  /**
   * Appends an entry everywhere.
   * @returns what could not be written, in words
   */
  async append(entry: LedgerEntry): Promise<readonly string[]> {
    const text = JSON.stringify(entry);
    const missing = await Promise.all([
      ...this.#hosts.map((host) => noteOn(host, text)),
      this.#noteHere(text),
    ]);
    return missing.flatMap((one) => one ?? []);
  }

  async #noteHere(text: string): Promise<string | undefined> {
    try {
      await mkdir(dirname(this.#copy), { recursive: true });
      await appendFile(this.#copy, `${text}\n`);
      return undefined;
    } catch (error) {
      return `${this.#copy}: ${(error as Error).message}`;
    }
  }
}

async function noteOn(host: StackHost, text: string): Promise<string | undefined> {
  try {
    const done = await host.tool(["ledger"], { seconds: NOTE_SECONDS, stdin: `${text}\n` });
    return done.exitCode === 0 ? undefined : `${host.name}: ${done.stderr.trim()}`;
  } catch (error) {
    return `${host.name}: ${(error as Error).message}`;
  }
}

const copyPath = (stack: string, stateDirectory: string): string =>
  join(stateDirectory, "ledger", `${stack}.jsonl`);

/** This machine's copy; empty where there is none. */
export async function localLedger(stack: string, stateDirectory: string): Promise<readonly LedgerEntry[]> {
  const text = await readFile(copyPath(stack, stateDirectory), "utf8").catch(() => "");
  const entries = text.split("\n").flatMap((line): LedgerEntry[] => {
    try {
      return [JSON.parse(line) as LedgerEntry];
    } catch {
      return [];
    }
  });
  return mergeLedgers([entries]);
}

/** The last look at a stack in which a primary and its standbys were seen. */
export interface LastSeen {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly primary: string;
  readonly lags: Readonly<Record<string, { readonly bytes: number | null; readonly seconds: number | null }>>;
}

/** Remembers it for the day on which a site is gone and its lag is asked for. */
export async function rememberSeen(stack: string, stateDirectory: string, seen: LastSeen): Promise<void> {
  const path = join(stateDirectory, "seen", `${stack}.json`);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.${process.pid}`, `${JSON.stringify(seen)}\n`);
  await rename(`${path}.${process.pid}`, path);
}

/** Undefined where this machine never saw the stack whole. */
export async function lastSeen(stack: string, stateDirectory: string): Promise<LastSeen | undefined> {
  try {
    return JSON.parse(await readFile(join(stateDirectory, "seen", `${stack}.json`), "utf8")) as LastSeen;
  } catch {
    return undefined;
  }
}
