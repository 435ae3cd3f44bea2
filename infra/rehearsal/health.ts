import type { StackConfig } from "../config/schema.ts";
import { CHECKOUT } from "./checkout.ts";
import { tryDocker } from "./docker.ts";
import type { WorldPlan } from "./plan.ts";

/** Milliseconds that a site has to answer; the whole question may take a second more. */
const PATIENCE_MS = 2000;

/** What a site's pg-health says of it. */
export interface SiteAnswer {
  readonly site: string;
  readonly host: string;
  /** `primary`, `standby`, `empty` and so on; null when there is no answer. */
  readonly word: string | null;
  /** HTTP status, 200 where the routers may write; null when there is no answer. */
  readonly status: number | null;
}

/** Runs in the controller: asks every URL of its argument at once, and prints [status, body] or null for each. */
const ASK = `
const ask = async (url) => {
  try {
    const reply = await fetch(url, { signal: AbortSignal.timeout(${PATIENCE_MS}) });
    return [reply.status, (await reply.text()).trim()];
  } catch {
    return null;
  }
};
const replies = await Promise.all(JSON.parse(process.argv[1]).map(ask));
process.stdout.write(JSON.stringify(replies), () => process.exit());`;

/** Asks every site from the operator's seat, as a router would. A site that cannot be asked has no answer. */
export async function askSites(plan: WorldPlan, stack: StackConfig): Promise<SiteAnswer[]> {
  const urls = stack.sites.map((site) => {
    const address = plan.hosts.find((host) => host.name === site.host)?.tailnet ?? "";
    return `http://${address}:${site.ports.pgHealth}/`;
  });
  const node = `${CHECKOUT}/node_modules/node-*/bin/node`;
  const script = `exec ${node} --input-type=module -e "$1" -- "$2"`;
  const asked = await tryDocker(
    ["exec", plan.controller.container, "sh", "-c", script, "sh", ASK, JSON.stringify(urls)],
    { timeout: PATIENCE_MS + 1000 },
  );
  const replies =
    asked.exitCode === 0 ? (JSON.parse(asked.stdout) as ([number, string] | null)[]) : urls.map(() => null);
  return stack.sites.map(({ name, host }, index) => {
    const [status, word] = replies[index] ?? [null, null];
    return { site: name, host, word, status };
  });
}

/** Names of the sites that take writes by their own word. */
export function primariesOf(sites: readonly SiteAnswer[]): string[] {
  return sites.filter((site) => site.status === 200).map((site) => site.site);
}
