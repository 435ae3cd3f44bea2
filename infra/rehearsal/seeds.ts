import { createHash } from "node:crypto";
import { docker, IMAGE_LABEL, pipeIntoDocker, rows, tryDocker } from "./docker.ts";
import { HOST_RIGHTS } from "./plan.ts";

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

/**
 * The volume whose layers every host of these images shares. Loading happens at the first use, once per content.
 * @param hostImage its Docker is the one that must read the result
 */
export async function ensureSeed(references: readonly string[], hostImage: string): Promise<string> {
  const seed = await ensureSharedVolume("seed", [hostImage, ...references]);
  const into = ["run", "--rm", "-i", "--init", "--network", "none", "--volume", `${seed}:/var/lib/docker`];
  const finished = ["--entrypoint", "test", hostImage, "-e", "/var/lib/docker/.heatwave-seeded"];
  if ((await tryDocker([...into, ...finished])).exitCode === 0) return seed;
  // All in one stream, so that their common layers travel once.
  await pipeIntoDocker({ file: "docker", args: ["save", ...references] }, [
    ...[...into, ...HOST_RIGHTS, "--tmpfs", "/run:exec,mode=755", "--entrypoint", "heatwave-seed", hostImage],
  ]);
  return seed;
}
