import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { desiredState, previewAgainst } from "../../infra/cli/review/compare.ts";

const ROOT = join(import.meta.dirname, "../..");

/** A change of a stack file: a value by its path, undefined removes it. */
export type Edit = readonly [path: readonly (string | number)[], value: unknown];

/** Previews of changes of a shipped stack file, by the real program; without hosts, state and secrets. */
export class ReviewRoom implements Disposable {
  readonly #root = mkdtempSync(join(tmpdir(), "heatwave-review-"));
  readonly #stack: string;
  #base: Promise<string | undefined> | undefined;

  constructor(stack: string) {
    this.#stack = stack;
    mkdirSync(join(this.#root, "scratch"));
  }

  /** The JSON preview of the edited stack file against the shipped one. */
  async preview(edits: readonly Edit[]): Promise<string> {
    this.#base ??= desiredState(ROOT, this.#room());
    return previewAgainst(await this.#base, this.#edited(edits), this.#room());
  }

  #room() {
    return {
      stack: this.#stack,
      scratch: join(this.#root, "scratch"),
      environment: {
        PATH: process.env["PATH"],
        HOME: process.env["HOME"],
        NODE_COMPILE_CACHE: join(tmpdir(), "heatwave-engine-tests"),
      },
    };
  }

  /** A project whose stack file alone is its own. */
  #edited(edits: readonly Edit[]): string {
    const project = mkdtempSync(join(this.#root, "project-"));
    for (const name of ["stacks", "components", "infra", "node_modules"])
      symlinkSync(join(ROOT, name), join(project, name));
    for (const name of ["Pulumi.yaml", "package.json", "tsconfig.json"])
      cpSync(join(ROOT, name), join(project, name));
    const name = `Pulumi.${this.#stack}.yaml`;
    const document = parseDocument(readFileSync(join(ROOT, name), "utf8"));
    for (const [[key, ...path], value] of edits) {
      const whole = ["config", `heatwave:${key}`, ...path];
      if (value === undefined) document.deleteIn(whole);
      else document.setIn(whole, document.createNode(value));
    }
    writeFileSync(join(project, name), document.toString());
    return project;
  }

  [Symbol.dispose](): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}
