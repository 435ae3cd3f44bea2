import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { ensureImages } from "../../infra/rehearsal/build.ts";
import { docker, tryDocker } from "../../infra/rehearsal/docker.ts";
import { silent } from "../../infra/rehearsal/progress.ts";
import { ensureSeed, findHostRights } from "../../infra/rehearsal/seeds.ts";

const root = join(import.meta.dirname, "../..");

const made: string[] = [];
afterAll(async () => {
  for (const volume of made) await docker(["volume", "rm", volume]);
});

it("two worlds that begin at once load the hosts' images once, and both have them", async () => {
  const images = await ensureImages(["host", "haproxy"], {
    packageDirectory: root,
    progress: silent,
    confirm: () => Promise.resolve(true),
    registry: false,
  });
  const [host, haproxy] = [images["host"] ?? "", images["haproxy"] ?? ""];
  // A name that no world gives it: so that this seed is nobody's, and is not there yet.
  const alone = `${haproxy.replace(/:[^:]*$/, "")}:seeds-test-${process.pid}`;
  await docker(["tag", haproxy, alone]);
  try {
    const rights = await findHostRights(host);
    const seeds = await Promise.allSettled(
      Array.from({ length: 3 }, () => ensureSeed([alone], host, rights)),
    );
    const [volume = ""] = seeds.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    if (volume !== "") made.push(volume);
    expect(seeds).toEqual(Array.from({ length: 3 }, () => ({ status: "fulfilled", value: volume })));
    const inside = [
      "run",
      "--rm",
      "--network",
      "none",
      "--volume",
      `${volume}:/seed:ro`,
      "--entrypoint",
      "sh",
    ];
    const loaded = await tryDocker([
      ...[
        ...inside,
        host,
        "-c",
        "test -e /seed/.heatwave-seeded && cat /seed/image/overlay2/repositories.json",
      ],
    ]);
    expect(loaded, loaded.stderr).toMatchObject({ exitCode: 0 });
    expect(loaded.stdout).toContain(alone.split(":").at(-1));
  } finally {
    await docker(["rmi", alone]);
  }
});
