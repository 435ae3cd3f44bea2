import { readFile } from "node:fs/promises";
import { resolve } from "node:path";

import { tar } from "../../../hosts/tar.ts";
import type { TarEntry } from "../../../hosts/tar.ts";
import type { ValueMap } from "../../values.ts";
import { readFlag, readMaps, readText } from "../read-value.ts";
import { nonEmpty } from "./container-mounts.ts";

export interface UploadArchive {
  readonly archive: Buffer;
  /** The archive's owners count; otherwise the daemon makes everything root's. */
  readonly keepOwner: boolean;
}

/**
 * The container's `uploads` as archives to unpack at `/`, at most one for those with an owner and one for those
 * without.
 * @throws Error that names the file when an upload has no content, several, or cannot be read
 */
export async function uploadArchives(
  inputs: ValueMap,
  programDirectory: string,
): Promise<readonly UploadArchive[]> {
  const owned: TarEntry[] = [];
  const plain: TarEntry[] = [];
  for (const upload of readMaps(inputs, "uploads")) {
    const entry = await entryOf(upload, programDirectory);
    const named = nonEmpty(readText(upload, "owner")) ?? nonEmpty(readText(upload, "group"));
    (named === undefined ? plain : owned).push(entry);
  }
  return [
    ...(plain.length > 0 ? [{ archive: tar(plain), keepOwner: false }] : []),
    ...(owned.length > 0 ? [{ archive: tar(owned), keepOwner: true }] : []),
  ];
}

async function entryOf(upload: ValueMap, programDirectory: string): Promise<TarEntry> {
  const file = readText(upload, "file") ?? "";
  const permissions = nonEmpty(readText(upload, "permissions"));
  const executable = readFlag(upload, "executable") ?? false;
  return {
    name: file.replace(/^\/+/, ""),
    content: await contentOf(upload, file, programDirectory),
    mode: permissions === undefined ? (executable ? 0o744 : 0o644) : Number.parseInt(permissions, 8),
    uid: numericId(upload, "owner", file),
    gid: numericId(upload, "group", file),
    modified: Math.floor(Date.now() / 1000),
  };
}

async function contentOf(upload: ValueMap, file: string, programDirectory: string): Promise<Uint8Array> {
  const content = nonEmpty(readText(upload, "content"));
  const base64 = nonEmpty(readText(upload, "contentBase64"));
  const source = nonEmpty(readText(upload, "source"));
  const given = [content, base64, source].filter((value) => value !== undefined).length;
  if (given !== 1) {
    throw new Error(
      `uploads: ${file} has ${given === 0 ? "none" : `${given}`} of content, contentBase64 and source; write exactly one`,
    );
  }
  if (source !== undefined) return readFile(resolve(programDirectory, source));
  return content === undefined ? Buffer.from(base64 ?? "", "base64") : Buffer.from(content, "utf8");
}

/** Names would be looked up on the operator's machine, so only numbers mean the same everywhere. */
function numericId(upload: ValueMap, key: "owner" | "group", file: string): number {
  const value = nonEmpty(readText(upload, key));
  if (value === undefined) return 0;
  if (!/^\d+$/.test(value)) {
    throw new Error(
      `uploads: ${file} has ${key} ${JSON.stringify(value)}; write the number that it has in the image`,
    );
  }
  return Number(value);
}
