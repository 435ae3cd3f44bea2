import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { docker, pipeIntoDocker, tryDocker } from "./docker.ts";

/** Where the copy stands in the controller. */
export const CHECKOUT = "/heatwave";

/** Never copied, even where there is no git to ask. */
const LEFT_OUT = new Set(["node_modules", ".git", ".heatwave"]);

/**
 * Brings the controller's copy of the checkout up to date: tracked files and new ones that are not ignored. Only what
 * changed outside since the last copy is sent, so what a rehearsal wrote into its copy (a flipped stack file) stays.
 * Returns the number of files sent and removed, and the checksums to remember.
 */
export async function syncCheckout(
  packageDirectory: string,
  container: string,
  earlier: Readonly<Record<string, string>>,
): Promise<{ sent: number; removed: number }> {
  const present = await checksums(packageDirectory);
  const { send, remove } = difference(earlier, present);
  if (remove.length > 0) {
    await docker(["exec", "-i", "-w", CHECKOUT, container, "xargs", "-0", "rm", "-f", "--"], {
      input: remove.join("\0"),
    });
  }
  if (send.length > 0) {
    await pipeIntoDocker(
      { file: "tar", args: ["-C", packageDirectory, "--null", "-T", "-", "-c"], input: send.join("\0") },
      ["exec", "-i", container, "tar", "-x", "--no-same-owner", "-C", CHECKOUT],
    );
  }
  if (send.length + remove.length > 0) {
    await writeInside(container, "/etc/heatwave/checkout.json", JSON.stringify(present));
  }
  return { sent: send.length, removed: remove.length };
}

/** What to send and what to remove so that `earlier` becomes `present`. */
export function difference(
  earlier: Readonly<Record<string, string>>,
  present: Readonly<Record<string, string>>,
): { readonly send: string[]; readonly remove: string[] } {
  return {
    send: Object.keys(present).filter((path) => earlier[path] !== present[path]),
    remove: Object.keys(earlier).filter((path) => !(path in present)),
  };
}

/**
 * Copies the production packages, the Node among them, unless the copy was made from the same lock file.
 * Returns false when there was nothing to do.
 */
export async function syncModules(packageDirectory: string, container: string): Promise<boolean> {
  const lock = readFileSync(join(packageDirectory, "package-lock.json"), "utf8");
  const mark = createHash("sha256").update(lock).digest("hex");
  const stamp = `${CHECKOUT}/node_modules/.heatwave-lock`;
  const found = await tryDocker(["exec", container, "cat", stamp]);
  if (found.stdout === mark) return false;
  await docker(["exec", container, "rm", "-rf", `${CHECKOUT}/node_modules`]);
  const wanted = productionPackages(lock).filter((path) => existsSync(join(packageDirectory, path)));
  const extras = ["node_modules/.bin", "node_modules/.package-lock.json"];
  await pipeIntoDocker(
    {
      file: "tar",
      // Headers and manuals of the Node binary are a third of all bytes and read by nobody.
      args: [
        "-C",
        packageDirectory,
        "--exclude=node-*/include",
        "--exclude=node-*/share",
        "--null",
        "-T",
        "-",
        "-c",
      ],
      input: [...wanted, ...extras].join("\0"),
    },
    ["exec", "-i", container, "tar", "-x", "--no-same-owner", "-C", CHECKOUT],
  );
  await writeInside(container, stamp, mark);
  return true;
}

/** Folders of what `npm ci --omit=dev` would install, by a package-lock.json of version 3. */
export function productionPackages(lock: string): string[] {
  const { packages } = JSON.parse(lock) as { packages: Record<string, { dev?: boolean; link?: boolean }> };
  return Object.entries(packages)
    .filter(([path, entry]) => path.startsWith("node_modules/") && entry.dev !== true && entry.link !== true)
    .map(([path]) => path);
}

/** Writes a file in a container, for its root alone, all at once. The text goes by stdin. */
export async function writeInside(container: string, path: string, text: string): Promise<void> {
  const script = 'umask 077 && cat > "$1.new" && mv "$1.new" "$1"';
  await docker(["exec", "-i", container, "sh", "-c", script, "sh", path], { input: text });
}

async function checksums(directory: string): Promise<Record<string, string>> {
  const entries: [string, string][] = [];
  for (const path of await listFiles(directory)) {
    const absolute = join(directory, path);
    const stat = lstatSync(absolute, { throwIfNoEntry: false });
    if (stat === undefined || stat.isDirectory()) continue;
    const content = stat.isSymbolicLink() ? readlinkSync(absolute) : readFileSync(absolute);
    const executable = (stat.mode & 0o100) !== 0 ? "x" : "-";
    entries.push([path, executable + createHash("sha256").update(content).digest("hex")]);
  }
  return Object.fromEntries(entries);
}

async function listFiles(directory: string): Promise<string[]> {
  const git = await execa("git", ["-C", directory, "ls-files", "-z", "-c", "-o", "--exclude-standard"], {
    reject: false,
    stdin: "ignore",
  });
  // An archive without .git, or a machine without git: everything but what is made here.
  const paths = git.exitCode === 0 ? git.stdout.split("\0") : walk(directory);
  return [...new Set(paths)].filter((path) => path !== "" && !LEFT_OUT.has(path.split("/")[0] ?? "")).sort();
}

function walk(directory: string, below = ""): string[] {
  return readdirSync(join(directory, below), { withFileTypes: true }).flatMap((entry) => {
    if (below === "" && LEFT_OUT.has(entry.name)) return [];
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    return entry.isDirectory() ? walk(directory, path) : [path];
  });
}
