import type { CallContext } from "../provider.ts";
import type { DockerSite } from "./handler.ts";
import type { Inspected } from "./inspected.ts";

/**
 * Waits until the container's health check says healthy, following the daemon's events.
 * @throws Error when it has no health check, has ended for good, or is not healthy in time
 */
export async function untilHealthy(
  site: DockerSite,
  context: CallContext,
  timeoutSeconds: number,
  inspect: () => Promise<Inspected>,
  id: string,
): Promise<void> {
  const limit = AbortSignal.timeout(timeoutSeconds * 1000);
  const signal = AbortSignal.any([context.signal, limit]);
  context.status("Waiting for the container to be healthy");
  try {
    await site.docker.events.until(id, async () => (isHealthy(await inspect()) ? true : undefined), signal);
  } catch (error) {
    if (!limit.aborted || context.signal.aborted) throw error;
    throw new Error(`container failed to be in healthy state within ${timeoutSeconds} s`, { cause: error });
  }
}

function isHealthy({ State: state, HostConfig: host }: Inspected): boolean {
  if (!state.Health) {
    throw new Error(
      "wait is set, but neither the container nor its image has a health check; add healthcheck or leave out wait",
    );
  }
  if (!state.Running && (host.RestartPolicy?.Name ?? "no") === "no") {
    throw new Error(
      `container failed to be in healthy state: it ended with exit code ${state.ExitCode} before it was healthy`,
    );
  }
  return state.Health.Status === "healthy";
}
