import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import * as grpc from "@grpc/grpc-js";
import { Struct } from "google-protobuf/google/protobuf/struct_pb.js";
import type { Declared } from "../../infra/policy/rules.ts";

const ROOT = join(import.meta.dirname, "../..");
const require = createRequire(import.meta.url);

interface Diagnostic {
  readonly policyname: string;
  readonly message: string;
  readonly enforcementlevel: number;
}

/** The policy pack as the Pulumi CLI runs it: the SDK's own runner, asked over the analyzer protocol. */
export class Analyzer implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #client: AnalyzerClient;

  private constructor(process: ChildProcess, port: string) {
    this.#process = process;
    const { AnalyzerClient: Client } = require("@pulumi/pulumi/proto/analyzer_grpc_pb.js") as {
      AnalyzerClient: new (address: string, credentials: grpc.ChannelCredentials) => AnalyzerClient;
    };
    this.#client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  }

  static async start(): Promise<Analyzer> {
    const runner = require.resolve("@pulumi/pulumi/cmd/run-policy-pack");
    // As the CLI's `pulumi-analyzer-policy` does: in the pack's folder, by the engine's address and the pack's path.
    const started = spawn(process.execPath, [runner, "127.0.0.1:1", "."], {
      cwd: join(ROOT, "infra/policy"),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface({ input: started.stdout });
    const [port] = (await Promise.race([
      once(lines, "line"),
      once(started, "exit").then(([code]) =>
        Promise.reject(new Error(`the policy pack ended with ${String(code)}`)),
      ),
    ])) as [string];
    return new Analyzer(started, port);
  }

  /** `policy: message` of each broken policy. */
  async analyze({ type, name, inputs, protect }: Declared): Promise<readonly string[]> {
    const proto = require("@pulumi/pulumi/proto/analyzer_pb.js") as AnalyzerProto;
    const request = new proto.AnalyzeRequest();
    request.setType(type);
    request.setName(name);
    request.setUrn(`urn:pulumi:production::heatwave::${type}::${name}`);
    request.setProperties(Struct.fromJavaScript(inputs as Record<string, never>));
    const options = new proto.AnalyzerResourceOptions();
    options.setProtect(protect);
    request.setOptions(options);
    const diagnostics = await new Promise<readonly Diagnostic[]>((resolve, reject) => {
      this.#client.analyze(request, (error, response) => {
        if (error === null) resolve(response.toObject().diagnosticsList);
        else reject(error);
      });
    });
    return diagnostics.map(({ policyname, message, enforcementlevel }) => {
      if (enforcementlevel !== proto.EnforcementLevel.MANDATORY)
        throw new Error(`${policyname} would stop nothing`);
      return `${policyname}: ${message}`;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    this.#process.kill();
    await once(this.#process, "exit");
  }
}

interface AnalyzerClient {
  analyze(
    request: object,
    done: (error: Error | null, response: { toObject(): { diagnosticsList: readonly Diagnostic[] } }) => void,
  ): void;
  close(): void;
}

interface AnalyzerProto {
  readonly AnalyzeRequest: new () => {
    setType(type: string): void;
    setName(name: string): void;
    setUrn(urn: string): void;
    setProperties(properties: Struct): void;
    setOptions(options: object): void;
  };
  readonly AnalyzerResourceOptions: new () => { setProtect(protect: boolean): void };
  readonly EnforcementLevel: { readonly MANDATORY: number };
}
