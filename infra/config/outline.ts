import { z } from "zod";
import { stackSchema } from "./schema.ts";
import { notes } from "./words.ts";

/** The schema as a flat list of keys, for the reference and for tests that hold every key to a rule. */
export interface Key {
  /** As the reference writes it: `hosts.<name>.ssh.port`, `sites[].host`. */
  readonly path: string;
  readonly schema: z.ZodType;
  /** What may stand there, in words. */
  readonly allowed: string;
  /** undefined = none; then `required` says whether the key may be left out. */
  readonly default: unknown;
  readonly required: boolean;
  readonly description: string;
  /** What changing it does, where it is identity. */
  readonly identity: string | undefined;
  /** False for mappings and lists, whose keys follow. */
  readonly leaf: boolean;
}

/** Every key, in the schema's order, each mapping and list before what is in it. */
export function outline(): Key[] {
  return Object.entries(stackSchema({ rehearsal: false }).shape).flatMap(([name, schema]) =>
    keysOf(name, schema),
  );
}

interface Peeled {
  readonly inner: z.ZodType;
  readonly default: unknown;
  readonly required: boolean;
  readonly identity: string | undefined;
  readonly description: string | undefined;
}

function peel(schema: z.ZodType): Peeled {
  const own = { description: schema.description, identity: notes.get(schema)?.identity };
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    const below = peel(schema.def.innerType as z.ZodType);
    return {
      ...below,
      description: own.description ?? below.description,
      identity: own.identity ?? below.identity,
      required: false,
      // A mapping's own default is the sum of its keys'.
      default: schema instanceof z.ZodDefault ? schema.def.defaultValue : below.default,
    };
  }
  return { inner: schema, default: undefined, required: true, ...own };
}

function keysOf(path: string, schema: z.ZodType): Key[] {
  const { inner, default: fallback, required, identity, description } = peel(schema);
  const key = (allowed: string, leaf: boolean): Key => ({
    path,
    schema: inner,
    allowed,
    default: fallback,
    required,
    description: description ?? "",
    identity,
    leaf,
  });
  if (inner instanceof z.ZodObject) {
    const shape = inner.shape as Record<string, z.ZodType>;
    const below = Object.entries(shape).flatMap(([name, value]) => keysOf(`${path}.${name}`, value));
    return [key("mapping", false), ...below];
  }
  if (inner instanceof z.ZodRecord) {
    const names = notes.get(inner.keyType as z.ZodType)?.allowed ?? "text";
    const below = keysOf(`${path}.<name>`, inner.valueType as z.ZodType);
    return [key(`mapping; each name: ${names}`, false), ...below];
  }
  if (inner instanceof z.ZodArray) {
    const below = keysOf(`${path}[]`, inner.element as z.ZodType);
    const only = below.length === 1 ? below[0] : undefined;
    return only?.leaf === true
      ? [key(`list; each one: ${only.allowed}`, true)]
      : [key("list of mappings", false), ...below.slice(1)];
  }
  return [key(allowedOf(inner), true)];
}

function allowedOf(schema: z.ZodType): string {
  if (schema instanceof z.ZodEnum) return schema.options.map((word) => `\`${word}\``).join(", ");
  if (schema instanceof z.ZodBoolean) return "`true`, `false`";
  const allowed = notes.get(schema)?.allowed;
  if (allowed === undefined) throw new Error(`a key of the schema without words: ${schema.type}`);
  return allowed;
}
