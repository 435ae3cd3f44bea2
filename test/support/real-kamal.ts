import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { docker } from "../../infra/rehearsal/docker.ts";
import type { WorldPlan } from "../../infra/rehearsal/plan.ts";
import type { Host } from "../../infra/topology/model.ts";

/** One entry below `accessories:` of Kamal's `config/deploy.yml`. */
export interface Accessory {
  readonly image: string;
  readonly port: string;
  /** `LOCAL:PATH IN THE CONTAINER`; Kamal uploads the local file and mounts it. */
  readonly files: readonly string[];
}

/** Debian's Kamal (ruby-kamal), run in a world beside the controller: on its network, with the operator's key. */
export class RealKamal {
  readonly #plan: WorldPlan;
  readonly #image: string;

  private constructor(plan: WorldPlan, image: string) {
    this.#plan = plan;
    this.#image = image;
  }

  /** Builds its image on the controller's, once. */
  static async beside(plan: WorldPlan): Promise<RealKamal> {
    const controller = await docker(["inspect", "--format", "{{.Config.Image}}", plan.controller.container]);
    const image = controller.replace(/controller:/, "kamal:");
    const folder = new URL("./kamal", import.meta.url).pathname;
    await docker(["build", "--quiet", "--build-arg", `CONTROLLER=${controller}`, "--tag", image, folder]);
    return new RealKamal(plan, image);
  }

  /**
   * `kamal accessory boot NAME` on a host that has the accessory's image.
   * @param files texts of the project, by their path in it
   * @returns what Kamal says
   */
  async boot(
    name: string,
    host: Host,
    accessory: Accessory,
    files: Readonly<Record<string, string>>,
  ): Promise<string> {
    const deploy = {
      service: "heatwave",
      image: "heatwave/app",
      servers: [host.address],
      // A local one needs no login; nothing is pulled or pushed.
      registry: { server: "localhost:5555" },
      builder: { arch: "amd64" },
      ssh: {
        user: host.ssh.user,
        port: host.ssh.port,
        keys_only: true,
        keys: ["/etc/heatwave/id_ed25519"],
      },
      accessories: { [name]: { ...accessory, host: host.address } },
    };
    const folder = mkdtempSync(join(tmpdir(), "heatwave-kamal-"));
    try {
      // JSON is YAML.
      const all = { ...files, "config/deploy.yml": JSON.stringify(deploy) };
      for (const [path, text] of Object.entries(all)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), text);
      }
      const { container } = this.#plan.controller;
      return await docker([
        ...["run", "--rm", "--network", `container:${container}`, "--volumes-from", container],
        // There is no repository whose commit would be the version.
        ...["--volume", `${folder}:/app`, this.#image, "accessory", "boot", name, "--version", "1"],
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
}
