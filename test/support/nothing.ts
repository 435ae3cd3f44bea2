import { expect } from "vitest";

/** An object without entries. In toMatchObject a plain `{}` matches every object (the linter refuses it there). */
export const NOTHING: unknown = expect.toSatisfy(
  (value: unknown) => typeof value === "object" && value !== null && Object.keys(value).length === 0,
  "an object without entries",
);
