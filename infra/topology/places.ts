import { fingerprint } from "../hosts/ssh-options.ts";
import { byName } from "./by-name.ts";
import type { Site, Topology } from "./model.ts";

/** Where everything is, as words of a command line: what one `up` tells the next (docs/decisions/0023-migration.md). */

/** A host by its name: its address and the fingerprint of its key. */
export interface HostPlace {
  readonly name: string;
  readonly address: string;
  readonly key: string;
}

export interface SitePlace {
  readonly name: string;
  readonly host: string;
  /** `adopted`: as it was found; `converted`: made here on what was found. */
  readonly state: "site" | "retired" | "adopted" | "converted";
}

/** Container ids by host and container name. */
export type AdoptedIds = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface Places {
  readonly hosts: readonly HostPlace[];
  readonly sites: readonly SitePlace[];
}

/** Whether ids name a container of a host. @param adopted ids of `heatwave:adopted`, by host and container */
export function lists(
  adopted: AdoptedIds | undefined,
  { host, container }: { readonly host: { readonly name: string }; readonly container: string },
): boolean {
  // A host or a container may be called `constructor`.
  return (
    adopted !== undefined &&
    Object.hasOwn(adopted, host.name) &&
    Object.hasOwn(adopted[host.name] ?? {}, container)
  );
}

/** Whether a site runs as it was found. */
export function isAdopted({ postgres }: Pick<Site, "postgres">, adopted: AdoptedIds | undefined): boolean {
  return lists(adopted, postgres);
}

/**
 * Hosts by name, as the CLI hands maps of the stack file over; sites
 * in the file's order, retired ones last.
 * @param adopted what of the stack runs as it was found
 */
export function placesOf({ hosts, sites, retired }: Topology, adopted?: AdoptedIds): Places {
  const stateOf = (site: Site): SitePlace["state"] =>
    isAdopted(site, adopted) ? "adopted" : site.converted ? "converted" : "site";
  return {
    hosts: byName(hosts).map(({ name, address, ssh }) => ({ name, address, key: fingerprint(ssh.hostKey) })),
    sites: [
      ...sites.map((site) => ({ name: site.name, host: site.host.name, state: stateOf(site) })),
      ...retired.map(({ name, host }) => ({ name, host: host.name, state: "retired" }) as const),
    ],
  };
}

/** Words without anything that a shell would read: `host:dal-01=100.64.0.1/SHA256:…`, `site:dal-01@dal-01`, `retired:…`. */
export function placeWords({ hosts, sites }: Places): readonly string[] {
  return [
    ...hosts.map(({ name, address, key }) => `host:${name}=${address}/${key}`),
    ...sites.map(({ name, host, state }) => `${state}:${name}@${host}`),
  ];
}

const HOST = /^host:([^=]+)=([0-9.]+)\/(SHA256:[A-Za-z0-9+/]+)$/;
const SITE = /^(site|retired|adopted|converted):([^@]+)@(.+)$/;

/** @throws Error that names the word that is none */
export function parsePlaces(words: readonly string[]): Places {
  const hosts: HostPlace[] = [];
  const sites: SitePlace[] = [];
  for (const word of words) {
    const [, hostName, address, key] = HOST.exec(word) ?? [];
    const [, state, siteName, host] = SITE.exec(word) ?? [];
    if (hostName !== undefined && address !== undefined && key !== undefined)
      hosts.push({ name: hostName, address, key });
    else if (siteName !== undefined && host !== undefined)
      sites.push({ name: siteName, host, state: state as SitePlace["state"] });
    else throw new Error(`${JSON.stringify(word)} is neither host:NAME=ADDRESS/KEY nor site:NAME@HOST`);
  }
  return { hosts, sites };
}
