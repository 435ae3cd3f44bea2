import type { Declared } from "./declared.ts";
import type { Seen } from "./seen.ts";

/**
 * Why a window may not be opened: what the stack file declares is not there, so that something would go on that should
 * not. Each names the key, the value, what is there, and the fix. Pure.
 */
export function objectionsTo(seen: Seen, declared: Declared): readonly string[] {
  return [
    ...missingRoles(seen, declared),
    ...missingProxies(seen, declared),
    ...missingExtras(seen, declared),
  ];
}

function missingRoles(seen: Seen, declared: Declared): string[] {
  const apps = seen.hosts.filter(({ name }) => declared.hosts.includes(name));
  // Where a host is silent, a role may be on it.
  if (apps.some((host) => host.silent !== null)) return [];
  const all = apps.flatMap((host) => host.containers);
  const hosts = declared.hosts.join(", ");
  const labels = `service=${declared.app}${declared.destination === "" ? "" : ` and destination=${declared.destination}`}`;
  const ours = all.filter((one) => one.service === declared.app && one.destination === declared.destination);
  if (ours.length === 0) {
    const known = listed(
      all.map(({ service, destination }) => `${service}${destination === "" ? "" : ` (${destination})`}`),
    );
    return [
      `heatwave:maintenance.app: ${declared.app}: no container on ${hosts} has ${labels}; services there: ${known}; correct the key, or deploy the app first`,
    ];
  }
  return declared.roles
    .filter((role) => ours.every((one) => one.role !== role))
    .map(
      (role) =>
        `heatwave:maintenance.roles: ${role}: no container on ${hosts} has ${labels} and role=${role}; roles there: ${listed(ours.map((one) => one.role))}; correct the key, or deploy the role first`,
    );
}

/** Only where the role behind a service is: an app host may run workers alone. */
function missingProxies(seen: Seen, { app, destination, hosts, proxy }: Declared): string[] {
  return seen.hosts.flatMap((host) => {
    if (host.silent !== null || !hosts.includes(host.name)) return [];
    const needed = proxy.services.filter(({ role }) =>
      host.containers.some(
        (one) => one.service === app && one.destination === destination && one.role === role,
      ),
    );
    if (needed.length === 0) return [];
    if (host.proxy?.running == null)
      return [
        `heatwave:maintenance.proxy.container: ${proxy.container}: there is no such container on ${host.name}; containers there: ${listed(host.containers.map(({ name }) => name))}; correct the key`,
      ];
    if (host.proxy.silent !== null)
      return [`${proxy.container} on ${host.name} does not answer: ${host.proxy.silent}; mend or restart it`];
    const { services, running } = host.proxy;
    // One that is stopped serves nobody, and knows nothing.
    if (!running) return [];
    return needed
      .filter(({ name }) => !services.has(name))
      .map(
        ({ name }) =>
          `heatwave:maintenance.proxy.roles: ${proxy.container} on ${host.name} has no service ${name}; it has: ${listed([...services.keys()])}; correct app, destination or roles`,
      );
  });
}

function missingExtras(seen: Seen, declared: Declared): string[] {
  return declared.extras.flatMap(({ host: on, name }, at) => {
    const host = seen.hosts.find((one) => one.name === on);
    if (host?.silent !== null || host.containers.some((one) => one.name === name)) return [];
    return [
      `heatwave:maintenance.containers[${at}].name: ${name}: there is no such container on ${on}; containers there: ${listed(host.containers.map((one) => one.name))}; correct or remove the entry`,
    ];
  });
}

function listed(words: readonly string[]): string {
  const known = [...new Set(words.filter((word) => word !== ""))].sort();
  return known.length === 0 ? "none" : known.join(", ");
}
