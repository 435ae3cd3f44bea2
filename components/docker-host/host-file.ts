import { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { DockerHost } from "./docker-host.ts";
import { sha256 } from "./docker-host.ts";

/** Who reads the file, which decides how it is checked, reloaded and verified (see `source/readers.sh`). */
export type FileKind = "haproxy" | "postgres" | "hba" | "ident" | "pooler" | "restart" | "program" | "script";

/** The same of a secret; `live`: read anew at each use; `plain`: nothing that runs holds it. */
export type SecretKind = "users" | "passfile" | "live" | "plain";

export interface HostFileArgs {
  readonly dockerHost: DockerHost;
  /** Container whose folder holds it. */
  readonly container: string;
  /** Path in that folder, e.g. `conf/haproxy.cfg`. */
  readonly path: string;
  /** The whole text; no secret. */
  readonly text: string;
  readonly kind: FileKind;
  /** A generated program: nobody reads its diff, so that only its sha256 shows. @default false */
  readonly opaque?: boolean;
  /** Programs of the same reader (kind `program`): it is restarted once, with them and this text. */
  readonly programs?: readonly HostFile[];
}

/**
 * A rendered text in force on a host. The text is copied as an asset; a dependent command, whose line carries the
 * text's sha256, checks it, swaps it in and reloads its reader. A preview shows the text's diff at the command.
 */
export class HostFile extends pulumi.ComponentResource {
  /** sha256 (hex) of the text. */
  readonly sha256: string;
  /** What a container that reads the file waits for. */
  readonly applied: pulumi.Resource;

  constructor(name: string, args: HostFileArgs, opts?: pulumi.ComponentResourceOptions) {
    super("heatwave:docker-host:HostFile", name, {}, opts);
    const { dockerHost } = args;
    this.sha256 = sha256(args.text);
    const text = args.opaque === true ? [] : [this.createText(name, args)];
    const programs = args.programs ?? [];
    const hashes = [this.sha256, ...programs.map((program) => program.sha256)];
    this.applied = new remote.Command(
      `${name}-apply`,
      {
        connection: dockerHost.connection,
        create: `${dockerHost.tool} file ${args.kind} ${args.container} ${args.path} ${hashes.join(" ")}`,
        // The copy may be lost or half written; the command heals it from here.
        stdin: args.text,
        // What takes effect only at a restart is said there.
        logging: remote.Logging.Stderr,
      },
      {
        parent: this,
        dependsOn: [...text, ...programs.map((program) => program.applied)],
        ...(args.opaque === true ? { hideDiffs: ["stdin"] } : {}),
      },
    );
    this.registerOutputs({ sha256: this.sha256 });
  }

  private createText(name: string, { dockerHost, container, path, text }: HostFileArgs): pulumi.Resource {
    const fileName = path.slice(path.lastIndexOf("/") + 1);
    return new remote.CopyToRemote(
      `${name}-text`,
      {
        connection: dockerHost.connection,
        source: new pulumi.asset.StringAsset(text),
        remotePath: `${dockerHost.host.root}/${container}/conf/incoming/${fileName}`,
      },
      // The CLI elides an asset's text (pkg/engine/events.go, filterAsset); the command shows the same one's diff.
      { parent: this, hideDiffs: ["source"] },
    );
  }
}

export interface SecretFileArgs {
  readonly dockerHost: DockerHost;
  readonly container: string;
  /** File name in the container's `secrets` folder. */
  readonly fileName: string;
  readonly kind: SecretKind;
  /** `uid:gid` of the reader. */
  readonly owner: string;
  /** The whole content, made secret by this function. */
  readonly content: pulumi.Input<string>;
}

/** Ends the stdin of a secret, so that half a one is not taken for it (see `source/apply.sh`). */
const END_OF_SECRET = "\n--end of secret--";

/**
 * A secret as a file of mode 0600. It travels on a command's stdin alone: no argument, no environment, no hash of
 * it in any line.
 */
export function createSecretFile(
  name: string,
  args: SecretFileArgs,
  opts: pulumi.CustomResourceOptions,
): remote.Command {
  return new remote.Command(
    name,
    {
      connection: args.dockerHost.connection,
      create: `${args.dockerHost.tool} secret ${args.kind} ${args.container} ${args.fileName} ${args.owner}`,
      stdin: pulumi.secret(pulumi.interpolate`${args.content}${END_OF_SECRET}`),
      logging: remote.Logging.Stderr,
    },
    opts,
  );
}

/** The folders of one container; `subfolders` as `name=mode`, `name=mode@ssh` (of the SSH user's group), or `conf/incoming`. */
export function createFolder(
  name: string,
  args: {
    readonly dockerHost: DockerHost;
    readonly container: string;
    readonly owner: string;
    readonly subfolders: readonly string[];
  },
  opts: pulumi.CustomResourceOptions,
): remote.Command {
  return new remote.Command(
    name,
    {
      connection: args.dockerHost.connection,
      create: `${args.dockerHost.tool} folder ${args.container} ${args.owner} ${args.subfolders.join(" ")}`,
      logging: remote.Logging.None,
    },
    opts,
  );
}
