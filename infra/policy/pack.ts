import { PolicyPack } from "@pulumi/policy";
import { RULES } from "./rules.ts";

/** Serves the rules to the Pulumi CLI: `pulumi preview --policy-pack infra/policy`. A broken one stops the run. */
new PolicyPack("heatwave", {
  enforcementLevel: "mandatory",
  policies: RULES.map(({ name, description, check }) => ({
    name,
    description,
    validateResource: ({ type, name: resource, props, opts }, report) => {
      // Runs as it was found (docs/adoption.md): bin/adopt lists what it lacks.
      if (opts.ignoreChanges.includes("*")) return;
      // Analyzers are not told of retainOnDelete.
      const declared = {
        type,
        name: resource,
        inputs: props,
        protect: opts.protect,
        retainOnDelete: undefined,
      };
      for (const message of check(declared)) report(message);
    },
  })),
});
