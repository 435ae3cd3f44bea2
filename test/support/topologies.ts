import { fileURLToPath } from "node:url";
import { loadConfig, loadStackFile } from "../../infra/config/load.ts";
import type { StackConfig } from "../../infra/config/schema.ts";

/** The project's folder. */
export const project = fileURLToPath(new URL("../..", import.meta.url));

export const production = (): StackConfig => loadStackFile(project, "production");
export const staging = (): StackConfig => loadStackFile(project, "staging");

const image = (name: string) => `${name}:1@sha256:${"0".repeat(64)}`;
const HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxI1fr4CXL3nosiErtmiyvZ+sLXMdVNJ4P4LBchPVxR";
const host = (address: string) => ({ address, ssh: { hostKey: HOST_KEY } });

/** Three sites, two app hosts (one of them a site's own) and a listener of each kind. */
export function threeSites(): StackConfig {
  return loadConfig(
    {
      primary: "fra-01",
      hosts: {
        "ams-01": host("100.64.1.1"),
        "fra-01": host("100.64.1.2"),
        "lon-01": host("100.64.1.3"),
        "app-01": host("100.64.2.1"),
      },
      sites: [
        { name: "ams-01", host: "ams-01", ports: { pgHealth: 8108, pgbouncer: 6532 } },
        { name: "fra-01", host: "fra-01", containers: { pgbouncer: "bouncer-b", pgHealth: "health-b" } },
        { name: "lon-01", host: "lon-01" },
      ],
      routers: [{ host: "app-01" }, { host: "fra-01", container: "router-fra" }],
      listeners: [
        { name: "pg-primary", port: 6433, route: "write" },
        { name: "pg-replica", port: 6434, route: "read" },
        { name: "pg-any", port: 6435, route: "any" },
      ],
      images: {
        postgres: image("postgres"),
        pgbouncer: image("pgbouncer"),
        node: image("node"),
        haproxy: image("haproxy"),
      },
      haproxy: { maxconn: 500, check: { inter: "1s", rise: 3, fall: 4 }, timeouts: { client: "8h" } },
      secrets: {
        superuserPassword: "a placeholder",
        replicationPassword: "a placeholder",
        healthPassword: "a placeholder",
        peerSecret: "a placeholder-at-least-sixteen",
      },
    },
    "the test's three sites",
  );
}
