import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import { tryDocker } from "./docker.ts";
import type { Progress } from "./progress.ts";
import { RehearsalError, tail } from "./trouble.ts";

/** Seconds that a Docker daemon may take to answer after its start. */
const START_SECONDS = 60;

/** A daemon that we started ourselves, so that whoever asks can end it again. */
interface Started {
  readonly pid: number;
  /** From /proc, so that a reused pid is never taken for it. */
  readonly startTime: string;
}

export interface DaemonOptions {
  /** Folder for the log and the note about a daemon of ours, e.g. `.heatwave`. */
  readonly stateDirectory: string;
  /** Asks the operator; false ends with an error that says how to go on. */
  readonly confirm: (question: string) => Promise<boolean>;
  readonly progress: Progress;
}

/** The daemon's version; undefined when none answers. */
export async function daemonVersion(): Promise<string | undefined> {
  const result = await tryDocker(["version", "--format", "{{.Server.Version}}"], { timeout: 10_000 });
  return result.exitCode === 0 && result.stdout !== "" ? result.stdout : undefined;
}

/**
 * A Docker daemon that answers: the one that is there, else one that is installed and started after a question.
 * @throws {RehearsalError} when there is none and it may not or cannot be had
 */
export async function ensureDaemon(options: DaemonOptions): Promise<string> {
  const running = await daemonVersion();
  if (running !== undefined) return running;
  refuseWhatCannotHelp();
  const installed = await hasProgram("dockerd");
  const question = installed
    ? "Docker is installed and not running. Start it on this machine?"
    : "A rehearsal needs Docker. Install Debian's docker.io on this machine and start it?";
  if (!(await options.confirm(question))) {
    throw new RehearsalError(
      "No Docker daemon answers",
      "the sealed world lives in containers, and nothing is installed or started without your word",
      "start Docker yourself, or allow it: bin/rehearse -y",
    );
  }
  if (!installed) await options.progress.step("Installing Docker", install);
  return options.progress.step("Starting Docker", () => start(options.stateDirectory));
}

/** Ends the daemon that `ensureDaemon` started; false when there is none of ours. */
export async function stopOwnDaemon(stateDirectory: string): Promise<boolean> {
  const note = noteFile(stateDirectory);
  if (!existsSync(note)) return false;
  const started = JSON.parse(readFileSync(note, "utf8")) as Started;
  rmSync(note);
  if (startTimeOf(started.pid) !== started.startTime) return false;
  process.kill(started.pid, "SIGTERM");
  const deadline = Date.now() + START_SECONDS * 1000;
  while (startTimeOf(started.pid) === started.startTime && Date.now() < deadline) await delay(50);
  return true;
}

function refuseWhatCannotHelp(): void {
  if (process.platform !== "linux") {
    throw new RehearsalError(
      "No Docker daemon answers",
      `on ${process.platform} Docker runs in a virtual machine of its own`,
      "start Docker Desktop, Colima or OrbStack, then run bin/rehearse again",
    );
  }
  if (process.getuid?.() !== 0) {
    throw new RehearsalError(
      "No Docker daemon answers to this user",
      "installing and starting Docker needs root, and so does its socket unless you are in the group docker",
      "sudo bin/rehearse, or: sudo usermod -aG docker $USER, log in again, bin/rehearse",
    );
  }
}

async function install(status: (text: string) => void): Promise<void> {
  if (!(await hasProgram("apt-get"))) {
    throw new RehearsalError(
      "Docker cannot be installed here",
      "bin/rehearse knows how to install it with apt-get only, and this machine has none",
      "install Docker by your system's means, then run bin/rehearse again",
    );
  }
  const apt = (args: readonly string[]) =>
    execa("apt-get", args, {
      reject: false,
      all: true,
      env: { DEBIAN_FRONTEND: "noninteractive" },
      stdin: "ignore",
    });
  status("apt-get update");
  await apt(["update", "-qq"]);
  // The client became a package of its own in Debian 13.
  const client = await execa("apt-cache", ["show", "docker-cli"], { reject: false, stdin: "ignore" });
  const packages = ["docker.io", "iptables", ...(client.exitCode === 0 ? ["docker-cli"] : [])];
  status(`apt-get install ${packages.join(" ")}`);
  const result = await apt(["install", "-y", "-qq", "--no-install-recommends", ...packages]);
  if (result.exitCode !== 0) {
    throw new RehearsalError(
      `apt-get install ${packages.join(" ")} failed`,
      tail(result.all),
      "repair apt (apt-get -f install, apt-get update), then run bin/rehearse again",
    );
  }
}

async function start(stateDirectory: string): Promise<string> {
  mkdirSync(stateDirectory, { recursive: true });
  const log = join(stateDirectory, "dockerd.log");
  let gone = (): string | undefined => undefined;
  if (existsSync("/run/systemd/system")) {
    const result = await execa("systemctl", ["start", "docker"], { reject: false, all: true });
    if (result.exitCode !== 0)
      gone = () => `systemctl start docker: ${result.all}\nSee: journalctl -u docker -n 50`;
  } else {
    const output = openSync(log, "a");
    // A session of its own: the daemon outlives this command and its terminal.
    const child = spawn("dockerd", [], { detached: true, stdio: ["ignore", output, output], cwd: "/" });
    closeSync(output);
    child.unref();
    child.on("error", () => undefined);
    gone = () =>
      child.pid === undefined || child.exitCode !== null ? tail(readFileSync(log, "utf8")) : undefined;
    if (child.pid !== undefined) {
      const note: Started = { pid: child.pid, startTime: startTimeOf(child.pid) ?? "" };
      writeFileSync(noteFile(stateDirectory), JSON.stringify(note));
    }
  }
  const deadline = Date.now() + START_SECONDS * 1000;
  for (;;) {
    const version = await daemonVersion();
    if (version !== undefined) return version;
    const reason = gone() ?? (Date.now() > deadline ? `no answer within ${START_SECONDS} s` : undefined);
    if (reason !== undefined) {
      throw new RehearsalError("Docker did not start", reason, `read ${log}, then run bin/rehearse again`);
    }
    await delay(50);
  }
}

function noteFile(stateDirectory: string): string {
  return join(stateDirectory, "dockerd.json");
}

/** Start time of a process in clock ticks since boot, which with its id names it for good. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

async function hasProgram(name: string): Promise<boolean> {
  const result = await execa("sh", ["-c", 'command -v "$1"', "sh", name], { reject: false, stdin: "ignore" });
  return result.exitCode === 0;
}
