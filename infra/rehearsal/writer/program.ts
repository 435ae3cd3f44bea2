import { docker, tryDocker } from "../docker.ts";
import { readInside } from "../host-files.ts";
import { stateOf } from "../machines.ts";
import type { HostMachine } from "../plan.ts";

/** Where on a host the files of the programs beside a stack lie; kept over a restart of the host. */
const FOLDER = "/var/lib/heatwave-world";

/** Lines that are enough to see what happened a moment ago. */
const TAIL_LINES = 100;

/** A program of ours in a container on a host, beside the stack. It comes back with its host. */
export interface BesideProgram {
  readonly host: HostMachine;
  /** Container and folder. */
  readonly name: string;
  readonly image: string;
  /** `uid:gid` in the container, which owns the files. */
  readonly user: string;
  readonly network: string;
  /** Where the folder is inside. */
  readonly at: string;
  readonly mounts: readonly string[];
  /** Texts by file name; each goes by stdin and is the user's alone. */
  readonly files: Readonly<Record<string, string>>;
}

/** Starts it with fresh files; one of the same name is replaced. */
export async function startBeside(program: BesideProgram): Promise<void> {
  const { host, name, image, user, network, at, mounts, files } = program;
  const folder = `${FOLDER}/${name}`;
  await stopBeside(host, name);
  await docker(["exec", host.container, "sh", "-c", 'umask 077 && mkdir -p "$1"', "sh", folder]);
  for (const [file, text] of Object.entries(files)) {
    const script = 'umask 077 && cat > "$1"';
    await docker(["exec", "-i", host.container, "sh", "-c", script, "sh", `${folder}/${file}`], {
      input: text,
    });
  }
  await docker(["exec", host.container, "chown", "-R", user, folder]);
  await docker([
    ...["exec", host.container, "docker", "run", "-d", "--name", name, "--init", "--restart", "always"],
    ...["--user", user, "--network", network, "--volume", `${folder}:${at}`],
    ...mounts.flatMap((mount) => ["--volume", mount]),
    ...[image, "node", `${at}/program.mjs`],
  ]);
}

/**
 * The text of a file that it wrote, on a host that need not run; empty before its first line.
 * @param from bytes at its beginning that are left out
 */
export async function readBeside(host: HostMachine, name: string, file: string, from = 0): Promise<string> {
  const state = (await stateOf(host.container))?.state;
  return readInside(host.container, state, `${FOLDER}/${name}/${file}`, from);
}

/** Bytes of a file that it wrote so far, on a host that runs; 0 where it does not. */
export async function sizeBeside(host: HostMachine, name: string, file: string): Promise<number> {
  const asked = await tryDocker(["exec", host.container, "stat", "-c", "%s", `${FOLDER}/${name}/${file}`]);
  return asked.exitCode === 0 ? Number(asked.stdout) : 0;
}

/** The last lines of a file that it wrote, on a host that runs; empty where it does not. */
export async function tailBeside(host: HostMachine, name: string, file: string): Promise<string> {
  const path = `${FOLDER}/${name}/${file}`;
  const read = await tryDocker(["exec", host.container, "tail", "-n", String(TAIL_LINES), path]);
  return read.exitCode === 0 ? `${read.stdout}\n` : "";
}

/** Removes it with its files, if it is there. */
export async function stopBeside(host: HostMachine, name: string): Promise<void> {
  const script = 'docker rm -f "$1" >/dev/null 2>&1; rm -rf "$2"';
  await docker(["exec", host.container, "sh", "-c", script, "sh", name, `${FOLDER}/${name}`]);
}
