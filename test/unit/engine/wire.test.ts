import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { SIGNATURE } from "../../../infra/engine/signatures.ts";
import { fromJson, maskSecret, openSecret, toJson } from "../../../infra/engine/state-values.ts";
import type { Json } from "../../../infra/engine/state-values.ts";
import { equal } from "../../../infra/engine/value-tools.ts";
import { Archive, Asset, ResourceReference, Secret, Unknown } from "../../../infra/engine/values.ts";
import type { Value } from "../../../infra/engine/values.ts";
import { decodeStruct, decodeValue, encodeStruct, encodeValue } from "../../../infra/engine/wire.ts";

const hash = fc.stringMatching(/^[0-9a-f]{64}$/);
const asset = fc.tuple(fc.string(), hash).map(([text, digest]) => new Asset({ text }, digest));
const key = fc.string().filter((text) => text !== SIGNATURE && text !== "__proto__");
const { value: values } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constant(null),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (Object.is(number, -0) ? 0 : number)),
    fc.string(),
    asset,
    hash.map((digest) => new Archive({ path: "folder" }, digest)),
    fc.string({ minLength: 1 }).map((urn) => new ResourceReference(urn, "id")),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(key, tie("value"), { maxKeys: 4 }),
    tie("value").map((inner) => new Secret(inner)),
  ),
}));

describe("the wire", () => {
  test("brings every value back as it was", () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(equal(decodeValue(encodeValue(value)), value, true)).toBe(true);
      }),
    );
  });

  test("knows unknowns by any of Pulumi's sentinels, and sends the one that the SDK reads", () => {
    const sent = encodeStruct({ a: Unknown.instance, b: new Secret(Unknown.instance) });
    expect(sent.getFieldsMap().get("a")?.getStringValue()).toBe("04da6b54-80e4-46f7-96ec-b56ff0331ba9");
    expect(decodeStruct(sent)).toEqual({ a: Unknown.instance, b: new Secret(Unknown.instance) });
    const other = encodeStruct({ a: "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7" });
    expect(decodeStruct(other)["a"]).toBe(Unknown.instance);
  });

  test("reads output values, secret or not yet known", () => {
    const output = { [SIGNATURE]: "d0e6a833031e9bbcd3f4e8bde6ca49a4" };
    const sent = encodeStruct({ known: { ...output, value: "v", secret: true }, unknown: { ...output } });
    expect(decodeStruct(sent)).toEqual({ known: new Secret("v"), unknown: Unknown.instance });
  });

  test("refuses what it would have to lose", () => {
    const remote = encodeStruct({
      a: { [SIGNATURE]: "c44067f5952c0a294b673a41bacd8c17", uri: "https://x/y" },
    });
    expect(() => decodeStruct(remote)).toThrow(/does not know remote assets \("https:\/\/x\/y"\)/);
    const strange = encodeStruct({ a: { [SIGNATURE]: "no such kind" } });
    expect(() => decodeStruct(strange)).toThrow(/signature "no such kind"/);
  });
});

describe("values in state", () => {
  test("come back as they were, through encryption", () => {
    const texts: string[] = [];
    const seal = (_secret: Secret, plaintext: () => string): Json => {
      texts.push(plaintext());
      return { [SIGNATURE]: "1b47061264138c4ac30d75fd1eb44270", ciphertext: String(texts.length - 1) };
    };
    fc.assert(
      fc.property(values, (value) => {
        const json = JSON.parse(JSON.stringify(toJson(value, seal))) as Json;
        const back = fromJson(
          json,
          (ciphertext) => texts[Number(ciphertext)] ?? "",
          () => undefined,
        );
        expect(equal(back, value, true)).toBe(true);
      }),
    );
  });

  test("a secret within a secret stands in clear inside the outer one", () => {
    let text = "";
    toJson(new Secret({ a: new Secret("x") }), (_secret, plaintext) => {
      text = plaintext();
      return null;
    });
    expect(JSON.parse(text)).toEqual({
      a: { [SIGNATURE]: "1b47061264138c4ac30d75fd1eb44270", ciphertext: '"x"' },
    });
  });

  test("masked or open for the reader", () => {
    const value = { a: [new Secret({ b: new Secret(1) })] };
    expect(toJson(value, maskSecret)).toEqual({ a: ["[secret]"] });
    expect(toJson(value, openSecret)).toEqual({ a: [{ b: 1 }] });
  });

  test("numbers that JSON cannot hold have their own mark", () => {
    const json = toJson(Number.POSITIVE_INFINITY, maskSecret);
    expect(json).toEqual({ [SIGNATURE]: "8ad145fe-0d11-4827-bfd7-1abcbf086f5c", value: "Infinity" });
    expect(fromJson(json, String, () => undefined)).toBe(Number.POSITIVE_INFINITY);
  });
});
