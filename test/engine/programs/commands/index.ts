import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

const config = new pulumi.Config();

const first = new local.Command("first", {
  create: config.get("create") ?? "echo hello",
  environment: { PASSWORD: pulumi.secret("hunter2") },
});
const second = new local.Command(
  "second",
  { create: pulumi.interpolate`echo got ${first.stdout}`, delete: "echo gone", triggers: [new pulumi.asset.StringAsset("a\nb\n")] },
  { dependsOn: [first] },
);
export const said = second.stdout;
