import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));

/** The PostgreSQL driver is CommonJS and asks for Node's own modules at run time. */
const BANNER = [
  'import { createRequire as heatwaveRequire } from "node:module";',
  "const require = heatwaveRequire(import.meta.url);",
].join("\n");

/** One of the programs that run beside a stack, as one file for the node image. */
export async function bundleProgram(name: "client" | "sampler"): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(HERE, `${name}.ts`)],
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node24",
    banner: { js: BANNER },
    // Optional and absent: libpq bindings, and another runtime's sockets.
    external: ["pg-native", "pg-cloudflare"],
    logLevel: "silent",
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error(`esbuild gave no bundle for ${name}.ts`);
  return file.text;
}
