import { join } from "node:path";
import { describe } from "vitest";
import { Rehearsal } from "../support/rehearsal.ts";
import { behavesLikeAStack, inWorld, topologyOf } from "../support/world-suite.ts";

const world = new Rehearsal("staging");

describe("Pulumi.staging.yaml: two app hosts apart from the sites", () => {
  inWorld(world);
  behavesLikeAStack(world, topologyOf("staging", join(import.meta.dirname, "../..")));
});
