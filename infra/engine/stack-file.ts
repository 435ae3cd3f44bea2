import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";

import { parse } from "yaml";

/** What Pulumi.yaml says, with paths made absolute. */
export interface Project {
  readonly name: string;
  /** Folder of Pulumi.yaml. */
  readonly root: string;
  /** Folder in which the program runs. */
  readonly programDirectory: string;
  /** The program's entry, relative to `programDirectory`; `.` = what package.json says. */
  readonly entry: string;
  /** Arguments for Node itself, e.g. `--import`, `tsx`. */
  readonly nodeArguments: readonly string[];
  /** `backend.url`, when Pulumi.yaml names one. */
  readonly backendUrl: string | undefined;
  /** Values of `config` in Pulumi.yaml, which the stack file overrules. */
  readonly config: Readonly<Record<string, Yaml>>;
}

/** Keys of Pulumi.yaml that change what an engine does and that this one does not act on. */
const UNKNOWN_PROJECT_KEYS = ["stackConfigDir", "plugins", "options", "packages"];

type Yaml = null | boolean | number | string | readonly Yaml[] | { readonly [key: string]: Yaml };

/** Pulumi.<stack>.yaml; values are as written, secure leaves still encrypted. */
export interface StackFile {
  readonly path: string;
  readonly encryptionSalt: string | undefined;
  readonly config: Readonly<Record<string, Yaml>>;
}

/** Configuration as the program gets it: every value a text. */
export interface Config {
  /** By `namespace:name`; structured values are JSON. */
  readonly values: Readonly<Record<string, string>>;
  readonly secretKeys: readonly string[];
}

/**
 * Finds Pulumi.yaml in `from` or a folder above it and reads it.
 * @throws Error that names the file and the field when something is missing or not known.
 */
export function readProject(from: string): Project {
  const file = findUp(resolve(from), ["Pulumi.yaml", "Pulumi.yml"]);
  if (file === undefined) throw new Error(`no Pulumi.yaml in ${resolve(from)} or above; use --cwd DIR`);
  const yaml = readYaml(file);
  const name = yaml["name"];
  if (typeof name !== "string" || name === "") throw new Error(`${file}: name: expected a text`);
  for (const key of UNKNOWN_PROJECT_KEYS) {
    if (yaml[key] !== undefined) throw new Error(`${file}: ${key}: the embedded engine does not know it`);
  }
  const runtime = yaml["runtime"];
  const runtimeName = isRecord(runtime) ? runtime["name"] : runtime;
  if (runtimeName !== "nodejs") {
    throw new Error(
      `${file}: runtime: ${JSON.stringify(runtimeName)} is not known to the embedded engine; allowed: nodejs`,
    );
  }
  const options = isRecord(runtime) && isRecord(runtime["options"]) ? runtime["options"] : {};
  const nodeargs = options["nodeargs"];
  const backend = isRecord(yaml["backend"]) ? yaml["backend"]["url"] : undefined;
  return {
    name,
    root: dirname(file),
    ...entryOf(file, yaml["main"]),
    nodeArguments: typeof nodeargs === "string" ? splitArguments(nodeargs) : [],
    backendUrl: typeof backend === "string" ? backend : undefined,
    config: projectConfig(file, yaml["config"]),
  };
}

/** A key's value: `value`, `default`, or the plain value itself (shorthand). A mere declaration of a type has none. */
function projectConfig(file: string, config: Yaml | undefined): Readonly<Record<string, Yaml>> {
  if (config === undefined || config === null) return {};
  if (!isRecord(config)) throw new Error(`${file}: config: expected a mapping`);
  return Object.fromEntries(
    Object.entries(config).flatMap(([key, declared]) => {
      const value = isRecord(declared) ? (declared["value"] ?? declared["default"]) : declared;
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

function entryOf(file: string, main: Yaml | undefined): Pick<Project, "programDirectory" | "entry"> {
  const root = dirname(file);
  if (main === undefined || main === null || main === "") return { programDirectory: root, entry: "." };
  if (typeof main !== "string") throw new Error(`${file}: main: expected a path`);
  const path = isAbsolute(main) ? main : join(root, main);
  if (!existsSync(path)) throw new Error(`${file}: main: ${path} does not exist`);
  if (statSync(path).isDirectory()) return { programDirectory: path, entry: "." };
  return { programDirectory: dirname(path), entry: basename(path) };
}

/** Splits at white space; single and double quotes keep it. */
export function splitArguments(text: string): readonly string[] {
  return [...text.matchAll(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g)].map(([word]) =>
    word.replaceAll(
      /"([^"]*)"|'([^']*)'/g,
      (_all, double?: string, single?: string) => double ?? single ?? "",
    ),
  );
}

/**
 * Reads Pulumi.<stack>.yaml beside Pulumi.yaml; a missing file is an empty configuration.
 * @throws Error on secrets providers and environments that the engine does not know.
 */
export function readStackFile(project: Project, stack: string): StackFile {
  const path = ["yaml", "yml"]
    .map((ending) => join(project.root, `Pulumi.${stack}.${ending}`))
    .find((candidate) => existsSync(candidate));
  if (path === undefined) {
    return { path: join(project.root, `Pulumi.${stack}.yaml`), encryptionSalt: undefined, config: {} };
  }
  const yaml = readYaml(path);
  const provider = yaml["secretsprovider"];
  if (provider !== undefined && provider !== "passphrase") {
    throw new Error(
      `${path}: secretsprovider: ${JSON.stringify(provider)} is not known; allowed: passphrase`,
    );
  }
  for (const key of ["encryptedkey", "environment"]) {
    if (yaml[key] !== undefined) throw new Error(`${path}: ${key}: the embedded engine does not know it`);
  }
  const salt = yaml["encryptionsalt"];
  const config = yaml["config"];
  return {
    path,
    encryptionSalt: typeof salt === "string" ? salt : undefined,
    config: isRecord(config) ? config : {},
  };
}

/** The stacks that have a Pulumi.<stack>.yaml beside Pulumi.yaml, in order. */
export function stackNames(project: Project): readonly string[] {
  const names = readdirSync(project.root).flatMap((file) => /^Pulumi\.(.+)\.ya?ml$/.exec(file)?.[1] ?? []);
  return [...new Set(names)].sort();
}

/** True when any leaf is `{secure: …}`. */
export const hasSecureLeaves = (file: StackFile): boolean =>
  Object.values(file.config).some(isSecureAnywhere);

/**
 * The configuration for the program; `open` decrypts one secure leaf. Keys without a namespace get the project's.
 */
export function configOf(file: StackFile, project: Project, open: (ciphertext: string) => string): Config {
  const values: Record<string, string> = {};
  const secretKeys: string[] = [];
  for (const [name, value] of [...Object.entries(project.config), ...Object.entries(file.config)]) {
    const key = normalKey(name, project.name);
    const opened = openLeaves(value, open);
    values[key] =
      typeof opened === "object" && opened !== null ? JSON.stringify(opened) : String(opened ?? "");
    if (isSecureAnywhere(value)) secretKeys.push(key);
  }
  return { values, secretKeys };
}

function normalKey(name: string, project: string): string {
  const parts = name.split(":");
  if (parts.length === 1) return `${project}:${name}`;
  // `ns:config:name` is the old long form.
  return parts.length === 3 && parts[1] === "config" ? `${parts[0] ?? ""}:${parts[2] ?? ""}` : name;
}

const isRecord = (value: Yaml | undefined): value is Readonly<Record<string, Yaml>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isSecure = (value: Yaml): value is { readonly secure: string } =>
  isRecord(value) && Object.keys(value).length === 1 && typeof value["secure"] === "string";

function isSecureAnywhere(value: Yaml): boolean {
  if (isSecure(value)) return true;
  if (Array.isArray(value)) return (value as readonly Yaml[]).some(isSecureAnywhere);
  return isRecord(value) && Object.values(value).some(isSecureAnywhere);
}

function openLeaves(value: Yaml, open: (ciphertext: string) => string): Yaml {
  if (isSecure(value)) return open(value.secure);
  if (Array.isArray(value)) return (value as readonly Yaml[]).map((item) => openLeaves(item, open));
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, openLeaves(item, open)]));
}

function readYaml(file: string): Readonly<Record<string, Yaml>> {
  const yaml = parse(readFileSync(file, "utf8")) as Yaml | undefined;
  if (yaml === undefined || yaml === null) return {};
  if (!isRecord(yaml)) throw new Error(`${file}: expected a mapping`);
  return yaml;
}

function findUp(from: string, names: readonly string[]): string | undefined {
  for (const name of names) if (existsSync(join(from, name))) return join(from, name);
  const above = dirname(from);
  return above === from ? undefined : findUp(above, names);
}
