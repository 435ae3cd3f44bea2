import type { Value, ValueMap } from "../../values.ts";
import type { CheckFailure } from "../provider.ts";

/** What every package's provider has beside its own inputs. */
const COMMON = ["version", "pluginDownloadURL"];

/**
 * A provider's own inputs without what is null, and what is wrong with their names.
 * @param refused why the embedded engine does not take an input that the real provider has; undefined where it does
 */
export function knownInputs(
  news: ValueMap,
  package_: { readonly name: string; readonly known: readonly string[] },
  refused: (key: string) => string | undefined,
): { readonly inputs: Record<string, Value>; readonly failures: CheckFailure[] } {
  const inputs: Record<string, Value> = {};
  const failures: CheckFailure[] = [];
  for (const [key, value] of Object.entries(news)) {
    if (value === null) continue;
    inputs[key] = value;
    const why = refused(key);
    if (why !== undefined) failures.push({ property: key, reason: why });
    else if (!package_.known.includes(key) && !key.startsWith("__") && !COMMON.includes(key))
      failures.push({
        property: key,
        reason: `is no input of the ${package_.name} provider; known: ${package_.known.join(", ")}`,
      });
  }
  return { inputs, failures };
}
