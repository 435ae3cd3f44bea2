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

test("of a connection who and where can be read, and what opens it is hidden", () => {
  const mask = new SecretMask();
  mask.addProperties("command:remote:Command", {
    connection: new Secret({ host: "192.0.2.7", user: "deploy", port: 22, password: "pass-of-7" }),
    stdin: new Secret("text-of-7"),
  });
  mask.addProperties("command:remote:CopyToRemote", {
    connection: new Secret({
      host: "192.0.2.7",
      user: "deploy",
      proxy: { host: "192.0.2.8", user: "jump", password: "pass-of-8" },
    }),
  });
  expect(mask.apply("ssh deploy@192.0.2.7:22 by jump pass-of-8 pass-of-7 text-of-7")).toBe(
    "ssh deploy@192.0.2.7:22 by jump [secret] [secret] [secret]",
  );
});

test("only a command resource's connection is read so; a host or user that is secret by itself stays hidden", () => {
  const mask = new SecretMask();
  mask.addProperties("other:index:Database", {
    connection: new Secret({ host: "db.example", user: "owner" }),
  });
  mask.addProperties("command:remote:Command", {
    connection: { host: new Secret("203.0.113.9"), user: "deploy" },
  });
  expect(mask.apply("db.example owner deploy@203.0.113.9")).toBe("[secret] [secret] deploy@[secret]");
});
