import * as pulumi from "@pulumi/pulumi";
import * as tailscale from "@pulumi/tailscale";
import type { Finding } from "../../infra/config/problem.ts";
import type { StackConfig } from "../../infra/config/schema.ts";
import { TAILSCALE_API } from "../../infra/tailnet/api.ts";
import type { Topology } from "../../infra/topology/model.ts";
import { GrantsCommand } from "./grants-command.ts";
import { lookUp } from "./look-up.ts";
import type { Answer, Device, NamedHost } from "./render/devices.ts";
import { judge } from "./render/devices.ts";

export interface TailnetArgs {
  readonly config: StackConfig;
  readonly topology: Topology;
  /** @default Tailscale's own */
  readonly apiUrl?: string;
}

/** What was found of the hosts' devices. */
export interface Sighting {
  /** By host name; one that could not be looked up is not in it. */
  readonly devices: ReadonlyMap<string, Device>;
  /** What stops the run, before anything of it is made. */
  readonly findings: readonly Finding[];
}

/** Seconds that a join key lives. */
const JOIN_KEY_SECONDS = 86_400;

/**
 * The tailnet that the hosts are in: their devices are looked up and checked, and what the stack file asks for of tags,
 * key expiry, join keys and grants is kept so. No container, file or command of a host has an input from here: without
 * Tailscale's API an unchanged stack previews and applies (docs/decisions/0021-tailnet.md).
 */
export class Tailnet extends pulumi.ComponentResource {
  /** Pre-authorised keys by the name of the host to come. */
  readonly joinKeys: Readonly<Record<string, pulumi.Output<string>>>;
  readonly #args: TailnetArgs;
  readonly #provider: tailscale.Provider;

  constructor(name: string, args: TailnetArgs, opts?: pulumi.ComponentResourceOptions) {
    super("heatwave:tailnet:Tailnet", name, {}, opts);
    this.#args = args;
    const { secrets, tailnet } = args.config;
    this.#provider = new tailscale.Provider(
      name,
      {
        oauthClientId: pulumi.secret(secrets.tailnetClientId ?? ""),
        oauthClientSecret: pulumi.secret(secrets.tailnetClientSecret ?? ""),
        // Written out, so that nobody's TAILSCALE_TAILNET or TAILSCALE_BASE_URL leads somewhere else.
        tailnet: tailnet.name ?? "-",
        baseUrl: args.apiUrl ?? TAILSCALE_API,
      },
      { parent: this },
    );
    this.joinKeys = this.#createJoinKeys();
    if (tailnet.grants) new GrantsCommand(`${name}-grants`, args, { parent: this });
    this.registerOutputs({});
  }

  /** Looks the hosts' devices up and says what is about to go wrong. It never fails, and waits for seconds at most. */
  async sight(now: Date): Promise<Sighting> {
    const hosts = this.#namedHosts();
    const answers = await lookUp(hosts, this.#provider);
    const silent: Answer = { kind: "silent", reason: "it was not asked for" };
    const verdicts = hosts.map((host) =>
      judge(host, answers.get(host.name) ?? silent, now, this.#args.config.tailnet.expiryWarning),
    );
    for (const warning of verdicts.flatMap(({ warnings }) => warnings)) await pulumi.log.warn(warning, this);
    return {
      devices: new Map(
        [...answers].flatMap(([name, answer]) => (answer.kind === "found" ? [[name, answer.device]] : [])),
      ),
      findings: verdicts.flatMap(({ findings }) => findings),
    };
  }

  /** Tags and key expiry of the hosts' devices, where the stack file says anything of them. */
  manage({ devices }: Sighting): void {
    const { tags, keyExpiry } = this.#args.config.tailnet;
    for (const { name } of this.#namedHosts()) {
      const nodeId = devices.get(name)?.nodeId;
      const options: pulumi.CustomResourceOptions = {
        parent: this,
        provider: this.#provider,
        // Not looked up: it is the device that it was. Only what is new then needs the API.
        ignoreChanges: nodeId === undefined ? ["deviceId"] : [],
        // To give a device's tags or its key's expiry up would cut it off; that is nobody's wish who removes a key here.
        retainOnDelete: true,
      };
      const deviceId = nodeId ?? "not-looked-up";
      if (tags !== undefined) new tailscale.DeviceTags(`${name}-device-tags`, { deviceId, tags }, options);
      if (keyExpiry !== undefined)
        new tailscale.DeviceKey(`${name}-device-key`, { deviceId, keyExpiryDisabled: !keyExpiry }, options);
    }
  }

  #namedHosts(): readonly NamedHost[] {
    return Object.entries(this.#args.config.hosts).flatMap(([name, { device, address }]) =>
      device === undefined ? [] : [{ name, device, address }],
    );
  }

  #createJoinKeys(): Readonly<Record<string, pulumi.Output<string>>> {
    const { joinKeys, tags = [] } = this.#args.config.tailnet;
    return Object.fromEntries(
      joinKeys.map((host) => {
        const key = new tailscale.TailnetKey(
          `${host}-join-key`,
          {
            // The API takes letters, digits, spaces and hyphens, 50 of them.
            description: `heatwave ${host}`,
            preauthorized: true,
            reusable: false,
            ephemeral: false,
            expiry: JOIN_KEY_SECONDS,
            tags,
            recreateIfInvalid: "never",
          },
          { parent: this, provider: this.#provider },
        );
        return [host, key.key];
      }),
    );
  }
}
