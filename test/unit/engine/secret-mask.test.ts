import { expect, test } from "vitest";

import { SecretMask } from "../../../infra/engine/secret-mask.ts";
import { Secret } from "../../../infra/engine/values.ts";

test("messages show no secret, however deep it stood and whatever else begins with it", () => {
  const mask = new SecretMask();
  mask.add({ open: "visible", list: [new Secret({ deep: ["hunter2", 123_456] })] });
  mask.addText("hunter2-long\n");
  expect(mask.apply("visible hunter2-long, hunter2 and 123456")).toBe(
    "visible [secret], [secret] and [secret]",
  );
});

test("short texts are left alone", () => {
  const mask = new SecretMask();
  mask.add(new Secret(["no", 1, "", true]));
  expect(mask.apply("no 1 true")).toBe("no 1 true");
});
