import { httpGet } from "../../hosts/http-get.ts";
import type { StackHost } from "../../hosts/stack-host.ts";
import type { Site } from "../../topology/model.ts";

/** Whether a host can be reached, and what a site says to everybody: the questions that need no login to be answered. */

/** Null when the host can be reached; else why not. */
export async function login(host: Pick<StackHost, "connect">): Promise<string | null> {
  try {
    await host.connect();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** What a site's pg-health answers by HTTP, as the routers ask it; null where there is no answer. */
export interface Heard {
  /** Of `/`. */
  readonly word: string | null;
  /** Of `/status`: JSON. */
  readonly status: string | null;
}

/** @param askMs milliseconds for each of the two */
export async function hear(site: Site, askMs: number): Promise<Heard> {
  const [word, status] = await Promise.all([text(site, "/", askMs), text(site, "/status", askMs)]);
  return { word, status };
}

async function text(site: Site, path: string, askMs: number): Promise<string | null> {
  try {
    return await httpGet(`http://${site.host.address}:${site.pgHealth.port}${path}`, askMs);
  } catch {
    return null;
  }
}
