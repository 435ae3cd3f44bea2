import {
  addHost,
  anyHost,
  anySite,
  besides,
  drop,
  each,
  hostNames,
  KEY,
  OWN_NAMES,
  OWN_PORTS,
  pick,
  push,
  set,
} from "./tools.ts";
import type { Mistakes } from "./tools.ts";

/** Mistakes in keys, hosts, sites, routers and ports. */

const KEYS: Mistakes = {
  "a mistyped section": {
    make: (raw, n) => {
      const key = pick(Object.keys(raw) as (keyof typeof raw)[], n);
      set(raw, [`${key}z`], raw[key]);
      Reflect.deleteProperty(raw, key);
      return {
        path: [`${key}z`],
        shown: /^a mapping|^a list|^an empty|^text \(not shown\)|hidden/,
        fix: new RegExp(`rename it to ${key}`),
      };
    },
  },
  ...each("an unknown section", ["x", { a: 1 }, [1], 7, true], () => ["qqqqqqqqqq"], {
    shown: /^text \(not shown\)$|^a mapping with a$|^a list \(1\)$|^a (number|boolean) \(not shown\)$/,
    fix: /^remove the key/,
  }),
  ...each("an unknown key of a host", ["x"], (raw, n) => [...anyHost(raw, n), "adress"], {
    shown: "text (not shown)",
    fix: /rename it to address/,
  }),
  ...each("an unknown key of ssh", [22], (raw, n) => [...anyHost(raw, n), "ssh", "identityFile"], {
    shown: /not shown/,
  }),
  ...each(
    "an unknown key of containers",
    ["x"],
    (raw, n) => [...anySite(raw, n), "containers", "pg-health"],
    {
      shown: /not shown/,
      fix: /rename it to pgHealth/,
    },
  ),
  ...each("a key set without --path", ["x"], () => ["secrets.peerSecret"], {
    shown: "text (not shown)",
    fix: /pulumi config rm 'heatwave:secrets\.peerSecret'.*--path/,
  }),
  ...each("a prototype's name as a section", [{}], () => ["constructor"], { shown: "an empty mapping" }),
};

const HOSTS: Mistakes = {
  "two hosts on one address": {
    where: (raw) => hostNames(raw).length > 1,
    make: (raw) => {
      const [first, second] = hostNames(raw);
      return {
        ...set(raw, ["hosts", second!, "address"], raw.hosts[first!]!.address),
        fix: new RegExp(first!),
      };
    },
  },
  ...each(
    "an address outside the tailnet",
    [
      "192.168.1.10",
      "10.0.0.1",
      "8.8.8.8",
      "100.128.0.1",
      "100.63.255.255",
      "100.100.100.100",
      "100.64.0.256",
      "100.64.1",
      "100.064.0.1",
      "fd7a:115c:a1e0::1",
      "dal-01",
      "",
      "100.64.0.1 ",
    ],
    (raw, n) => [...anyHost(raw, n), "address"],
    { allowed: /100\.64\.0\.0\/10/, fix: /tailscale ip -4/ },
  ),
  ...each(
    "a host key that is none",
    [
      KEY.slice(0, -4),
      `${KEY} root@dal`,
      "ssh-ed25519",
      KEY.replace("ed25519", "rsa"),
      "ssh-ed25519 AAAA",
      "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
    (raw, n) => [...anyHost(raw, n), "ssh", "hostKey"],
    { fix: /ssh_host_ed25519_key\.pub/ },
  ),
  ...each("a user that is none", ["Deploy", "a b", "-x", ""], (raw, n) => [
    ...anyHost(raw, n),
    "ssh",
    "user",
  ]),
  ...each("a folder that is none", ["relative/path", "/a/../b", "/a/", "/", "/a b", "/./x"], (raw, n) => [
    ...anyHost(raw, n),
    "root",
  ]),
  "a host under a name that is none": {
    make: (raw) => {
      addHost(raw, "Dal_01");
      return { path: ["hosts", "Dal_01"], value: "Dal_01", allowed: /lower-case/ };
    },
  },
  "a host that nobody uses": {
    make: (raw) => {
      addHost(raw, "extra-host");
      return { path: ["hosts", "extra-host"], shown: /^"100\.127\.255\.\d+"$/, fix: /remove it/ };
    },
  },
  "no address": { make: (raw, n) => ({ ...drop(raw, [...anyHost(raw, n), "address"]), fix: /^add it/ }) },
  "no ssh": {
    make: (raw, n) => ({ ...drop(raw, [...anyHost(raw, n), "ssh"]), allowed: /user, port, hostKey/ }),
  },
  ...each("hosts that are no mapping", [[], "dal-01", 7], () => ["hosts"], {
    shown: /^an empty list$|^"dal-01"$|^7$|^"7"$/,
  }),
  ...each("ssh that is no mapping", [["root"], "root@dal"], (raw, n) => [...anyHost(raw, n), "ssh"], {
    shown: /^a list \(1\)$|^"root@dal"$/,
  }),
};

const SITES: Mistakes = {
  ...each("a primary that is no site", ["nowhere-1"], () => ["primary"], { allowed: /^one of sites: / }),
  "a retired primary": {
    make: (raw) => {
      const at = raw.sites.findIndex(({ name }) => name === raw.primary);
      set(raw, ["sites", at, "retired"], true);
      return {
        path: ["primary"],
        value: raw.primary,
        allowed: /^a site that stays: /,
        fix: /first move the writes/,
      };
    },
  },
  ...each("a site that is retired in other words", ["soon", 1], (raw, n) => [...anySite(raw, n), "retired"], {
    allowed: /^true or false$/,
  }),
  ...each(
    "a site that is converted in other words",
    ["soon", 1],
    (raw, n) => [...anySite(raw, n), "converted"],
    { allowed: /^true or false$/ },
  ),
  ...each("a primary that is no name", ["Dal", "", "a--b", "9x"], () => ["primary"]),
  ...each("a primary that is no text", [12, true], () => ["primary"], {
    notInFiles: true,
    notInPrograms: true,
    fix: /quotes/,
  }),
  "no primary": { make: (raw) => ({ ...drop(raw, ["primary"]), fix: /^add it/ }) },
  "no sites": { make: (raw) => ({ ...drop(raw, ["sites"]), fix: /^add it/ }) },
  ...each("sites that are no list", [{ a: 1 }, "dal-01"], () => ["sites"], {
    shown: /^a mapping with a$|^"dal-01"$/,
    allowed: /a list of sites/,
  }),
  ...each("an empty list of sites", [[]], () => ["sites"], {
    shown: "an empty list",
    allowed: /at least one site/,
  }),
  "a site that is a text": {
    make: (raw, n) => ({ ...set(raw, anySite(raw, n), "dal-01"), allowed: /^a mapping with name, host/ }),
  },
  ...each(
    "a site's name that YAML reads otherwise",
    [12, true, 1.5],
    (raw, n) => [...anySite(raw, n), "name"],
    { fix: /put quotes around it/ },
  ),
  ...each("a site without a name behind the key", [null], (raw, n) => [...anySite(raw, n), "name"], {
    shown: "(empty)",
    fix: /nothing stands behind the key/,
  }),
  ...each("a site's name that is none", ["Dal-01", "dal_01", "a".repeat(41), "-a", "a b"], (raw, n) => [
    ...anySite(raw, n),
    "name",
  ]),
  "a site on an unknown host": {
    make: (raw) => ({
      ...push(raw, ["sites"], { name: "extra-site", host: "nowhere" }, "host"),
      allowed: /^one of hosts: /,
    }),
  },
  "two sites on one host": {
    make: (raw) =>
      push(
        raw,
        ["sites"],
        { name: "extra-site", host: raw.sites[0]!.host, containers: OWN_NAMES, ports: OWN_PORTS },
        "host",
      ),
  },
  "two sites of one name": {
    make: (raw, n) => {
      addHost(raw, "extra-host");
      return push(raw, ["sites"], { name: pick(raw.sites, n).name, host: "extra-host" }, "name");
    },
  },
  "a router on an unknown host": {
    make: (raw) => ({ ...push(raw, ["routers"], { host: "nowhere" }, "host"), allowed: /^one of hosts: / }),
  },
  "two routers on one host": {
    where: (raw) => raw.routers.length > 0,
    make: (raw, n) =>
      push(raw, ["routers"], { host: pick(raw.routers, n).host, container: "extra-router" }, "host"),
  },
  ...each("routers that are no list", [{}, "x"], () => ["routers"], { shown: /^an empty mapping$|^"x"$/ }),
  ...each("a container name that Docker refuses", ["a", "-ab", "a b", "é-pg", "a/b"], (raw, n) => [
    ...anySite(raw, n),
    "containers",
    "postgres",
  ]),
  ...each("a container named as heatwave's own folder", ["bin"], (raw, n) => [
    ...anySite(raw, n),
    "containers",
    "pgbouncer",
  ]),
  "two containers of one name": {
    make: (raw, n) => {
      set(raw, [...anySite(raw, n), "containers"], { ...OWN_NAMES, pgbouncer: "extra-pg" });
      return {
        path: [...anySite(raw, n), "containers", "pgbouncer"],
        value: "extra-pg",
        fix: /containers\.postgres has it/,
      };
    },
  },
  "a router named as its site's pooler": {
    where: (raw) => besides(raw) !== undefined,
    make: (raw) => {
      const { site, router } = besides(raw)!;
      set(raw, ["sites", site, "containers"], OWN_NAMES);
      return set(raw, ["routers", router, "container"], "extra-pgb");
    },
  },
  "a socket's path that Linux refuses": {
    make: (raw, n) => {
      const site = pick(raw.sites, n);
      raw.hosts[site.host]!.root = `/${"a".repeat(60)}`;
      const router = raw.routers.find((one) => one.host === site.host);
      if (router !== undefined) router.container = "extra-router";
      return set(raw, [...anySite(raw, n), "containers", "pgHealth"], `extra${"b".repeat(40)}`);
    },
  },
};

const PORTS: Mistakes = {
  ...each(
    "a port that is none",
    [80, 0, -1, 65_536, 1.5, "http", null, [5432]],
    (raw, n) => [...anySite(raw, n), "ports", "postgres"],
    { shown: /^(80|0|-1|65536|1\.5|"http"|\(empty\)|a list \(1\))$/ },
  ),
  ...each("a port in quotes", ["41001"], (raw, n) => [...anySite(raw, n), "ports", "postgres"], {
    fix: /without quotes: 41001/,
  }),
  "two ports of one site": {
    make: (raw, n) => {
      set(raw, [...anySite(raw, n), "ports"], { ...OWN_PORTS, pgbouncer: OWN_PORTS.postgres });
      return { path: [...anySite(raw, n), "ports", "pgbouncer"], value: OWN_PORTS.postgres };
    },
  },
  "a listener on the stats page's port": {
    make: (raw) => {
      set(raw, ["haproxy", "statsPort"], 41_001);
      raw.listeners = [{ name: "pg", port: 41_001, route: "write" }];
      return { path: ["listeners", 0, "port"], value: 41_001, fix: /haproxy\.statsPort has it/ };
    },
  },
  ...each("a router's port that HAProxy keeps", [8405], () => ["haproxy", "statsPort"]),
  "two listeners on one port": {
    make: (raw) => {
      raw.listeners = [
        { name: "pg", port: 41_001, route: "write" },
        { name: "pg-read", port: 41_001, route: "read" },
      ];
      return { path: ["listeners", 1, "port"], value: 41_001 };
    },
  },
  "a listener on a port of the site beside it": {
    where: (raw) => besides(raw) !== undefined,
    make: (raw) => {
      raw.sites[besides(raw)!.site]!.ports = OWN_PORTS;
      raw.listeners = [{ name: "pg", port: OWN_PORTS.pgbouncer, route: "write" }];
      return { path: ["listeners", 0, "port"], value: OWN_PORTS.pgbouncer };
    },
  },
};

export const PLACES: Mistakes = { ...KEYS, ...HOSTS, ...SITES, ...PORTS };
