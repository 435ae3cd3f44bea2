import { readFileSync } from "node:fs";

/** The PostgreSQL container's command: one text, assembled from the files of `source/`. */
export function entrypointText(): string {
  return source("entrypoint.sh").replaceAll(/^#include (.+)$/gm, (_, file: string) => source(file));
}

function source(file: string): string {
  return readFileSync(new URL(`./source/${file}`, import.meta.url), "utf8");
}
