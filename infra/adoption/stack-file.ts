import { isMap, parseDocument } from "yaml";
import { rewriteStackFile } from "../config/rewrite-stack-file.ts";
import type { AdoptedIds } from "../topology/places.ts";
import type { Conversion } from "./conversion.ts";

/** A stack file's text with another `heatwave:adopted`, and nothing else changed; without it where there are no ids. */
export function withAdopted(text: string, ids: AdoptedIds | undefined): string {
  const file = parseDocument(text);
  const path = ["config", "heatwave:adopted"];
  if (ids === undefined) file.deleteIn(path);
  else file.setIn(path, file.createNode(ids));
  return file.toString({ lineWidth: 0 });
}

/**
 * A stack file's text in which a site is converted by the next `up`: its ids go, and what is left where it is the last one.
 * @param site the site's place among `sites`, and its containers
 */
export function withConverted(text: string, site: Conversion): string {
  const file = parseDocument(text);
  const adopted = ["config", "heatwave:adopted"];
  if (site.last) file.deleteIn(adopted);
  else {
    const own = site.containers.map((container) => ({ host: site.host, container }));
    for (const { host, container } of [...own, ...site.routers]) {
      file.deleteIn([...adopted, host, container]);
      const left = file.getIn([...adopted, host]);
      if (isMap(left) && left.items.length === 0) file.deleteIn([...adopted, host]);
    }
  }
  file.setIn(["config", "heatwave:sites", site.at, "converted"], true);
  return file.toString({ lineWidth: 0 });
}

/**
 * Writes the ids into the stack file, by rename.
 * @returns the file's name when it was changed, undefined when it said so already
 */
export function writeAdopted(directory: string, stack: string, ids: AdoptedIds): string | undefined {
  return rewriteStackFile(directory, stack, (text) => withAdopted(text, ids));
}

/** The same for a conversion. @returns the file's name */
export function writeConverted(directory: string, stack: string, conversion: Conversion): string | undefined {
  return rewriteStackFile(directory, stack, (text) => withConverted(text, conversion));
}
