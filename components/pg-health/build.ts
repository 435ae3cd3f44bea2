/** Bundles the sidecar to the one file that its container runs. */
import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SIDECAR = fileURLToPath(new URL("./sidecar", import.meta.url));
/** Beside the packages that it depends on, and gone with them. */
const CACHE = join(ROOT, "node_modules/.cache/heatwave");

/** Some dependencies are CommonJS and ask for Node's own modules at run time. */
const BANNER = [
  'import { createRequire as heatwaveRequire } from "node:module";',
  "const require = heatwaveRequire(import.meta.url);",
].join("\n");

let bundled: string | undefined;

/**
 * The text of `pg-health.mjs`: one ES module for Node 24. The same sources give the same text on every machine and in
 * every folder, so that a preview from another checkout is clean.
 */
export function bundleSidecar(): string {
  bundled ??= fromCache() ?? bundle();
  return bundled;
}

/** Named by all that decides the text. Every preview needs the bundle, and esbuild's start is a third of a second. */
function cacheFile(): string {
  const hash = createHash("sha256");
  const sources = readdirSync(SIDECAR).toSorted();
  for (const source of sources)
    hash
      .update(`${source}\0`)
      .update(readFileSync(join(SIDECAR, source)))
      .update("\0");
  for (const file of ["package-lock.json", "components/pg-health/build.ts"])
    hash.update(readFileSync(join(ROOT, file)));
  return join(CACHE, `pg-health-${hash.digest("hex").slice(0, 24)}.mjs`);
}

function fromCache(): string | undefined {
  try {
    return readFileSync(cacheFile(), "utf8");
  } catch {
    return undefined;
  }
}

function keep(text: string): void {
  try {
    mkdirSync(CACHE, { recursive: true });
    const scratch = join(CACHE, `.${randomUUID()}`);
    writeFileSync(scratch, text);
    renameSync(scratch, cacheFile());
  } catch {
    // Another user's checkout, or no package-lock.json: the next preview bundles again.
  }
}

function bundle(): string {
  const result = buildSync({
    entryPoints: [fileURLToPath(new URL("./sidecar/main.ts", import.meta.url))],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node24",
    banner: { js: BANNER },
    // Optional and absent: libpq bindings, and another runtime's sockets.
    external: ["pg-native", "pg-cloudflare"],
    // Comments and module labels would carry the paths of this checkout's node_modules.
    minifyWhitespace: true,
    minifySyntax: true,
    minifyIdentifiers: true,
    keepNames: true,
    legalComments: "none",
    charset: "utf8",
    logLevel: "silent",
  });
  const [file] = result.outputFiles;
  if (file === undefined) throw new Error("esbuild gave no bundle for components/pg-health/sidecar/main.ts");
  keep(file.text);
  return file.text;
}
