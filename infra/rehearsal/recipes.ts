import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Images that stand in for originals, by their key in `heatwave:images`. */
export const STAND_INS = ["postgres", "pgbouncer", "node", "haproxy"] as const;
export type StandIn = (typeof STAND_INS)[number];

/** Images of the world itself. */
export type Machine = "host" | "controller" | "registry";
export type ImageName = "base" | StandIn | Machine;

/** Repository of all images that a rehearsal builds. */
export const REPOSITORY = "heatwave-rehearsal";

interface Recipe {
  /** Folder under `images/`. */
  readonly folder: string;
  /** Stage of the Dockerfile; the last one by default. */
  readonly target?: string;
  /** Files from elsewhere that the build needs in its context, by name; the path is from the package's folder. */
  readonly borrowed?: Readonly<Record<string, string>>;
  /** What else decides the content, e.g. the version of a borrowed binary that is too big to hash each time. */
  readonly also?: (packageDirectory: string) => string;
  /** Part of the tag that tells a reader what it holds. */
  readonly version?: string;
}

const NODE_PACKAGE = `node_modules/node-linux-${process.arch}`;

const RECIPES: Readonly<Record<ImageName, Recipe>> = {
  base: { folder: "base" },
  postgres: { folder: "postgres", version: "18" },
  pgbouncer: { folder: "small", target: "pgbouncer" },
  haproxy: { folder: "small", target: "haproxy", version: "3.0" },
  node: {
    folder: "node",
    version: "24",
    borrowed: { node: `${NODE_PACKAGE}/bin/node` },
    also: (directory) => readFileSync(join(directory, NODE_PACKAGE, "package.json"), "utf8"),
  },
  host: {
    folder: "host",
    borrowed: { "heatwave-tailnet": "infra/rehearsal/images/shared/heatwave-tailnet" },
  },
  controller: {
    folder: "controller",
    borrowed: { "heatwave-tailnet": "infra/rehearsal/images/shared/heatwave-tailnet" },
  },
  registry: { folder: "registry" },
};

/** One image as it is to be: its reference names its content, so that only what changed is built again. */
export interface Plan {
  readonly name: ImageName;
  readonly reference: string;
  readonly folder: string;
  readonly target: string | undefined;
  /** Absolute path by name in the build's context. */
  readonly files: Readonly<Record<string, string>>;
}

/** The plan of one image. @param packageDirectory folder of package.json */
export function planImage(name: ImageName, packageDirectory: string): Plan {
  const recipe = RECIPES[name];
  const folder = join(packageDirectory, "infra/rehearsal/images", recipe.folder);
  const own = Object.fromEntries(readdirSync(folder).map((file) => [file, join(folder, file)]));
  const borrowed = Object.fromEntries(
    Object.entries(recipe.borrowed ?? {}).map(([file, path]) => [file, join(packageDirectory, path)]),
  );
  const files = { ...own, ...borrowed };
  const hash = createHash("sha256");
  if (name !== "base") hash.update(planImage("base", packageDirectory).reference);
  hash.update(`${recipe.target ?? ""}\n${recipe.also?.(packageDirectory) ?? ""}\n`);
  for (const [file, path] of Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { mode, size } = statSync(path);
    hash.update(`${file}\n${(mode & 0o111) !== 0 ? "x" : "-"}\n${size}\n`);
    if (recipe.also === undefined || !(file in borrowed)) hash.update(readFileSync(path));
  }
  const tag = [recipe.version, hash.digest("hex").slice(0, 12)].filter((part) => part !== undefined);
  return {
    name,
    reference: `${REPOSITORY}/${name}:${tag.join("-")}`,
    folder,
    target: recipe.target,
    files,
  };
}
