import { remote } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

/**
 * The resource types and the shapes of inputs that heatwave's stacks use, on one host and frozen: the states and
 * previews in test/engine/data were written by the Pulumi CLI for this very text. STEP=2 changes one of each.
 */
const config = new pulumi.Config();
const step = Number(process.env["STEP"] ?? "1");
const address = config.require("address");
const hostKey = config.require("hostKey");
const connection = {
  host: address,
  port: 22,
  user: "deploy",
  hostKey,
  dialErrorLimit: 3,
  perDialTimeout: 10,
};
const root = "/tmp/exchange";

class Group extends pulumi.ComponentResource {
  constructor(name: string, inputs: pulumi.Inputs, opts?: pulumi.ComponentResourceOptions) {
    super("exchange:index:Group", name, inputs, opts);
    this.registerOutputs({ folder: root });
  }
}

const host = new Group("host", { address });
const provider = new docker.Provider(
  "provider",
  {
    host: `ssh://deploy@${address}:22`,
    sshOpts: [
      ...["-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=/dev/null"],
      ...["-o", "GlobalKnownHostsFile=/dev/null", "-o", `KnownHostsCommand=/bin/echo %H ${hostKey}`],
    ],
    disableDockerDaemonCheck: true,
  },
  { parent: host },
);
const onHost = { parent: host, provider };

const folder = new remote.Command(
  "folder",
  { connection, create: `mkdir -p ${root}/conf && echo made`, logging: "none" },
  { parent: host },
);
const text = new remote.CopyToRemote(
  "text",
  { connection, source: new pulumi.asset.StringAsset(`step ${step}\n`), remotePath: `${root}/conf/text` },
  { parent: host, dependsOn: folder, hideDiffs: ["source"] },
);
const secret = new remote.Command(
  "secret",
  {
    connection,
    create: `umask 077; cat >${root}/secret`,
    stdin: config.requireSecretObject<{ password: string }>("secrets").apply((secrets) => secrets.password),
    logging: "none",
  },
  { parent: host, dependsOn: folder },
);
const applied = new remote.Command(
  "applied",
  {
    connection,
    create: `cat >/dev/null; echo applied ${step}`,
    stdin: `step ${step}\n`,
    triggers: ["always the same"],
    logging: "none",
  },
  { parent: host, dependsOn: text, hideDiffs: ["stdin"] },
);
const network = new docker.Network(
  "network",
  { name: "exchange", driver: "bridge" },
  { ...onHost, deleteBeforeReplace: true },
);
const generated = new docker.Network(
  "generated",
  { labels: [{ label: "step", value: String(step) }] },
  onHost,
);
const volume = new docker.Volume(
  "volume",
  { name: "exchange-data" },
  { ...onHost, protect: true, retainOnDelete: true },
);
const image = new docker.RemoteImage(
  "image",
  { name: config.require("image"), keepLocally: true },
  { ...onHost, dependsOn: [] },
);
const container = new docker.Container(
  "container",
  {
    name: "exchange",
    image: config.require("image"),
    entrypoints: ["/bin/sh", "-c"],
    command: ["trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"],
    user: "999:999",
    init: true,
    restart: step === 1 ? "always" : "no",
    networkMode: network.name,
    ports: [9432, ...(step === 1 ? [] : [9433])].map((port) => ({
      internal: port,
      external: port,
      ip: address,
      protocol: "tcp",
    })),
    mounts: [
      { type: "bind", source: root, target: "/etc/exchange", readOnly: true },
      { type: "volume", source: volume.name, target: "/data", readOnly: false },
    ],
    stopSignal: "SIGTERM",
    stopTimeout: 10,
    destroyGraceSeconds: 10,
    removeVolumes: false,
    healthcheck: {
      tests: ["CMD", "true"],
      interval: "10s",
      timeout: "5s",
      startPeriod: "30s",
      startInterval: "1s",
      retries: 3,
    },
    logDriver: "json-file",
    logOpts: { "max-size": "20m", "max-file": "5" },
    shmSize: 256,
  },
  { ...onHost, dependsOn: [image, secret], deleteBeforeReplace: true },
);
if (step === 2) new docker.Volume("more", {}, onHost);
else new Group("less", {}, { parent: host });

export const said = applied.stdout;
export const sites = { one: { address, container: container.name, network: generated.name } };
