/** Writing that survives a power cut, and a full disk. */
import { access, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Bytes that a folder keeps for the day when nothing else is free: some files of a block each. */
const RESERVE_BYTES = 256 * 1024;

const reserveOf = (directory: string): string => join(directory, "reserve");

/**
 * Keeps room in a folder for files that have to be replaced on a full disk too: a grant that cannot be taken back would
 * leave two sites with a claim, and so none that takes writes.
 */
export async function keepReserve(directory: string): Promise<void> {
  const path = reserveOf(directory);
  try {
    await access(path);
  } catch {
    // Where there is no room for it either, what is there is all there is.
    await writeFile(path, Buffer.alloc(RESERVE_BYTES, 1), { mode: 0o600 }).catch(() =>
      rm(path, { force: true }),
    );
  }
}

/**
 * Replaces a file by rename; file and directory are synced, so it is either the old text or the new one, for good. On a
 * full disk the folder's reserve is given up for it.
 */
export async function writeDurably(path: string, text: string, mode = 0o600): Promise<void> {
  try {
    await replace(path, text, mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    await rm(reserveOf(dirname(path)), { force: true });
    await replace(path, text, mode);
  }
}

async function replace(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const directory = await open(dirname(path), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** A file's text; undefined when it is not there. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Parses a file's JSON; undefined when the file is missing or holds none. */
export async function readJsonOr(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch {
    return undefined;
  }
}
