import { readFileSync } from "node:fs";

/** The shell tool that is installed on every host: one text, assembled from the files of `source/`. */
export function hostToolText(): string {
  return source("host-tool.sh").replaceAll(/^#include (.+)$/gm, (_, file: string) => source(file));
}

/** The part that prepares the host itself. */
export function preparationText(): string {
  return source("prepare.sh");
}

/** The part that sets the host's firewall. */
export function firewallToolText(): string {
  return source("firewall.sh");
}

function source(file: string): string {
  return readFileSync(new URL(`./source/${file}`, import.meta.url), "utf8");
}
