import { appendFileSync } from "node:fs";

import * as pulumi from "@pulumi/pulumi";

import { FakeProvider, Group, Thing } from "./thing.ts";

type Scenario = (step: number) => pulumi.Inputs | undefined;

function tell(name: string, args: pulumi.ResourceHookArgs): void {
  const of = (map: Record<string, unknown> | undefined): unknown =>
    map === undefined ? "-" : [map["shape"], map["value"], map["serial"], map["made"]];
  const known = [args.oldInputs, args.newInputs, args.oldOutputs, args.newOutputs].map(of);
  appendFileSync(
    process.env["HOOK_LOG"] ?? "/dev/null",
    `${name} ${args.id || "-"} ${JSON.stringify(known)}\n`,
  );
  if (process.env["HOOK_FAILS"] === name) throw new Error(`no: ${name}`);
}

/** Small programs by name; `step` lets one change from run to run. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  basic: () => {
    const pair = new Group("pair", (group) => {
      const left = new Thing("pair-left", { value: 1 }, { parent: group });
      const right = new Thing("pair-right", { value: left.serial }, { parent: group });
      return { right: right.serial };
    });
    const after = new Thing("after", { list: [1, null, "x"] }, { dependsOn: [pair] });
    return { after: after.serial, plain: { a: [1, 2, null], b: true } };
  },

  secrets: () => {
    const thing = new Thing(
      "thing",
      {
        password: pulumi.secret("hunter2"),
        nested: { deep: pulumi.secret("deepest") },
        list: [pulumi.secret("in-list")],
      },
      { additionalSecretOutputs: ["serial"] },
    );
    return { password: thing.password, serial: thing.serial };
  },

  laterSecret: (step) => {
    new Thing("thing", { value: 1 }, { additionalSecretOutputs: step === 1 ? [] : ["serial"] });
    return {};
  },

  config: () => {
    const config = new pulumi.Config();
    return {
      plain: config.require("plain") satisfies string,
      password: config.get("password") satisfies string | undefined,
      nested: config.getObject<unknown>("nested"),
      isSecret: pulumi.isSecret(config.requireSecret("password")),
    };
  },

  dependsOn: () => {
    const group = new Group("group", (parent) => {
      new Thing("inner", { delayMs: 50 }, { parent });
      return {};
    });
    new Thing("outer", {}, { dependsOn: [group] });
    return {};
  },

  aliases: (step) => {
    const child = (name: string) => (parent: Group) => {
      new Thing(`${name}-child`, { value: 1 }, { parent });
      return {};
    };
    if (step === 1) {
      new Group("old", child("old"), {}, "scenarios:index:Old");
      new Thing("before", { value: 1 });
    } else {
      new Group(
        "new",
        child("new"),
        { aliases: [{ name: "old", type: "scenarios:index:Old" }] },
        "scenarios:index:New",
      );
      new Thing("now", { value: 1 }, { aliases: [{ name: "before" }] });
    }
    return {};
  },

  replace: (step) => {
    const root = new Thing("root", { shape: step, name: "fixed", deleteFirst: true });
    const dependent = new Thing("dependent", { shape: root.serial });
    new Thing("grandchild", { shape: dependent.serial });
    new Thing("reader", { value: root.serial });
    return {};
  },

  createFirst: (step) => {
    const root = new Thing("root", { shape: step });
    new Thing("reader", { value: root.serial });
    return {};
  },

  replaceFails: (step) => {
    new Thing("root", {
      shape: step === 1 ? 1 : 2,
      deleteFirst: true,
      ...(step === 2 ? { fail: "create" } : {}),
    });
    return {};
  },

  protect: (step) => {
    if (step === 1 || step === 3) {
      new Thing("guarded", { shape: step, value: new Thing("base").serial }, { protect: true });
    }
    if (step === 4) new Thing("guarded", { shape: 1, value: new Thing("base").serial });
    if (step === 2) new Thing("other");
    return {};
  },

  retain: (step) => {
    if (step === 1) new Thing("volume", {}, { retainOnDelete: true });
    return {};
  },

  deletedWith: (step) => {
    if (step === 1) {
      const host = new Thing("host");
      new Thing("guest", {}, { deletedWith: host });
    }
    return {};
  },

  changes: (step) => {
    new Thing("ignored", { value: step, keep: { a: step } }, { ignoreChanges: ["value", "keep.a"] });
    new Thing("forced", { nested: { deep: [step] } }, { replaceOnChanges: ["nested.deep[*]"] });
    new Thing("hidden", { value: `line ${String(step)}` }, { hideDiffs: ["value"] });
    new Thing("timed", { value: step }, { customTimeouts: { create: "5m", update: "1h30m" } });
    return {};
  },

  failure: (step) => {
    const first = new Thing("first", { delayMs: 30 });
    const broken = new Thing("broken", step === 1 ? { fail: "create" } : {});
    new Thing("beside", { delayMs: 60 });
    new Thing("below", { value: broken.serial });
    new Thing("after-first", { value: first.serial, delayMs: 100 }, { dependsOn: [first] });
    return { first: first.serial };
  },

  partial: (step) => {
    new Thing("sick", step === 1 ? { fail: "partial", value: 1 } : { value: 1 });
    return {};
  },

  updateFails: (step) => {
    new Thing("stiff", step === 2 ? { value: 2, fail: "update" } : { value: step });
    return {};
  },

  throws: (step) => {
    const kept = new Thing("kept");
    if (step === 2) throw new Error("the program is broken");
    new Thing("made-later");
    return { serial: kept.serial };
  },

  duplicate: () => {
    new Thing("twin");
    new Thing("twin");
    return {};
  },

  invalid: () => {
    new Thing("one", { fail: "check" });
    new Thing("two", { fail: "check" });
    return {};
  },

  unknownPackage: () => {
    new Thing("stranger", {}, {}, "elsewhere:index:Thing");
    return {};
  },

  unknownType: () => {
    new Thing("stranger", {}, {}, "fake:index:Other");
    return {};
  },

  /** 1: something is made; 2, 3: and forgotten here but imported by its id, as it is or changed; 4: replaced; 5: whatever it is. */
  importing: (step) => {
    const id = process.env["IMPORT_ID"] ?? "";
    if (step === 1) new Thing("original", { value: 1, shape: 1, name: "box" }, { retainOnDelete: true });
    else if (step === 5) {
      const options = { import: id, ignoreChanges: ["*"], protect: true };
      new Thing("adopted", { value: 7, shape: 7, name: "another" }, options);
    } else {
      const wanted = { value: step === 3 ? 2 : 1, shape: step === 4 ? 2 : 1, name: "box" };
      new Thing("adopted", wanted, { import: id });
    }
    return {};
  },

  transforms: () => {
    new Thing("changed", {}, { transforms: [(args) => args] });
    return {};
  },

  providers: (step) => {
    const provider = new FakeProvider("site", { region: step === 1 ? "here" : "there" });
    new Thing("direct", {}, { provider });
    new Group(
      "group",
      (parent) => {
        new Thing("inherited", {}, { parent });
        return {};
      },
      { providers: { fake: provider } },
    );
    new Thing("default");
    return {};
  },

  unknownProvider: () => {
    const thing = new Thing("thing");
    const provider = new FakeProvider("late", { region: pulumi.interpolate`r${thing.serial}` });
    new Thing("behind", {}, { provider });
    return {};
  },

  invoke: () => ({
    found: pulumi
      .output(pulumi.runtime.invoke("fake:index:lookup", { key: "k" }) as Promise<{ found: string }>)
      .apply((result) => result.found),
  }),

  /** A function that fails: handled at step 1, not at step 2. */
  invokeFails: async (step) => {
    try {
      await pulumi.runtime.invoke("fake:index:nothing", {});
    } catch (error) {
      if (step === 2) throw error;
      return { said: error instanceof Error ? error.message : "" };
    }
    return {};
  },

  external: (step) => {
    const owned = new Thing("owned", { value: 1 });
    if (step === 1) return {};
    const looked = new Thing("looked-up", {}, { id: "id-1" });
    return { value: looked.value, serial: owned.serial };
  },

  many: () => {
    for (let index = 0; index < 8; index += 1) new Thing(`thing-${String(index)}`, { delayMs: 40 });
    return {};
  },

  /** Each hook writes a line to the file HOOK_LOG; the one that HOOK_FAILS names fails. */
  hooks: (step) => {
    if (step === 5) return {};
    const hook = (name: string, options: pulumi.ResourceHookOptions = {}) =>
      new pulumi.ResourceHook(name, (args) => tell(name, args), options);
    const lifecycle = (name: string) => ({
      beforeCreate: [hook(`${name} before create`)],
      afterCreate: [hook(`${name} after create`)],
      beforeUpdate: [hook(`${name} before update`)],
      afterUpdate: [hook(`${name} after update`, { ignoreErrors: true })],
      beforeDelete: [hook(`${name} before delete`)],
      afterDelete: [hook(`${name} after delete`)],
    });
    const hooks = lifecycle("thing");
    const value = step === 1 ? 1 : 2;
    if (step < 4) new Thing("thing", { value, shape: step === 3 ? 3 : 1, deleteFirst: true }, { hooks });
    if (step > 2) return {};
    new Group("group", (parent) => ({ made: new Thing("inner", {}, { parent }).serial }), {
      hooks: { afterCreate: [hook("group after create")] },
    });
    new Thing("looking", { value }, { hooks: { beforeUpdate: [hook("dry", { onDryRun: true })] } });
    return {};
  },

  /** Two sites that differ from step to step; in step 3 a third comes, and one that depends on it. */
  sites: (step) => {
    const site = (name: string) =>
      new Group(name, (parent) => ({
        made: new Thing(`${name}-thing`, { value: step }, { parent, dependsOn: base }).serial,
      }));
    const base = step === 1 ? [new Thing("base", { value: 1 })] : [];
    site("dal");
    site("chi");
    if (step < 3) return {};
    const third = new Thing("fra", { value: 1 });
    if (step === 4) new Thing("behind", { value: third.serial });
    return { third: third.serial };
  },

  text: (step) => {
    const lines = Array.from({ length: 20 }, (_, index) => `line ${String(index)}`);
    lines[10] = `line ten of step ${String(step)}`;
    new Thing("text", {
      value: `${lines.join("\n")}\n`,
      asset: new pulumi.asset.StringAsset(`${lines.join("\n")}\n`),
    });
    new Thing("secret", { value: pulumi.secret(`secret of step ${String(step)}`) });
    return {};
  },
};
