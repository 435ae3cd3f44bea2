import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { aptSource } from "./apt.ts";
import { docker, IMAGE_LABEL, pipeIntoDocker, rows, tryDocker } from "./docker.ts";
import type { Progress } from "./progress.ts";
import type { ImageName, Plan } from "./recipes.ts";
import { planImage, REPOSITORY } from "./recipes.ts";
import { RehearsalError, tail } from "./trouble.ts";

/** What a registry's Debian is called; used instead of debootstrap where it can be pulled. */
const DEBIAN_IMAGE = "debian:forky-slim";
const SUITE = "forky";

export interface BuildOptions {
  readonly packageDirectory: string;
  readonly progress: Progress;
  /** True where images can be pulled: the base is then Debian's own image. */
  readonly registry: boolean;
  /** Asks before a package is installed on this machine. */
  readonly confirm: (question: string) => Promise<boolean>;
}

/**
 * Builds what is missing of the named images and returns every reference.
 * Two at a time: a build waits on the network half of its life, and two cores are the smallest machine we know.
 */
export async function ensureImages(
  names: readonly ImageName[],
  options: BuildOptions,
): Promise<Record<string, string>> {
  const plans = names.map((name) => planImage(name, options.packageDirectory));
  const present = new Set(await rows(["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]));
  const missing = plans.filter((plan) => !present.has(plan.reference));
  if (missing.length > 0) {
    const base = planImage("base", options.packageDirectory);
    if (!(await exists(base.reference))) await buildBase(base, options);
    // Images of one folder share the stages before their own, so the later one takes them from the cache.
    const lanes = [...new Set(missing.map((plan) => plan.folder))].map((folder) =>
      missing.filter((plan) => plan.folder === folder),
    );
    lanes.sort((a, b) => weight(b) - weight(a));
    const work = async () => {
      for (let lane = lanes.shift(); lane !== undefined; lane = lanes.shift()) {
        for (const plan of lane) await build(plan, base.reference, options);
      }
    };
    await Promise.all([work(), work()]);
  }
  return Object.fromEntries(plans.map((plan) => [plan.name, plan.reference]));
}

/** Removes every image that a rehearsal built. Returns how many. */
export async function removeImages(): Promise<number> {
  const ids = await rows([
    "image",
    "ls",
    "--filter",
    `label=${IMAGE_LABEL}`,
    "--format",
    "{{.Repository}}:{{.Tag}}",
  ]);
  const named = [...new Set(ids.filter((reference) => reference.startsWith(`${REPOSITORY}/`)))];
  for (const reference of named) await docker(["image", "rm", reference]);
  await docker(["image", "prune", "-f", "--filter", `label=${IMAGE_LABEL}`]);
  return named.length;
}

async function exists(reference: string): Promise<boolean> {
  return (await tryDocker(["image", "inspect", "--format", "{{.Id}}", reference])).exitCode === 0;
}

/** The slowest first, so that the two lanes end together. */
function weight(lane: readonly Plan[]): number {
  return ["controller", "node", "registry", "postgres", "haproxy", "host"].indexOf(lane[0]?.name ?? "node");
}

async function build(plan: Plan, base: string, options: BuildOptions): Promise<void> {
  await options.progress.step(`Building image ${plan.name}`, (status) =>
    buildImage(plan, { BASE: base }, status),
  );
}

async function buildImage(
  plan: Plan,
  buildArguments: Readonly<Record<string, string>>,
  status: (text: string) => void,
): Promise<void> {
  const source = await aptSource();
  const context = mkdtempSync(join(tmpdir(), "heatwave-image-"));
  try {
    for (const [name, path] of Object.entries(plan.files)) copyFileSync(path, join(context, name));
    const settings = { MIRROR: source.mirror, ...source.proxy, ...buildArguments };
    await docker(
      [
        "build",
        "--force-rm",
        ...Object.entries(settings).flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]),
        ...(plan.target === undefined ? [] : ["--target", plan.target]),
        "--label",
        `${IMAGE_LABEL}=${plan.name}`,
        "--tag",
        plan.reference,
        context,
      ],
      { onLine: (line) => /^(Step|#\d+ \[)/.test(line) && status(line.slice(0, 70)) },
    );
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

async function buildBase(plan: Plan, options: BuildOptions): Promise<void> {
  await options.progress.step("Building image base", async (status) => {
    let root = DEBIAN_IMAGE;
    if (options.registry) {
      status(`docker pull ${DEBIAN_IMAGE}`);
      await docker(["pull", "-q", DEBIAN_IMAGE]);
    } else {
      root = `${REPOSITORY}/debootstrap:${SUITE}`;
      if (!(await exists(root))) await debootstrap(root, options, status);
    }
    await buildImage(plan, { ROOT: root }, status);
  });
}

async function debootstrap(
  reference: string,
  options: BuildOptions,
  status: (text: string) => void,
): Promise<void> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    throw new RehearsalError(
      "The rehearsal's images cannot be built here",
      "no container registry is reachable, so they are made from Debian packages, and debootstrap needs root on Linux",
      "sudo bin/rehearse, or make a container registry reachable",
    );
  }
  if ((await execa("sh", ["-c", "command -v debootstrap"], { reject: false })).exitCode !== 0) {
    if (
      !(await options.confirm("No container registry is reachable. Install debootstrap to build the images?"))
    ) {
      throw new RehearsalError(
        "debootstrap is not installed",
        "no container registry is reachable, so the images are made from Debian packages",
        "apt-get install debootstrap, or allow it: bin/rehearse -y",
      );
    }
    status("apt-get install debootstrap");
    const installed = await execa(
      "apt-get",
      ["install", "-y", "-qq", "--no-install-recommends", "debootstrap"],
      {
        reject: false,
        all: true,
        env: { DEBIAN_FRONTEND: "noninteractive" },
        stdin: "ignore",
      },
    );
    if (installed.exitCode !== 0) {
      throw new RehearsalError(
        "apt-get install debootstrap failed",
        tail(installed.all),
        "repair apt, then run bin/rehearse again",
      );
    }
  }
  const directory = mkdtempSync(join(tmpdir(), "heatwave-debian-"));
  try {
    const scripts = "/usr/share/debootstrap/scripts";
    // A debootstrap older than the suite does not know its name; testing is made as unstable is.
    const script = existsSync(`${scripts}/${SUITE}`) ? SUITE : "sid";
    const child = execa(
      "debootstrap",
      ["--variant=minbase", SUITE, directory, (await aptSource()).mirror, `${scripts}/${script}`],
      { reject: false, all: true, stdin: "ignore", env: (await aptSource()).proxy },
    );
    for await (const line of child.iterable({ from: "all" })) {
      if (line.startsWith("I: ")) status(`debootstrap: ${line.slice(3, 60)}`);
    }
    const result = await child;
    if (result.exitCode !== 0) {
      throw new RehearsalError(
        "debootstrap failed",
        tail(result.all),
        "check that this machine reaches the Debian mirror of its apt sources, then run bin/rehearse again",
      );
    }
    status("docker import");
    await importTree(directory, reference);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function importTree(directory: string, reference: string): Promise<void> {
  const left = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"].map(
    (path) => `./${path}/*`,
  );
  const caches = [
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
    "./var/log/*",
    "./dev/*",
    "./proc/*",
    "./sys/*",
  ];
  await pipeIntoDocker(
    {
      file: "tar",
      args: ["-C", directory, ...[...left, ...caches].map((path) => `--exclude=${path}`), "-c", "."],
    },
    ["import", "--change", `LABEL ${IMAGE_LABEL}=debootstrap`, "-", reference],
  );
}
