import { randomUUID } from "node:crypto";
import { copyFile, mkdir, open, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir, hostname, userInfo } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";

/** What a lock file says of its owner. */
interface LockContent {
  readonly pid: number;
  readonly username: string;
  readonly hostname: string;
  readonly timestamp: string;
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
    await mkdir(dirname(this.stateFile), { recursive: true });
    try {
      await copyFile(this.stateFile, `${this.stateFile}.bak`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }

  /**
   * Takes the stack's lock; the result gives it back.
   * @throws LockedError that names owner, host, process and time.
   */
  async lock(): Promise<() => Promise<void>> {
    const directory = this.#lockDirectory();
    await mkdir(directory, { recursive: true });
    const own = join(directory, `${randomUUID()}.json`);
    const content: LockContent = {
      pid: process.pid,
      username: userInfo().username,
      hostname: hostname(),
      timestamp: new Date().toISOString(),
    };
    await writeFile(own, JSON.stringify(content), { flag: "wx" });
    // Looked for after the own file is written: of two that start together at least one sees the other.
    const others = (await this.#lockFiles()).filter((file) => file !== own);
    if (others.length > 0) {
      await rm(own, { force: true });
      throw await lockedBy(others);
    }
    return () => rm(own, { force: true });
  }

  /** Removes every lock of the stack and returns how many there were. */
  async cancel(): Promise<number> {
    const files = await this.#lockFiles();
    await Promise.all(files.map((file) => rm(file, { force: true })));
    return files.length;
  }

  /** Records a finished update under `.pulumi/history`, as `stack history` reads it. */
  async recordHistory(entry: Readonly<Record<string, unknown>>, checkpoint: string): Promise<void> {
    const stamp = `${Date.now()}000000`;
    const base = join(
      this.#root,
      ".pulumi",
      "history",
      this.#project,
      this.#stack,
      `${this.#stack}-${stamp}`,
    );
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

async function lockedBy(files: readonly string[]): Promise<LockedError> {
  const lines = await Promise.all(
    files.map(async (file) => {
      const text = (await readIfThere(file)) ?? "{}";
      const owner = (text.trim() === "" ? {} : JSON.parse(text)) as Partial<LockContent>;
      const gone = owner.hostname === hostname() && owner.pid !== undefined && !isAlive(owner.pid);
      const note = gone ? "; that process has ended" : "";
      return `  file://${file}: created by ${owner.username ?? "?"}@${owner.hostname ?? "?"} (pid ${owner.pid ?? "?"}) at ${owner.timestamp ?? "?"}${note}`;
    }),
  );
  return new LockedError(
    `the stack is currently locked by ${files.length} lock(s). Wait for the other process to end, or, if it is gone, remove the lock with "engine cancel":\n${lines.join("\n")}`,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
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
  await mkdir(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  const handle = await open(temporary, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  const folder = await open(dirname(file), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
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
