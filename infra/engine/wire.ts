import struct from "google-protobuf/google/protobuf/struct_pb.js";
import type {
  Struct as StructMessage,
  Value as ValueMessage,
} from "google-protobuf/google/protobuf/struct_pb.js";

import * as mark from "./signatures.ts";
import { isList, isMap } from "./value-tools.ts";
import { Archive, Asset, ResourceReference, Secret, Unknown } from "./values.ts";
import type { Value, ValueMap } from "./values.ts";

const { Struct, Value: StructValue, ListValue, NullValue } = struct;
const Kind = StructValue.KindCase;

/**
 * Reads the properties of a request. Assets and archives given by path come with the hash "" (see `hashAssets`).
 * @throws Error on kinds of value that the engine does not know.
 */
export function decodeStruct(message: StructMessage | undefined): ValueMap {
  const map: Record<string, Value> = {};
  message?.getFieldsMap().forEach((value: ValueMessage, key: string) => {
    map[key] = decodeValue(value);
  });
  return map;
}

export function decodeValue(message: ValueMessage): Value {
  switch (message.getKindCase()) {
    case Kind.BOOL_VALUE:
      return message.getBoolValue();
    case Kind.NUMBER_VALUE:
      return message.getNumberValue();
    case Kind.STRING_VALUE: {
      const text = message.getStringValue();
      return mark.UNKNOWNS.has(text) ? Unknown.instance : text;
    }
    case Kind.LIST_VALUE:
      return message.getListValue()?.getValuesList().map(decodeValue) ?? [];
    case Kind.STRUCT_VALUE:
      return markedValue(decodeStruct(message.getStructValue()));
    default:
      return null;
  }
}

/** Turns an object with a signature into the kind it stands for. */
function markedValue(map: ValueMap): Value {
  const signature = map[mark.SIGNATURE];
  if (signature === undefined) return map;
  switch (signature) {
    case mark.SECRET:
      return new Secret(map["value"] ?? null);
    case mark.ASSET:
      return assetOf(map);
    case mark.ARCHIVE:
      return archiveOf(map);
    case mark.REFERENCE:
      return new ResourceReference(textOf(map["urn"]) ?? "", map["id"]);
    case mark.OUTPUT: {
      const value = map["value"] ?? Unknown.instance;
      return map["secret"] === true ? new Secret(value) : value;
    }
    default:
      throw new Error(
        `the embedded engine does not know values with the signature ${JSON.stringify(signature)}`,
      );
  }
}

const textOf = (value: Value | undefined): string | undefined =>
  typeof value === "string" ? value : undefined;

/** An asset from its keys, as they are both on the wire and in state. */
export function assetOf(map: ValueMap): Asset {
  const { text, path, uri, hash } = map;
  if (uri !== undefined && uri !== "") {
    throw new Error(
      `the embedded engine does not know remote assets (${JSON.stringify(uri)}); use FileAsset or StringAsset`,
    );
  }
  if (typeof path === "string" && path !== "") return new Asset({ path }, textOf(hash) ?? "");
  return new Asset(typeof text === "string" ? { text } : {}, textOf(hash) ?? "");
}

/** An archive from its keys, as they are both on the wire and in state. */
export function archiveOf(map: ValueMap): Archive {
  const { path, uri, assets, hash } = map;
  if (uri !== undefined && uri !== "") {
    throw new Error(
      `the embedded engine does not know remote archives (${JSON.stringify(uri)}); use FileArchive or AssetArchive`,
    );
  }
  if (typeof path === "string" && path !== "") return new Archive({ path }, textOf(hash) ?? "");
  const members: Record<string, Asset | Archive> = {};
  for (const [name, member] of Object.entries(isMap(assets) ? assets : {})) {
    if (!(member instanceof Asset) && !(member instanceof Archive)) {
      throw new Error(`archive member ${JSON.stringify(name)} is neither an asset nor an archive`);
    }
    members[name] = member;
  }
  return new Archive({ assets: members }, textOf(hash) ?? "");
}

/** Writes properties for an answer; secrets and unknowns keep their marks. */
export function encodeStruct(map: ValueMap): StructMessage {
  const message = new Struct();
  const fields = message.getFieldsMap();
  for (const [key, value] of Object.entries(map)) fields.set(key, encodeValue(value));
  return message;
}

export function encodeValue(value: Value): ValueMessage {
  const message = new StructValue();
  if (value === null) message.setNullValue(NullValue.NULL_VALUE);
  else if (typeof value === "boolean") message.setBoolValue(value);
  else if (typeof value === "number") message.setNumberValue(value);
  else if (typeof value === "string") message.setStringValue(value);
  else if (value instanceof Unknown) message.setStringValue(mark.UNKNOWN_STRING);
  else if (isList(value)) {
    const list = new ListValue();
    list.setValuesList(value.map(encodeValue));
    message.setListValue(list);
  } else message.setStructValue(encodeStruct(isMap(value) ? value : signed(value)));
  return message;
}

/** The keys that stand for a marked kind on the wire. */
function signed(value: Secret | Asset | Archive | ResourceReference): ValueMap {
  if (value instanceof Secret) return { [mark.SIGNATURE]: mark.SECRET, value: value.value };
  if (value instanceof ResourceReference) {
    return {
      [mark.SIGNATURE]: mark.REFERENCE,
      urn: value.urn,
      ...(value.id === undefined ? {} : { id: value.id }),
    };
  }
  return signedFile(value);
}

/** The keys of an asset or archive, as they are both on the wire and in state. */
export function signedFile(value: Asset | Archive): ValueMap {
  if (value instanceof Asset) {
    return {
      [mark.SIGNATURE]: mark.ASSET,
      hash: value.hash,
      ...(value.path === undefined ? { text: value.text ?? "" } : { path: value.path }),
    };
  }
  return {
    [mark.SIGNATURE]: mark.ARCHIVE,
    hash: value.hash,
    ...(value.path === undefined ? { assets: { ...value.assets } } : { path: value.path }),
  };
}
