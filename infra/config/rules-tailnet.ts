import type { Finding } from "./problem.ts";
import type { StackConfig } from "./schema.ts";

/** Whether the stack asks anything of Tailscale's API. */
export function usesTailnet({ hosts, tailnet }: StackConfig): boolean {
  return (
    Object.values(hosts).some(({ device }) => device !== undefined) ||
    tailnet.joinKeys.length > 0 ||
    tailnet.grants
  );
}

/** Rules for `tailnet` and the hosts' devices. */
export function tailnetRules(config: StackConfig): Finding[] {
  return [...credentialRules(config), ...deviceRules(config), ...joinKeyRules(config)];
}

function credentialRules(config: StackConfig): Finding[] {
  if (!usesTailnet(config)) return [];
  return (["tailnetClientId", "tailnetClientSecret"] as const).flatMap((key) =>
    config.secrets[key] === undefined
      ? [
          {
            path: ["secrets", key],
            value: undefined,
            allowed:
              "the credentials of an OAuth client, where a host has `device` or the tailnet is managed",
            fix: `make one in the admin console (Settings, OAuth clients) and set it: \`pulumi config set --secret --path 'heatwave:secrets.${key}'\``,
          },
        ]
      : [],
  );
}

function deviceRules({ hosts, tailnet }: StackConfig): Finding[] {
  const named = Object.entries(hosts).flatMap(([name, { device }]) =>
    device === undefined ? [] : [{ name, device }],
  );
  const twins = named.flatMap(({ name, device }, i) => {
    const first = named.slice(0, i).find((other) => other.device === device);
    return first === undefined
      ? []
      : [
          {
            path: ["hosts", name, "device"],
            value: device,
            allowed: "a device of its own",
            fix: `${first.name} names it already: correct one of the two`,
          },
        ];
  });
  const idle = (["tags", "keyExpiry"] as const).flatMap((key) =>
    named.length === 0 && tailnet[key] !== undefined
      ? [
          {
            path: ["tailnet", key],
            value: tailnet[key],
            allowed: "nothing, as long as no host has `device`",
            fix: "name the hosts' devices (heatwave:hosts.<name>.device), or remove the key",
          },
        ]
      : [],
  );
  return [...twins, ...idle];
}

function joinKeyRules({ tailnet }: StackConfig): Finding[] {
  const twins = tailnet.joinKeys.flatMap((name, i) =>
    tailnet.joinKeys.indexOf(name) === i
      ? []
      : [
          {
            path: ["tailnet", "joinKeys", i],
            value: name,
            allowed: "each name once",
            fix: "remove one of the two",
          },
        ],
  );
  const untagged =
    tailnet.joinKeys.length > 0 && tailnet.tags === undefined
      ? [
          {
            path: ["tailnet", "joinKeys"],
            value: tailnet.joinKeys,
            allowed:
              "join keys together with heatwave:tailnet.tags: keys that an OAuth client makes carry tags",
            fix: "name the tags that the new hosts shall have",
          },
        ]
      : [];
  return [...twins, ...untagged];
}
