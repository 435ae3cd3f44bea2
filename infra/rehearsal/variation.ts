import { parseDocument } from "yaml";
import { docker } from "./docker.ts";
import type { WorldPlan } from "./plan.ts";
import { writeInside } from "./checkout.ts";

/** Where a changed copy of the checkout stands in the controller while it is previewed. */
const COPY = "/tmp/variation";

export interface Change {
  /** The key as a reader writes it: `heatwave:haproxy.check.inter`. */
  readonly key: string;
  readonly before: string;
  readonly after: string;
}

/** One harmless change of a stack file: the time between two health checks. Comments and order stay. */
export function changeCheckInterval(stackFile: string): { readonly text: string; readonly change: Change } {
  const document = parseDocument(stackFile);
  const path = ["config", "heatwave:haproxy", "check", "inter"];
  const before = document.getIn(path);
  const after = before === "3s" ? "2s" : "3s";
  document.setIn(path, after);
  return {
    text: document.toString({ lineWidth: 0 }),
    change: {
      key: "heatwave:haproxy.check.inter",
      before: typeof before === "string" ? before : "(default)",
      after,
    },
  };
}

/**
 * Copies the controller's checkout with that one change, hands the copy's folder to `work` and removes it after. State,
 * secrets and the world are the same, so what a preview there shows is what the change would do.
 */
export async function withVariation<T>(
  plan: WorldPlan,
  stack: string,
  work: (directory: string, change: Change) => Promise<T>,
): Promise<T> {
  const { container } = plan.controller;
  const file = `Pulumi.${stack}.yaml`;
  const copy = [
    `rm -rf ${COPY} && mkdir ${COPY}`,
    `tar -C /heatwave --exclude=./node_modules --exclude=./.heatwave -c . | tar -C ${COPY} -x`,
    `ln -s /heatwave/node_modules ${COPY}/node_modules`,
  ];
  await docker(["exec", container, "sh", "-c", copy.join(" && ")]);
  try {
    const { text, change } = changeCheckInterval(await docker(["exec", container, "cat", `${COPY}/${file}`]));
    await writeInside(container, `${COPY}/${file}`, text);
    return await work(COPY, change);
  } finally {
    await docker(["exec", container, "rm", "-rf", COPY]);
  }
}
