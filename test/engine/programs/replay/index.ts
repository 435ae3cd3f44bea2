import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import type { Replayed } from "./replayed.ts";

/**
 * Registers resources as a file has them: what a program of a stack once asked for, whatever its components render
 * today. So a state that the Pulumi CLI wrote for a whole stack stays a test when the stack's texts change.
 */
const PATH = process.env["REPLAY"] ?? "";

/** The SDK's own classes are for packages that it knows. */
class Custom extends pulumi.CustomResource {}
class Component extends pulumi.ComponentResource {}
class Provider extends pulumi.ProviderResource {}

type Inputs = Record<string, pulumi.Input<unknown>>;

function valueOf(value: unknown): pulumi.Input<unknown> {
  if (Array.isArray(value)) return value.map(valueOf);
  if (typeof value !== "object" || value === null) return value;
  if ("$secret" in value) return pulumi.secret(valueOf(value.$secret));
  if ("$text" in value) return new pulumi.asset.StringAsset(String(value.$text));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, valueOf(inner)]));
}

export default function program(): void {
  const made = new Map<string, pulumi.Resource>();
  for (const one of JSON.parse(readFileSync(PATH, "utf8")) as readonly Replayed[]) {
    const parent = made.get(one.parent);
    const provider = one.provider === undefined ? undefined : made.get(one.provider);
    const options: pulumi.CustomResourceOptions = {
      ...(parent === undefined ? {} : { parent }),
      ...(provider instanceof pulumi.ProviderResource ? { provider } : {}),
      ...(one.version === undefined ? {} : { version: one.version }),
      dependsOn: one.dependencies.flatMap((urn) => made.get(urn) ?? []),
      protect: one.protect,
      retainOnDelete: one.retainOnDelete,
      ...one.options,
    };
    const inputs = valueOf(one.inputs) as Inputs;
    made.set(
      one.urn,
      one.type.startsWith("pulumi:providers:")
        ? new Provider(one.type.slice("pulumi:providers:".length), one.name, inputs, options)
        : one.custom
          ? new Custom(one.type, one.name, { ...one.outputs, ...inputs }, options)
          : new Component(one.type, one.name, inputs, options),
    );
  }
}
