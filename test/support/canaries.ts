import { randomBytes } from "node:crypto";
import { scramVerifier } from "../../components/postgres/render/scram.ts";
import { HEALTH_ROLE, REPLICATION_ROLE } from "../../components/postgres/render/roles.ts";
import type { Rehearsal } from "./rehearsal.ts";

/** A secret to look for, by the name that a finding is reported under. */
export interface Canary {
  readonly name: string;
  /** Texts of which none may be anywhere else, whatever the secret was written into. */
  readonly needles: readonly string[];
}

/** The overlay's secrets, as the stack file names them. */
export interface OverlaySecrets {
  readonly superuserPassword: string;
  readonly replicationPassword: string;
  readonly healthPassword: string;
  readonly peerSecret: string;
  readonly roles: Readonly<Record<string, string>>;
}

/** Where a secret was found. */
export interface Finding {
  /** File, or another place. */
  readonly place: string;
  readonly names: readonly string[];
}

/** Hex digits that every generated secret begins with: no quoting, URL or JSON encoding changes them. */
const HEAD = /^[0-9a-f]{24}/;

/**
 * What to look for. A generated secret begins with 24 random hex digits, which every quoting, URL and JSON encoding
 * leaves as they are; base64 does not, and what it makes of them depends on where they begin in what was encoded.
 */
export function canary(name: string, secret: string): Canary {
  const head = HEAD.exec(secret)?.[0] ?? secret;
  const encoded = ["base64", "base64url"] as const;
  return {
    name,
    needles: [
      ...new Set([head, ...encoded.flatMap((encoding) => [0, 1, 2].map((at) => core(head, at, encoding)))]),
    ],
  };
}

/** The characters of a base64 text that the head alone decides, when it begins `at` bytes into a group of three. */
function core(head: string, at: number, encoding: "base64" | "base64url"): string {
  const text = Buffer.from("\0".repeat(at) + head).toString(encoding);
  const whole = Math.floor((at + head.length) / 3) * 4;
  return text.slice(at === 0 ? 0 : at + 1, whole);
}

/**
 * A role's SCRAM verifier. It opens no login, but whoever has it can try passwords against it offline and can pose as
 * the server; so it is held to a secret's rules. Its two keys are looked for.
 */
function verifierCanary(role: string, password: string): Canary {
  const keys = scramVerifier(role, password).split("$")[2]?.split(":") ?? [];
  return { name: `verifier of ${role}`, needles: keys.map((key) => key.replace(/=+$/, "")) };
}

export function passwordsOf(secrets: OverlaySecrets): readonly Canary[] {
  const { roles, ...own } = secrets;
  return [
    ...Object.entries(own).map(([name, value]) => canary(name, value)),
    ...Object.entries(roles).map(([role, value]) => canary(`roles.${role}`, value)),
  ];
}

export function verifiersOf(secrets: OverlaySecrets): readonly Canary[] {
  return [
    verifierCanary("postgres", secrets.superuserPassword),
    verifierCanary(REPLICATION_ROLE, secrets.replicationPassword),
    verifierCanary(HEALTH_ROLE, secrets.healthPassword),
    ...Object.entries(secrets.roles).map(([role, password]) => verifierCanary(role, password)),
  ];
}

/** A canary of the test's own, to prove that a search finds what is there. */
export function plant(): Canary & { readonly secret: string } {
  const secret = `${randomBytes(12).toString("hex")}'"%s $x \\n`;
  return { ...canary("planted", secret), secret };
}

/** Names of the canaries in a text. */
export function within(text: string, canaries: readonly Canary[]): string[] {
  return canaries
    .filter(({ needles }) => needles.some((each) => text.includes(each)))
    .map(({ name }) => name);
}

const lines = (canaries: readonly Canary[]): string => canaries.flatMap(({ needles }) => needles).join("\n");

/** `place NUL needle` lines of grep, gathered by place. */
function gathered(output: string, canaries: readonly Canary[]): Finding[] {
  const found = new Map<string, Set<string>>();
  for (const line of output.split("\n").filter((each) => each.includes("\0"))) {
    const [place = "", needle = ""] = line.split("\0");
    const names = found.get(place) ?? found.set(place, new Set()).get(place)!;
    for (const name of within(needle, canaries)) names.add(name);
  }
  return [...found].map(([place, names]) => ({ place, names: [...names].toSorted() }));
}

/**
 * Files below the folders of one machine (`controller` or a host) that hold a canary, with their modes. The needles
 * go by standard input, so that the search itself shows in no process list.
 */
export async function searchFiles(
  world: Rehearsal,
  machine: string,
  folders: readonly string[],
  canaries: readonly Canary[],
): Promise<(Finding & { readonly mode: string })[]> {
  const search = `grep -raoFsHZ -D skip -f - -- ${folders.join(" ")} || [ $? -le 2 ]`;
  const found = gathered(await on(world, machine, search, `${lines(canaries)}\n`), canaries);
  if (found.length === 0) return [];
  const list = `${found.map(({ place }) => place).join("\0")}\0`;
  const modes = (await on(world, machine, "xargs -0 stat -c %a --", list)).trim().split("\n");
  return found
    .map((finding, i) => ({ ...finding, mode: modes[i] ?? "?" }))
    .toSorted((a, b) => (a.place < b.place ? -1 : 1));
}

/** A machine's command lines and environments, looked at over and over. */
export interface Watch {
  /** Ends it. `samples`: how often every process of the machine was looked at. */
  readonly stop: () => Promise<{ readonly samples: number; readonly findings: readonly Finding[] }>;
}

/** Looks at /proc of a machine until stopped. @param label tells this watch from others on the same machine */
export async function watchProcesses(
  world: Rehearsal,
  machine: string,
  canaries: readonly Canary[],
  label: string,
): Promise<Watch> {
  const flag = `/tmp/heatwave-watch-${label}`;
  const script = [
    "needles=$(cat); n=0",
    `until [ -e ${flag}.stop ]; do`,
    '  grep -aoFsHZ -f <(printf "%s\\n" "$needles") /proc/[0-9]*/cmdline /proc/[0-9]*/environ',
    `  n=$((n + 1)); [ $n -gt 1 ] || touch ${flag}.on`,
    "  sleep 0.1",
    "done",
    `rm -f ${flag}.on ${flag}.stop; printf "samples %s\\n" $n`,
  ].join("\n");
  const running = on(world, machine, `exec bash -c '${script}'`, lines(canaries));
  running.catch(() => undefined);
  await on(world, machine, `timeout 30 sh -c 'until [ -e ${flag}.on ]; do sleep 0.05; done'`);
  return {
    stop: async () => {
      await on(world, machine, `touch ${flag}.stop`);
      const output = await running;
      return {
        samples: Number(/^samples (\d+)$/m.exec(output)?.[1] ?? 0),
        findings: gathered(output, canaries),
      };
    },
  };
}

function on(world: Rehearsal, machine: string, line: string, input?: string): Promise<string> {
  return machine === "controller" ? world.controller(line, input) : world.host(machine, line, input);
}
