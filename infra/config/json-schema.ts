import { z } from "zod";
import { stackSchema } from "./schema.ts";
import { notes } from "./words.ts";

/**
 * The JSON schema of `Pulumi.<stack>.yaml`, for editors with a YAML language server. It knows shapes and texts;
 * the rules between fields are checked by every command.
 */

const NAMESPACE = "heatwave:";

/** A value as `pulumi config set --secret` leaves it in the file. */
const ENCRYPTED = {
  type: "object",
  properties: {
    secure: { type: "string", description: "Written by `pulumi config set --secret --path`." },
  },
  required: ["secure"],
  additionalProperties: false,
};

export function stackJsonSchema(): object {
  const config = z.toJSONSchema(stackSchema({ rehearsal: false }), {
    target: "draft-7",
    io: "input",
    override: ({ zodSchema, jsonSchema }) => {
      const note = notes.get(zodSchema as unknown as z.ZodType);
      if (note?.secret === true) {
        for (const key of ["type", "pattern"]) Reflect.deleteProperty(jsonSchema, key);
        Object.assign(jsonSchema, ENCRYPTED);
      } else if (jsonSchema.pattern !== undefined && note?.allowed !== undefined) {
        // Understood by the editors' language servers; others ignore it.
        jsonSchema["patternErrorMessage"] = `allowed: ${note.allowed}`;
      }
    },
  });
  const prefixed = (name: string): string => `${NAMESPACE}${name}`;
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Stack file of heatwave",
    description:
      "Pulumi.<stack>.yaml. Generated from infra/config/schema.ts by `node infra/cli/config-docs.ts`.",
    type: "object",
    properties: {
      encryptionsalt: { type: "string", description: "Pulumi's own: salt of the passphrase." },
      secretsprovider: { type: "string", description: "Pulumi's own: who encrypts, where not a passphrase." },
      encryptedkey: { type: "string", description: "Pulumi's own: key of the secrets provider." },
      config: {
        type: "object",
        properties: Object.fromEntries(
          Object.entries(config.properties ?? {}).map(([name, schema]) => [prefixed(name), schema]),
        ),
        required: (config.required ?? []).map(prefixed),
        patternProperties: { [`^(?!${NAMESPACE})`]: {} },
        additionalProperties: false,
      },
    },
    required: ["config"],
  };
}
