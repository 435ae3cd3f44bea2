import * as pulumi from "@pulumi/pulumi";

/** A resource of the package `fake`, see test/support/fake-package.ts. */
export class Thing extends pulumi.CustomResource {
  declare readonly serial: pulumi.Output<number>;
  declare readonly value: pulumi.Output<unknown>;
  declare readonly password: pulumi.Output<string>;

  constructor(
    name: string,
    args: pulumi.Inputs = {},
    options?: pulumi.CustomResourceOptions,
    type = "fake:index:Thing",
  ) {
    super(type, name, { serial: undefined, value: undefined, password: undefined, ...args }, options);
  }
}

export class FakeProvider extends pulumi.ProviderResource {
  constructor(name: string, args: pulumi.Inputs = {}, options?: pulumi.ResourceOptions) {
    super("fake", name, args, options);
  }
}

/** A component whose children are made by a function. */
export class Group extends pulumi.ComponentResource {
  constructor(
    name: string,
    children: (group: Group) => pulumi.Inputs | undefined,
    options?: pulumi.ComponentResourceOptions,
    type = "scenarios:index:Group",
  ) {
    super(type, name, { kind: "group" }, options);
    this.registerOutputs(children(this) ?? {});
  }
}
