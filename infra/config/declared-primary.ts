import { rewriteStackFile } from "./rewrite-stack-file.ts";

const LINE = /^(\s+heatwave:primary:[ \t]*)("?)([^\s"#]+)\2/m;

/** A stack file's text with another `heatwave:primary`, and nothing else changed; undefined where it has no such line. */
export function withPrimary(text: string, site: string): string | undefined {
  return LINE.test(text)
    ? text.replace(LINE, (_, key: string, quote: string) => `${key}${quote}${site}${quote}`)
    : undefined;
}

/**
 * Writes a site into the stack file, by rename.
 * @returns the file's name when it was changed, undefined when it said so already
 * @throws Error when the file cannot be written, or has no line for it
 */
export function declarePrimary(directory: string, stack: string, site: string): string | undefined {
  return rewriteStackFile(directory, stack, (text, name) => {
    const next = withPrimary(text, site);
    if (next === undefined) throw new Error(`${name} has no line heatwave:primary`);
    return next;
  });
}
