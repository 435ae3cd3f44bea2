import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { sameWorld, worldOptions } from "../../../infra/cli/rehearse/hints.ts";
import { explain } from "../../../infra/cli/rehearse/terminal.ts";
import { RehearsalError } from "../../../infra/rehearsal/trouble.ts";

describe("a hint", () => {
  test("means the world that the command meant, with the options before the verb", () => {
    expect(sameWorld("bin/rehearse status, or begin anew: bin/rehearse down", { world: "w" })).toBe(
      "bin/rehearse --world w status, or begin anew: bin/rehearse --world w down",
    );
    expect(sameWorld("bin/rehearse", { stack: "staging" })).toBe("bin/rehearse --stack staging");
  });

  test("is as written where no option was given", () => {
    expect(sameWorld("bin/rehearse up", {})).toBe("bin/rehearse up");
  });

  test("names the stack by its file where that was given", () => {
    expect(worldOptions({ stack: "three", configFile: "examples/Pulumi.three.yaml" })).toBe(
      " --config-file examples/Pulumi.three.yaml",
    );
  });

  test("quotes what a shell would split or expand, and leaves $ of a path alone", () => {
    for (const configFile of ["my stacks/Pulumi.a.yaml", "it's/Pulumi.a.yaml", "$&/$HOME/Pulumi.a.yaml"]) {
      const line = sameWorld("bin/rehearse up", { configFile });
      const words = execFileSync("sh", ["-c", `printf '%s\\n' ${line}`], { encoding: "utf8" });
      expect(words.trimEnd().split("\n")).toEqual(["bin/rehearse", "--config-file", configFile, "up"]);
    }
  });

  test("about every world names none", () => {
    const text = "bin/rehearse prune; bin/rehearse --help";
    expect(sameWorld(text, { world: "w" })).toBe(text);
  });

  test("of an error is completed where it is shown", () => {
    const error = new RehearsalError("What", "bin/rehearse said so", "bin/rehearse down");
    const text = explain(error, (hint) => sameWorld(hint, { world: "w" }));
    expect(text).toContain("bin/rehearse --world w down");
    expect(text).toContain("bin/rehearse said so");
  });
});
