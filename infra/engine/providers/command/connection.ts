import type { SshHost } from "../../../hosts/ssh.ts";
import type { DialPolicy } from "../../../hosts/ssh-master.ts";
import type { SshTarget } from "../../../hosts/ssh-options.ts";
import { borrowHost } from "../../../hosts/ssh-pool.ts";
import type { ValueMap } from "../../values.ts";
import type { CallContext } from "../provider.ts";
import { readMap, readNumber, readText } from "../read-value.ts";

/** The hosts that one provider has used; each is borrowed once and given back when the provider is closed. */
export class Connections {
  readonly #leases = new Map<string, ReturnType<typeof borrowHost>>();

  /** The host that a resource's `connection` names, and how to dial it. */
  open(context: CallContext, inputs: ValueMap): { readonly host: SshHost; readonly dial: DialPolicy } {
    const connection = readMap(inputs, "connection");
    if (connection === undefined) throw new Error("connection is missing");
    const target = targetOf(connection);
    const key = JSON.stringify(target);
    let lease = this.#leases.get(key);
    if (lease === undefined) {
      lease = borrowHost(target);
      this.#leases.set(key, lease);
    }
    const limit = readNumber(connection, "dialErrorLimit") ?? 10;
    return {
      host: lease.host,
      dial: {
        // The limit counts errors that are forgiven; below 0 all are.
        attempts: limit < 0 ? -1 : limit + 1,
        timeoutSeconds: readNumber(connection, "perDialTimeout") ?? 15,
        signal: context.signal,
        onRetry: (failed) => {
          context.status(`Dial ${failed}/${limit < 0 ? "inf" : limit} failed: retrying`);
        },
      },
    };
  }

  async close(): Promise<void> {
    const leases = [...this.#leases.values()];
    this.#leases.clear();
    await Promise.all(leases.map((lease) => lease.release()));
  }
}

function targetOf(connection: ValueMap): SshTarget {
  const hostKey = readText(connection, "hostKey");
  const agentSocket = readText(connection, "agentSocketPath");
  return {
    address: readText(connection, "host") ?? "",
    port: readNumber(connection, "port") ?? 22,
    user: readText(connection, "user") ?? "root",
    ...(hostKey === undefined ? { acceptAnyHostKey: true } : { hostKey: withoutComment(hostKey) }),
    ...(agentSocket === undefined ? {} : { agentSocket }),
  };
}

/** The same key with and without a comment is one key, and so one connection. */
function withoutComment(hostKey: string): string {
  return hostKey.trim().split(/\s+/).slice(0, 2).join(" ");
}
