/** When nobody is in the middle of a login any more: what is cut then was somebody's session, and no connection that never began. */

/** What a pooler and the routers before it say at one moment. */
export interface LoginLook {
  /** Clients that are logging in at the pooler. */
  readonly loggingIn: number;
  /** Clients of the application that are logged in there. */
  readonly clients: number;
  /** Connections that the routers have taken for it. */
  readonly taken: number;
  /** Milliseconds after which whatever a router has sent or ended has got to the pooler: two round trips. */
  readonly settleMs: number;
}

/**
 * Looks until every connection that was taken is logged in; as long as that may take, and no longer.
 *
 * One look that says so is not enough: a client that has just left may still be counted at the pooler in place of one that
 * has not come yet: the one's end is on its way for half a round trip, the other for one and a half. And a pooler that has
 * answered once has taken in what had come before it answers again.
 * @param look asks pooler and routers
 */
export async function awaitLogins(look: () => Promise<LoginLook>, limitMs: number): Promise<void> {
  const until = performance.now() + limitMs;
  let seenAt: number | undefined;
  while (performance.now() < until) {
    const began = performance.now();
    const { loggingIn, clients, taken, settleMs } = await look();
    if (loggingIn > 0 || clients < taken) seenAt = undefined;
    else if (seenAt === undefined) seenAt = performance.now();
    else if (began - seenAt >= settleMs) return;
  }
}
