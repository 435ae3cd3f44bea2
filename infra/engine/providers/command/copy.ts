import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";

import type { SshHost } from "../../../hosts/ssh.ts";
import type { DialPolicy } from "../../../hosts/ssh-master.ts";
import { posixCommand } from "../../../hosts/ssh-options.ts";
import { tar } from "../../../hosts/tar.ts";
import type { TarEntry } from "../../../hosts/tar.ts";
import { unwrap } from "../../value-tools.ts";
import { Archive, Asset } from "../../values.ts";
import type { ValueMap } from "../../values.ts";
import type { CallContext } from "../provider.ts";
import { readText } from "../read-value.ts";

/**
 * Where a file lands, decided on the host: into an existing folder under its own name ($2; a text has none), else
 * at the path itself, whose folders are made.
 */
const PUT_FILE = `
if [ -d "$1" ]; then
  if [ -z "$2" ]; then
    echo "remote path $1 is a directory; when using a text asset, remotePath must be a file path" >&2; exit 1
  fi
  set -- "$1/$2"
elif [ ! -e "$1" ]; then
  mkdir -p -- "$(dirname -- "$1")" || exit 1
fi
cat > "$1"`;

/** A folder's content from standard input; files keep neither owner nor mode of the sender. */
const PUT_FOLDER = `
if [ -e "$1" ] && [ ! -d "$1" ]; then echo "remote path $1 exists but is not a directory" >&2; exit 1; fi
mkdir -p -- "$1" && tar -x -o -f - -C "$1"`;

/** Copies the source of a CopyToRemote to its host. */
export async function copyToRemote(
  context: CallContext,
  { host, dial }: { readonly host: SshHost; readonly dial: DialPolicy },
  inputs: ValueMap,
): Promise<void> {
  const source = unwrap(inputs["source"] ?? null);
  const remotePath = readText(inputs, "remotePath") ?? "";
  // The real package copies over SFTP: what it could not do must fail here too.
  if (!(await host.offersSubsystem("sftp", { dial, signal: context.signal }))) {
    throw new Error(
      "ssh: subsystem request failed: the host's sshd offers no SFTP; add `Subsystem sftp internal-sftp` to its sshd_config",
    );
  }
  const put = async (script: string, args: readonly string[], stdin: Uint8Array): Promise<void> => {
    const result = await host.exec(posixCommand(script, ...args), { stdin, dial, signal: context.signal });
    if (result.exitCode === 0) return;
    const said = result.stderr.trim() || `status ${result.exitCode}`;
    throw new Error(`failed to copy to remote path ${remotePath}: ${said}`);
  };
  if (source instanceof Asset && source.text !== undefined) {
    await put(PUT_FILE, [remotePath, ""], Buffer.from(source.text, "utf8"));
    return;
  }
  const written = source instanceof Asset || source instanceof Archive ? source.path : undefined;
  if (written === undefined)
    throw new Error("source must be a file, a text, or a folder or archive by its path");
  const path = resolve(context.programDirectory, written);
  if ((await stat(path)).isDirectory()) {
    // "dir" lands as remotePath/dir, "dir/" as its content.
    const target = written.endsWith("/") ? remotePath : join(remotePath, basename(path));
    await put(PUT_FOLDER, [target], tar(await entriesBelow(path, "")));
  } else {
    await put(PUT_FILE, [remotePath, basename(path)], await readFile(path));
  }
}

async function entriesBelow(root: string, relative: string): Promise<readonly TarEntry[]> {
  const entries = await readdir(join(root, relative), { withFileTypes: true });
  const nested = await Promise.all(
    entries.map(async (entry): Promise<readonly TarEntry[]> => {
      const name = relative === "" ? entry.name : `${relative}/${entry.name}`;
      const path = join(root, name);
      if (!entry.isDirectory()) return [{ name, content: await readFile(path), mode: 0o644 }];
      const folder = { name: `${name}/`, content: new Uint8Array(), mode: 0o755 };
      return [folder, ...(await entriesBelow(root, name))];
    }),
  );
  return nested.flat();
}
