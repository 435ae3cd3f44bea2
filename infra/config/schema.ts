import ipaddr from "ipaddr.js";
import { z } from "zod";
import { DockerName, Duration, Identifier, Name, oneOf, Port, says, section, text, whole } from "./words.ts";

/**
 * The stack file's schema: one source for the types, the errors, `docs/configuration.md` and the JSON schema.
 * Cross-field rules are in `rules.ts`.
 */

const TAILNET = ipaddr.parseCIDR("100.64.0.0/10");

const TailnetAddress = z
  .string({
    error: says("a tailnet IPv4 address in 100.64.0.0/10", "use what `tailscale ip -4` prints on that host"),
  })
  .refine((value) => ipaddr.IPv4.isValidFourPartDecimal(value) && ipaddr.parse(value).match(TAILNET), {
    error: says("a tailnet IPv4 address in 100.64.0.0/10", "use what `tailscale ip -4` prints on that host"),
  });

const HostKey = text(
  /^(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/]+={0,3}$/,
  "the type and the base64 of one public host key, e.g. ssh-ed25519 AAAA…",
  "copy it from /etc/ssh/ssh_host_ed25519_key.pub on the host, without the comment",
);

const AbsolutePath = text(
  /^(\/[A-Za-z0-9._-]+)+$/,
  "an absolute path of letters, digits, '.', '_' and '-'",
  "choose a path without spaces, links or a trailing slash",
);

/** A host on the tailnet that runs Docker. */
const Host = section({
  address: TailnetAddress.describe("Tailnet IPv4 address. Ports are published on it and on nothing else."),
  ssh: section({
    user: text(/^[a-z_][a-z0-9_-]{0,31}$/, "a Unix user name", "use the deploy user of that host")
      .default("root")
      .describe(
        "User of the SSH connection: in the `docker` group, and with password-less sudo unless it is root.",
      ),
    port: whole(1, 65_535, "", "use the port that sshd listens on").default(22).describe("Port of sshd."),
    hostKey: HostKey.describe("Public host key; a connection that shows another one is refused."),
  }),
  root: AbsolutePath.default("/var/lib/heatwave").describe(
    "Folder on the host for rendered files, secrets and state.",
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

/** A data centre: one PostgreSQL instance with its pooler and health endpoint. Order matters: the first founds. */
function site(image: z.ZodString) {
  return section({
    name: Name.describe(
      "Name of the place, e.g. dal-01. It is identity: resource names, slot and application_name come from it.",
    ),
    host: Name.describe("Host that runs it, a key of `hosts`. One site to a host."),
    containers: section({
      postgres: DockerName.default("heatwave-postgres").describe("Container of PostgreSQL."),
      pgbouncer: DockerName.default("heatwave-pgbouncer").describe("Container of PgBouncer."),
      pgHealth: DockerName.default("heatwave-pg-health").describe("Container of the health endpoint."),
    })
      .prefault({})
      .describe("Container names; kept as they are for ever, whatever role the instance has."),
    volume: DockerName.default("heatwave-postgres-data").describe(
      "Docker volume with the data. Never replaced, never deleted.",
    ),
    ports: section({
      postgres: Port.default(5432).describe("PostgreSQL, for the other sites' replication."),
      pgbouncer: Port.default(6432).describe("PgBouncer, for the routers."),
      pgHealth: Port.default(8008).describe("Health endpoint, for the routers and the other sites."),
    })
      .prefault({})
      .describe("Published ports, on the host's tailnet address."),
    images: section(images(image))
      .pick({ postgres: true, pgbouncer: true, node: true })
      .partial()
      .optional()
      .describe("Images of this site alone, while one is upgraded before the other."),
  });
}

const Router = section({
  host: Name.describe("App host that runs it, a key of `hosts`; it may be a site's host as well."),
  container: DockerName.default("heatwave-haproxy").describe(
    "Container name, which is the app's DATABASE_HOST.",
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

const ParameterValue = z
  .union([z.string(), z.number(), z.boolean()], {
    error: says("text, a number or a boolean", "write the value as postgresql.conf takes it"),
  })
  .refine((value) => typeof value !== "string" || !/[\r\n\0]/.test(value), {
    error: says("one line of text", "remove the line break"),
  });

const HbaRule = section({
  type: oneOf(["host", "hostssl", "hostnossl", "local"], "use pg_hba.conf's word")
    .default("host")
    .describe("Kind of connection."),
  database: text(/^[A-Za-z0-9_,-]+$/, "a database name, `all`, or several with commas", "name the database")
    .default("all")
    .describe("Database, or `all`."),
  user: text(/^[A-Za-z0-9_,+-]+$/, "a role name, `all`, or several with commas", "name the role")
    .default("all")
    .describe("Role, or `all`."),
  address: text(
    /^([0-9a-fA-F.:]+\/[0-9]{1,3}|samehost|samenet|all)$/,
    "an address with its prefix length, samehost, samenet or all",
    "write e.g. 100.64.0.9/32",
  )
    .optional()
    .describe("Client addresses; none with type local."),
  method: oneOf(["scram-sha-256", "reject", "cert"], "passwords travel by SCRAM only")
    .default("scram-sha-256")
    .describe("Authentication."),
});

const Postgres = section({
  parameters: z
    .record(
      text(/^[a-z_][a-z0-9_.]*$/, "a parameter of postgresql.conf", "use the parameter's name in lower case"),
      ParameterValue,
    )
    .default({})
    .describe("postgresql.conf, on top of heatwave's own settings."),
  hba: z.array(HbaRule).default([]).describe("pg_hba.conf lines after heatwave's own."),
  roles: z
    .array(
      section({
        name: Identifier.describe("Role name; its password is `secrets.roles.<name>`."),
        connectionLimit: whole(-1, 10_000, "connections; -1 = no limit", "choose a limit")
          .default(-1)
          .describe("CONNECTION LIMIT."),
        memberOf: z.array(Identifier).default([]).describe("Roles that are granted to it."),
      }),
    )
    .default([])
    .describe("Login roles of the applications."),
  databases: z
    .array(
      section({
        name: Identifier.describe("Database name."),
        owner: Identifier.describe("Owner, one of `roles`."),
      }),
    )
    .default([])
    .describe("Databases of the applications; made where they are missing, never dropped."),
  shmSizeMegabytes: whole(64, 1_048_576, "MiB", "size it for parallel queries")
    .default(256)
    .describe("/dev/shm of the container, MiB."),
  stopSeconds: whole(10, 3600, "seconds", "give the shutdown checkpoint time")
    .default(120)
    .describe("Time a fast shutdown may take before Docker kills it, seconds."),
});

const PgBouncer = section({
  poolMode: oneOf(["session", "transaction"], "session keeps advisory locks and prepared sessions working")
    .default("session")
    .describe("When a server connection goes back to the pool."),
  maxClientConn: whole(10, 100_000, "connections", "allow for every app process")
    .default(1000)
    .describe("Client connections in all."),
  defaultPoolSize: whole(1, 10_000, "connections", "keep it below max_connections")
    .default(80)
    .describe("Server connections per database and user."),
  parameters: z
    .record(
      text(/^[a-z_][a-z0-9_]*$/, "a setting of pgbouncer.ini", "use the setting's name in lower case"),
      ParameterValue,
    )
    .default({})
    .describe("Further pgbouncer.ini settings."),
});

const HaProxy = section({
  statsPort: Port.default(8404).describe("Stats page and /metrics, on the app host's tailnet address."),
  maxconn: whole(10, 1_000_000, "connections", "allow for every app process")
    .default(2000)
    .describe("Connections in all."),
  check: section({
    inter: Duration.default("2s").describe("Time between two health checks."),
    rise: whole(1, 50, "checks", "choose how many good checks make a server up")
      .default(2)
      .describe("Good checks until up."),
    fall: whole(1, 50, "checks", "choose how many bad checks make a server down")
      .default(3)
      .describe("Bad checks until down."),
  })
    .prefault({})
    .describe("Health checks of every server."),
  timeouts: section({
    connect: Duration.default("4s").describe("To a pooler."),
    client: Duration.default("12h").describe(
      "Of an idle client; long, so that sessions with advisory locks live.",
    ),
    server: Duration.default("12h").describe("Of an idle server."),
    check: Duration.default("5s").describe("Of one health check, once connected."),
  })
    .prefault({})
    .describe("HAProxy's time-outs."),
});

const Password = z
  .string({ error: says("text", "set it with `pulumi config set --secret --path heatwave:secrets.…`") })
  .min(8, {
    error: says("at least 8 characters", "set a longer one with `pulumi config set --secret --path …`"),
  })
  .max(512, { error: says("at most 512 characters", "set a shorter one") })
  .regex(/^[\x20-\x7e]*$/, {
    error: says("printable ASCII on one line", "set one without control or non-ASCII characters"),
  });

const Secrets = section({
  superuserPassword: Password.describe("Password of `postgres`, given at the founding."),
  replicationPassword: Password.describe("Password of `heatwave_replication`."),
  healthPassword: Password.describe("Password of `heatwave_health`."),
  peerSecret: Password.describe("Key of the HMAC between the health endpoints."),
  roles: z.record(Identifier, Password).default({}).describe("Passwords of `postgres.roles`, by name."),
});

/** Keys of namespace `heatwave` in `Pulumi.<stack>.yaml`. */
export function stackSchema(options: { readonly rehearsal: boolean }) {
  const image = options.rehearsal ? WorldImage : PinnedImage;
  return section({
    primary: Name.describe("Site that should take writes. Changing it is a switchover."),
    hosts: z
      .record(Name, Host, { error: says("a mapping of host names", "write each host under its name") })
      .describe("Docker hosts on the tailnet, by name."),
    network: section({
      name: DockerName.default("kamal").describe("Docker network that apps and database share on each host."),
      external: z
        .boolean({ error: says("true or false", "write true where Kamal made the network") })
        .default(true)
        .describe("true: somebody else's, only checked. false: made here."),
    })
      .prefault({})
      .describe("Docker network."),
    sites: z
      .array(site(image), { error: says("a list of sites", "write one list entry per site") })
      .min(1, { error: says("at least one site", "declare a site") })
      .describe("Sites. The first in the file founds the cluster; the others take a base backup from it."),
    routers: z
      .array(Router, { error: says("a list of routers", "write one list entry per app host") })
      .default([])
      .describe("HAProxy write VIPs, one per app host."),
    listeners: z
      .array(Listener)
      .min(1, { error: says("at least one listener", "declare the write listener, or leave the key out") })
      .default([{ name: "pg-primary", port: 6433, route: "write" }])
      .describe("What the routers listen on."),
    images: section(images(image)).describe("Container images, by tag and index digest."),
    postgres: Postgres.prefault({}).describe("PostgreSQL."),
    pgbouncer: PgBouncer.prefault({}).describe("PgBouncer."),
    haproxy: HaProxy.prefault({}).describe("HAProxy."),
    secrets: Secrets.describe(
      "Secrets, each one set with `pulumi config set --secret --path heatwave:secrets.<key>`.",
    ),
  });
}

export type StackConfig = z.output<ReturnType<typeof stackSchema>>;
export type Secrets = StackConfig["secrets"];
