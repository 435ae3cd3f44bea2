import { parseDocument } from "yaml";
import { rewriteStackFile } from "../config/rewrite-stack-file.ts";

export type AdoptedIds = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A stack file's text with another `heatwave:adopted`, and nothing else changed; without it where there are no ids. */
export function withAdopted(text: string, ids: AdoptedIds | undefined): string {
  const file = parseDocument(text);
  const path = ["config", "heatwave:adopted"];
  if (ids === undefined) file.deleteIn(path);
  else file.setIn(path, file.createNode(ids));
  return file.toString({ lineWidth: 0 });
}

/**
 * Writes the ids into the stack file, by rename.
 * @returns the file's name when it was changed, undefined when it said so already
 */
export function writeAdopted(directory: string, stack: string, ids: AdoptedIds): string | undefined {
  return rewriteStackFile(directory, stack, (text) => withAdopted(text, ids));
}
