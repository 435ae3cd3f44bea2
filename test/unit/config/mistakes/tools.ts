import type { Raw } from "../arbitrary.ts";

/** The tools that mistakes are made with. `n` is any number, to choose a place by. */

export interface Made {
  readonly path: Path;
  /** What stands there; left out where the place is empty. */
  readonly value?: unknown;
  /** The text of the report's value, where it is not the value itself. */
  readonly shown?: string | RegExp;
  /** Must stand in `fix`. */
  readonly fix?: RegExp;
  /** Must stand in `allowed`. */
  readonly allowed?: RegExp;
}

export interface Mistake {
  readonly make: (raw: Raw, n: number) => Made;
  /** Where it can be made at all. */
  readonly where?: (raw: Raw) => boolean;
  /** Is lost on the way through a file: what the secret is, or a password that is none. */
  readonly notInFiles?: true;
  /** A program gets top-level texts as texts: what YAML made of them is lost. */
  readonly notInPrograms?: true;
}
export type Mistakes = Readonly<Record<string, Mistake>>;

export type Path = readonly (string | number)[];
/** Mistakes put anything anywhere. */
type Loose = Record<string | number, unknown>;

export const pick = <T>(list: readonly T[], n: number): T => list[n % list.length]!;
export const hostNames = (raw: Raw): string[] => Object.keys(raw.hosts);
export const anyHost = (raw: Raw, n: number): Path => ["hosts", pick(hostNames(raw), n)];
export const anySite = (raw: Raw, n: number): Path => ["sites", n % raw.sites.length];

export function set(raw: Raw, path: Path, value: unknown): Made {
  let place = raw as unknown as Loose;
  for (const [i, part] of path.slice(0, -1).entries()) {
    if (!Object.hasOwn(place, part)) place[part] = typeof path[i + 1] === "number" ? [] : {};
    place = place[part] as Loose;
  }
  place[path.at(-1)!] = value;
  return { path, value };
}

export function drop(raw: Raw, path: Path): Made {
  const place = path.slice(0, -1).reduce((inner, part) => inner[part] as Loose, raw as unknown as Loose);
  Reflect.deleteProperty(place, path.at(-1)!);
  return { path };
}

/** Adds an entry to the list at `path`; the report is to name its `blamed` key. */
export function push(raw: Raw, path: Path, entry: Loose, blamed: string): Made {
  const list = path.reduce<unknown>((inner, part) => (inner as Loose | undefined)?.[part], raw);
  const length = Array.isArray(list) ? list.length : 0;
  set(raw, [...path, length], entry);
  return { path: [...path, length, blamed], value: entry[blamed] };
}

/** A role with its password. */
export function pushRole(raw: Raw, entry: { name: string } & Loose, blamed = "name"): Made {
  raw.secrets.roles[entry.name] = "a password that is long enough";
  return push(raw, ["postgres", "roles"], entry, blamed);
}

export const OWN_NAMES = { postgres: "extra-pg", pgbouncer: "extra-pgb", pgHealth: "extra-health" };
export const OWN_PORTS = { postgres: 41_101, pgbouncer: 41_102, pgHealth: 41_103 };
export const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxI1fr4CXL3nosiErtmiyvZ+sLXMdVNJ4P4LBchPVxR";

export function addHost(raw: Raw, name: string): void {
  raw.hosts[name] = { address: freeAddress(raw), ssh: { hostKey: KEY } };
}

function freeAddress(raw: Raw): string {
  const taken = Object.values(raw.hosts).map(({ address }) => address);
  for (let i = 1; ; i++) if (!taken.includes(`100.127.255.${i}`)) return `100.127.255.${i}`;
}

/** A site and a router on one host, where there are such. */
export function besides(raw: Raw): { site: number; router: number } | undefined {
  const router = raw.routers.findIndex(({ host }) => raw.sites.some((site) => site.host === host));
  const site = raw.sites.findIndex(({ host }) => host === raw.routers[router]?.host);
  return router === -1 ? undefined : { site, router };
}

/** One mistake for each of several values in one place. */
export function each(
  name: string,
  values: readonly unknown[],
  place: (raw: Raw, n: number) => Path,
  more: Partial<Made> & Omit<Mistake, "make"> = {},
): Mistakes {
  const { where, notInFiles, notInPrograms, ...made } = more;
  const rest = {
    ...(where && { where }),
    ...(notInFiles && { notInFiles }),
    ...(notInPrograms && { notInPrograms }),
  };
  return Object.fromEntries(
    values.map((value) => [
      `${name}: ${JSON.stringify(value)}`.slice(0, 90),
      { ...rest, make: (raw: Raw, n: number) => ({ ...set(raw, place(raw, n), value), ...made }) },
    ]),
  );
}
