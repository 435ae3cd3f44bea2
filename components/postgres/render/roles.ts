/** Roles that heatwave makes for itself at every founding. */
export { REPLICATION_ROLE } from "../../../infra/topology/model.ts";

export const HEALTH_ROLE = "heatwave_health";
