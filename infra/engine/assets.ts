import { createHash } from "node:crypto";
import { readFile, readdir, stat } from "node:fs/promises";
import { isAbsolute, join, resolve } from "node:path";

import { Archive, Asset, ResourceReference, Secret } from "./values.ts";
import type { Value, ValueMap } from "./values.ts";
import { isList, isMap } from "./value-tools.ts";

const BLOCK = 512;
const ARCHIVE_FILE = /\.(tar|tgz|tar\.gz|zip|jar)$/;

const sha256 = (bytes: Buffer | string): string => createHash("sha256").update(bytes).digest("hex");

/**
 * Fills in the hash of every asset and archive that has none yet, as Pulumi computes it. Relative paths start at
 * `directory`, the program's folder.
 * @throws Error that names the file when it cannot be read.
 */
export async function hashAssets(value: ValueMap, directory: string): Promise<ValueMap>;
export async function hashAssets(value: Value, directory: string): Promise<Value>;
export async function hashAssets(value: Value, directory: string): Promise<Value> {
  if (!needsHash(value)) return value;
  if (value instanceof Secret) return new Secret(await hashAssets(value.value, directory));
  if (value instanceof Asset) return hashAsset(value, directory);
  if (value instanceof Archive) return hashArchive(value, directory);
  if (isList(value)) return Promise.all(value.map((item) => hashAssets(item, directory)));
  if (isMap(value)) {
    const entries = Object.entries(value).map(
      async ([key, item]) => [key, await hashAssets(item, directory)] as const,
    );
    return Object.fromEntries(await Promise.all(entries));
  }
  return value;
}

function needsHash(value: Value): boolean {
  if (value instanceof Secret) return needsHash(value.value);
  if (value instanceof Asset || value instanceof Archive) return value.hash === "";
  if (value instanceof ResourceReference) return false;
  if (isList(value)) return value.some(needsHash);
  return isMap(value) && Object.values(value).some(needsHash);
}

async function hashAsset(asset: Asset, directory: string): Promise<Asset> {
  if (asset.hash !== "") return asset;
  if (asset.text !== undefined) return new Asset({ text: asset.text }, sha256(asset.text));
  if (asset.path === undefined) throw new Error("an asset has neither text nor path");
  return new Asset({ path: asset.path }, sha256(await readFile(resolve(directory, asset.path))));
}

async function hashArchive(archive: Archive, directory: string): Promise<Archive> {
  if (archive.hash !== "") return archive;
  if (archive.path !== undefined) {
    const path = resolve(directory, archive.path);
    if ((await stat(path)).isDirectory()) {
      const files = await filesBelow(path, "");
      return new Archive({ path: archive.path }, await hashOfTar(files));
    }
    if (!ARCHIVE_FILE.test(path)) {
      throw new Error(
        `archive ${archive.path} is neither a directory nor a .tar, .tgz, .tar.gz, .zip or .jar file`,
      );
    }
    return new Archive({ path: archive.path }, sha256(await readFile(path)));
  }
  const hashed = await Promise.all(
    Object.entries(archive.assets ?? {}).map(
      async ([name, item]) =>
        [
          name,
          item instanceof Asset ? await hashAsset(item, directory) : await hashArchive(item, directory),
        ] as const,
    ),
  );
  const assets = Object.fromEntries(hashed);
  return new Archive({ assets }, await hashOfTar(await filesOfMap(assets, directory, "")));
}

interface ArchiveFile {
  readonly name: string;
  readonly read: () => Promise<Buffer>;
}

async function filesBelow(root: string, relative: string): Promise<ArchiveFile[]> {
  const entries = await readdir(join(root, relative), { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const files: ArchiveFile[] = [];
  for (const entry of entries) {
    const name = relative === "" ? entry.name : `${relative}/${entry.name}`;
    const path = join(root, name);
    // A link counts as what it points at when that is a file, as Pulumi's walk does; linked folders are left out.
    const isFile = entry.isFile() || (entry.isSymbolicLink() && (await stat(path)).isFile());
    if (entry.isDirectory() && entry.name !== ".pulumi") files.push(...(await filesBelow(root, name)));
    else if (isFile) files.push({ name, read: () => readFile(path) });
  }
  return files;
}

/** The files an archive stands for, by the name they have inside it, sorted. */
async function filesOfMap(
  assets: Readonly<Record<string, Asset | Archive>>,
  directory: string,
  prefix: string,
): Promise<ArchiveFile[]> {
  const files: ArchiveFile[] = [];
  for (const [key, item] of Object.entries(assets).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const name = prefix + key;
    if (item instanceof Asset) files.push({ name, read: () => readAsset(item, directory) });
    else if (item.assets !== undefined) files.push(...(await filesOfMap(item.assets, directory, `${name}/`)));
    else {
      const below = await filesBelow(resolve(directory, item.path ?? ""), "");
      files.push(...below.map((file) => ({ name: `${name}/${file.name}`, read: file.read })));
    }
  }
  return files;
}

/** The bytes of an asset; relative paths start at `directory`. */
export async function readAsset(asset: Asset, directory: string): Promise<Buffer> {
  if (asset.text !== undefined) return Buffer.from(asset.text);
  const path = asset.path ?? "";
  return readFile(isAbsolute(path) ? path : resolve(directory, path));
}

/** sha256 of the ustar stream in which only names and contents count. */
async function hashOfTar(files: readonly ArchiveFile[]): Promise<string> {
  const hash = createHash("sha256");
  for (const file of files) {
    const bytes = await file.read();
    hash.update(tarHeader(file.name, bytes.length));
    hash.update(bytes);
    hash.update(Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK));
  }
  hash.update(Buffer.alloc(2 * BLOCK));
  return hash.digest("hex");
}

function tarHeader(name: string, size: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  const [prefix, base] = splitName(name);
  header.write(base, 0);
  header.write("0000600\0", 100);
  header.write("0000000\0", 108);
  header.write("0000000\0", 116);
  header.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0", 136);
  header.write("        ", 148);
  header.write("0", 156);
  header.write("ustar\0", 257);
  header.write("00", 263);
  header.write("0000000\0", 329);
  header.write("0000000\0", 337);
  header.write(prefix, 345);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

function splitName(name: string): readonly [string, string] {
  if (Buffer.byteLength(name) <= 100) return ["", name];
  const cut = name.lastIndexOf("/", 155);
  if (cut <= 0 || Buffer.byteLength(name) - cut - 1 > 100 || !/^[\x20-\x7e]*$/.test(name)) {
    throw new Error(`the embedded engine does not know archive entries with names this long: ${name}`);
  }
  return [name.slice(0, cut), name.slice(cut + 1)];
}
