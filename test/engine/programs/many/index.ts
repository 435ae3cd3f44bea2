import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

/** About 80 resources in the shape of a stack of sites: components, files with checks, all chained by dependsOn. */
class Site extends pulumi.ComponentResource {
  constructor(name: string, options?: pulumi.ComponentResourceOptions) {
    super("many:index:Site", name, {}, options);
    let before: pulumi.Resource[] = [];
    for (let index = 0; index < 18; index += 1) {
      const command = new local.Command(
        `${name}-${String(index)}`,
        {
          create: `: '${"configuration line\n".repeat(40)}'; echo done`,
          environment: { SECRET: pulumi.secret(`s${String(index)}`) },
        },
        { parent: this, dependsOn: before },
      );
      before = index % 3 === 0 ? [command] : [...before, command];
    }
    this.registerOutputs();
  }
}

export const version = docker.Container.name;
for (const name of ["a", "b", "c", "d"]) new Site(name);
