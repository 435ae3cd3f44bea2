import { tryDocker } from "./docker.ts";

/** Milliseconds that a registry may take to show one manifest. */
const PATIENCE = 8000;

/** True where the stack's own images can be had. Asks for one manifest by its digest; nothing is pulled. */
export async function registryReachable(reference: string): Promise<boolean> {
  return (await tryDocker(["manifest", "inspect", reference], { timeout: PATIENCE })).exitCode === 0;
}
