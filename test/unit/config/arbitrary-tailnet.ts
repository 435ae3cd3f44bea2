import fc from "fast-check";

/** Arbitrary devices and keys of `tailnet`. */

const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

export const tailnet = fc.record({
  device: fc.constantFrom("true-", "box-", "a.ts.net-"),
  keys: some(
    fc
      .record({
        name: some(fc.constantFrom("example.com", "TAb1", "true")),
        expiryWarning: some(fc.integer({ min: 1, max: 90 })),
        tags: some(fc.uniqueArray(fc.constantFrom("tag:database", "tag:true"), { minLength: 1 })),
        keyExpiry: some(fc.boolean()),
        joinKeys: some(fc.uniqueArray(fc.constantFrom("null", "new-01"))),
        grants: some(fc.boolean()),
      })
      // Join keys carry tags.
      .map((keys) => (keys.tags === undefined ? { ...keys, joinKeys: undefined } : keys)),
  ),
});
