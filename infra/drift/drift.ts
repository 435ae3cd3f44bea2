import { diffInputs } from "../engine/providers/bridge/diff.ts";
import { outputsFromInputs, withoutMarks } from "../engine/providers/bridge/outputs.ts";
import { readOutputs } from "../engine/providers/docker/container-outputs.ts";
import { CONTAINER_FIELDS } from "../engine/providers/docker/container-schema.ts";
import type { Inspected } from "../engine/providers/docker/inspected.ts";
import type { Value, ValueMap } from "../engine/values.ts";
import type { DeclaredContainer, DeclaredFile, DeclaredStack } from "./declared.ts";
import { FIREWALL_RULES } from "./declared.ts";

/** What is not as it is declared. */
export interface Difference {
  readonly aspect: "role" | "file" | "firewall" | "image" | "container" | "database" | "health";
  /** Site, router or host. */
  readonly where: string;
  /** A file's path, a container's name, a database role, … */
  readonly what: string;
  readonly declared: string;
  /** As it is seen; undefined where it could not be looked at, which is no less worth a look. */
  readonly seen: string | undefined;
  /** What to type, or to do. */
  readonly next: string;
}

/** What one look at a host brought. */
export type HostLook =
  | { readonly kind: "unseen"; readonly message: string }
  | {
      readonly kind: "seen";
      /** sha256 (hex) by path; empty where there is no such file. */
      readonly files: ReadonlyMap<string, string>;
      /** Files that `up` has put in place and whose reader has not confirmed them. */
      readonly unsettled: ReadonlySet<string>;
      /** By name; what is missing does not exist. */
      readonly containers: ReadonlyMap<string, Inspected>;
      /** Why the firewall's rules are not in force, in host-tool's words; undefined where they are, or none are declared. */
      readonly unguarded: string | undefined;
    };

/** What hosts have against what the program asks of them. */
export function hostDifferences(
  declared: DeclaredStack,
  looks: ReadonlyMap<string, HostLook>,
  stack: string,
): readonly Difference[] {
  const up = `pulumi refresh --stack ${stack}, then pulumi up: look at its preview first`;
  return [...looks].flatMap(([host, look]): readonly Difference[] => {
    if (look.kind === "unseen")
      return [
        {
          aspect: "health",
          where: host,
          what: "host",
          declared: "reachable by SSH",
          seen: undefined,
          next: look.message,
        },
      ];
    return [
      ...declared.files.filter((file) => file.host === host).flatMap((file) => fileDifferences(file, look)),
      ...declared.files
        .filter((file) => file.host === host && isFirewall(file))
        .flatMap((file) => firewallDifferences(file, look)),
      ...declared.containers
        .filter((container) => container.host === host)
        .flatMap((container) => containerDifferences(container, look.containers.get(container.name), up)),
    ];
  });
}

/** A state says that the text is in force, so `up` alone would not write it again: the command has to run anew. */
function fileDifferences(
  { host, path, sha256, resources }: DeclaredFile,
  look: Extract<HostLook, { readonly kind: "seen" }>,
): readonly Difference[] {
  const seen = look.files.get(path) ?? "";
  const again = `pulumi up --replace '${resources}'`;
  const difference = (found: string, next: string): Difference => ({
    aspect: "file",
    where: host,
    what: path,
    declared: `sha256 ${sha256.slice(0, 12)}`,
    seen: found,
    next,
  });
  if (seen !== sha256)
    return [
      difference(
        seen === "" ? "is missing" : `sha256 ${seen.slice(0, 12)}`,
        `find out who changed it, and why; then ${again}, which writes it again`,
      ),
    ];
  return look.unsettled.has(path)
    ? [
        difference(
          "the same text, which its reader has not confirmed",
          `the \`up\` that wrote it was killed: ${again}`,
        ),
      ]
    : [];
}

/** Whether a file holds the rules of a host's firewall. */
export const isFirewall = ({ path }: Pick<DeclaredFile, "path">): boolean => path.endsWith(FIREWALL_RULES);

/** The file alone proves nothing: whoever flushes a chain opens the ports, and leaves the file as it is. */
function firewallDifferences(
  { host, path }: DeclaredFile,
  { unguarded }: Extract<HostLook, { readonly kind: "seen" }>,
): readonly Difference[] {
  if (unguarded === undefined) return [];
  const tool = path.replace(FIREWALL_RULES, "/bin/host-tool");
  return [
    {
      aspect: "firewall",
      where: host,
      what: "rules in the kernel",
      declared: `those of ${path}`,
      seen: unguarded,
      next: `on ${host}, as root: ${tool} firewall restore, which puts them in force again; then find out who changed them`,
    },
  ];
}

function containerDifferences(
  { host, name, inputs }: DeclaredContainer,
  inspected: Inspected | undefined,
  up: string,
): readonly Difference[] {
  const common = { where: host, what: name, next: up };
  if (inspected === undefined)
    return [{ ...common, aspect: "container", declared: "a container", seen: "does not exist" }];
  const news = inputs as ValueMap;
  const recorded = outputsFromInputs(CONTAINER_FIELDS, news);
  // The very comparison that a refresh and a preview make.
  const outputs = readOutputs(recorded, inspected);
  if (outputs["mustRun"] === false)
    return [{ ...common, aspect: "container", declared: "is running", seen: "is stopped" }];
  const { detailed } = diffInputs({ fields: CONTAINER_FIELDS, oldInputs: news, oldOutputs: outputs, news });
  const keys = [...new Set(Object.keys(detailed).map((path) => path.replace(/[.[].*$/, "")))];
  return keys.map((key) => ({
    ...common,
    aspect: key === "image" ? "image" : "container",
    declared: `${key} ${shown(news[key])}`,
    seen: shown(outputs[key]),
  }));
}

function shown(value: Value | undefined): string {
  if (value === undefined || value === null) return "not set";
  return typeof value === "string" ? value : JSON.stringify(withoutMarks(value));
}
