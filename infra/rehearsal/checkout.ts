import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";
import { docker, pipeIntoDocker, tryDocker } from "./docker.ts";

/** Where the copy stands in the controller. */
export const CHECKOUT = "/heatwave";

/** Where the controller keeps the checksums of what was last copied. */
export const CHECKOUT_RECORD = "/etc/heatwave/checkout.json";

/** Never copied, even where there is no git to ask. */
const LEFT_OUT = new Set(["node_modules", ".git", ".heatwave"]);

/**
 * Brings the controller's copy of the checkout up to date: tracked files and new ones that are not ignored. Only what
 * changed outside since the last copy is sent, so what a rehearsal wrote into its copy (a flipped stack file) stays.
 * @param stackFile the stack file, which stands in the copy's root wherever it stands outside
 */
export async function syncCheckout(
  packageDirectory: string,
  stackFile: string,
  container: string,
  earlier: Readonly<Record<string, string>>,
): Promise<{ readonly sent: number; readonly removed: number }> {
  const name = basename(stackFile);
  const elsewhere = dirname(stackFile) !== packageDirectory;
  const present = await checksums(packageDirectory);
  if (elsewhere) present[name] = checksum(stackFile);
  const { send, remove } = difference(earlier, present);
  if (remove.length > 0) {
    await docker(["exec", "-i", "-w", CHECKOUT, container, "xargs", "-0", "rm", "-f", "--"], {
      input: remove.join("\0"),
    });
  }
  const own = elsewhere ? send.filter((path) => path !== name) : send;
  if (own.length > 0) {
    await pipeIntoDocker(
      { file: "tar", args: ["-C", packageDirectory, "--null", "-T", "-", "-c"], input: own.join("\0") },
      ["exec", "-i", container, "tar", "-x", "--no-same-owner", "-C", CHECKOUT],
    );
  }
  if (own.length < send.length) {
    await writeInside(container, `${CHECKOUT}/${name}`, readFileSync(stackFile, "utf8"));
  }
  if (send.length + remove.length > 0) {
    await writeInside(container, CHECKOUT_RECORD, JSON.stringify(present));
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
 * Fills the volume with the production packages, the Node among them, unless that is done. The controller has it
 * mounted, read-only.
 */
export async function fillModules(
  packageDirectory: string,
  container: string,
  volume: string,
  image: string,
): Promise<void> {
  const finished = ".heatwave-complete";
  const found = await tryDocker(["exec", container, "test", "-e", `${CHECKOUT}/node_modules/${finished}`]);
  if (found.exitCode === 0) return;
  const directory = join(packageDirectory, "node_modules");
  const wanted = productionPackages(readLock(packageDirectory))
    .map((path) => path.slice("node_modules/".length))
    .filter((path) => existsSync(join(directory, path)));
  const intoVolume = ["run", "--rm", "-i", "--network", "none", "--volume", `${volume}:/to`, "--entrypoint"];
  await pipeIntoDocker(
    {
      file: "tar",
      // Headers and manuals of the Node binary are a third of all bytes and read by nobody.
      args: [
        ...["-C", directory, "--exclude=node-*/include", "--exclude=node-*/share", "--null", "-T", "-", "-c"],
      ],
      input: [...wanted, ".bin", ".package-lock.json"].join("\0"),
    },
    [...intoVolume, "tar", image, "-x", "--no-same-owner", "-C", "/to"],
  );
  await docker([...intoVolume, "touch", image, `/to/${finished}`]);
}

/** The text of package-lock.json, which decides what the packages volume holds. */
export function readLock(packageDirectory: string): string {
  return readFileSync(join(packageDirectory, "package-lock.json"), "utf8");
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
    const stat = lstatSync(join(directory, path), { throwIfNoEntry: false });
    if (stat !== undefined && !stat.isDirectory()) entries.push([path, checksum(join(directory, path))]);
  }
  return Object.fromEntries(entries);
}

function checksum(path: string): string {
  const stat = lstatSync(path);
  const content = stat.isSymbolicLink() ? readlinkSync(path) : readFileSync(path);
  return `${(stat.mode & 0o100) !== 0 ? "x" : "-"}${createHash("sha256").update(content).digest("hex")}`;
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
