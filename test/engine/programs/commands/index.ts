import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

/**
 * Two commands, the second fed by the first; STEP changes the first, WAIT holds it until a file is there, FAIL lets it
 * fail while the program goes on to write.
 */
const step = process.env["STEP"] ?? "1";
const wait = process.env["WAIT"];
const isFailing = process.env["FAIL"] !== undefined;
if (isFailing) {
  console.error("a line from before the failure");
  process.on("exit", () => console.error("a line from after the failure"));
}

const first = new local.Command("first", {
  create: isFailing
    ? "exit 3"
    : wait === undefined
      ? `echo step ${step}`
      : `touch ${wait}.begun; until [ -e ${wait} ]; do sleep 0.05; done; echo ${step}`,
  environment: { PASSWORD: pulumi.secret("hunter2") },
});
const second = new local.Command(
  "second",
  {
    create: pulumi.interpolate`echo got ${first.stdout}`,
    triggers: [new pulumi.asset.StringAsset("a\nb\n")],
  },
  { dependsOn: [first] },
);
export const said = second.stdout;
export const password = pulumi.secret("hunter2");
