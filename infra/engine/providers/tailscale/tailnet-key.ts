import { TailnetApiError } from "../../../tailnet/api.ts";
import type { TailnetApi } from "../../../tailnet/api.ts";
import type { ValueMap } from "../../values.ts";
import { flag, integer, setOf, text } from "../bridge/field.ts";
import type { Fields } from "../bridge/field.ts";
import { readFlag, readNumber, readText, readTexts } from "../read-value.ts";
import type { ResourceHandler } from "./handler.ts";

interface Key {
  readonly id: string;
  /** Only in the answer to its creation. */
  readonly key?: string;
  readonly keyType?: string;
  readonly created: string;
  readonly expires: string;
  readonly expirySeconds?: number | null;
  readonly description?: string;
  readonly invalid?: boolean;
  readonly userId?: string;
  readonly capabilities: {
    readonly devices: {
      readonly create: {
        readonly reusable: boolean;
        readonly ephemeral: boolean;
        readonly preauthorized: boolean;
        readonly tags?: readonly string[] | null;
      };
    };
  };
}

const FIELDS: Fields = {
  createdAt: text({ outputOnly: true }),
  description: text({ replace: true, blank: "" }),
  ephemeral: flag({ replace: true, blank: false }),
  expiresAt: text({ outputOnly: true }),
  expiry: integer({ replace: true, computed: true }),
  invalid: flag({ outputOnly: true }),
  key: text({ outputOnly: true }),
  preauthorized: flag({ replace: true, blank: false }),
  recreateIfInvalid: text({ pattern: /^(|always|never)$/ }),
  reusable: flag({ replace: true, blank: false }),
  tags: setOf(text(), { replace: true, blank: [] }),
  userId: text({ computed: true }),
};

function outputs(key: Key, secret: string, recreateIfInvalid: string | undefined): ValueMap {
  const { create } = key.capabilities.devices;
  return {
    id: key.id,
    createdAt: withoutFraction(key.created),
    description: key.description ?? "",
    ephemeral: create.ephemeral,
    expiresAt: withoutFraction(key.expires),
    expiry: key.expirySeconds ?? null,
    invalid: key.invalid ?? false,
    key: secret,
    preauthorized: create.preauthorized,
    recreateIfInvalid: recreateIfInvalid ?? null,
    reusable: create.reusable,
    tags: create.tags ?? [],
    userId: key.userId ?? "",
  };
}

/** Go's RFC 3339 layout has whole seconds. */
const withoutFraction = (time: string): string => time.replace(/\.\d+(?=Z|[+-])/, "");

/** undefined = revoked, or used up. */
async function keyById(api: TailnetApi, id: string): Promise<Key | undefined> {
  try {
    return await api.json<Key>({ method: "GET", path: api.tailnetPath("keys", id) });
  } catch (error) {
    if (error instanceof TailnetApiError && error.status === 404) return undefined;
    throw error;
  }
}

/**
 * `tailscale:index/tailnetKey:TailnetKey`. A key that became invalid stays: the real provider makes anew only those that
 * are reusable or say `recreateIfInvalid: "always"`, neither of which is used here.
 */
export const tailnetKey: ResourceHandler = {
  fields: FIELDS,
  async create(api, inputs) {
    if (readFlag(inputs, "reusable") === true || readText(inputs, "recreateIfInvalid") === "always")
      throw new Error(
        'keys that are made anew by themselves are not known to the embedded engine; write reusable: false and recreateIfInvalid: "never"',
      );
    const made = await api.json<Key>({
      method: "POST",
      path: api.tailnetPath("keys"),
      body: {
        capabilities: {
          devices: {
            create: {
              reusable: false,
              ephemeral: readFlag(inputs, "ephemeral") ?? false,
              tags: readTexts(inputs, "tags"),
              preauthorized: readFlag(inputs, "preauthorized") ?? false,
            },
          },
        },
        expirySeconds: readNumber(inputs, "expiry") ?? 0,
        description: readText(inputs, "description") ?? "",
      },
    });
    return { id: made.id, outputs: outputs(made, made.key ?? "", readText(inputs, "recreateIfInvalid")) };
  },
  async read(api, id, recorded) {
    const found = await keyById(api, id);
    if (found === undefined) return { id, outputs: { ...recorded, invalid: true } };
    if (found.keyType !== undefined && found.keyType !== "auth")
      throw new Error(`key ${id} is of type ${found.keyType}; allowed: auth`);
    const secret = readText(recorded, "key") ?? "";
    return { id, outputs: outputs(found, secret, readText(recorded, "recreateIfInvalid")) };
  },
  async update(api, id, oldOutputs, inputs) {
    // All but `recreateIfInvalid` replaces.
    const found = await keyById(api, id);
    const recreateIfInvalid = readText(inputs, "recreateIfInvalid") ?? null;
    return { ...oldOutputs, recreateIfInvalid, invalid: found?.invalid ?? found === undefined };
  },
  async delete(api, id) {
    try {
      await api.request({ method: "DELETE", path: api.tailnetPath("keys", id) });
    } catch (error) {
      // One that was used may be gone.
      if (!(error instanceof TailnetApiError && error.status === 404)) throw error;
    }
  },
};
