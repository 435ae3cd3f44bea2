import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

/**
 * A program that is not heatwave's, as one would find it: a component with a network, a volume, an image and two
 * containers on the machine's own daemon, and a command fed by what only an update knows. STEP changes it.
 */
const step = Number(process.env["STEP"] ?? "1");
const label = { label: process.env["LABEL"] ?? "", value: "1" };

class Shop extends pulumi.ComponentResource {
  readonly greeting: pulumi.Output<string>;

  constructor(name: string, opts?: pulumi.ComponentResourceOptions) {
    super("shop:index:Shop", name, {}, opts);
    const parent = { parent: this };
    // Autonamed, like most networks and volumes that one meets.
    const network = new docker.Network(`${name}-net`, { labels: [label] }, parent);
    const volume = new docker.Volume(`${name}-data`, { labels: [label] }, parent);
    const image = new docker.RemoteImage(
      `${name}-image`,
      { name: process.env["IMAGE"] ?? "", keepLocally: true },
      parent,
    );
    const database = new docker.Container(
      `${name}-db`,
      {
        name: "corner-db",
        image: image.name,
        command: ["sleep", "1000"],
        envs: [
          pulumi.interpolate`PASSWORD=${pulumi.secret("hunter2 'and' \"more\" $x \\y")}`,
          `STEP=${step >= 3 ? 2 : 1}`,
        ],
        networksAdvanced: [{ name: network.name, aliases: ["db"] }],
        volumes: [{ volumeName: volume.name, containerPath: "/data" }],
        labels: [label],
        destroyGraceSeconds: 0,
      },
      { ...parent, deleteBeforeReplace: true },
    );
    new docker.Container(
      `${name}-web`,
      {
        image: image.name,
        command: ["sleep", "1000"],
        networksAdvanced: [{ name: network.name }],
        labels: [label],
        memory: step >= 4 ? 64 : 32,
        memorySwap: 128,
        destroyGraceSeconds: 0,
      },
      { ...parent, dependsOn: [database] },
    );
    const greet = new local.Command(
      `${name}-greet`,
      {
        create: pulumi.interpolate`docker exec ${database.name} sh -c 'echo $STEP'`,
        triggers: [database.id],
      },
      parent,
    );
    this.greeting = greet.stdout;
    this.registerOutputs({ greeting: this.greeting });
  }
}

// From the second step on the component has another name; its children follow it by their inherited aliases.
const shop = step === 1 ? new Shop("corner") : new Shop("store", { aliases: [{ name: "corner" }] });
export const greeting = shop.greeting;
