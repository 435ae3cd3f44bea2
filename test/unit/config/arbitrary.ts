import fc from "fast-check";
import type { z } from "zod";
import type { stackSchema } from "../../../infra/config/schema.ts";
import { tailnet } from "./arbitrary-tailnet.ts";

/**
 * Arbitrary valid stacks, as a program gets them: one to five sites, none to four routers beside them or apart,
 * listeners of all kinds, every optional key there or not. Ports 41000 to 41999, hosts and sites called `extra…` and
 * names with `zz` are never drawn: they are for the tests' own additions.
 */

/** A stack as a program reads it, before anything is checked. */
type Input = z.input<ReturnType<typeof stackSchema>>;
export type Raw = Input & {
  routers: NonNullable<Input["routers"]>;
  secrets: { roles: Record<string, string> };
};

/** Words that a careless loader takes for something else. */
const TRAPS = ["constructor", "true", "null", "on", "y", "inf", "secure", "e1", "valueof"];

const name = fc.oneof(
  { weight: 4, arbitrary: fc.stringMatching(/^[a-z][a-y0-9]{0,8}(-[a-y0-9]{1,5}){0,2}$/) },
  { weight: 1, arbitrary: fc.constantFrom(...TRAPS) },
);
const identifier = fc.oneof(
  { weight: 4, arbitrary: fc.stringMatching(/^app_[a-y0-9_]{0,20}$/) },
  { weight: 1, arbitrary: fc.constantFrom("constructor", "true", "null", "hasownproperty", "x") },
);
const dockerName = fc.stringMatching(/^[a-yA-Y0-9][a-yA-Y0-9_.-]{3,24}$/);
const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value) => Buffer.from(value).toString("hex"));
const digest = hex(32);
const image = (repository: string) =>
  fc
    .tuple(fc.constantFrom(repository, `registry.example:5000/team/${repository}`), digest)
    .map(([path, value]) => `${path}:1.2-bookworm@sha256:${value}`);

/** One that is easy to find in a text, followed by what careless code mangles. */
export const secret = fc
  .tuple(hex(8), fc.stringMatching(/^[ -~]{0,12}$/))
  .map(([marker, rest]) => `${marker}'"%s $HOME \\n ${rest}`);

/** A whole Ed25519 public key: type and 32 bytes, each with its length before it. */
export function hostKey(bytes: Uint8Array): string {
  const field = (value: Uint8Array): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(value.length);
    return Buffer.concat([length, value]);
  };
  const blob = Buffer.concat([field(Buffer.from("ssh-ed25519")), field(bytes)]);
  return `ssh-ed25519 ${blob.toString("base64")}`;
}

const key = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(hostKey);

/** By number of the address in 100.64.0.0/10. */
const address = (n: number) => `100.${64 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
const MAGIC_DNS = ((100 - 64) << 16) + (100 << 8) + 100;
const addressNumber = fc.integer({ min: 1, max: (1 << 22) - 1 }).filter((n) => n !== MAGIC_DNS);

/** The defaults, and one that HAProxy keeps. */
const TAKEN_PORTS = [5432, 6432, 8008, 6433, 8404, 8405];
const port = fc
  .integer({ min: 1024, max: 65_535 })
  .filter((n) => !TAKEN_PORTS.includes(n) && !(n >= 41_000 && n < 42_000));

const duration = fc.constantFrom("500ms", "1s", "2s", "30s", "5m", "12h", "24d");
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

/** Without the keys whose value is undefined, all the way down. */
export function clean<T>(value: T): T {
  if (Array.isArray(value)) return value.map(clean) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([name, inner]) => [name, clean(inner)]),
  ) as T;
}

interface Frame {
  readonly sites: number;
  /** For each router: the number of its host, counted over the sites' hosts and those apart. */
  readonly routers: readonly number[];
}

/** Hosts beyond the sites' are numbered without gaps, so that each one is used. */
const frame: fc.Arbitrary<Frame> = fc
  .record({
    sites: fc.integer({ min: 1, max: 5 }),
    routers: fc.array(fc.option(fc.nat({ max: 4 }), { freq: 2 }), { maxLength: 4 }),
  })
  .map(({ sites, routers }) => {
    let apart = sites;
    const hosts = routers.map((beside) => (beside === null ? apart++ : beside % sites));
    return { sites, routers: [...new Set(hosts)] };
  });

export const validStack: fc.Arbitrary<Raw> = frame.chain(({ sites, routers }) => {
  const hosts = Math.max(sites, ...routers.map((n) => n + 1));
  return fc
    .record({
      hostNames: fc.uniqueArray(name, { minLength: hosts, maxLength: hosts }),
      addresses: fc.uniqueArray(addressNumber, { minLength: hosts, maxLength: hosts }),
      keys: fc.array(key, { minLength: hosts, maxLength: hosts }),
      siteNames: fc.uniqueArray(name, { minLength: sites, maxLength: sites }),
      hostParts: fc.array(
        fc.record({
          user: some(fc.constantFrom("root", "deploy", "_svc")),
          port: some(fc.integer({ min: 1, max: 65_535 })),
          root: some(fc.constantFrom("/srv/heatwave", "/var/lib/heatwave", "/data/pg-1.x")),
        }),
        { minLength: hosts, maxLength: hosts },
      ),
      ports: fc.uniqueArray(port, { minLength: 3 * sites + 5, maxLength: 3 * sites + 5 }),
      containers: fc.uniqueArray(dockerName, {
        minLength: 4 * sites + routers.length,
        maxLength: 4 * sites + routers.length,
      }),
      chosen: fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
      primary: fc.nat(),
      listeners: some(
        fc.uniqueArray(
          fc.record({
            name: fc.stringMatching(/^pg-[a-y0-9-]{1,12}$/),
            route: fc.constantFrom("write", "read", "any"),
          }),
          { minLength: 1, maxLength: 4, selector: (listener) => listener.name },
        ),
      ),
      images: fc.record({
        postgres: image("postgres"),
        pgbouncer: image("edoburu/pgbouncer"),
        node: image("node"),
        haproxy: image("haproxy"),
      }),
      siteImage: image("postgres"),
      network: some(fc.record({ name: some(dockerName), external: some(fc.boolean()) })),
      postgres: some(postgres),
      pgbouncer: some(
        fc.record({
          poolMode: some(fc.constantFrom("session", "transaction")),
          maxClientConn: some(fc.integer({ min: 10, max: 5000 })),
          parameters: some(fc.constant({ server_idle_timeout: 300 })),
        }),
      ),
      haproxy: some(
        fc.record({
          maxconn: some(fc.integer({ min: 10, max: 100_000 })),
          check: some(fc.record({ inter: some(duration), rise: some(fc.integer({ min: 1, max: 9 })) })),
          timeouts: some(fc.record({ client: some(duration), check: some(duration) })),
        }),
      ),
      maintenance: some(maintenance),
      tailnet: some(tailnet),
      firewall: some(
        fc.record({ enabled: some(fc.boolean()), interface: some(fc.constantFrom("ts0", "wt0")) }),
      ),
      // A mapping whose one key is `secure` is Pulumi's own word for an encrypted value.
      operators: some(
        fc.dictionary(
          name.filter((text) => text !== "secure"),
          addressNumber.map(address),
          { maxKeys: 3 },
        ),
      ),
      secrets: fc.array(secret, { minLength: 8, maxLength: 8 }),
    })
    .map((parts) => {
      let flag = 0;
      const ports = [...parts.ports];
      const containers = [...parts.containers];
      const maybe = <T>(value: T): T | undefined =>
        parts.chosen[flag++ % parts.chosen.length] ? value : undefined;
      const nextPort = (): number | undefined => maybe(ports.shift()!);
      const nextName = (): string | undefined => maybe(containers.shift()!);
      const roles = parts.postgres?.roles ?? [];
      const stack = {
        primary: parts.siteNames[parts.primary % sites],
        hosts: Object.fromEntries(
          parts.hostNames.map((hostName, i) => [
            hostName,
            {
              address: address(parts.addresses[i]!),
              ssh: {
                user: parts.hostParts[i]!.user,
                port: parts.hostParts[i]!.port,
                hostKey: parts.keys[i],
              },
              root: parts.hostParts[i]!.root,
              device: parts.tailnet === undefined ? undefined : `${parts.tailnet.device}${i}`,
            },
          ]),
        ),
        network: parts.network,
        sites: parts.siteNames.map((siteName, i) => ({
          name: siteName,
          host: parts.hostNames[i],
          containers: maybe({ postgres: nextName(), pgbouncer: nextName(), pgHealth: nextName() }),
          volume: nextName(),
          ports: maybe({ postgres: nextPort(), pgbouncer: nextPort(), pgHealth: nextPort() }),
          images: maybe({ postgres: parts.siteImage }),
        })),
        routers: routers.map((n) => ({ host: parts.hostNames[n], container: nextName() })),
        listeners: parts.listeners?.map((listener, i) => ({
          ...listener,
          port: ports.at(-1 - i),
          route: i === 0 ? "write" : listener.route,
        })),
        images: parts.images,
        postgres: parts.postgres,
        pgbouncer: parts.pgbouncer,
        maintenance: parts.maintenance && {
          ...parts.maintenance.keys,
          // Without routers there are no hosts to take.
          hosts:
            routers.length === 0 || parts.maintenance.host % 2 === 0
              ? [parts.hostNames[parts.maintenance.host % hosts]]
              : undefined,
          containers: parts.maintenance.names?.map((name, i) => ({
            name,
            host: parts.hostNames[i % hosts],
          })),
        },
        tailnet: parts.tailnet?.keys,
        firewall: parts.firewall,
        operators: parts.operators,
        haproxy: parts.haproxy && { ...parts.haproxy, statsPort: maybe(ports.at(-5)) },
        secrets: {
          superuserPassword: parts.secrets[0],
          replicationPassword: parts.secrets[1],
          healthPassword: parts.secrets[2],
          peerSecret: parts.secrets[3],
          ...(parts.tailnet && {
            tailnetClientId: parts.secrets[7],
            tailnetClientSecret: `secret of ${parts.secrets[7]!}`,
          }),
          // A role with the superuser's password is nobody's business but the operator's.
          roles: Object.fromEntries(
            roles.map((role, i) => [role.name, i === 2 ? parts.secrets[0] : parts.secrets[4 + i]]),
          ),
        },
      };
      return clean(stack) as Raw;
    });
});

const maintenance = fc.record({
  keys: fc.record({
    app: fc.constantFrom("shop", "true", "constructor"),
    destination: some(fc.constantFrom("staging", "on")),
    roles: some(fc.uniqueArray(fc.constantFrom("web", "sidekiq", "null"), { minLength: 1 })),
    proxy: some(
      fc.record({
        container: some(fc.constantFrom("their-proxy", "true")),
        roles: some(fc.subarray(["web", "api"])),
        message: some(fc.constantFrom("Back soon.", "yes: soon")),
        drain: some(duration),
      }),
    ),
    stopTimeout: some(duration),
    startTimeout: some(duration),
  }),
  host: fc.nat({ max: 20 }),
  names: some(fc.uniqueArray(fc.constantFrom("databasus", "null", "a.cron"), { maxLength: 3 })),
});

type HbaRule = NonNullable<NonNullable<Raw["postgres"]>["hba"]>[number];

const postgres = fc
  .record({
    parameters: some(
      fc.dictionary(
        fc.stringMatching(/^(app_[a-y]{1,8}|work_mem|shared_buffers|pg_stat_statements\.max)$/),
        fc.oneof(fc.string({ unit: "grapheme-ascii" }), fc.integer(), fc.boolean()),
        { maxKeys: 4 },
      ),
    ),
    hba: some(
      fc.array(
        fc.constantFrom<HbaRule>(
          { address: "100.64.0.9/32", user: "app" },
          { type: "local", method: "reject" },
          { type: "hostssl", address: "fd7a:115c:a1e0::/48", database: "a,b" },
          { address: "samenet" },
        ),
        { maxLength: 3 },
      ),
    ),
    roleNames: fc.uniqueArray(identifier, { maxLength: 3 }),
    grants: fc.array(fc.nat({ max: 3 }), { minLength: 3, maxLength: 3 }),
    databaseNames: fc.uniqueArray(fc.stringMatching(/^db_[a-y0-9_]{0,20}$/), { maxLength: 3 }),
    stopSeconds: some(fc.integer({ min: 10, max: 3600 })),
  })
  .map(({ roleNames, grants, databaseNames, ...rest }) => ({
    ...rest,
    roles: roleNames.map((roleName, i) => {
      // Members only of roles before them: no circles.
      const groups = [...roleNames.slice(0, i), "pg_read_all_data"];
      return { name: roleName, memberOf: groups.slice(0, grants[i]) };
    }),
    databases:
      roleNames.length === 0
        ? []
        : databaseNames.map((db, i) => ({ name: db, owner: roleNames[i % roleNames.length]! })),
  }));

/**
 * Some of them, drawn once: to draw one takes longer than to check it. A failing test prints the one it met.
 * Frozen, so that no test leaves its traces in another's.
 * @throws where none of those drawn is of the wanted kind: a test that checks nothing must not pass
 */
export function pool(stacks: readonly Raw[], wanted: (raw: Raw) => boolean = () => true): fc.Arbitrary<Raw> {
  const fitting = stacks.filter(wanted);
  if (fitting.length === 0) throw new Error("none of the drawn stacks is of the wanted kind");
  return fc.constantFrom(...fitting);
}

export const draw = (size: number): Raw[] => fc.sample(validStack, size).map(frozen);

function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(value).forEach(frozen);
  return Object.freeze(value);
}

/** Every text under `secrets`. */
export function secretsOf(raw: Raw): string[] {
  const texts = (value: unknown): string[] =>
    typeof value === "string"
      ? [value]
      : typeof value === "object" && value !== null
        ? Object.values(value).flatMap(texts)
        : [];
  return texts(raw.secrets);
}

/** As `runtime.allConfig()` hands it to a program: texts, structures as JSON. */
export function asProgram(raw: Raw): Record<string, string> {
  return Object.fromEntries(
    Object.entries(raw).map(([name, value]) => [
      `heatwave:${name}`,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
}
