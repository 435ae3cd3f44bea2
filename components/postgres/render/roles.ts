/** Roles that heatwave makes for itself at every founding. */
export const REPLICATION_ROLE = "heatwave_replication";
export const HEALTH_ROLE = "heatwave_health";
