import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as allOf } from "node:stream/consumers";
import { execa } from "execa";
import { markdownOf } from "../../review/markdown.ts";
import { readPreview } from "../../review/preview.ts";
import type { Basis, Review } from "../../review/review.ts";
import { review } from "../../review/review.ts";
import type { Room } from "./compare.ts";
import { desiredState, previewAgainst } from "./compare.ts";

export interface ReviewOptions {
  readonly stack: string;
  /** Folder of Pulumi.yaml. */
  readonly cwd: string;
  /** File of a JSON preview; `-` = stdin. */
  readonly preview?: string;
  /** Git revision to compare with. */
  readonly base?: string;
  readonly json?: true;
  /** Characters of Markdown at most. */
  readonly limit?: number;
}

/** Neither or both of `--preview` and `--base`. */
export class WrongUsage extends Error {
  override readonly name = "WrongUsage";
}

/** Prints a review. @throws {WrongUsage}, {NotAPreview}, {BaseFailed} */
export async function reviewVerb(options: ReviewOptions): Promise<number> {
  const made = await madeReview(options);
  const { limit } = options;
  const shown =
    options.json === true
      ? `${JSON.stringify(made, null, 2)}\n`
      : markdownOf(made, limit === undefined ? {} : { limit });
  process.stdout.write(shown);
  return made.isComplete ? 0 : 1;
}

async function madeReview({ stack, cwd, preview, base }: ReviewOptions): Promise<Review> {
  if ((preview === undefined) === (base === undefined))
    throw new WrongUsage(
      "either --preview FILE or --base REVISION says what is reviewed\n" +
        "  with the stack's state:    pulumi preview --json --stack STACK | bin/review --stack STACK --preview -\n" +
        "  without it and its secrets: bin/review --stack STACK --base origin/main",
    );
  if (base !== undefined) {
    const made: Basis = { kind: "desired", base };
    return review(readPreview(await compared(stack, cwd, base), "the comparison"), made, stack);
  }
  const [text, source] =
    preview === "-"
      ? [await allOf(process.stdin), "stdin"]
      : [readFileSync(preview ?? "", "utf8"), preview ?? ""];
  return review(readPreview(text, source), { kind: "state" }, stack);
}

async function compared(stack: string, cwd: string, revision: string): Promise<string> {
  const scratch = mkdtempSync(join(tmpdir(), "heatwave-review-"));
  try {
    const base = join(scratch, "base");
    mkdirSync(base);
    await checkOut(cwd, revision, base);
    const room: Room = { stack, scratch: join(scratch, "room"), environment: process.env };
    mkdirSync(room.scratch);
    return await previewAgainst(await desiredState(base, room), cwd, room);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The files of a revision, with the packages of this checkout: a change of packages alone is no change of the stack. */
async function checkOut(project: string, revision: string, folder: string): Promise<void> {
  const archive = join(folder, ".archive.tar");
  const made = await execa("git", ["archive", "--output", archive, revision], {
    cwd: project,
    reject: false,
  });
  if (made.failed)
    throw new WrongUsage(
      `--base ${revision}: git cannot read that revision here: ${made.stderr.trim()}\n  fix: fetch it first (in a workflow: fetch-depth: 0)`,
    );
  await execa("tar", ["-xf", archive, "-C", folder]);
  rmSync(archive);
  symlinkSync(join(project, "node_modules"), join(folder, "node_modules"));
}
