import { anySite, drop, each, pick, push, pushRole } from "./tools.ts";
import type { Mistakes } from "./tools.ts";

/** Mistakes in listeners, images, services, roles and databases. */

const LISTENERS: Mistakes = {
  "no listener for writes": {
    make: (raw) => {
      raw.listeners = [{ name: "pg-read", port: 41_001, route: "read" }];
      return { path: ["listeners"], value: "pg-read", allowed: /route write/ };
    },
  },
  ...each("no listener", [[]], () => ["listeners"], { shown: "an empty list" }),
  ...each("listeners that are no list", ["pg", { pg: 6433 }], () => ["listeners"], {
    shown: /^"pg"$|^a mapping with pg$/,
  }),
  "a mistyped route": {
    make: (raw) => ({
      ...push(raw, ["listeners"], { name: "pg-extra", port: 41_001, route: "wrte" }, "route"),
      fix: /^write write, /,
    }),
  },
  "a listener of a reserved name": {
    make: (raw) => push(raw, ["listeners"], { name: "stats", port: 41_001, route: "write" }, "name"),
  },
  "two listeners of one name": {
    make: (raw) => {
      raw.listeners = [
        { name: "pg", port: 41_001, route: "write" },
        { name: "pg", port: 41_002, route: "read" },
      ];
      return { path: ["listeners", 1, "name"], value: "pg" };
    },
  },
};

const HEX = "0123456789abcdef".repeat(4);

const IMAGES: Mistakes = {
  ...each(
    "an image without a whole digest",
    [
      "postgres:18.4",
      "postgres",
      `postgres@sha256:${HEX}`,
      `postgres:18@sha256:${HEX.slice(1)}`,
      `postgres:18@sha256:${HEX.toUpperCase()}`,
      `postgres:18@sha256:${HEX}0`,
      `postgres:18@sha512:${HEX}`,
      `Postgres:18@sha256:${HEX}`,
      "",
      `postgres:18@sha256:${HEX}\n`,
    ],
    (_raw, n) => ["images", pick(["postgres", "pgbouncer", "node", "haproxy"], n)],
    { shown: /^"(postgres|Postgres|")/, fix: /imagetools inspect/ },
  ),
  ...each("a site's image without a digest", ["postgres:18"], (raw, n) => [
    ...anySite(raw, n),
    "images",
    "postgres",
  ]),
  ...each(
    "an image that sites cannot have",
    [`haproxy:3@sha256:${HEX}`],
    (raw, n) => [...anySite(raw, n), "images", "haproxy"],
    { shown: /not shown/ },
  ),
  "no image": {
    make: (raw, n) => ({
      ...drop(raw, ["images", pick(["postgres", "pgbouncer", "node", "haproxy"], n)]),
      fix: /^add it/,
    }),
  },
  "no images": {
    make: (raw) => ({ ...drop(raw, ["images"]), allowed: /postgres, pgbouncer, node, haproxy/ }),
  },
};

const SECTIONS: Mistakes = {
  ...each(
    "a time that is none",
    ["2", "2 s", "0s", "25d", "9999999h", "-1s", "2sec", 2, true, {}],
    () => ["haproxy", "check", "inter"],
    { shown: /^"|^2$|^true$|^an empty mapping$/ },
  ),
  ...each("a count that is none", [0, 51, "3", 2.5, null], () => ["haproxy", "check", "rise"], {
    shown: /^(0|51|"3"|2\.5|\(empty\))$/,
  }),
  ...each("a pool mode that is none", ["sesion"], () => ["pgbouncer", "poolMode"], { fix: /write session/ }),
  ...each("a pool mode that cannot be", ["statement", 1, null], () => ["pgbouncer", "poolMode"], {
    shown: /^"statement"$|^1$|^\(empty\)$/,
  }),
  ...each(
    "a section with nothing in it",
    [null],
    (_raw, n) => [pick(["haproxy", "pgbouncer", "postgres", "network"], n)],
    { shown: "(empty)", fix: /remove the key/, notInPrograms: true },
  ),
  ...each(
    "a section that is a list",
    [[], [1]],
    (_raw, n) => [pick(["haproxy", "pgbouncer", "postgres", "network", "images"], n)],
    { shown: /list/, allowed: /^a mapping with / },
  ),
  ...each("a yes in quotes", ["true"], () => ["network", "external"], { fix: /without quotes: true/ }),
  ...each("a yes that is none", ["yes", 1, "kamal"], () => ["network", "external"], {
    allowed: /^true or false$/,
  }),
  ...each("a network without names", ["bridge", "host", "none", "default"], () => ["network", "name"]),
  ...each("a parameter that heatwave sets", ["x"], (_raw, n) => [
    "postgres",
    "parameters",
    pick(["port", "primary_conninfo", "wal_level", "include_dir"], n),
  ]),
  ...each("a pooler setting that heatwave sets", [1], (_raw, n) => [
    "pgbouncer",
    "parameters",
    pick(["pool_mode", "auth_file", "listen_port"], n),
  ]),
  ...each("a parameter with a line break", ["on\nport = 1"], () => ["postgres", "parameters", "work_mem"], {
    shown: '"on\\nport = 1"',
    fix: /remove the line break/,
  }),
  ...each(
    "a parameter that is no scalar",
    [[1], { a: 1 }, null],
    () => ["postgres", "parameters", "work_mem"],
    { shown: /^a list \(1\)$|^a mapping with a$|^\(empty\)$/ },
  ),
  ...each("a parameter's name that is none", ["x"], () => ["postgres", "parameters", "Work Mem"], {
    shown: '"Work Mem"',
    fix: /lower case/,
  }),
  ...each(
    "parameters that are no mapping",
    [["a=1"], "a=1"],
    (_raw, n) => [pick(["postgres", "pgbouncer"], n), "parameters"],
    { shown: /^a list \(1\)$|^"a=1"$/ },
  ),
  ...each("WAL without a bound", ["-1", -1, 0, "0", "16 GB", "lots"], () => [
    "postgres",
    "parameters",
    "max_slot_wal_keep_size",
  ]),
  ...each("a stop time that is none", [9, 3601, "120"], () => ["postgres", "stopSeconds"]),
};

const DATABASES: Mistakes = {
  ...Object.fromEntries(
    ["postgres", "heatwave_x", "pg_x", "public", "secure", "replication"].map((name) => [
      `a reserved role: ${name}`,
      { make: (raw) => pushRole(raw, { name }) },
    ]),
  ),
  "a role that is no identifier": {
    make: (raw) => push(raw, ["postgres", "roles"], { name: "My-App" }, "name"),
  },
  "two roles of one name": {
    make: (raw) => {
      pushRole(raw, { name: "zz_app" });
      return pushRole(raw, { name: "zz_app" });
    },
  },
  "a member of itself": {
    make: (raw) => {
      const made = pushRole(raw, { name: "zz_app", memberOf: ["zz_app"] }, "memberOf");
      return { path: [...made.path, 0], value: "zz_app" };
    },
  },
  "a member of an unknown role": {
    make: (raw) => {
      const made = pushRole(raw, { name: "zz_app", memberOf: ["pg_monitor", "zz_none"] }, "memberOf");
      return { path: [...made.path, 1], value: "zz_none" };
    },
  },
  "a database of an unknown owner": {
    make: (raw) => push(raw, ["postgres", "databases"], { name: "zz_db", owner: "zz_none" }, "owner"),
  },
  "a reserved database": {
    make: (raw, n) => {
      pushRole(raw, { name: "zz_app" });
      return push(
        raw,
        ["postgres", "databases"],
        { name: pick(["postgres", "template1", "pgbouncer", "heatwave_health"], n), owner: "zz_app" },
        "name",
      );
    },
  },
  "two databases of one name": {
    make: (raw) => {
      pushRole(raw, { name: "zz_app" });
      push(raw, ["postgres", "databases"], { name: "zz_db", owner: "zz_app" }, "name");
      return push(raw, ["postgres", "databases"], { name: "zz_db", owner: "zz_app" }, "name");
    },
  },
  "an address for local connections": {
    make: (raw) => push(raw, ["postgres", "hba"], { type: "local", address: "samenet" }, "address"),
  },
  "no address for connections from elsewhere": {
    make: (raw) => ({ ...push(raw, ["postgres", "hba"], { type: "host" }, "address"), fix: /^add it/ }),
  },
  ...Object.fromEntries(
    ["100.64.0.9", "100.64.0.9/33", "300.1.1.1/8", "::1/129", "everywhere"].map((address) => [
      `addresses that are none: ${address}`,
      { make: (raw) => push(raw, ["postgres", "hba"], { address }, "address") },
    ]),
  ),
  "a method that sends passwords": {
    make: (raw) => push(raw, ["postgres", "hba"], { address: "all", method: "md5" }, "method"),
  },
};

export const SERVICES: Mistakes = { ...LISTENERS, ...IMAGES, ...SECTIONS, ...DATABASES };
