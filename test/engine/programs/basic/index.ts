import * as pulumi from "@pulumi/pulumi";

class Thing extends pulumi.CustomResource {
  declare readonly serial: pulumi.Output<number>;
  declare readonly value: pulumi.Output<unknown>;
  constructor(name: string, args: pulumi.Inputs, options?: pulumi.CustomResourceOptions) {
    super("fake:index:Thing", name, { serial: undefined, value: undefined, ...args }, options);
  }
}

class Pair extends pulumi.ComponentResource {
  constructor(name: string, options?: pulumi.ComponentResourceOptions) {
    super("basic:index:Pair", name, { size: 2 }, options);
    const left = new Thing(`${name}-left`, { value: 1 }, { parent: this });
    const right = new Thing(`${name}-right`, { value: left.serial }, { parent: this });
    this.registerOutputs({ right: right.serial });
  }
}

new Pair("pair");
const secret = new Thing("secret", { value: pulumi.secret("hunter2"), nested: { deep: pulumi.secret("x") } });
export const serial = secret.serial;
export const value = secret.value;
