import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { docker, IMAGE_LABEL, pipeIntoDocker, rows, tryDocker } from "./docker.ts";
import { hostRights } from "./plan.ts";
import { RehearsalError, tail } from "./trouble.ts";

/** Volumes that are no world's: made once per content, copied or mounted read-only by every world. */
export async function ensureSharedVolume(
  kind: "seed" | "modules",
  content: readonly string[],
): Promise<string> {
  const hash = createHash("sha256").update(content.join("\n")).digest("hex").slice(0, 12);
  const volume = `heatwave-${kind}-${hash}`;
  await docker(["volume", "create", "--label", `${IMAGE_LABEL}=${kind}`, volume]);
  return volume;
}

/** Removes all shared volumes that nothing uses. Returns how many. */
export async function removeSharedVolumes(): Promise<number> {
  const names = await rows(["volume", "ls", "--filter", `label=${IMAGE_LABEL}`, "--format", "{{.Name}}"]);
  if (names.length > 0) await docker(["volume", "rm", ...names]);
  return names.length;
}

/** Rights of a host on this machine, found by trying: whether a container may have SYS_RESOURCE. */
export async function findHostRights(hostImage: string): Promise<readonly string[]> {
  const all = ["run", "--rm", "--network", "none", "--cap-add", "ALL", "--entrypoint", "true", hostImage];
  return hostRights((await tryDocker(all)).exitCode === 0);
}

/** The volume whose layers every host of these images shares. Loading happens at the first use, once per content. */
export async function ensureSeed(
  references: readonly string[],
  hostImage: string,
  rights: readonly string[],
): Promise<string> {
  // The host image's Docker is the one that must read the result.
  const seed = await ensureSharedVolume("seed", [hostImage, ...references]);
  const around = ["--rm", "--network", "none", "--volume", `${seed}:/var/lib/docker`];
  const finished = ["--entrypoint", "test", hostImage, "-e", "/var/lib/docker/.heatwave-seeded"];
  const loader = `${seed}-loader`;
  while ((await tryDocker(["run", ...around, ...finished])).exitCode !== 0) {
    const made = await tryDocker([
      ...["create", "--name", loader, "-i", "--init", ...around, ...rights, "--tmpfs", "/run:exec,mode=755"],
      ...["--entrypoint", "heatwave-seed", hostImage],
    ]);
    if (made.exitCode === 0) {
      // All in one stream, so that their common layers travel once.
      await pipeIntoDocker({ file: "docker", args: ["save", ...references] }, ["start", "-ai", loader]);
    } else if (/is already in use/.test(made.stderr)) {
      // Another world loads them: two daemons on one volume would break it.
      await othersEnd(loader);
    } else {
      throw new RehearsalError(
        `docker create ${loader} failed`,
        tail(made.stderr),
        "run the same command again",
      );
    }
  }
  return seed;
}

/** Milliseconds after which a container that does not run is what a killed program left, and not about to start. */
const LEFT_MS = 60_000;

async function othersEnd(container: string): Promise<void> {
  const format = "{{.State.Running}} {{.Created}}";
  const { stdout } = await tryDocker(["container", "inspect", "--format", format, container]);
  const [running, created] = stdout.split(" ");
  if (running === "true") await tryDocker(["wait", container]);
  else if (Date.now() - Date.parse(created ?? "") > LEFT_MS) await tryDocker(["rm", container]);
  else await delay(100);
}
