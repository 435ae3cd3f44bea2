import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, readdir, rename, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";

import { describe, hasCertainlyEnded, lockOwner, ownLock, seemsEnded } from "./lock-owner.ts";

/** A lock that was taken. */
export interface Lock {
  /** What the locks said that were removed because their process has certainly ended. */
  readonly broken: readonly string[];
  release(): Promise<void>;
}

/** Someone else works on the stack. */
export class LockedError extends Error {
  override readonly name = "LockedError";
}

/**
 * A folder laid out as Pulumi's file backend (`.pulumi/stacks/<project>/<stack>.json` and so on), for one stack.
 * Nothing is made before the first write.
 */
export class FileBackend {
  readonly #root: string;
  readonly #project: string;
  readonly #stack: string;

  constructor(root: string, project: string, stack: string) {
    this.#root = root;
    this.#project = project;
    this.#stack = stack;
  }

  get stateFile(): string {
    return join(this.#root, ".pulumi", "stacks", this.#project, `${this.#stack}.json`);
  }

  get historyDirectory(): string {
    return join(this.#root, ".pulumi", "history", this.#project, this.#stack);
  }

  /** The text of the state, or undefined when the stack has none yet. */
  async read(): Promise<string | undefined> {
    const text = await readIfThere(this.stateFile);
    if (text !== undefined) return text;
    for (const ending of [".gz", ".zst"]) {
      if ((await readIfThere(`${this.stateFile}${ending}`)) !== undefined) {
        throw new Error(
          `${this.stateFile}${ending}: the embedded engine does not know compressed states; write it once without compression first`,
        );
      }
    }
    return undefined;
  }

  /** Replaces the state: written beside it, flushed to disk, renamed; a crash leaves the old or the new one. */
  async write(text: string): Promise<void> {
    await replaceFile(this.stateFile, text);
  }

  /** Makes the folders, and keeps the state as it is now as `.json.bak`. */
  async prepare(): Promise<void> {
    const meta = join(this.#root, ".pulumi", "meta.yaml");
    const found = await readIfThere(meta);
    if (found === undefined) await replaceFile(meta, "version: 1\n");
    else if (!/^version: 1$/m.test(found)) {
      throw new Error(`${meta}: expected "version: 1" (states grouped by project)`);
    }
    const directory = dirname(this.stateFile);
    await mkdir(directory, { recursive: true });
    const text = await readIfThere(this.stateFile);
    if (text !== undefined) await replaceFile(`${this.stateFile}.bak`, text);
    // A run that was killed may have left a file half written; under the lock nobody else writes one.
    const own = basename(this.stateFile);
    const left = (await readdir(directory)).filter(
      (name) => name.startsWith(`${own}.`) && name.endsWith(".tmp"),
    );
    await Promise.all(left.map((name) => rm(join(directory, name), { force: true })));
  }

  /**
   * Takes the stack's lock. Only a lock whose process has certainly ended is removed: an engine that was killed
   * must not need a hand, and one that still works must not lose its lock.
   * @throws LockedError that names owner, host, process and time.
   */
  async lock(): Promise<Lock> {
    const directory = this.#lockDirectory();
    await mkdir(directory, { recursive: true });
    const own = join(directory, `${randomUUID()}.json`);
    await replaceFile(own, JSON.stringify(ownLock()));
    // Looked for after the own file is written: of two that start together at least one sees the other.
    const others = (await this.#lockFiles()).filter((file) => file !== own);
    const held: string[] = [];
    const broken: string[] = [];
    for (const file of others) {
      const owner = lockOwner((await readIfThere(file)) ?? "");
      if (hasCertainlyEnded(owner)) {
        await rm(file, { force: true });
        broken.push(describe(owner));
      } else {
        const note = seemsEnded(owner) ? "; that process has ended" : "";
        held.push(`  file://${file}: ${describe(owner)}${note}`);
      }
    }
    if (held.length > 0) {
      await rm(own, { force: true });
      throw lockedBy(held);
    }
    return { broken, release: () => rm(own, { force: true }) };
  }

  /** Removes every lock of the stack and returns what they said. */
  async cancel(): Promise<readonly string[]> {
    const files = await this.#lockFiles();
    return Promise.all(
      files.map(async (file) => {
        const owner = lockOwner((await readIfThere(file)) ?? "");
        await rm(file, { force: true });
        return `${describe(owner)}${seemsEnded(owner) ? "; that process has ended" : ""}`;
      }),
    );
  }

  /** Records a finished update under `.pulumi/history`, as `stack history` reads it. */
  async recordHistory(entry: Readonly<Record<string, unknown>>, checkpoint: string): Promise<void> {
    const stamp = `${Date.now()}000000`;
    const base = join(this.historyDirectory, `${this.#stack}-${stamp}`);
    await replaceFile(`${base}.history.json`, JSON.stringify(entry));
    await replaceFile(`${base}.checkpoint.json`, checkpoint);
  }

  #lockDirectory(): string {
    return join(this.#root, ".pulumi", "locks", "organization", this.#project, this.#stack);
  }

  async #lockFiles(): Promise<string[]> {
    try {
      const names = await readdir(this.#lockDirectory());
      return names.filter((name) => name.endsWith(".json")).map((name) => join(this.#lockDirectory(), name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }
}

function lockedBy(lines: readonly string[]): LockedError {
  return new LockedError(
    `the stack is currently locked by ${lines.length} lock(s). Wait for the other process to end, or, if it is gone, remove the lock with "bin/engine cancel":\n${lines.join("\n")}`,
  );
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function replaceFile(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeThrough(temporary, "w", (handle) => handle.writeFile(text));
    await rename(temporary, file);
    await writeThrough(dirname(file), "r");
  } catch (error) {
    await rm(temporary, { force: true });
    const { code, message } = error as NodeJS.ErrnoException;
    const full = code === "ENOSPC" || code === "EDQUOT";
    throw new Error(
      `${file} cannot be written, what it held before stays: ${full ? "no space left on device" : message}; ` +
        `fix: ${full ? `make room (df ${dirname(file)})` : `see that ${dirname(file)} can be written`}, then run the same again`,
      { cause: error },
    );
  }
}

/** Opens a path, writes to it, and returns once that is on disk. */
async function writeThrough(
  path: string,
  flags: "r" | "w",
  write?: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const handle = await open(path, flags, 0o600);
  try {
    await write?.(handle);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * The folder that a backend URL names.
 * @param url - `file://DIR` (absolute, relative to `base`, or with `~`); empty = `<projectRoot>/.heatwave/state`.
 * @throws Error on any other kind of URL.
 */
export function backendRoot(url: string | undefined, projectRoot: string, base: string): string {
  if (url === undefined || url === "") return join(projectRoot, ".heatwave", "state");
  if (!url.startsWith("file://")) {
    throw new Error(
      `PULUMI_BACKEND_URL: ${JSON.stringify(url)} is not known to the embedded engine; allowed: file://DIR`,
    );
  }
  const path = decodeURI(url.slice("file://".length));
  if (path === "~" || path.startsWith("~/")) return join(homedir(), path.slice(1));
  return isAbsolute(path) ? path : resolve(base, path);
}
