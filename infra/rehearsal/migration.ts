import { generateKeyPairSync } from "node:crypto";
import { parseDocument } from "yaml";
import type { StackConfig } from "../config/schema.ts";
import { RehearsalError } from "./trouble.ts";

/** The stack files of a migration, one after the other, as an operator would write them (docs/migration.md). */

export interface Migration {
  /** The site that moves. */
  readonly from: string;
  /** The site at its new place, and that place's host. */
  readonly to: string;
  readonly address: string;
}

/** One reviewed change of the stack file, which one `up` carries out. */
export interface MigrationStep {
  readonly name: "add" | "flip" | "retire" | "forget";
  readonly title: string;
  /** The stack file before it, to the one after it. */
  readonly edit: (text: string) => string;
}

/** Tailnet addresses that no production host has: the last /24 of the range that Tailscale gives out, less its end. */
const FREE = Array.from({ length: 200 }, (_, at) => `100.127.254.${at + 1}`);

/**
 * Moves a site of this stack to a host that only the world has.
 * @param site by default the declared primary: what is hardest to move
 * @throws {RehearsalError} where there is no such site, or nothing that could take the writes meanwhile
 */
export function planMigration(stack: StackConfig, site: string = stack.primary): Migration {
  const names = stack.sites.filter(({ retired }) => !retired).map(({ name }) => name);
  if (!names.includes(site))
    throw new RehearsalError(
      `${site} cannot move`,
      `it is no site of the stack: ${names.join(", ")}`,
      "name one of them",
    );
  const taken = new Set([...Object.keys(stack.hosts), ...stack.sites.map(({ name }) => name)]);
  const free = Array.from({ length: taken.size + 1 }, (_, at) => `moved-${String(at + 1).padStart(2, "0")}`);
  const addresses = new Set(Object.values(stack.hosts).map(({ address }) => address));
  const to = free.find((name) => !taken.has(name));
  const address = FREE.find((one) => !addresses.has(one));
  if (to === undefined || address === undefined) throw new Error("no free name or address");
  return { from: site, to, address };
}

/** Its steps: each is one change of the stack file. */
export function migrationSteps(
  stack: StackConfig,
  { from, to, address }: Migration,
): readonly MigrationStep[] {
  const moving = stack.sites.find(({ name }) => name === from);
  if (moving === undefined) throw new Error(`no site ${from}`);
  const user = stack.hosts[moving.host]?.ssh.user ?? "root";
  const retire: MigrationStep[] = [
    {
      name: "retire",
      title: `Retire ${from}`,
      edit: (text) => changed(text, (file) => file.setIn([...siteIn(file, from), "retired"], true)),
    },
    { name: "forget", title: `Forget ${from}`, edit: (text) => changed(text, (file) => forget(file, from)) },
  ];
  return [
    {
      name: "add",
      title: `Add ${to}, which takes a base backup and catches up`,
      edit: (text) =>
        changed(text, (file) => {
          file.setIn(
            ["config", "heatwave:hosts", to],
            file.createNode({ address, ssh: { user, hostKey: anyHostKey() } }),
          );
          file.addIn(["config", "heatwave:sites"], file.createNode({ name: to, host: to }));
        }),
    },
    ...(stack.primary === from
      ? [
          {
            name: "flip" as const,
            title: `Move the writes from ${from} to ${to}`,
            edit: (text: string) => changed(text, (file) => file.setIn(["config", "heatwave:primary"], to)),
          },
        ]
      : []),
    ...retire,
  ];
}

type File = ReturnType<typeof parseDocument>;

function changed(text: string, edit: (file: File) => void): string {
  const file = parseDocument(text);
  edit(file);
  return file.toString({ lineWidth: 0 });
}

function listOf(file: File, key: string): readonly Readonly<Record<string, unknown>>[] {
  const { config } = file.toJS() as { config?: Readonly<Record<string, unknown>> };
  return (config?.[`heatwave:${key}`] ?? []) as readonly Readonly<Record<string, unknown>>[];
}

function siteIn(file: File, name: string): readonly (string | number)[] {
  return ["config", "heatwave:sites", listOf(file, "sites").findIndex((site) => site["name"] === name)];
}

/** The site's entry, and the host where nothing else is on it. */
function forget(file: File, name: string): void {
  const host = listOf(file, "sites").find((site) => site["name"] === name)?.["host"];
  file.deleteIn([...siteIn(file, name)]);
  const others = [...listOf(file, "sites"), ...listOf(file, "routers")];
  if (others.some((other) => other["host"] === host)) return;
  file.deleteIn(["config", "heatwave:hosts", host]);
  const watched = (
    file.getIn(["config", "heatwave:maintenance", "containers"]) as { toJSON(): unknown } | undefined
  )?.toJSON();
  if (!Array.isArray(watched)) return;
  const staying = watched.filter((one: { host?: unknown }) => one.host !== host);
  file.setIn(["config", "heatwave:maintenance", "containers"], file.createNode(staying));
}

/** A valid one that is nobody's: the world puts its own in its place. */
function anyHostKey(): string {
  const { publicKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
  const part = (bytes: Buffer): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  return `ssh-ed25519 ${Buffer.concat([part(Buffer.from("ssh-ed25519")), part(raw)]).toString("base64")}`;
}
