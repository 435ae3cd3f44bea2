import { describe, expect, it } from "vitest";
import { INSPECT_SCRIPT, onlyGone, readContainers } from "../../../infra/maintenance/inspect.ts";
import { kamalProxy } from "../../../infra/maintenance/proxy.ts";
import { placeOf, readWindow } from "../../../infra/maintenance/seen.ts";

describe("what docker inspect prints", () => {
  it("is read line by line", () => {
    const printed = [
      '{"id":"aa","name":"/heatwave-web-v2","state":"running","health":"healthy","service":"heatwave","role":"web","destination":"","stopSeconds":30}',
      '{"id":"bb","name":"/databasus","state":"exited","health":null,"service":"","role":"","destination":"","stopSeconds":null}',
      '{"id":"cc","name":"/plain","state":"running","health":"none","service":"","role":"","destination":"","stopSeconds":null}',
      "",
    ].join("\n");
    expect(readContainers(printed)).toEqual([
      {
        id: "aa",
        name: "heatwave-web-v2",
        state: "running",
        health: "healthy",
        service: "heatwave",
        role: "web",
        destination: "",
        stopSeconds: 30,
      },
      expect.objectContaining({
        id: "bb",
        name: "databasus",
        state: "exited",
        health: null,
        stopSeconds: null,
      }),
      expect.objectContaining({ id: "cc", health: null }),
    ]);
  });

  it("never holds an environment: an app's is full of secrets", () => {
    expect(INSPECT_SCRIPT).not.toMatch(/Env|json \.Config\}|json \.\}\}' \$ids/);
  });

  it("forgives a container that went away meanwhile, and nothing else", () => {
    expect(onlyGone("Error response from daemon: No such container: abc\n")).toBe(true);
    expect(onlyGone("Error: No such object: abc\nCannot connect to the Docker daemon\n")).toBe(false);
    expect(onlyGone("")).toBe(false);
  });
});

describe("kamal-proxy", () => {
  const cell = (style: string, text: string, width: number): string =>
    `\u001b[${style}m${text}\u001b[0m${" ".repeat(width - text.length)}  `;

  it("is asked in its own words", () => {
    expect(kamalProxy.stop("heatwave-web", { message: "Back soon.", drainSeconds: 30 })).toEqual([
      "kamal-proxy",
      "stop",
      "heatwave-web",
      "--drain-timeout=30s",
      "--message=Back soon.",
    ]);
    expect(kamalProxy.resume("heatwave-web")).toEqual(["kamal-proxy", "resume", "heatwave-web"]);
  });

  it("its table is read, with and without styles, whatever its columns", () => {
    const styled =
      [
        ["Service", "Host", "Path", "Target", "State", "TLS"].map((text) => cell("3;94", text, 14)).join(""),
        ["heatwave-web", "a.example", "/", "3f2a:80", "stopped", "yes"]
          .map((text, at) => cell(at === 0 ? "1;34" : "", text, 14))
          .join(""),
        ["other-web", "*", "", "", "running", "no"]
          .map((text, at) => cell(at === 0 ? "1;34" : "", text, 14))
          .join(""),
      ].join("\n") + "\n";
    expect(kamalProxy.states(styled)).toEqual(
      new Map([
        ["heatwave-web", "stopped"],
        ["other-web", "running"],
      ]),
    );
    const older = "Service   Host  Target  State      TLS\nshop-web  *     a:80    paused     no\n";
    expect(kamalProxy.states(older)).toEqual(new Map([["shop-web", "paused"]]));
    expect(kamalProxy.states("Service  Host  Path  Target  State  TLS  \n")).toEqual(new Map());
  });

  it("what is no table is an error that shows it", () => {
    expect(() => kamalProxy.states("unknown command")).toThrow(/kamal-proxy list printed "unknown command"/);
  });

  it("only `stopped` is a 503", () => {
    expect(["running", "paused", "stopped", undefined].map((state) => kamalProxy.isStopped(state))).toEqual([
      false,
      false,
      true,
      false,
    ]);
  });
});

describe("the note", () => {
  it("of another version is not guessed at", () => {
    expect(() => readWindow('{"version":2,"containers":[]}')).toThrow(/no note that this version knows/);
    expect(() => readWindow("null")).toThrow();
  });

  it("a container's place is its role, or else its name", () => {
    const web = { service: "heatwave", role: "web", destination: "" };
    expect(placeOf({ name: "heatwave-web-v1", ...web })).toBe(placeOf({ name: "heatwave-web-v2", ...web }));
    // An accessory has a service and no role.
    const accessory = { service: "heatwave-databasus", role: "", destination: "" };
    expect(placeOf({ name: "a", ...accessory })).not.toBe(placeOf({ name: "b", ...accessory }));
  });
});
