import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import type { Ran, Rehearsal } from "./rehearsal.ts";

const TOOLS = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-docker", "pulumi-resource-command"];
const FOLDER = "/opt/pulumi";

/** The Pulumi CLI with the plugins that our stacks need, as they are on this machine's PATH. */
export interface PulumiTools {
  readonly found: readonly string[];
  readonly missing: readonly string[];
}

export function pulumiTools(): PulumiTools {
  const found: string[] = [];
  const missing: string[] = [];
  for (const tool of TOOLS) {
    const path = (process.env["PATH"] ?? "")
      .split(delimiter)
      .map((folder) => join(folder, tool))
      .find(isExecutable);
    if (path === undefined) missing.push(tool);
    else found.push(path);
  }
  return { found, missing };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The real Pulumi CLI in a sealed world's controller, on the same state as the embedded engine there. */
export class PulumiCli {
  readonly #world: Rehearsal;

  private constructor(world: Rehearsal) {
    this.#world = world;
  }

  /** Copies the tools in: the controller has no network to fetch any. */
  static async install(world: Rehearsal, tools: PulumiTools): Promise<PulumiCli> {
    const container = `heatwave-${world.world}-controller`;
    await execa("docker", ["exec", container, "mkdir", "-p", FOLDER]);
    for (const path of tools.found) await execa("docker", ["cp", "-L", path, `${container}:${FOLDER}/`]);
    return new PulumiCli(world);
  }

  /**
   * `pulumi VERB …` on the world's stack. The CLI would decrypt what the overlay replaces, by a passphrase that the
   * world does not have: it reads a copy of the stack file without secrets, with the salt of the state's own key.
   */
  run(verb: string, ...args: readonly string[]): Promise<Ran> {
    const { stack } = this.#world;
    const script = [
      "set -e",
      `state=/var/lib/heatwave-state/.pulumi/stacks/heatwave/${stack}.json`,
      `. bin/find-node.sh && export PATH="$PATH:${FOLDER}"`,
      "export PULUMI_SKIP_UPDATE_CHECK=true PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true PULUMI_HOME=/tmp/pulumi-home",
      // In a folder of its own: beside the stack file it would try the passphrase on production's salt.
      "init=/tmp/cli-init; mkdir -p $init; printf 'name: heatwave\\nruntime: nodejs\\n' >$init/Pulumi.yaml",
      "test -f $state || { rm -f $init/Pulumi.$1.yaml; (cd $init && pulumi stack init --no-select --secrets-provider passphrase organization/heatwave/$1 >&2); }",
      `salt=$(sed -n 's/.*"salt":"\\([^"]*\\)".*/\\1/p' $state)`,
      'test -n "$salt" || salt=$(sed -n "s/^encryptionsalt: //p" $init/Pulumi.$1.yaml)',
      `{ echo "encryptionsalt: $salt"; sed '/^encryptionsalt:/d' Pulumi.$1.yaml | awk '/^  [^ ]/ { hidden = /^  heatwave:secrets:/ } !hidden'; } >/tmp/cli.yaml`,
      'stack=$1; verb=$2; shift 2; exec pulumi $verb --stack $stack --config-file /tmp/cli.yaml --non-interactive "$@"',
    ].join("\n");
    return this.#world.attempt("exec", "--", "sh", "-c", script, "bin/sh", stack, verb, ...args);
  }
}
