import { CommanderError } from "@commander-js/extra-typings";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { NotAPreview } from "../review/preview.ts";
import { BaseFailed } from "./review/compare.ts";
import { reviewProgram } from "./review/program.ts";
import { reviewVerb, WrongUsage } from "./review/verb.ts";

/** `bin/review`: parses arguments, and leaves the rest to `review/verb.ts`. */
const FAILED = 1;
const USAGE = 2;
const project = join(dirname(fileURLToPath(import.meta.url)), "../..");

let exitCode = 0;
const program = reviewProgram(project, async (options) => {
  exitCode = await reviewVerb(options);
});

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

try {
  await program.parseAsync();
  process.exitCode = exitCode;
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : USAGE;
  else {
    const { code, message } = error as NodeJS.ErrnoException;
    const isTold = error instanceof NotAPreview || error instanceof BaseFailed || error instanceof WrongUsage;
    if (!isTold && code === undefined) throw error;
    process.stderr.write(`error: ${message}\n`);
    process.exitCode = error instanceof WrongUsage ? USAGE : FAILED;
  }
}
