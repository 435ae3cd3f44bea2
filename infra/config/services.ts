import { z } from "zod";
import {
  Duration,
  Identifier,
  list,
  mapping,
  notes,
  oneOf,
  Port,
  says,
  section,
  text,
  whole,
} from "./words.ts";

/** The schema's sections for PostgreSQL, PgBouncer and HAProxy. */

const PARAMETER = says(
  "one line of text, a number, true or false",
  "write the value as the service takes it",
);
const ParameterValue = z
  .union([z.string(), z.number(), z.boolean()], { error: PARAMETER })
  .refine((value) => typeof value !== "string" || !/[\r\n\0]/.test(value), {
    error: says("one line of text, a number, true or false", "remove the line break"),
  })
  .register(notes, { allowed: "one line of text, a number, true or false" });

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

export const Postgres = section({
  parameters: mapping(
    text(/^[a-z_][a-z0-9_.]*$/, "a parameter of postgresql.conf", "use the parameter's name in lower case"),
    ParameterValue,
    "postgresql.conf parameters",
  )
    .default({})
    .describe("postgresql.conf, on top of heatwave's own settings."),
  hba: list(HbaRule, "pg_hba.conf rules").default([]).describe("pg_hba.conf lines after heatwave's own."),
  roles: list(
    section({
      name: Identifier.describe("Role name; its password is `secrets.roles.<name>`."),
      connectionLimit: whole(-1, 10_000, "connections; -1 = no limit", "choose a limit")
        .default(-1)
        .describe("CONNECTION LIMIT."),
      memberOf: list(Identifier, "role names")
        .default([])
        .describe("Roles that are granted to it: others of this list, or PostgreSQL's own (`pg_...`)."),
    }),
    "roles",
  )
    .default([])
    .describe("Login roles of the applications."),
  databases: list(
    section({
      name: Identifier.describe("Database name."),
      owner: Identifier.describe("Owner, one of `roles`."),
    }),
    "databases",
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

export const PgBouncer = section({
  poolMode: oneOf(["session", "transaction"], "session keeps advisory locks and prepared sessions working")
    .default("session")
    .describe("When a server connection goes back to the pool."),
  maxClientConn: whole(10, 100_000, "connections", "allow for every app process")
    .default(1000)
    .describe("Client connections in all."),
  defaultPoolSize: whole(1, 10_000, "connections", "keep it below max_connections")
    .default(80)
    .describe("Server connections per database and user."),
  parameters: mapping(
    text(/^[a-z_][a-z0-9_]*$/, "a setting of pgbouncer.ini", "use the setting's name in lower case"),
    ParameterValue,
    "pgbouncer.ini settings",
  )
    .default({})
    .describe("Further pgbouncer.ini settings."),
});

export const HaProxy = section({
  statsPort: Port.default(8404).describe("Stats page and /metrics, on the app host's tailnet address."),
  maxconn: whole(10, 100_000, "connections", "allow for every app process")
    .default(2000)
    .describe("Connections per listener."),
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
    check: Duration.default("2s").describe(
      "Of one health check, once connected; longer than the health endpoint's own limit of 1 s.",
    ),
  })
    .prefault({})
    .describe("HAProxy's time-outs."),
});
