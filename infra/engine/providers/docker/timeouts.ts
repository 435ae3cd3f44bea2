/** Where the bridge keeps a resource's timeouts in its `__meta`. */
export const TIMEOUTS_KEY = "e2bfb730-ecaa-11e6-8f88-34363bc7c4c0";

/** Seconds that a step of a container or image may take unless `customTimeouts` says otherwise. */
export const DEFAULT_TIMEOUT_SECONDS = 1200;

const NANOSECONDS = DEFAULT_TIMEOUT_SECONDS * 1e9;
export const TIMEOUTS = { create: NANOSECONDS, delete: NANOSECONDS, update: NANOSECONDS };
