import * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";
import type { DockerHost } from "./docker-host.ts";

/** A folder of the host, or a volume, inside a container. */
export interface Mount {
  /** Absolute path on the host, or a volume's name. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** A folder of the host that need not be there: Docker makes it. */
export interface HostFolder {
  readonly hostPath: string;
  readonly target: string;
}

export interface StackContainerArgs {
  readonly dockerHost: DockerHost;
  /** Container name: its identity, and its DNS name on the network. */
  readonly containerName: string;
  readonly image: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** `uid:gid`, or a user of the image. */
  readonly user: string;
  /** Published on the host's tailnet address under the same number, and nowhere else. */
  readonly ports: readonly number[];
  readonly mounts: readonly Mount[];
  /**
   * Read-only. For folders that a reboot takes away: a missing source of a mount would keep the container from starting.
   * @default none
   */
  readonly hostFolders?: readonly HostFolder[];
  readonly stopSignal: string;
  /** Seconds until Docker kills it, for `docker stop` and for a destroy alike. */
  readonly stopSeconds: number;
  readonly healthcheck: {
    readonly test: readonly string[];
    readonly intervalSeconds: number;
    readonly timeoutSeconds: number;
  };
  /** /dev/shm, MiB. @default 64 */
  readonly shmSizeMegabytes?: number;
  /** Called around the changes of its image. `hooks` among the options are the container's. */
  readonly imageHooks?: pulumi.ResourceHookBinding;
}

/** Logical name of the image of a container with this logical name. */
export function imageName(name: string): string {
  return `${name}-image`;
}

/**
 * A container of the stack, with all that must be right from its first deploy: changing any of these later would
 * replace it. What may change (files, secrets, reloads) is mounted, never an input.
 */
export function createContainer(
  name: string,
  args: StackContainerArgs,
  opts: pulumi.CustomResourceOptions,
): docker.Container {
  const { hooks: _ofTheContainer, ...shared } = opts;
  const image = new docker.RemoteImage(
    imageName(name),
    { name: args.image, keepLocally: true },
    { ...shared, dependsOn: [], ...(args.imageHooks === undefined ? {} : { hooks: args.imageHooks }) },
  );
  return new docker.Container(
    name,
    {
      name: args.containerName,
      // The literal reference, not the image's id: so the preview shows a new image as a replacement (pulumi-docker#293).
      image: args.image,
      entrypoints: [...args.entrypoint],
      command: [...args.command],
      user: args.user,
      // A reaping init: the entrypoints start children that outlive their parents.
      init: true,
      // Starting is gated by the grant, so `always` is safe; `unless-stopped` stays down after a killed daemon.
      restart: "always",
      networkMode: args.dockerHost.networkName,
      ports: args.ports.map((port) => ({
        internal: port,
        external: port,
        ip: args.dockerHost.host.address,
        protocol: "tcp",
      })),
      mounts: args.mounts.map((mount) => ({
        type: mount.source.startsWith("/") ? "bind" : "volume",
        source: mount.source,
        target: mount.target,
        readOnly: mount.readOnly,
      })),
      ...(args.hostFolders === undefined
        ? {}
        : {
            volumes: args.hostFolders.map(({ hostPath, target }) => ({
              hostPath,
              containerPath: target,
              readOnly: true,
            })),
          }),
      stopSignal: args.stopSignal,
      stopTimeout: args.stopSeconds,
      // Without it a destroy kills at once (the provider's default is 0 s).
      destroyGraceSeconds: args.stopSeconds,
      removeVolumes: false,
      healthcheck: {
        tests: ["CMD", ...args.healthcheck.test],
        interval: `${args.healthcheck.intervalSeconds}s`,
        timeout: `${args.healthcheck.timeoutSeconds}s`,
        startPeriod: "30s",
        startInterval: "1s",
        retries: 3,
      },
      logDriver: "json-file",
      logOpts: { "max-size": "20m", "max-file": "5" },
      ...(args.shmSizeMegabytes === undefined ? {} : { shmSize: args.shmSizeMegabytes }),
    },
    {
      ...opts,
      dependsOn: [...dependencies(opts), image],
      // Name and ports are fixed: the old one has to go first.
      deleteBeforeReplace: true,
      // The provider records a change of these and never applies it (terraform-provider-docker's Update).
      replaceOnChanges: ["mounts", "healthcheck"],
    },
  );
}

function dependencies(opts: pulumi.CustomResourceOptions): pulumi.Resource[] {
  const { dependsOn } = opts;
  return Array.isArray(dependsOn) ? (dependsOn as pulumi.Resource[]) : [];
}
