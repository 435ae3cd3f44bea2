import { MAINTENANCE } from "./maintenance.ts";
import { PLACES } from "./places.ts";
import { SECRETS } from "./secrets.ts";
import { SERVICES } from "./services.ts";
import { TAILNET } from "./tailnet.ts";
import type { Mistakes } from "./tools.ts";

/** What goes wrong in stack files: each makes one mistake in a valid stack, and says what the report must name. */
export const MISTAKES: Mistakes = { ...PLACES, ...SERVICES, ...MAINTENANCE, ...TAILNET, ...SECRETS };
