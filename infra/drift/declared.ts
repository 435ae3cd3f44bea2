import type { Declared, Properties } from "../policy/rules.ts";
import { toolCallOf } from "../review/texts.ts";

/** What a stack's program asks for, in the form in which hosts can be asked for it. */

export interface DeclaredFile {
  readonly host: string;
  /** Absolute path on the host. */
  readonly path: string;
  /** sha256, hex. */
  readonly sha256: string;
  /** Glob of the resources whose commands put it in force. */
  readonly resources: string;
}

export interface DeclaredContainer {
  readonly host: string;
  readonly name: string;
  readonly inputs: Properties;
}

export interface DeclaredStack {
  readonly files: readonly DeclaredFile[];
  readonly containers: readonly DeclaredContainer[];
}

/** A host of the stack, by the address that its resources name. */
export interface HostAddress {
  readonly name: string;
  readonly address: string;
  readonly root: string;
}

/** Where a host's firewall rules lie, below its root. */
export const FIREWALL_RULES = "/firewall/rules";

const COMMAND = "command:remote:Command";
const CONTAINER = "docker:index/container:Container";
/** Ends the line that installs the host tool. */
const TOOL = /\/bin\/host-tool' # sha256:([0-9a-f]{64})$/;

/**
 * @param resources every resource that the program asks for
 * @throws Error where one names no host of the stack
 */
export function declaredStack(resources: readonly Declared[], hosts: readonly HostAddress[]): DeclaredStack {
  const at = (address: string): HostAddress => {
    const host = hosts.find((one) => one.address === address);
    if (host === undefined) throw new Error(`no host has the address ${address}`);
    return host;
  };
  return {
    files: resources.flatMap((resource) => (resource.type === COMMAND ? filesOf(resource, at) : [])),
    containers: resources.flatMap(({ type, inputs }): DeclaredContainer[] =>
      type === CONTAINER ? [{ host: at(publishedOn(inputs)).name, name: text(inputs["name"]), inputs }] : [],
    ),
  };
}

function filesOf({ name, inputs }: Declared, at: (address: string) => HostAddress): readonly DeclaredFile[] {
  const create = text(inputs["create"]);
  const host = (): HostAddress => at(text(mapping(inputs["connection"])["host"]));
  const [, tool] = TOOL.exec(create) ?? [];
  if (tool !== undefined)
    return [
      { host: host().name, path: `${host().root}/bin/host-tool`, sha256: tool, resources: `**::${name}` },
    ];
  const call = toolCallOf(create);
  if (call?.verb === "firewall" && call.sha256 !== undefined)
    return [
      {
        host: host().name,
        path: `${host().root}${FIREWALL_RULES}`,
        sha256: call.sha256,
        resources: `**::${name}`,
      },
    ];
  const [sha256] = call?.verb === "file" ? call.hashes : [];
  if (call?.verb !== "file" || sha256 === undefined) return [];
  return [
    {
      host: host().name,
      path: `${host().root}/${call.container}/${call.path}`,
      sha256,
      // A program counts when the text that its reader is started with is put in force after it.
      resources: `**::${call.kind === "program" ? name.replace(/-[a-z]+-apply$/, "-*-apply") : name}`,
    },
  ];
}

/** Every container of the stack publishes something, on its host's tailnet address. */
function publishedOn(inputs: Properties): string {
  const ports = inputs["ports"];
  const [port] = Array.isArray(ports) ? (ports as readonly unknown[]) : [];
  return text(mapping(port)["ip"]);
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const mapping = (value: unknown): Properties =>
  typeof value === "object" && value !== null ? (value as Properties) : {};
