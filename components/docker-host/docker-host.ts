import { createHash } from "node:crypto";
import { remote, type types } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { Host } from "../../infra/topology/model.ts";
import { hostToolText, preparationText } from "./host-tool.ts";

export interface DockerHostArgs {
  readonly host: Host;
  /** Docker network that the containers join. `external` is only checked; otherwise it is made. */
  readonly network: { readonly name: string; readonly external: boolean };
  /**
   * What must have passed before anything here is touched.
   * @default nothing
   */
  readonly after?: readonly pulumi.Resource[];
}

/**
 * A Docker host on the tailnet: its provider, its SSH connection, the tool that installs files there, the host's
 * settings and the Docker network. One provider per host, so that a dead site never blocks another.
 */
export class DockerHost extends pulumi.ComponentResource {
  readonly host: Host;
  /** Provider for everything that runs on this host. */
  readonly provider: docker.Provider;
  /** Connection of the command resources; authentication is the agent's alone. */
  readonly connection: types.input.remote.ConnectionArgs;
  /** Path of the installed tool, with `sudo` where the SSH user needs it. */
  readonly tool: string;
  readonly networkName: string;
  /** What a container or file on this host waits for. */
  readonly ready: readonly pulumi.Resource[];

  constructor(name: string, args: DockerHostArgs, opts?: pulumi.ComponentResourceOptions) {
    super("heatwave:docker-host:DockerHost", name, { address: args.host.address }, opts);
    this.host = args.host;
    this.networkName = args.network.name;
    this.connection = connectionOf(args.host);
    const after = [...(args.after ?? [])];
    this.provider = createProvider(name, args.host, { parent: this, dependsOn: after });
    const tool = this.createTool(name, after);
    this.tool = `${this.sudo}${args.host.root}/bin/host-tool`;
    const settings = new remote.Command(
      `${name}-settings`,
      {
        connection: this.connection,
        // What a host has to be may change with this package: then it is prepared again.
        create: `${this.tool} settings # sha256:${sha256(preparationText())}`,
        logging: remote.Logging.Stderr,
      },
      { parent: this, dependsOn: tool },
    );
    this.ready = [settings, this.createNetwork(name, args, settings), ...after];
    this.registerOutputs({ address: args.host.address });
  }

  /** Prefix of commands that need root. */
  get sudo(): string {
    return this.host.ssh.user === "root" ? "" : "sudo -n ";
  }

  private createTool(name: string, after: pulumi.Resource[]): remote.Command {
    const text = hostToolText();
    const bin = `${this.host.root}/bin`;
    const install = `install -d -m 0755 ${bin} && cat >${bin}/.host-tool.new && chmod 0755 ${bin}/.host-tool.new && mv ${bin}/.host-tool.new ${bin}/host-tool`;
    return new remote.Command(
      `${name}-tool`,
      {
        connection: this.connection,
        create: `${prerequisites(this.host)}${this.sudo}sh -c '${install}' # sha256:${sha256(text)}`,
        stdin: text,
        logging: remote.Logging.None,
      },
      { parent: this, dependsOn: after, hideDiffs: ["stdin"] },
    );
  }

  /** After the host was found fit: a host that is refused stays as it was. */
  private createNetwork(name: string, args: DockerHostArgs, settings: pulumi.Resource): pulumi.Resource {
    const network = args.network.name;
    if (!args.network.external) {
      return new docker.Network(
        `${name}-network`,
        { name: network, driver: "bridge" },
        { parent: this, provider: this.provider, dependsOn: settings, deleteBeforeReplace: true },
      );
    }
    const missing = `error: ${name} has no Docker network ${network}. heatwave:network.external says that somebody else makes it: deploy the app with Kamal first, or run docker network create ${network}`;
    return new remote.Command(
      `${name}-network`,
      {
        connection: this.connection,
        create: `docker network inspect --format '{{.Name}}' ${network} || { echo '${missing}' >&2; exit 1; }`,
        logging: remote.Logging.None,
      },
      { parent: this, dependsOn: [...(args.after ?? [])] },
    );
  }
}

/** The provider of a host, which pins its key without a file of the operator's: a preview elsewhere must be clean. */
export function createProvider(
  name: string,
  { address, ssh }: Host,
  opts: pulumi.ResourceOptions,
): docker.Provider {
  return new docker.Provider(
    name,
    {
      host: `ssh://${ssh.user}@${address}:${ssh.port}`,
      sshOpts: [
        ...["-o", "StrictHostKeyChecking=yes"],
        ...["-o", "UserKnownHostsFile=/dev/null"],
        ...["-o", "GlobalKnownHostsFile=/dev/null"],
        ...["-o", `KnownHostsCommand=/bin/echo %H ${ssh.hostKey}`],
        ...["-o", "ConnectTimeout=10"],
      ],
      disableDockerDaemonCheck: true,
    },
    opts,
  );
}

function connectionOf(host: Host): types.input.remote.ConnectionArgs {
  return {
    host: host.address,
    port: host.ssh.port,
    user: host.ssh.user,
    hostKey: host.ssh.hostKey,
    dialErrorLimit: 3,
    perDialTimeout: 10,
  };
}

/** What the first command on a host needs, each with an error that names the fix. Plain sh: nothing is installed yet. */
function prerequisites({ name, ssh: { user } }: Host): string {
  const need = (test: string, error: string): string =>
    `${test} || { echo "error: ${name}: ${error}" >&2; exit 1; }; `;
  return [
    user === "root"
      ? ""
      : need(
          "sudo -n true 2>/dev/null",
          `${user} may not use sudo without a password; allowed: root, or a user with it; fix: echo '${user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/heatwave`,
        ),
    need(
      "command -v docker >/dev/null",
      "there is no docker command; fix: install Docker Engine 23 or newer (https://docs.docker.com/engine/install/)",
    ),
    need(
      "docker version >/dev/null 2>&1",
      `${user} does not reach Docker's daemon; fix: systemctl start docker, and usermod -aG docker ${user}`,
    ),
    need("command -v flock >/dev/null", "there is no flock command; fix: install util-linux"),
  ].join("");
}

/** sha256 (hex) of a text's UTF-8 bytes. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
