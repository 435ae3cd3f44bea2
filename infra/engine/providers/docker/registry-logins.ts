import { readFileSync } from "node:fs";

import { imageRegistry, sameRegistry } from "./image-reference.ts";

export interface RegistryLogin {
  readonly serveraddress: string;
  readonly username: string;
  readonly password: string;
}

export interface RegistryAuth {
  readonly address?: string;
  readonly username?: string;
  readonly password?: string;
  readonly configFile?: string;
  readonly configFileContent?: string;
  readonly authDisabled?: boolean;
}

/** The provider's `registryAuth`: which login a pull from a registry uses. */
export class RegistryLogins {
  readonly #logins: readonly RegistryLogin[];

  /** @throws Error that names the entry when it cannot be used */
  constructor(entries: readonly RegistryAuth[]) {
    this.#logins = entries.flatMap((entry, index) => loginOf(entry, `registryAuth[${index}]`));
  }

  /** undefined: pull without a login. */
  for(image: string): RegistryLogin | undefined {
    const registry = imageRegistry(image);
    return this.#logins.find((login) => sameRegistry(login.serveraddress, registry));
  }
}

function loginOf(entry: RegistryAuth, where: string): readonly RegistryLogin[] {
  const { address } = entry;
  if (address === undefined || address === "") throw new Error(`${where}.address is required`);
  if (entry.authDisabled === true) return [];
  if (entry.username !== undefined && entry.password !== undefined) {
    return [{ serveraddress: address, username: entry.username, password: entry.password }];
  }
  const text =
    entry.configFileContent ??
    (entry.configFile === undefined ? undefined : readFileSync(entry.configFile, "utf8"));
  if (text === undefined) {
    throw new Error(`${where} needs username and password, or configFileContent, or authDisabled: true`);
  }
  return [fromConfigFile(text, address, where)];
}

function fromConfigFile(text: string, address: string, where: string): RegistryLogin {
  const file = JSON.parse(text) as { auths?: Record<string, { auth?: string }>; credsStore?: string };
  const auth = Object.entries(file.auths ?? {}).find(([key]) => sameRegistry(key, address))?.[1].auth;
  if (auth === undefined) {
    const why =
      file.credsStore === undefined
        ? "holds no login for it"
        : "keeps logins in a credential helper, which is not known here";
    throw new Error(`${where}: the Docker config file for ${address} ${why}; write username and password`);
  }
  const [username = "", ...rest] = Buffer.from(auth, "base64").toString("utf8").split(":");
  return { serveraddress: address, username, password: rest.join(":") };
}
