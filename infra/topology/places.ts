import { fingerprint } from "../hosts/ssh-options.ts";
import type { Topology } from "./model.ts";

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
  /** `adopted`: as it was found, since nothing of it was made here. */
  readonly state: "site" | "retired" | "adopted";
}

export interface Places {
  readonly hosts: readonly HostPlace[];
  readonly sites: readonly SitePlace[];
}

/**
 * In the file's order; retired sites last.
 * @param adopted whether the stack runs as it was found
 */
export function placesOf({ hosts, sites, retired }: Topology, adopted = false): Places {
  const state = adopted ? "adopted" : "site";
  return {
    hosts: hosts.map(({ name, address, ssh }) => ({ name, address, key: fingerprint(ssh.hostKey) })),
    sites: [
      ...sites.map(({ name, host }) => ({ name, host: host.name, state }) as const),
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
const SITE = /^(site|retired|adopted):([^@]+)@(.+)$/;

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
