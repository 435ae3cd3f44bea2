/** Bundles the sidecar to the one file that its container runs. */
import { buildSync } from "esbuild";
import { fileURLToPath } from "node:url";

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
  bundled ??= bundle();
  return bundled;
}

function bundle(): string {
  const result = buildSync({
    entryPoints: [fileURLToPath(new URL("./sidecar/main.ts", import.meta.url))],
    absWorkingDir: fileURLToPath(new URL("../..", import.meta.url)),
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
  return file.text;
}
