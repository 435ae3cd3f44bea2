import { Overlay } from "../config/overlay.ts";
import { docker } from "./docker.ts";
import type { WorldPlan } from "./plan.ts";

/** What a world is known by. Made inside it and kept in a volume of it, so that a second `up` finds the same. */
export interface Identity {
  /** Random; in every host's marker, so that two worlds of one name cannot be mistaken. */
  readonly id: string;
  readonly operatorPublicKey: string;
  /** By host name: type and base64, without comment. */
  readonly hostPublicKeys: Readonly<Record<string, string>>;
  readonly hostPrivateKeys: Readonly<Record<string, string>>;
  readonly overlay: Overlay | undefined;
  /** Checksums of the checkout that was last copied, by path. */
  readonly checkout: Readonly<Record<string, string>>;
}

/** Reads the world's identity, and makes what is missing of it. */
export async function ensureIdentity(plan: WorldPlan, controllerImage: string): Promise<Identity> {
  const volume = plan.volumes["/etc/heatwave"] ?? "";
  const text = await docker([
    ...["run", "--rm", "--network", "none", "--volume", `${volume}:/etc/heatwave`],
    ...["--entrypoint", "heatwave-identity", controllerImage],
    ...plan.hosts.map((host) => host.name),
  ]);
  return parseIdentity(text);
}

/** The inverse of `heatwave-identity`'s lines of `name<TAB>base64`. */
export function parseIdentity(text: string): Identity {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [name, base64] = line.split("\t");
    if (name !== undefined && base64 !== undefined)
      values.set(name, Buffer.from(base64, "base64").toString());
  }
  const below = (prefix: string) =>
    [...values].flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value] as const] : [],
    );
  const overlay = values.get("overlay");
  return {
    id: values.get("id") ?? "",
    operatorPublicKey: values.get("operator.pub") ?? "",
    hostPublicKeys: Object.fromEntries(
      below("host_key.pub/").map(([host, key]) => [host, key.split(" ").slice(0, 2).join(" ").trim()]),
    ),
    hostPrivateKeys: Object.fromEntries(below("host_key/")),
    overlay: overlay === undefined ? undefined : Overlay.parse(JSON.parse(overlay)),
    checkout: JSON.parse(values.get("checkout") ?? "{}") as Record<string, string>,
  };
}
