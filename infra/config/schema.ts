import { z } from "zod";
import { Maintenance } from "./maintenance.ts";
import { HaProxy, PgBouncer, Postgres } from "./services.ts";
import { Device, Firewall, Operators, Tailnet, TailnetAddress } from "./tailnet.ts";
import {
  DockerName,
  Identifier,
  identity,
  list,
  mapping,
  Name,
  notes,
  oneOf,
  Port,
  says,
  section,
  text,
  whole,
  yesOrNo,
} from "./words.ts";

/**
 * The stack file's schema: one source for the types, the errors, `docs/configuration.md` and the JSON schema.
 * Cross-field rules are in `rules.ts`.
 */

const HOST_KEY = {
  allowed: "the type and the base64 of one public host key, e.g. ssh-ed25519 AAAA...",
  fix: "copy it whole from /etc/ssh/ssh_host_ed25519_key.pub on the host, without the comment",
};

const HostKey = text(
  /^(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/]+={0,3}$/,
  HOST_KEY.allowed,
  HOST_KEY.fix,
).refine(isWholeKey, { error: says(HOST_KEY.allowed, HOST_KEY.fix) });

/** The base64 part repeats the type and, for Ed25519, has one length; a key pasted in part has not. */
function isWholeKey(line: string): boolean {
  const [type = "", base64 = ""] = line.split(" ");
  const blob = Buffer.from(base64, "base64");
  const named = blob.length >= 4 ? blob.subarray(4, 4 + blob.readUInt32BE(0)).toString("latin1") : "";
  return named === type && (type !== "ssh-ed25519" || blob.length === 51);
}

const AbsolutePath = text(
  /^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)+$/,
  "an absolute path of letters, digits, '.', '_' and '-', without . and .. parts",
  "choose a path without spaces or a trailing slash",
);

/** A host on the tailnet that runs Docker. */
const Host = section({
  address: identity(
    TailnetAddress.describe("Tailnet IPv4 address. Ports are published on it and on nothing else."),
    "Right where the same machine got another address. Never a way to move a site: the provider would take what runs at the new place for its own. Add a site, flip to it, retire the old one.",
  ),
  device: Device.optional().describe(
    "Name of the host in the tailnet: then each preview and `up` asks Tailscale whether it is there, authorised and has this address (docs/tailnet.md).",
  ),
  ssh: section({
    user: text(/^[a-z_][a-z0-9_-]{0,31}$/, "a Unix user name", "use the deploy user of that host")
      .default("root")
      .describe(
        "User of the SSH connection: in the `docker` group, and with password-less sudo unless it is root.",
      ),
    port: whole(1, 65_535, "", "use the port that sshd listens on").default(22).describe("Port of sshd."),
    hostKey: HostKey.describe("Public host key; a connection that shows another one is refused."),
  }),
  root: identity(
    AbsolutePath.default("/var/lib/heatwave").describe(
      "Folder on the host for rendered files, secrets and state.",
    ),
    "Containers mount folders below it: each one on the host is replaced.",
  ),
});

/** `name:tag@sha256:…`, so that neither a moved tag nor a rebuilt image changes what runs. */
const PinnedImage = text(
  /^[a-z0-9]+([./_-][a-z0-9]+)*(:[0-9]+)?(\/[a-z0-9]+([._-][a-z0-9]+)*)*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}@sha256:[0-9a-f]{64}$/,
  "name:tag@sha256:<64 hexadecimal digits>, the digest being the image index's",
  "copy the digest that `docker buildx imagetools inspect <name:tag>` prints",
);

/** What the rehearsal overlay may name: an image that only the sealed world has. */
const WorldImage = text(
  /^[a-z0-9]+([./_:@-][A-Za-z0-9]+)*$/,
  "an image of the sealed world",
  "let bin/rehearse write the overlay",
);

function images(image: z.ZodString) {
  return {
    postgres: image.describe("PostgreSQL 18 (Debian flavour: the entrypoint needs bash)."),
    pgbouncer: image.describe("PgBouncer."),
    node: image.describe("Node 24, for the pg-health sidecar."),
    haproxy: image.describe("HAProxy 3.0, for the routers."),
  };
}

const ContainerId = text(
  /^[0-9a-f]{64}$/,
  "a container's id, 64 hexadecimal digits",
  "let `bin/adopt ENV --write` write it",
);

const NEW_CONTAINER =
  "The container is replaced by one of the new name, with a folder of its own on the host.";
const NEW_PORT = "The container is replaced, and what connects to it is told the new port.";
const NEW_PLACE =
  "Another place, so another site. Add a site there, flip to it, retire the old one: nothing is moved by an edit here.";

/** A data centre: one PostgreSQL instance with its pooler and health endpoint. Order matters: the first founds. */
function site(image: z.ZodString) {
  return section({
    name: identity(
      Name.describe(
        "Name of the place, e.g. dal-01: resource names, slot and application_name come from it.",
      ),
      "Another site to everything that knows it. Add one, flip to it, retire the old one.",
    ),
    host: identity(Name.describe("Host that runs it, a key of `hosts`. One site to a host."), NEW_PLACE),
    containers: section({
      postgres: identity(
        DockerName.default("heatwave-postgres").describe("Container of PostgreSQL."),
        NEW_CONTAINER,
      ),
      pgbouncer: identity(
        DockerName.default("heatwave-pgbouncer").describe("Container of PgBouncer."),
        NEW_CONTAINER,
      ),
      pgHealth: identity(
        DockerName.default("heatwave-pg-health").describe("Container of the health endpoint."),
        NEW_CONTAINER,
      ),
    })
      .prefault({})
      .describe("Container names; kept as they are for ever, whatever role the instance has."),
    volume: identity(
      DockerName.default("heatwave-postgres-data").describe(
        "Docker volume with the data. Never replaced, never deleted.",
      ),
      "Another, empty volume. The old one is protected and stays where it is, with the data.",
    ),
    ports: section({
      postgres: identity(
        Port.default(5432).describe("PostgreSQL, for the other sites' replication."),
        NEW_PORT,
      ),
      pgbouncer: identity(Port.default(6432).describe("PgBouncer, for the routers."), NEW_PORT),
      pgHealth: identity(
        Port.default(8008).describe("Health endpoint, for the routers and the other sites."),
        NEW_PORT,
      ),
    })
      .prefault({})
      .describe("Published ports, on the host's tailnet address."),
    images: section({
      postgres: image.optional().describe("PostgreSQL of this site."),
      pgbouncer: image.optional().describe("PgBouncer of this site."),
      node: image.optional().describe("Node of this site's pg-health."),
    })
      .optional()
      .describe("Images of this site alone, while one is upgraded before the other."),
    retired: yesOrNo("write true to retire the site, or leave the key out")
      .default(false)
      .describe(
        "true: the site leaves the stack with the next `pulumi up`, which refuses while it is the primary, holds the only other copy, or feeds somebody. Its data volume stays (docs/migration.md). Take the entry out afterwards.",
      ),
    converted: yesOrNo("let `bin/adopt ENV --convert SITE` write it")
      .default(false)
      .describe(
        "true: the site ran as it was found, and heatwave's containers take the place of those; its data stays in its volume. `bin/adopt ENV --convert SITE` writes it (docs/adoption.md). Once every site is converted it may be taken out.",
      ),
  });
}

const Router = section({
  host: identity(
    Name.describe("App host that runs it, a key of `hosts`; it may be a site's host as well."),
    "Another router. The old one is removed: let no app use it any more.",
  ),
  container: identity(
    DockerName.default("heatwave-haproxy").describe("Container name, which is the app's DATABASE_HOST."),
    `${NEW_CONTAINER} Apps must use the new name.`,
  ),
});

const Listener = section({
  name: text(
    /^[a-z][a-z0-9-]{0,39}$/,
    "lower-case letters, digits and hyphens",
    "choose a name HAProxy accepts",
  ).describe("Name of HAProxy's `listen` section, e.g. pg-primary."),
  port: Port.describe("Port on the Docker network and on the app host's tailnet address."),
  route: oneOf(["write", "read", "any"], "choose where its connections go").describe(
    "write: the primary alone; read: standbys; any: every instance that answers queries.",
  ),
});

/** @param least characters */
function password(least: number) {
  const message = says(
    `${least} to 512 printable ASCII characters on one line`,
    "set another one with `pulumi config set --secret --path`",
  );
  return z
    .string({ error: message })
    .regex(new RegExp(`^[\\x20-\\x7e]{${least},512}$`), { error: message })
    .register(notes, { allowed: `${least} to 512 printable ASCII characters, encrypted`, secret: true });
}
const Password = password(8);

const Secrets = section({
  superuserPassword: Password.describe("Password of `postgres`, given at the founding."),
  replicationPassword: Password.describe("Password of `heatwave_replication`."),
  healthPassword: Password.describe("Password of `heatwave_health`."),
  peerSecret: password(16).describe("Key of the HMAC between the health endpoints."),
  roles: mapping(Identifier, Password, "passwords by role name")
    .default({})
    .describe("Passwords of `postgres.roles`, by name."),
  tailnetClientId: Password.optional().describe("Id of the OAuth client for Tailscale's API."),
  tailnetClientSecret: Password.optional().describe("Its secret."),
});

/** Keys of namespace `heatwave` in `Pulumi.<stack>.yaml`. */
export function stackSchema(options: { readonly rehearsal: boolean }) {
  const image = options.rehearsal ? WorldImage : PinnedImage;
  return section({
    primary: Name.describe(
      "Site that should take writes: what is intended. The first site in the file founds.",
    ),
    hosts: identity(
      mapping(Name, Host, "hosts by name").describe("Docker hosts on the tailnet, by name."),
      "The name is in the names of the host's provider, files and router: a renamed host is a new one.",
    ),
    network: section({
      name: identity(
        DockerName.default("kamal").describe("Docker network that apps and database share on each host."),
        "Every container is replaced.",
      ),
      external: yesOrNo("write true where Kamal made the network")
        .default(true)
        .describe("true: somebody else's, only checked. false: made here."),
    })
      .prefault({})
      .describe("Docker network."),
    sites: list(site(image), "sites")
      .min(1, { error: says("at least one site", "declare a site") })
      .describe("Sites. The first in the file founds the cluster; the others take a base backup from it."),
    routers: list(Router, "routers, one for each app host")
      .default([])
      .describe("HAProxy write VIPs, one per app host."),
    listeners: list(Listener, "listeners")
      .min(1, { error: says("at least one listener", "declare the write listener, or leave the key out") })
      .default([{ name: "pg-primary", port: 6433, route: "write" }])
      .describe("What the routers listen on."),
    adopted: mapping(
      Name,
      mapping(DockerName, ContainerId, "container ids by container name"),
      "hosts, each with its containers",
    )
      .optional()
      .describe(
        "Ids of containers that run already and were not made here, by host and container name; `bin/adopt ENV --write` writes it. What is listed is taken over as it is, and nothing of it is changed (docs/adoption.md).",
      ),
    images: section(images(image)).describe("Container images, by tag and index digest."),
    postgres: Postgres.prefault({}).describe("PostgreSQL."),
    pgbouncer: PgBouncer.prefault({}).describe("PgBouncer."),
    haproxy: HaProxy.prefault({}).describe("HAProxy."),
    maintenance: Maintenance.optional().describe(
      "What `bin/maintenance` stops and starts again (docs/maintenance.md). It declares nothing that `up` makes: changing it changes no preview.",
    ),
    tailnet: Tailnet.prefault({}).describe(
      "What is managed of the tailnet itself, through Tailscale's API (docs/tailnet.md).",
    ),
    firewall: Firewall.prefault({}).describe("Who may reach the stack's ports (docs/tailnet.md)."),
    operators: Operators.default({}).describe(
      "Tailnet addresses of people and machines beside the stack that may reach its ports, by name.",
    ),
    secrets: Secrets.describe(
      "Secrets, each one set with `pulumi config set --secret --path heatwave:secrets.<key>`.",
    ),
  });
}

export type StackConfig = z.output<ReturnType<typeof stackSchema>>;
export type Secrets = StackConfig["secrets"];
