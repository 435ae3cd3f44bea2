/** The facts that a data directory tells while nothing runs on it. */
import { access, readFile, readdir } from "node:fs/promises";
import { ControlFileError, readControlFile } from "./control-file.ts";
import type { ControlFile } from "./control-file.ts";

/** The newest timeline history file: the data's own word on where it branched off. */
export interface TimelineHistory {
  readonly timeline: number;
  /** The timeline it branched off from; undefined when the file has no line. */
  readonly parent: number | undefined;
  /** Where it branched off. */
  readonly switchLsn: string | undefined;
}

export type DataDirectory =
  /** Nothing there, or an empty directory. */
  | { readonly kind: "empty" }
  /** Something is there that is no usable cluster; never overwritten, never started. */
  | { readonly kind: "unusable"; readonly why: string }
  | {
      readonly kind: "cluster";
      readonly control: ControlFile;
      readonly standbySignal: boolean;
      readonly history: TimelineHistory | undefined;
      /** The data's timeline: the control file lags behind the history until the first checkpoint after a promote. */
      readonly timeline: number;
    };

export type ClusterData = Extract<DataDirectory, { kind: "cluster" }>;

const MAJOR = "18";

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return false;
    throw error;
  }
}

/** Parses a `*.history` file's last entry. */
export function parseHistory(timeline: number, text: string): TimelineHistory {
  const last = text
    .split("\n")
    .map((line) => /^\s*([0-9]+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line))
    .filter((match) => match !== null)
    .at(-1);
  return { timeline, parent: last?.[1] === undefined ? undefined : Number(last[1]), switchLsn: last?.[2] };
}

async function newestHistory(dataDirectory: string): Promise<TimelineHistory | undefined> {
  const names = (await readdir(`${dataDirectory}/pg_wal`)).filter((name) =>
    /^[0-9A-F]{8}\.history$/.test(name),
  );
  const newest = names.sort().at(-1);
  if (newest === undefined) return undefined;
  const text = await readFile(`${dataDirectory}/pg_wal/${newest}`, "utf8");
  return parseHistory(Number.parseInt(newest.slice(0, 8), 16), text);
}

/** Reads the facts of a data directory; every state of it has an answer, so that nobody takes a broken one for empty. */
export async function readDataDirectory(dataDirectory: string): Promise<DataDirectory> {
  let names: readonly string[];
  try {
    names = await readdir(dataDirectory);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return { kind: "empty" };
    return { kind: "unusable", why: `${dataDirectory} cannot be listed (${codeOf(error) ?? "unknown"})` };
  }
  if (names.length === 0) return { kind: "empty" };
  if (!names.includes("PG_VERSION"))
    return { kind: "unusable", why: `${dataDirectory} is not empty, but has no PG_VERSION` };
  try {
    const version = (await readFile(`${dataDirectory}/PG_VERSION`, "utf8")).trim();
    if (version !== MAJOR)
      return {
        kind: "unusable",
        why: `${dataDirectory} is of PostgreSQL ${version}, only ${MAJOR} is served`,
      };
    const [control, standbySignal, history] = await Promise.all([
      readControlFile(dataDirectory),
      exists(`${dataDirectory}/standby.signal`),
      newestHistory(dataDirectory),
    ]);
    const timeline = Math.max(control.timeline, control.minRecoveryTimeline, history?.timeline ?? 0);
    return { kind: "cluster", control, standbySignal, history, timeline };
  } catch (error) {
    const why =
      error instanceof ControlFileError ? error.message : `cannot be read (${codeOf(error) ?? "unknown"})`;
    return { kind: "unusable", why: `${dataDirectory}: ${why}` };
  }
}
