import { SshHost } from "./ssh.ts";
import type { SshTarget } from "./ssh-options.ts";

interface Lease {
  readonly host: SshHost;
  users: number;
}

const leases = new Map<string, Lease>();

/**
 * The process's one connection to a host: whoever describes the same user, address, port and trust shares it.
 * Each borrower calls `release` once; the last one closes the connection.
 */
export function borrowHost(target: SshTarget): {
  readonly host: SshHost;
  readonly release: () => Promise<void>;
} {
  const key = JSON.stringify([
    target.user,
    target.address,
    target.port ?? 22,
    target.hostKey ?? null,
    target.acceptAnyHostKey ?? false,
    target.agentSocket ?? null,
    target.extraArguments ?? [],
  ]);
  const lease = leases.get(key) ?? { host: new SshHost(target), users: 0 };
  leases.set(key, lease);
  lease.users += 1;
  let released = false;
  return {
    host: lease.host,
    release: async () => {
      if (released) return;
      released = true;
      lease.users -= 1;
      if (lease.users > 0) return;
      leases.delete(key);
      await lease.host.close();
    },
  };
}
