import * as tailscale from "@pulumi/tailscale";
import type { Answer, NamedHost } from "./render/devices.ts";

/** Seconds that a run waits for Tailscale's API, all look-ups together. */
const PATIENCE_SECONDS = 5;

/** Asks for every host's device at once. It takes no longer than its patience, and fails for no reason. */
export async function lookUp(
  hosts: readonly NamedHost[],
  provider: tailscale.Provider,
): Promise<ReadonlyMap<string, Answer>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Answer>((resolve) => {
    const reason = `Tailscale's API did not answer within ${PATIENCE_SECONDS} s`;
    timer = setTimeout(() => resolve({ kind: "silent", reason }), PATIENCE_SECONDS * 1000);
  });
  try {
    const answers = hosts.map(
      async (host) => [host.name, await Promise.race([ask(host, provider), late])] as const,
    );
    return new Map(await Promise.all(answers));
  } finally {
    clearTimeout(timer);
  }
}

async function ask({ device }: NamedHost, provider: tailscale.Provider): Promise<Answer> {
  // A whole name is the tailnet's own and is there once; a host name is what the machine calls itself.
  const by = device.includes(".") ? { name: device } : { hostname: device };
  try {
    return { kind: "found", device: await tailscale.getDevice(by, { provider }) };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    // The provider's words, for what an empty list of the API means (its data_source_device.go).
    if (text.includes("could not find device")) return { kind: "missing" };
    return { kind: "silent", reason: text.replace(/^invocation of \S+ returned an error: /, "") };
  }
}
